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
# # Mean replacement along training
#
# When a {term}`unit` is removed, the next layer misses what it used to get. {term}`Mean replacement <mean replacement>` puts the unit's mean in its place {cite:p}`evci2018`. That costs nothing: a constant input folds into the next layer's {term}`bias`.
# Evci et al. claim that this lowers the {term}`penalty`, the rise of the loss right after pruning, at any time during training, for any way to choose units, in any layer and network. This page trains their networks and prunes
# snapshots of them in all of their ways. Whether the advantage outlasts {term}`fine-tuning` is the subject of the [next page](mean_replacement_tuning.ipynb).
#
# ```{include} ../book/_generated/drawing-unit.md
# ```
#
# A bias can absorb a mean. What it cannot absorb is a variance: the mean helps where the unit gave much on average, and leaves the loss as it is where the unit mainly varied.
#
# **Words.** A {term}`score` ranks the units; the lowest are removed first. `norm` and `rand` look at weights or at nothing; `rs` and `mrs` estimate the change of the loss and are *signed*; `abs_rs` and `abs_mrs` are their *unsigned* forms. A {term}`point` is one comparison of zero with mean: one seed, step, score, set of layers and amount. *Below the diagonal* are the points where the mean is better. {term}`Coverage <coverage>` is the share of units that a score has ever chosen. {term}`Small`, {term}`Medium` and {term}`VGG11` are the networks.

# %% tags=["parameters"]
scale = None  # "smoke", "laptop" or "paper"; None takes PRUNEBOOK_SCALE, or else "laptop"
device = "auto"  # "cpu", "cuda" or "auto"
seeds = None  # how many, or a list; None takes what the scale plans
data = None  # folder with the data; None takes PRUNEBOOK_DATA, a download, or a stand-in that says so
fresh = False  # True measures again what is already stored

# %% tags=["hide-input"]
from prunebook.pages import notebook, widgets
from prunebook.pages.figures import mean_replacement as figures
from prunebook.pages.figures import mr_choices
from prunebook.pages.tables import mean_replacement

page = notebook.begin(globals(), study="mr-training", notebook="mean_replacement")
page.banner()
page.claims()

# %% [markdown]
# ## What is done to a unit, and how units are chosen
#
# Let $a_u(x, p)$ be the output of unit $u$ after its ReLU, for image $x$ at place $p$, and $\bar a_u$ its mean over 1,000 training images and all places. Pruning to zero sets $a_u$ to 0; mean replacement sets it to $\bar a_u$.
# A constant passes max-pooling and flattening unchanged, so the next layer sees $b' = b + W\bar a$, and the unit can be removed. In networks whose convolutions do not pad, as Small and Medium, this is exact, and the test suite
# checks it against independent packages. Where a convolution pads with zeros, part of its kernel sees no constant at the border, and there are three ways to fold: exactly, with a bias map; by the
# spatial mean of the response, as in code the authors released later; or with all taps, as the formula is printed.
#
# Six scores choose the units; the lowest are removed first. With $g_u = \partial \ell/\partial a_u$ for the loss $\ell$ of one image, $\langle\cdot\rangle$ the mean over places and $\mathbb E$ the mean over images:
#
# | name | score |
# | :-- | :-- |
# | `norm` | squared norm of the incoming weights over their number |
# | `rand` | uniform, drawn anew at each measurement |
# | `rs`, `abs_rs` | $\mathbb E\langle -a g\rangle$ and $\mathbb E\lvert\langle -a g\rangle\rvert$ |
# | `mrs`, `abs_mrs` | $\mathbb E\langle(\bar a - a) g\rangle$ and $\mathbb E\lvert\langle(\bar a - a) g\rangle\rvert$ |
#
# The signed ones are the loss change to first order, when the unit goes to zero or to its mean. The paper's table prints the first without the minus, which would reverse the order; its text and the authors' later code
# have it. Other readings are run beside these.
#
# ```python
# from prunebook import units
#
# seen = units.unit_statistics(model, images, labels)
# score = units.SCORES["abs_mrs"](seen["conv2"])
# pruned = {"conv2": units.mask_lowest(score, 12)}
# # The same shapes; the means are in the biases.
# folded = units.fold(model, pruned, {"conv2": seen["conv2"].mean})
# # Really smaller, with the same outputs.
# small = units.remove(folded, pruned)
# ```

# %% [markdown]
# ## Set-up, and what we had to assume
#
# :::{dropdown} Networks, training, measurement, and our choices where the paper is silent
# - **Networks**: Small (three valid convolutions of 32, 64, 128 channels and two dense layers of 512, 128) and Medium (twice as wide) on CIFAR-10 {cite:p}`krizhevsky2009`; VGG11 with padding; Medium with batch norm as a control. Glorot-uniform weights, zero biases.
# - **Training**: 46,920 steps of 64 images, 60 epochs. The paper gives neither optimiser nor rate. We take SGD with momentum 0.9 and a constant rate of 0.01, no weight decay, no augmentation, images standardised by channel. It runs in single precision unless bfloat16 is asked for; penalties are always in single precision. Of results whose record names no precision it is not known: at that time, a machine with instructions for bfloat16 trained in it. The paper's figures end at step 35,000, and so do ours that stand beside them; rules and shares count all steps.
# - **Measurement**: 1,000 training images, drawn once per seed, give scores, means and penalties. The paper does not say whether they stay in training; in code that the authors released later they do, and here too. 1,000 test images give a second penalty. Units are scored every 250 steps, as in the paper. Penalties, 360 variants at a time, are measured every 1,000 steps, and every 2,500 on Medium: four and ten times thinner than in the paper, to save time. A mean over training is one over these steps.
# - **VGG11 and batch norm**: without a GPU only the beginning is followed. VGG11 has 2,000 steps, 2.6 epochs, and is scored and measured every 500, by `norm`, `rand`, `abs_rs` and `abs_mrs` and for a tenth, a fifth and half of the units. Medium with batch norm has 5,000 steps, is scored every 500 and measured every 2,500.
# - **How many**: a fraction of each layer's units, rounded down, so 0.01 prunes nothing in a layer of fewer than 100; or one unit. "All layers" prunes in every hidden layer at once, with masks and means of the unpruned network. Of equal scores the higher index goes.
# - A measurement works on stored snapshots. It cannot disturb the training, and the same training serves all.
# - The smaller scales shorten all of this; the run card says how.
# :::

# %% tags=["remove-cell"]
tables = {key: mean_replacement.longest(table) for key, table in page.tables.items()}
everywhere = tables["penalties"][~tables["penalties"]["batch_norm"]]
nets = list(dict.fromkeys(everywhere["net"]))
net = mean_replacement.main_network(everywhere)
others = [other for other in nets if other != net]
ours = "small" if "small" in nets else net
name, our_name = mean_replacement.network_name(net), mean_replacement.network_name(ours)
UNSIGNED = ("norm", "abs_rs", "abs_mrs")
layer_set, amount = page.results.records[0]["config"]["followed"]


def of(name, net=net):
    """The rows of one network without batch norm."""
    table = tables[name]
    return table[(table["net"] == net) & ~table["batch_norm"]]


penalties, followed = of("penalties"), of("followed")
restart = 10_000 if followed["step"].max() > 10_000 else int(followed["step"].median())
page.glue("net", mean_replacement.networks(penalties))
page.glue("ours", mean_replacement.networks(of("penalties", ours)))
page.glue("nets", mean_replacement.networks(tables["penalties"]))
page.glue("others", ", ".join(map(mean_replacement.network_name, others)) or "none so far")
page.glue("end", f"{mean_replacement.at_the_end(of('constants', ours), layer_set='all', scores=UNSIGNED):.0%}")

# %% [markdown]
# Networks measured so far: {glue:text}`mr-training-nets`. The figures that stand for the paper's show {glue:text}`mr-training-net`; our own questions were put to {glue:text}`mr-training-ours`. Medium, which the paper shows most, comes
# first from four seeds on. The paper's Figures 3, 5 and 9 pool its networks; ours show one, and a claim says which it is about.
#
# Lines are means over seeds, and bands are 95 % intervals, as in all of this book; of two seeds, both are shown. The paper's bands are 80 % intervals, about half as wide.
#
# ## The penalty through training
#
# The paper's Figure 2: a tenth of the units of every layer pruned, with means (solid) and with zeros (dashed). If the paper is right, each solid line runs below the dashed one.

# %% tags=["hide-input"]
figure = figures.penalties_through_training(penalties, of("network"), net=net)
page.figure(
    figure,
    caption=f"{name}: penalty against training step with a tenth of all units pruned, with means (solid) and with zeros (dashed), each score on its own scale; last, loss and accuracy of the unpruned network.",
    alt="A panel for each score, penalty with means and with zeros against training step, then the loss and accuracy of the unpruned network on training and test images.",
    name="mr-penalties",
    interactive=widgets.explored(figure, "Units pruned"),
)
page.verdict("MR-1", "MR-1b", "MR-2")

# %% [markdown]
# The paper says that this holds regardless of the architecture. Here is the same, averaged over training, in each network without batch norm; for VGG11, where it is shown, over its first 2,000 steps.

# %% tags=["hide-input"]
page.figure(
    figures.penalties_by_network(everywhere, until=None),
    caption="Penalty with zeros minus penalty with means, averaged over training with a tenth of all units pruned, for each network measured: right of the line the mean is better. Written beside each difference: the penalty with zeros, then the one with means.",
    alt="A panel for each score: difference of the penalties with zeros and with means, with its interval, a row for each network.",
    name="mr-networks",
)
page.verdict("MR-14a", "MR-14b")

# %% [markdown]
# ## Zero against mean, point by point
#
# The paper's Figures 3 and 9. Each point is one score, seed, step, set of layers and amount. Below the diagonal, the mean is better. The paper's axes show the dashed square; ours show every point. The table asks
# whether the mean fails where it matters: it counts the points with a clear difference apart.

# %% tags=["hide-input"]
page.figure(
    figures.zero_against_mean(penalties),
    caption=f"{name}: penalty with means against penalty with zeros, by score. The share of points below the diagonal leaves out ties, such as points at which nothing is pruned.",
    alt="Three panels, one a score, of the density of penalties with means over penalties with zeros, with the diagonal.",
    name="mr-diagonal",
)
page.figure(
    figures.shares_below(penalties),
    caption="Share of the points below the diagonal, by set of layers and score, ties left out. The lines are at a half and at the nine tenths of the claim.",
    alt="Rows of dots, one a set of layers: the share of points at which the mean has the lower penalty, for three scores, with intervals, and lines at 0.5 and 0.9.",
    name="mr-diagonal-sets",
)
page.figure(
    figures.zero_against_mean(penalties, by="set"),
    caption="Penalty with means against penalty with zeros by set of layers, for the same three scores together.",
    alt="Five panels, one a set of layers, of the density of penalties with means over penalties with zeros, with the diagonal.",
    name="mr-diagonal-by-set",
)
page.table(
    mean_replacement.spelled(mean_replacement.shares(penalties, by="set")),
    caption=f"{name}: how many points there are, how many are ties, and the share of the others at which the mean has the lower penalty; then the same for points at which the two differ by more than {mean_replacement.LARGE:g}.",
)
page.verdict("MR-3", "MR-13")

# %% [markdown]
# The share below the diagonal does not say how large the gain is; the next figure does.

# %% tags=["hide-input"]
page.figure(
    figures.penalties_by_set(penalties, until=None),
    caption=f"{name}: penalty with zeros minus penalty with means, averaged over training with a tenth of the units pruned, for each set of layers. Written beside each difference: the penalty with zeros, then the one with means.",
    alt="A panel for each score: difference of the penalties with zeros and with means, with its interval, a row for each set of layers.",
    name="mr-sets",
)

# %% [markdown]
# ## Performance profiles
#
# The paper's Figure 5. At each point the twelve methods lie between a best and a worst. The height of a method's profile at $\tau$ is the share of points at which its penalty is below the threshold $\tau\,\text{best} + (1-\tau)\,\text{worst}$; the area
# under it is the method's mean place, 1 for one that is always the best. Because a single bad method stretches the scale for all others, the second panel leaves out the signed scores.
# A profile counts at how many points a method does well, and not how much it costs where it fails: the signed scores can have a better profile than random choice and still a larger penalty on average, as the figures above show.

# %% tags=["hide-input"]
figure = mr_choices.performance_profiles(penalties)
page.figure(
    figure,
    caption=f"{name}: areas under the performance profiles of the scores with means and with zeros; on the right, without the signed scores. The profiles themselves are under Explore.",
    alt="Two panels of dots, a row a score: the area under its performance profile with means and with zeros, with intervals.",
    name="mr-profiles",
    interactive=widgets.explored(figure),
)
page.verdict("MR-6a", "MR-6b", "MR-6c", "MR-6d")

# %% [markdown]
# ## Which units are chosen
#
# The paper's Figures 6 and 7 look at one layer, the middle convolution, with a tenth of its units pruned: the penalties of three scores, how active the chosen units are, and how many different units are ever chosen.

# %% tags=["hide-input"]
shown = ("abs_mrs", "rand", "mrs")
page.figure(
    figures.penalties_through_training(penalties, net=net, layer_set=layer_set, amount=amount, scores=shown),
    caption=f"{name}: penalty with means (solid) and with zeros (dashed) when one layer is pruned, each score on its own scale.",
    alt="Three panels of the penalties of abs_mrs, rand and mrs against step, with means and with zeros.",
    name="mr-single-layer",
)
page.figure(
    mr_choices.energies(followed, scores=shown),
    caption=f"{name}: squared activations of the units chosen, summed over images and places; marks at the top are medians.",
    alt="Distributions of the squared activations of the units that abs_mrs, rand and mrs choose, on a log axis.",
    name="mr-energies",
)
page.verdict("MR-7", "MR-8", "MR-9")
page.figure(
    mr_choices.unit_coverage(followed, since=(0, restart)),
    caption=f"{name}: share of the layer's units that have been chosen so far, counted from the start and from step {restart:,}.",
    alt="Share of units chosen so far against step for six scores, and what random choices are expected to reach.",
    name="mr-coverage",
)
page.verdict("MR-10", "MR-11", "MR-12")

# %% [markdown]
# ## Is the mean the best constant?
#
# The mean is what least squares would choose for the next layer's input. The loss may want something else, and behind a max-pooling the next layer sees larger values than the mean before it. In {glue:text}`mr-training-end` of the cases the best multiple is the largest that we tried, so the true best may be larger.

# %% tags=["hide-input"]
page.figure(
    mr_choices.multiples_of_mean(of("constants", ours)),
    caption=f"{our_name}: penalty with a multiple of the mean in place of each pruned unit, averaged over the steps measured: 0 is pruning to zero, 1 is mean replacement.",
    alt="Penalty against the multiple of the mean, a line a score, panels by set of layers and kind of score.",
    name="mr-constant",
)
page.verdict("MR-15", "MR-X1")

# %% [markdown]
# ## What is left of a signed score
#
# Why should a score be worse for keeping its sign? Our explanation was this. A ReLU unit with incoming weights $w$, bias $b$ and $P$ places has $\langle a g\rangle P = w\cdot\partial\ell/\partial w + b\,\partial\ell/\partial b$, by Euler's identity
# for functions of degree one; `mrs` has the further term $\bar a\langle g\rangle$. Where training ends at a stationary point, the derivatives are zero over all images, and what is left of `rs` to rank by is noise, times the unit's activity.
# The first figure asks how much of the signal cancels over images.
#
# The paper's explanation is another: the estimate holds for a unit and fails for many, since the terms that it neglects add up. The second figure prunes one unit at a time, and sets each signed score beside its unsigned twin.
# The correlation is over all units; the table has the penalty of those that would be pruned.

# %% tags=["hide-input"]
page.figure(
    mr_choices.signed_signal(of("agreement", ours)),
    caption=f"{our_name}: sum of the sizes of a signed score over that of its unsigned twin, mean over layers: the part that does not cancel over images.",
    alt="Ratio of signed to unsigned scores against training step, a line for rs and one for mrs.",
    name="mr-signal",
)
page.figure(
    mr_choices.foretelling(of("single_units", ours)),
    caption=f"{our_name}: rank correlation of a score with the penalty when a unit alone is pruned, at the steps measured.",
    alt="Two panels of dots, pruned to zero and to the mean: rank correlation of the scores with the penalty of single units, a dot a step, with intervals.",
    name="mr-single",
)
page.figure(
    mr_choices.single_units(of("single_units", ours)),
    caption=f"{our_name}: the same units one by one: the penalty of each over its score. ρ is the mean of the rank correlations.",
    alt="Six panels of the penalty of single units over their scores: rs, abs_rs and norm where the unit goes to zero, mrs, abs_mrs and norm where it goes to its mean.",
    name="mr-single-units",
)
page.table(
    mean_replacement.spelled(
        mean_replacement.foresight_table(of("single_units", ours), by_step=False).drop(
            columns=["net", "half_width_80", "seeds"]
        )
    ),
    caption=f"{our_name}: single units of the middle convolution, each pruned alone: rank correlation of their penalty with a score, mean penalty of the tenth that the score puts lowest and of all, and half the width of the correlation's 95 % interval over seeds. Means over the steps measured.",
)
page.verdict("MR-X3", "MR-17")

# %% [markdown]
# ## Other readings, and images not seen
#
# Scores, means and penalties come from the same images. On test images the gain could be smaller, or pruning could even lower a loss that training has driven up.

# %% tags=["hide-input"]
page.figure(
    figures.train_against_test(of("penalties", ours), net=ours),
    caption=f"{our_name}: penalty with zeros minus penalty with means, a tenth of all units pruned, on the scoring subset (solid) and on test images (dashed), each score on its own scale.",
    alt="A panel for each score: gain of mean replacement against step on training and on test images.",
    name="mr-held-out",
)
page.verdict("MR-X4")

# %% [markdown]
# The paper leaves open where a modulus is taken. `elementwise`: before the mean over places. `average-first`: after everything is averaged. `literal-sign` is `rs` as the table prints it; `reversed-sign` is `mrs` against the sign that the table prints, as a control.

# %% tags=["hide-input"]
page.table(
    mean_replacement.spelled(
        mean_replacement.readings(of("conventions", ours))
        .drop(columns=["net", "half_width_80"])
        .dropna(axis="columns", how="all")
    ),
    caption=f"{our_name}: penalties with other readings of the scores, a tenth of all units pruned, mean over the steps measured; intervals need more than one seed.",
)
page.verdict("MR-X5")

# %% [markdown]
# ## Batch norm, borders, and arithmetic
#
# Where a batch norm that uses the statistics of the batch follows the next layer, it subtracts whatever constant was folded in, so zero and mean are the same network. The paper's summary speaks of networks without batch norm, and its Table 3 lists both kinds.
#
# The tables of the paper do not add up. Table 2 speaks of 1,440 experiments, and its factors give 720; with and without batch norm would make 1,440. Table 3 repeats the number, and its factors give 192. Fraction, set of layers and score do
# not touch the training, so the 720 are 24 trainings. The caption of Figure 3 says that penalties on CIFAR-10 were taken every 10,000 steps; the text says every 250.

# %% tags=["hide-input"]
if "batch_norm" in tables:
    page.table(
        mean_replacement.spelled(mean_replacement.batch_norm_table(tables["batch_norm"])),
        caption="Penalties with the statistics of the batch in use, a tenth of the middle convolution pruned, and the largest difference between zero and mean.",
    )
if "borders" in tables:
    page.table(
        mean_replacement.spelled(mean_replacement.border_table(tables["borders"])),
        caption="Penalty with means for three ways to fold where convolutions pad, a tenth of all units pruned: means over seeds and over the steps at which this was measured.",
    )
page.verdict("MR-16", "MR-X2", "MR-18")

# %% [markdown]
# ## The other networks
#
# What the figures of the paper look like on the networks that are not shown above: {glue:text}`mr-training-others`.

# %% tags=["hide-input"]
for other in others:
    other_name, rows = mean_replacement.network_name(other), of("penalties", other)
    page.figure(
        figures.penalties_through_training(rows, of("network", other), net=other),
        caption=f"{other_name}: penalty against training step with a tenth of all units pruned, with means (solid) and with zeros (dashed), and loss and accuracy of the unpruned network.",
        alt=f"{other_name}: a panel for each score, penalty against training step, then the loss and accuracy of the unpruned network.",
        name=f"mr-penalties-{other}",
    )
    page.figure(
        figures.shares_below(rows),
        caption=f"{other_name}: share of the points at which the mean has the lower penalty, by set of layers and score.",
        alt=f"{other_name}: rows of dots, one a set of layers, of the share of points at which the mean has the lower penalty.",
        name=f"mr-diagonal-{other}",
    )
    figure = mr_choices.performance_profiles(rows)
    page.figure(
        figure,
        caption=f"{other_name}: areas under the performance profiles of the scores with means and with zeros.",
        alt=f"{other_name}: dots of the area under the performance profile, two for each score.",
        name=f"mr-profiles-{other}",
        interactive=widgets.explored(figure),
    )

# %% [markdown]
# ## Run card

# %% tags=["hide-input"]
page.run_card()

# %% [markdown]
# To measure it all again, from the repository's root:

# %% tags=["hide-input"]
page.command()
