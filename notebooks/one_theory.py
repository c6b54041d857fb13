# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # One theory
#
# A bias can absorb a mean. What it cannot absorb is a variance. Three papers that look different come down to this sentence and to the question of who makes up for what is removed: the next bias {cite:p}`evci2018`, the bias beside the weight {cite:p}`ballini2026`,
# or the weights that are kept {cite:p}`gordon2020,mussay2020`. In one table, with $c$ for what a removal takes away, $\delta$ for the shift, and $D_i$ for how much the outputs listen to {term}`pre-activation` $i$:
#
# | | what moves | error it minimises | mean error is zero | what is left |
# | :-- | :-- | :-- | :-- | :-- |
# | optimal brain damage | nothing | – | – | $\mathbb E[D_i c_i^2]$ |
# | mean replacement {cite:p}`evci2018` | next bias | pre-activation | over data | $\sum_i\operatorname{Var} c_i$ |
# | elimination-compensation {cite:p}`ballini2026` | bias beside the weight | outputs, first order | over data, weighted by $D_i$ | $\mathbb E[D_i (c_i-\delta)^2]$ |
# | layer-wise optimal brain surgeon | row and its bias | pre-activation | over data | variance that the others do not explain |
# | coreset {cite:p}`mussay2020,gordon2020` | the kept units' weights | – | over draws, at each input | $\frac1m(\sum_j \lVert v_j\rVert^2/p_j - \lVert z-b\rVert^2)$ |
#
# ```{include} ../book/_generated/drawing-weight.md
# ```
#
# The rest of the page derives the table in one notation. Each relation is also computed on a small network, in both ways, and its residual is shown where you unfold it: the largest difference between the two sides, relative to the largest entry. In double precision, an equation that holds leaves $10^{-15}$ or so.

# %% tags=["parameters"]
scale = None  # this page is the same at each scale
device = "auto"  # "cpu", "cuda" or "auto"
seeds = None  # how many, or a list; the first makes the network and its inputs
data = None  # not used: this page makes its own data
fresh = False  # not used: this page stores nothing

# %% tags=["hide-input"]
from prunebook.pages import notebook

page = notebook.begin(globals(), notebook="one_theory")

import numpy as np
import pandas as pd
import torch
from torch.autograd.functional import hessian
from torch.func import functional_call

from prunebook import coresets, units, weights
from prunebook.networks.device import resolve_device
from prunebook.networks.mlp import mlp
from prunebook.pages.figures.layout import grid, legend_below, log_axis, panel_label
from prunebook.pages.figures.style import LOOKS, in_house_style, look
from prunebook.studies import configuration, theory

seed, device = configuration.seed_list(1 if seeds is None else seeds)[0], resolve_device(device)


def relations(**rows):
    """A table of relations, each a pair of sides that should be equal."""
    return pd.DataFrame(
        {
            "Relation": [text for text, _, _ in rows.values()],
            "Residual": [theory.residual(found, expected) for _, found, expected in rows.values()],
        }
    )


# %% [markdown]
# ## One notation
#
# A layer reads inputs $a(x)$ and makes pre-activations $z = Wa + b$. The rest of the network makes outputs $y = f(z)$ of them, and a loss compares outputs with targets. $\mathbb E$ is the mean over the data. $J(x) = \partial y/\partial z$ is the output Jacobian, one column $J_i$ for each unit.
#
# A removal takes something away from $z$, the **lost contribution** $c(x)$:
#
# - a weight $W_{ij}$ takes $c_i(x) = W_{ij}\,a_j(x)$ from one pre-activation;
# - a unit $j$ takes $c(x) = W_{:j}\,a_j(x)$, its whole column, from all pre-activations that read it.
#
# A bias shift $\delta$ gives back a constant. What is left is $c(x) - \delta$. To first order the outputs then move by $J(x)\,(c(x)-\delta)$, so the error is
#
# $$E_J(\delta) = \mathbb E\,\bigl\lVert J(x)\,(c(x)-\delta)\bigr\rVert^2 .$$
#
# For the squared loss this is the Gauss–Newton error; another loss weighs the outputs by its second derivative. Everything below is a choice of $J$, of $\delta$, or of $c$. A bias can absorb a mean. What it cannot absorb is a variance.
#
# The network of this page has 6 inputs, two hidden layers of 16 ReLU units, and 3 outputs. Its weights are random, twice PyTorch's initial ones, because the relations hold for any weights. There are 500 inputs. We prune the middle layer.

# %%
generator = torch.Generator().manual_seed(seed)
x = torch.randn(500, 6, generator=generator, dtype=torch.float64).to(device)
net = mlp((6, 16, 16, 3), "relu", seed=seed).double().to(device)
with torch.no_grad():
    for values in net.parameters():
        values.mul_(2)
    a = net[:2](x)  # inputs of the middle layer: the units of the first
    z = net[2](a)
    y = net(x)
W, b = net[2].weight.detach(), net[2].bias.detach()
J = theory.jacobian(net[3:], z)  # (samples, outputs, units)
D = J.square().sum(1)  # how loud each unit is at each input: |J_i|^2
calibration = weights.Calibration(net, x)
layer = calibration.statistics["2"]

# %% [markdown]
# ## Mean replacement: the flat metric
#
# Set $J$ to the identity, so that every pre-activation counts the same at every input. Then
#
# $$\delta = \mathbb E\,c \quad\text{and}\quad E(\delta) = \sum_i \operatorname{Var} c_i .$$
#
# So replacing a unit by its mean, folded into the next bias, is a least-squares fit of a constant to what was lost. The code solves that fit without knowing about means, folds the unit with the library, and compares the new biases.
# The library's bias shift for *weights*, with a whole column removed, is the same thing again.
#
# The paper's signed score of a unit is the change of the loss to first order when the unit goes to its mean, $\mathbb E[(\bar a-a)\,g]$ with $g = \partial\ell/\partial a$. That is a covariance, $-\operatorname{Cov}(a, g)$. Pruning to zero costs $-\mathbb E[a g]$, and the difference of the two, $\bar a\,\mathbb E g$, is what the bias has absorbed.

# %%
unit = 0
gone = torch.arange(16, device=device) == unit
lost = a[:, unit, None] * W[:, unit]  # (samples, units of the next layer)
ones = torch.ones(len(x), 1, dtype=torch.float64, device=device)
fitted = torch.linalg.lstsq(ones, lost).solution[0]
folded = units.fold(net, {"dense1": gone}, {"dense1": a.mean(0)})
column = {"2": ~gone.expand(16, 16)}
shifts = {name: make(calibration, column)["2"].bias for name, make in weights.COMPENSATIONS.items()}

labels = y.argmax(1).roll(1)  # any labels will do
seen = units.unit_statistics(net, x, labels)["dense1"]
after = a.clone().requires_grad_()
loss = torch.nn.functional.cross_entropy(net[2:](after), labels, reduction="sum")
(g,) = torch.autograd.grad(loss, after)
covariance = (a * g).mean(0) - a.mean(0) * g.mean(0)

# %% tags=["hide-cell"]
flat = relations(
    fold=("Biases after folding = least squares on the next pre-activations", folded[2].bias - b, fitted),
    weights=("A unit's mean = the sum of the means of its weights", shifts["mean"], fitted),
    variance=(
        "What is left = variance of what was lost",
        theory.left_over(lost, fitted),
        lost.var(0, correction=0).sum(),
    ),
    score=("Signed score mrs = minus a covariance", units.SCORES["mrs"](seen), -covariance),
    absorbed=(
        "Score mrs minus score rs = mean activation times mean gradient",
        units.SCORES["mrs"](seen) - units.SCORES["rs"](seen),
        a.mean(0) * g.mean(0),
    ),
)
page.table(flat, caption="Mean replacement as least squares.")

# %% [markdown]
# ## Elimination-compensation: the Jacobian's metric
#
# Now keep the Jacobian, remove one weight and move one bias, the one beside it. With $D_i = \lVert J_i\rVert^2$, the loudness of unit $i$, the error $E_J$ is least at
#
# $$\delta_{ij} = W_{ij}\,\frac{\mathbb E[D_i a_j]}{\mathbb E D_i} .$$
#
# That is mean replacement again, with each input weighted by how much the outputs listen. Behind a ReLU they may not listen at all, so inputs at which the unit is off have no say. Two statements follow, both exact.
#
# - The two shifts differ by a covariance: $\delta_{ij} - W_{ij}\,\mathbb E a_j = W_{ij}\operatorname{Cov}(D_i, a_j)/\mathbb E D_i$. With $J$ constant over the data it is zero.
# - Taking the plain mean in place of the weighted one costs $W_{ij}^2\operatorname{Cov}(D_i, a_j)^2/\mathbb E D_i$ at the outputs, to first order.
#
# The same two numbers come out of optimal brain surgeon {cite:p}`hassibi1993` if only two parameters exist: the weight and its bias. Take half the mean squared distance of the outputs to what they were before. At the dense network its gradient is zero, and its Hessian $H$ in this pair has the entries $\mathbb E[D_i a_j^2]$, $\mathbb E[D_i a_j]$ and
# $\mathbb E D_i$. Removing the weight at the least cost then moves the bias by $\delta_{ij}$, and costs half the importance $I_{ij}$. The code gets $H$ from automatic differentiation, which knows nothing of this derivation. Optimal brain damage {cite:p}`lecun1990` is the same without the second parameter.

# %%
gap = layer.shift - W * layer.mean
covariance = D.T @ a / len(x) - torch.outer(D.mean(0), a.mean(0))
loudness = D.mean(0)[:, None].clamp(min=1e-300)  # a unit that nothing listens to has covariance 0
cost = W.square() * covariance.square() / loudness
i, j = divmod(int(cost.argmax()), 16)  # the weight at which the two shifts differ most at the outputs
heard = torch.arange(16, device=device) == i
mean_shift, tilted_shift = W[i, j] * layer.mean[j], layer.shift[i, j]


def distance(pair):
    """Half the mean squared distance to the dense outputs, as a function of this weight and its bias."""
    weight = torch.where(heard[:, None] & (torch.arange(16, device=device) == j), pair[0], W)
    bias = torch.where(heard, pair[1], b)
    return (functional_call(net, {"2.weight": weight, "2.bias": bias}, x) - y).square().sum(1).mean() / 2


pair = torch.stack([W[i, j], b[i]])
change, saliency = theory.surgeon(hessian(distance, pair), pair, removed=0)
single, Ji = W[i, j] * a[:, [j]], J[:, :, [i]]

# %% tags=["hide-cell"]
tilted = relations(
    least=(
        "Elimination-compensation's shift = the shift with the least error",
        tilted_shift,
        theory.best_shift(single, Ji)[0],
    ),
    surgeon=("Bias change of the surgeon on the pair = that shift", change[1], tilted_shift),
    saliency=("Twice the surgeon's cost = importance", 2 * saliency, layer.residual[i, j]),
    gap=("Difference to the plain mean = covariance, all weights", gap, W * covariance / loudness),
    cost=(
        "What the plain mean costs at the outputs",
        theory.left_over(single, mean_shift[None], Ji) - theory.left_over(single, tilted_shift[None], Ji),
        cost[i, j],
    ),
    damage=(
        "Optimal brain damage minus importance = what the bias absorbs, all weights",
        weights.CRITERIA["obd"](calibration)["2"] - layer.residual,
        D.mean(0)[:, None] * layer.shift.square(),
    ),
)
page.table(
    tilted, caption="Elimination-compensation as weighted mean replacement, and as a surgeon with two parameters."
)

# %% [markdown]
# The weight in the next figure is the one at which the two shifts differ most in what they cost at the outputs. On the left is its lost contribution at all inputs. The shift does not make it narrower; it only moves it. On the right is what is left, as a function of the shift. Both curves are parabolas, and each method sits at the bottom of its own.

# %% tags=["hide-input"]
EC, MR = look("elimination-compensation"), look("mean-replacement")
c, loud = single[:, 0].cpu().numpy(), D[:, i].cpu().numpy()
means = {"plain": float(mean_shift), "weighted": float(tilted_shift)}
deltas = np.linspace(*sorted((-0.3 * means["weighted"], 2.2 * means["weighted"])), 111)
bowls = pd.DataFrame(
    {
        "shift": deltas,
        "pre-activation": [((c - d) ** 2).mean() / (c**2).mean() for d in deltas],
        "outputs": [(loud * (c - d) ** 2).mean() / (loud * c**2).mean() for d in deltas],
    }
)


@in_house_style
def lost_and_left():
    figure, ((left, right),) = grid(1, 2, 2.9)
    span = np.linspace(min(c.min(), (c - means["plain"]).min()), max(c.max(), (c - means["plain"]).max()), 41)
    left.hist(c, span, color="#999999", alpha=0.55, label="Lost contribution, all inputs")
    left.hist(c[loud > 0], span, histtype="step", color=EC.colour, linewidth=1.3, label="Where the unit is heard")
    left.hist(
        c - means["plain"],
        span,
        histtype="step",
        color=MR.colour,
        linewidth=1.3,
        linestyle="--",
        label="After the mean shift",
    )
    left.axvline(means["plain"], color=MR.colour, linewidth=1.5)
    left.axvline(means["weighted"], color=EC.colour, linewidth=1.5)
    left.set(xlabel="Contribution to the pre-activation", ylabel="Inputs")
    panel_label(left, 0, "Lost by one weight")
    for name, style, at in (("pre-activation", MR, "plain"), ("outputs", EC, "weighted")):
        right.plot(bowls["shift"], bowls[name], color=style.colour, linestyle="--" if at == "plain" else "-")
        low = np.interp(means[at], bowls["shift"], bowls[name])
        right.plot(means[at], low, **(style.points | {"markersize": 8, "label": "_best"}))
        right.axvline(means[at], color=style.colour, linewidth=0.8, alpha=0.6)
    right.axhline(1, color="#666666", linewidth=0.8)
    right.set(xlabel="Shift of the bias", ylabel="Error left, relative to no shift", ylim=(0, None))
    panel_label(right, 1, "Error against shift")
    handles = [*left.get_legend_handles_labels()[0]]
    handles += [
        right.plot(
            [],
            [],
            color=MR.colour,
            linestyle="--",
            **{"marker": MR.marker, "label": "Mean: error of the pre-activation"},
        )[0],
        right.plot([], [], color=EC.colour, **{"marker": EC.marker, "label": "Weighted mean: error of the outputs"})[0],
    ]
    legend_below(figure, handles)
    return figure


page.figure(
    lost_and_left(),
    caption="One weight is removed. Left: its contribution over 500 inputs, before and after the mean shift; vertical lines are the plain mean and the mean weighted by the Jacobian. Right: the error that a shift leaves, at the pre-activation and at the outputs to first order; 1 is plain removal.",
    alt="Left: histograms of a weight's contribution, over all inputs, where its unit is heard, and after the shift. Right: two parabolas of the error against the shift with different minima.",
    table=bowls,
    name="theory-one-weight",
)
page.glue(
    "mean-left",
    100 * float(theory.left_over(single, mean_shift[None], Ji) / theory.left_over(single, 0 * mean_shift[None], Ji)),
    ".0f",
)
page.glue(
    "tilted-left",
    100 * float(theory.left_over(single, tilted_shift[None], Ji) / theory.left_over(single, 0 * mean_shift[None], Ji)),
    ".0f",
)

page.glue("harmed", float((cost > D.mean(0)[:, None] * layer.shift.square()).sum()), ".0f")

# %% [markdown]
# For this weight, the plain mean leaves {glue:text}`one-theory-mean-left` % of the output error of plain removal, and the weighted mean {glue:text}`one-theory-tilted-left` %. The weighted mean never leaves more than 100 %. The plain mean does at {glue:text}`one-theory-harmed` of the 256 weights: there it makes up for inputs at which nobody listens.
#
# ### More freedom, less error
#
# The pair of weight and bias is one choice of what may move. Let more move, and the error can only fall: all biases of the layer, or all weights of the row, which is layer-wise optimal brain surgeon in the Jacobian's metric. The plain mean stands outside this order, because it is best for another error.

# %%
cut = {"2": ~(heard[:, None] & (torch.arange(16, device=device) == j))}
only = torch.where(heard, single, 0.0)  # lost at unit i, nothing elsewhere
joint = weights.COMPENSATIONS["joint"](calibration, cut)["2"].bias
inputs = torch.cat([a, ones], 1)
row = torch.einsum("n,nj,nk->jk", D[:, i], inputs, inputs) / len(x)
_, row_cost = theory.surgeon(row, torch.cat([W[i], b[i, None]]), removed=j)
zero = torch.zeros_like(b)
left = {
    "Plain removal (optimal brain damage)": theory.left_over(only, zero, J),
    "Plain mean (mean replacement)": theory.left_over(only, torch.where(heard, mean_shift, zero), J),
    "Bias beside it (elimination-compensation)": theory.left_over(only, torch.where(heard, tilted_shift, zero), J),
    "All biases of the layer (joint shifts)": theory.left_over(only, joint, J),
    "Bias and all weights of the row": 2 * row_cost,
}

# %% tags=["hide-input"]
ladder = pd.DataFrame(
    {"What moves": list(left), "Mean square output change, first order": [float(v) for v in left.values()]}
)
ladder["Relative to plain removal"] = ladder.iloc[:, 1] / ladder.iloc[0, 1]
page.table(ladder, caption="One weight removed, and what is left when more may move.")
page.table(
    relations(
        joint=("Library's joint shifts = the best shift of all biases of the layer", joint, theory.best_shift(only, J))
    ),
    caption="All biases together.",
)

# %% [markdown]
# ### When the Jacobian is constant
#
# In a linear network $J$ is the same at every input, so the two shifts must be one. The slope of a PReLU leads there: 0 is our ReLU network, 1 is a linear one with the same weights. At slope 1 the first-order picture is also exact, whatever is removed from one layer.

# %%
slopes = torch.linspace(0, 1, 21).tolist()
rows = []
for slope in slopes:
    bent = mlp((6, 16, 16, 3), "prelu", seed=seed).double().to(device)
    with torch.no_grad():
        for place in (0, 2, 4):
            bent[place].load_state_dict(net[place].state_dict())
        bent[1].weight.fill_(slope)
        bent[3].weight.fill_(slope)
    known = weights.Calibration(bent, x)
    found = known.statistics["2"]
    plain = found.weight * found.mean
    rows.append({"slope": slope, "difference": float((found.shift - plain).norm() / plain.norm())})
closing = pd.DataFrame(rows)
half = {"2": weights.CRITERIA["magnitude"](known)["2"] > W.abs().median()}
moved = weights.COMPENSATIONS["elimination"](known, half)

# %% tags=["hide-cell"]
page.table(
    relations(
        same=("Weighted mean shift = plain mean shift, all weights", found.shift, plain),
        true=(
            "True output change = the first-order one, half of the layer removed",
            weights.true_change(known, half, moved),
            weights.linearised_change(known, half, moved),
        ),
    ),
    caption="A linear network.",
)
points = pd.DataFrame(
    {"covariance": (W * covariance / loudness).flatten().tolist(), "difference": gap.flatten().tolist()}
)


@in_house_style
def two_shifts():
    figure, ((left, right),) = grid(1, 2, 2.9)
    left.axline((0, 0), slope=1, color="#666666", linewidth=0.8)
    left.plot(points["covariance"], points["difference"], **(EC.points | {"markersize": 4.5, "alpha": 0.7}))
    left.set(xlabel=r"$W_{ij}\,\mathrm{Cov}(D_i, a_j)\,/\,\mathrm{E}\,D_i$", ylabel="Weighted minus plain mean shift")
    panel_label(left, 0, "All 256 weights, ReLU")
    right.plot(closing["slope"], closing["difference"], **(EC.line | {"markersize": 4.5}))
    right.set(xlabel="Slope below zero (1: linear network)", ylabel="Difference of shifts, relative", ylim=(0, None))
    panel_label(right, 1, "From ReLU to linear")
    return figure


page.figure(
    two_shifts(),
    caption="Left: the difference of the two shifts against the covariance of loudness and activation, a point a weight, with the diagonal. Right: norm of the difference over norm of the plain shifts, as the network becomes linear.",
    alt="Left: points on a diagonal. Right: a curve that falls to zero as the slope of the activation goes from 0 to 1.",
    table=closing,
    name="theory-two-shifts",
)

# %% [markdown]
# ## Coresets: a new weighting, and no bias
#
# A coreset draws $m$ units with replacement, with probabilities $p_j$, and counts unit $j$ for $r_j = \text{count}_j/(m\,p_j)$ of itself. Its lost contribution is $c(x) = \sum_j (1-r_j)\,v_j(x)$ with $v_j = W_{:j}\,a_j$. Since $\mathbb E\,r_j = 1$ over draws,
#
# $$\mathbb E_{\text{draws}}\,c(x) = 0 \ \text{ at every } x,$$
#
# $$\mathbb E_{\text{draws}}\lVert c(x)\rVert^2 = \frac1m\Bigl(\sum_j \frac{\lVert v_j(x)\rVert^2}{p_j} - \Bigl\lVert\sum_j v_j(x)\Bigr\rVert^2\Bigr).$$
#
# Compare this with the bias shift. The shift makes *one* choice right on average *over the data*. The draws are unbiased *at each input*, but only on average *over many draws*, and in practice one draws once. Both have a mean error of zero, in different means, and the variance that is left is over data for the one and over draws for the other. The root mean square error of the draws falls as $1/\sqrt m$; that of a compensated choice is a fixed number. Both statements are about pre-activations. Behind the next ReLU neither mean is zero.
#
# With four units and three draws all twenty outcomes can be listed, so both statements are checked without any Monte Carlo. Then the formula is compared with the library's own for the whole layer.

# %%
few = a[:, :4]
terms = few[:, None] * W[:, :4]  # (samples, units of the next layer, drawn units)
p = theory.best_probabilities(terms)
counts, chances = theory.enumerated(p, 3)
factors = counts / (3 * p)
missing = torch.einsum("duj,oj->dou", terms, 1 - factors)  # (samples, outcomes, units of the next layer)
bias_of_draw = missing.mean(0)  # what a shift could absorb, after each draw
average = torch.einsum("o,dou->du", chances, missing)
listed = (chances * missing.square().sum(2).mean(0)).sum()
listed_shifted = (chances * (missing - bias_of_draw).square().sum(2).mean(0)).sum()

everything = a[:, None] * W  # (samples, 16, 16)
radius = coresets.query_radius(x)
mussay = coresets.neuron_sensitivities(W, net[0].weight, net[0].bias, radius).probabilities
exact = coresets.neuron_variance(W, a, mussay, 40).sum(1).mean()
sensitive = coresets.sensitivities(W[:1], a)  # of single weights of unit 0, by sign
positive = a[:, None] * W[:1].clamp(min=0)


def listed_at(m):
    """Mean square error over inputs and all outcomes of m draws from four units."""
    counts, chances = theory.enumerated(p, m)
    missing = torch.einsum("duj,oj->dou", terms, 1 - counts / (m * p))
    return (chances * missing.square().sum(2).mean(0)).sum()


# %% tags=["hide-cell"]
drawn = relations(
    unbiased=(
        "All outcomes: kept contribution, averaged over draws = the dense one",
        terms.sum(2) - average,
        terms.sum(2),
    ),
    variance=("All outcomes: mean square error = the formula", listed, theory.reweighting_error(terms, p, 3)),
    shifted=(
        "All outcomes: the same with a bias shift after each draw",
        listed_shifted,
        theory.reweighting_error(terms, p, 3, shifted=True),
    ),
    root=("All outcomes: six draws have a sixth of the error of one draw", 6 * listed_at(6), listed_at(1)),
    library=(
        "Library's variance of drawn units, averaged over inputs = the formula",
        exact,
        theory.reweighting_error(everything, mussay, 40),
    ),
    sipp=(
        "Library's variance of drawn weights, one output and sign = the formula",
        coresets.variance(W[:1], sensitive, a, 10)[0].mean(),
        theory.reweighting_error(positive, sensitive.probabilities[0, 0], 10),
    ),
    split=(
        "Each unit in ten equal parts: the error of the draws stays",
        theory.reweighting_error(everything.repeat(1, 1, 10) / 10, mussay.repeat(10) / 10, 40),
        exact,
    ),
)
page.table(drawn, caption="Drawn units: unbiased, and with the variance of the formula.")

# %% [markdown]
# ### Could a coreset use the bias?
#
# It could. After the draw, its lost contribution has a mean over the data like any other, and a shift can absorb it. The formula stays the same, with each $v_j$ replaced by $v_j - \mathbb E v_j$: second moments become variances. And the best probabilities change with it. Without a shift they are proportional to the root mean square of $v_j$, and with one to its standard deviation,
# so a unit that is large and constant no longer needs to be drawn. This step is our addition.
#
# The next figure sets all this beside a deterministic choice: keep the units whose contributions vary most, unchanged, and fold the means of the others into the bias.

# %% tags=["hide-input"]
ways = {
    "Drawn by sensitivity": (mussay, False),
    "Drawn by size": (theory.best_probabilities(everything), False),
    "Drawn by deviation, bias shifted": (theory.best_probabilities(everything, shifted=True), True),
}
curves = []
for name, (p, shifted) in ways.items():
    per_draw = float(theory.reweighting_error(everything, p, 1, shifted=shifted))
    for m in np.unique(np.geomspace(1, 4000, 60).round()):
        kept = float(coresets.expected_kept(p, torch.tensor(m, device=device)))
        curves.append({"way": name, "draws": m, "kept": kept, "error": (per_draw / m) ** 0.5})
checks = []
for m in (4, 16, 64, 256, 1024):
    r = coresets.sample_neurons(mussay, m, 400, [seed, m])
    squares = torch.einsum("duj,oj->dou", everything, 1 - r).square().sum(2).mean()
    checks.append(
        {
            "way": "Drawn by sensitivity, measured",
            "draws": m,
            "kept": float((r > 0).sum(1).double().mean()),
            "error": float(squares) ** 0.5,
        }
    )

order = weights.CRITERIA["mean-replacement"](calibration)["2"].sum(0).argsort(descending=True)
for count in range(1, 16):
    missed = everything[:, :, order[count:]].sum(2)
    for name, shift in (("Chosen, zeros", zero), ("Chosen, means in the bias", theory.best_shift(missed))):
        curves.append(
            {"way": name, "draws": float("nan"), "kept": count, "error": float(theory.left_over(missed, shift)) ** 0.5}
        )
spread = float(z.var(0, correction=0).sum()) ** 0.5
errors = pd.DataFrame(curves + checks).assign(error=lambda table: table["error"] / spread)

# %% tags=["hide-input"]
STYLES = {
    "Drawn by sensitivity": {"color": LOOKS["neurons"].colour},
    "Drawn by size": {"color": "#5f3d1b", "linestyle": (0, (5, 2))},
    "Drawn by deviation, bias shifted": {"color": "#332288", "linestyle": (0, (1.2, 1.8))},
    "Chosen, zeros": {"color": "#999999", "marker": "x"},
    "Chosen, means in the bias": {"color": MR.colour, "marker": MR.marker},
}


def of(way):
    return errors[errors["way"] == way]


@in_house_style
def draws_against_choice():
    figure, ((left, right),) = grid(1, 2, 3.1, sharey=True)
    measured = of("Drawn by sensitivity, measured")
    for axis, column in ((left, "draws"), (right, "kept")):
        for way in ways:
            axis.plot(of(way)[column], of(way)["error"], **STYLES[way])
        axis.plot(measured[column], measured["error"], "D", color=LOOKS["neurons"].colour, markeredgecolor="white")
    for count in (4, 8, 12):
        value = float(of("Chosen, means in the bias").set_index("kept").loc[count, "error"])
        left.axhline(value, color=MR.colour, linewidth=1)
        left.text(4000, value, f"{count} units kept", ha="right", va="bottom", fontsize=8.5, color=MR.colour)
    for way in ("Chosen, zeros", "Chosen, means in the bias"):
        right.plot(of(way)["kept"], of(way)["error"], **STYLES[way])
    low = errors.loc[errors["kept"] < 15.5, "error"].min()
    left.set_ylim(low / 1.5, errors["error"].max() * 1.3)
    left.set_xlim(1, 4500)
    log_axis(left, "x", 4)
    log_axis(left)
    left.set(xlabel="Draws m", ylabel="Error of the pre-activations")
    right.set(xlabel="Units kept, of 16 (expected)", xticks=range(0, 17, 4))
    panel_label(left, 0, "Against draws")
    panel_label(right, 1, "Against what is kept")
    handles = [right.plot([], [], label=way, **style)[0] for way, style in STYLES.items()]
    handles.append(right.plot([], [], "D", color=LOOKS["neurons"].colour, label="Drawn by sensitivity, measured")[0])
    legend_below(figure, handles)
    return figure


page.figure(
    draws_against_choice(),
    caption="Root mean square error of the next pre-activations, relative to their spread over the data. Curves of drawn units are the exact formula; diamonds are 400 draws each. Left: against the number of draws, with the fixed errors of the compensated choice as horizontal lines. Right: against how many units are kept.",
    alt="Left: three straight falling lines on two log axes and horizontal lines of the deterministic choice. Right: error against units kept; the chosen units with means in the bias lie lowest.",
    table=errors,
    name="theory-draws",
)
chosen = of("Chosen, means in the bias").set_index("kept")["error"]
needed = float(theory.reweighting_error(everything, mussay, 1)) / float(chosen.loc[8] * spread) ** 2
page.glue("needed", needed, ".0f")
page.glue(
    "needed-kept", float(coresets.expected_kept(mussay, torch.tensor(float(np.ceil(needed)), device=device))), ".1f"
)

# %% [markdown]
# To be as exact as 8 of 16 units chosen and compensated, the coreset needs {glue:text}`one-theory-needed` draws, which keep {glue:text}`one-theory-needed-kept` units on average. It pays for a promise that the choice does not make: the draws are right on average at *any* input, also at one that nobody has looked at, while the error of the compensated choice is a statement about these data.
# The draws that are needed do not depend on the number of units. Split each unit into ten equal parts, and the error stays the same at the same number of draws (last line of the table above). Where thousands of units do nearly the same, a few draws stand for them all.

# %% [markdown]
# ## When is each exact?
#
# A method is exact if its variance is zero. For the plain mean that is the variance of an activation, for the weighted mean the variance where the unit is heard, for a row that is re-fitted the variance that the other units do not explain, and for a coreset the variance over draws. So each is exact on a different network. The table removes one unit, unit 0, from five networks, and compares the *true* outputs.
# Draws are as many as there are units, by sensitivity, and replace the whole layer.


# %% tags=["hide-input"]
def edited(change):
    copy = mlp((6, 16, 16, 3), "relu").double().to(device)
    copy.load_state_dict(net.state_dict())
    with torch.no_grad():
        change(copy[0], copy[2])
    return copy


def constant(first, second):
    first.weight[0], first.bias[0] = 0, 1


def duplicated(first, second):
    first.weight[0], first.bias[0] = first.weight[1], first.bias[1]


def proportional(first, second):
    size = torch.linspace(0.5, 2, 16, dtype=torch.float64, device=device)
    first.weight[:], first.bias[:] = size[:, None] * first.weight[0], size * first.bias[0]
    second.weight[:] = second.weight[:, [0]] * size.flip(0)


def unheard(first, second):
    # Input 0 is a switch. Unit 0 varies only where it is on; unit 1 passes it on, and turns off unit 0 of the next
    # layer, the only one that reads unit 0.
    first.weight[:2], first.bias[:2] = 0, 0
    first.bias[0], first.weight[0, 1], first.weight[1, 0] = 1, 0.5, 1
    second.weight[:, 0], second.weight[0, 0], second.weight[0, 1], second.bias[0] = 0, 1, -100, 1


switched = x.clone()
switched[:, 0] = (x[:, 0] > 0).double()
switched[:, 1] = x[:, 1].abs() * switched[:, 0]
networks = {
    "As it is": (net, x),
    "Unit is constant": (edited(constant), x),
    "Unit varies only where its reader is off": (edited(unheard), switched),
    "Unit has a twin": (edited(duplicated), x),
    "All units proportional": (edited(proportional), x),
}
columns = {"none": "Nothing", "mean": "Plain mean", "elimination": "Weighted mean", "obs": "Row re-fitted"}


# %% tags=["hide-input"]
def true_errors(model, x):
    """Root mean square change of the outputs for each remedy, relative to their spread."""
    known = weights.Calibration(model, x)
    cut = {"2": ~(torch.arange(16, device=device) == 0).expand(16, 16)}
    with torch.no_grad():
        hidden, outputs = model[:2](x), model(x)
        spread = outputs.var(0, correction=0).sum().sqrt()
        found = {}
        for way, title in columns.items():
            remedy = weights.COMPENSATIONS[way]
            change = remedy(known, cut, 1e-12) if way == "obs" else remedy(known, cut)
            found[title] = weights.true_change(known, cut, change) ** 0.5 / float(spread)
        chance = coresets.neuron_sensitivities(
            model[2].weight, model[0].weight, model[0].bias, coresets.query_radius(x)
        ).probabilities
        r = coresets.sample_neurons(chance, 16, 100, seed)
        sampled = model[2:](hidden * r[:, None])  # (draws, samples, outputs)
        found["16 draws"] = float((sampled - outputs).square().sum(2).mean().sqrt() / spread)
    return found


exactness = pd.DataFrame([{"Network": name} | true_errors(*case) for name, case in networks.items()])

# %% tags=["hide-input"]
page.table(
    exactness, caption="Root mean square change of the outputs, relative to their spread, after one unit is removed."
)

# %% [markdown]
# - In the **unmodified** network, either mean can be better. The weighted one is best to first order and for one row at a time, and here sixteen rows lose a weight.
# - A **constant unit** has no variance. Any mean is exact. The draws do not know it, and still reweight it.
# - A unit that **varies only where its reader is off** has variance, but not where it counts. Only the weighted mean is exact. This one example is the whole difference between the two papers on bias shifts.
# - A unit with a **twin** varies like any other, so no bias can stand for it. Its twin can, at twice the weight: the re-fitted row finds that, up to the tiny ridge that keeps its equations solvable.
# - If **all units are proportional**, in what they compute and in what they feed, each draw is the layer itself. This is the case for which coresets are made.
#
# In a linear network no removal is exact for that reason alone, but there the two means are one, and what the first-order error says of them is true.

# %% [markdown]
# ## What this leaves open
#
# The first-order error is a statement about one removal. What happens when half of a network is removed at once, and after {term}`fine-tuning`, is a matter of measurement: see the chapters on [elimination-compensation](elimination_compensation_mnist.ipynb), [mean replacement](mean_replacement.ipynb) and [coresets](coreset_bounds_lenet.ipynb).
# All relations of this page are also tests of the library.
