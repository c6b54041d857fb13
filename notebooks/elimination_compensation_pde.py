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
# # Elimination-compensation on a diffusion–sorption problem
#
# Ballini et al. {cite:p}`ballini2026` also prune networks that have learnt a solution of a partial differential equation ({term}`PDE`). They claim
# that {term}`elimination-compensation` beats the other cheap methods at every noise level and is nearly as good as brute force.
# This page makes the data with a solver of its own, trains the paper's two networks, prunes and {term}`fine-tunes <fine-tuning>` them, and judges the claims by rules that were written before the results.
# How the method works stands on [the MNIST page](elimination_compensation_mnist).
#
# **Words.** A {term}`trajectory` is one solution, from one initial state, over all times. The {term}`noise floor` is the error that a perfect prediction would still have. The {term}`pruning ratio` is the share of weights that is removed.

# %% tags=["parameters"]
scale = None  # "smoke", "laptop" or "paper"; None takes PRUNEBOOK_SCALE, or else "laptop"
device = "auto"  # "cpu", "cuda" or "auto"
seeds = None  # how many, or a list; None takes what the scale plans
data = None  # PDEBench's own HDF5 file, or a folder that holds it; None solves the equation here
fresh = False  # True measures again what is already stored

# %% tags=["hide-input"]
from prunebook.data.diffusion_sorption import convergence
from prunebook.pages import notebook, widgets
from prunebook.pages.figures import elimination_compensation as figures
from prunebook.pages.figures import pde
from prunebook.pages.tables import elimination_compensation

page = notebook.begin(globals(), study="ec-pde", notebook="elimination_compensation_pde")
page.banner()
page.claims()

# %% [markdown]
# ## The equation and its data
#
# A substance diffuses into a column and sorbs to the ground it passes. With $u$ its concentration,
#
# $$\partial_t u = \frac{D}{R(u)}\,\partial_{xx} u, \qquad R(u) = 1 + \frac{1-\varphi}{\varphi}\,\rho_s k\, n\, u^{n-1},$$
#
# for $0<x<1$ and $0<t\le 500$, with $D = 5\cdot10^{-4}$, porosity $\varphi = 0.29$, $\rho_s = 2880$, $k = 3.5\cdot10^{-4}$ and $n = 0.874$, the constants of
# PDEBench {cite:p}`takamoto2022`. At the inlet $u(0,t) = 1$; at the outlet $u(1,t) = -D\,\partial_x u(1,t)$, what arrives flows out.
# The sign matters: with a plus the problem has solutions that grow without bound. The initial state is a constant $u_0$, drawn from 0 to 0.2 for each trajectory with the seeds of the published data set.
#
# ### Why we solve it ourselves
#
# The published generator puts boundary values into ghost cells, which costs an order of accuracy, and integrates with an explicit method at a loose tolerance.
# Our solver puts boundary values on the faces of finite volumes and integrates implicitly at a tight one. The test suite holds it against the
# self-similar solution, the balance of mass, the order of convergence and an independent reference. Here is the order of convergence, computed on this page.

# %% tags=["hide-input"]
grids = convergence.grid_convergence()
page.figure(
    pde.solver_error(grids),
    caption="Largest error against the number of cells, for our face scheme (order 2) and the ghost-cell scheme (order 1).",
    alt="Errors of two schemes falling with the number of cells, one with slope 2 and one with slope 1.",
    name="ec-pde-solver",
)
page.figure(
    pde.solver_difference(convergence.scheme_difference()),
    caption="Difference of the two schemes on 1,024 cells.",
    alt="Difference between the two solutions along x at three times.",
    name="ec-pde-schemes",
)

# %% [markdown]
# ## Set-up
#
# - **Task**: plain regression, no equation in the loss. Inputs: two constants, $t/500$, $x$, and $u_0$ on 64 cells, 68 numbers in all; output: $u(x,t)$.
#   100 trajectories, 10 of the 101 stored steps, 64 of the 1,024 cells: 64,000 pairs, solved on all 1,024 cells and thinned out.
# - **Networks**: 68-32-32-32-1 with 4,256 weights, and 68-64-32-32-16-16-1 with 8,208. The paper's text gives the second six hidden layers, its table five; the weight count fits the table.
# - **Noise**: none, uniform on ±0.005, or uniform on ±0.01, added to training and test targets. It is drawn once and shared by all seeds; the inputs stay clean.
# - **Training**: Adam with its default settings and squared error; prune; train again with the pruned weights held at zero.
#
# The paper is silent on what follows; these are our choices. The two constants $\mu$ are $D$ and $\varphi$, since nothing varies in this data set. 15 and 15 epochs with batches of 128, as on MNIST.
# Whole trajectories are held out for testing, 20 of 100. To be done in two minutes, the `laptop` scale has 40 trajectories, of which 8 are held out, and three epochs a phase. The ten steps are $t = 50, 100, \dots, 500$. Nothing but $t$ is rescaled.
#
# Two facts follow from the data alone. A constant initial state means that **64 of the 68 inputs are one and the same number**, and two more never change. And a network that ignores $u_0$ altogether
# can still do well: the best such predictor leaves the error drawn as *blind* below.

# %% [markdown]
# ## What happens to the loss
#
# The paper's Figures 3 and 4. Rows are noise levels; the dotted line is the variance of the noise, below which no test loss on noisy targets can stay on average.

# %% tags=["hide-input"]
losses, floors = page.tables["losses"], page.tables["floors"]
for number, (widths, part) in enumerate(losses.groupby("widths", sort=False), start=1):
    figure = figures.losses_by_ratio(part, floors=floors[floors["widths"] == widths])
    page.figure(
        figure,
        caption=f"Architecture {number}, {widths}: test loss on noisy targets against pruning ratio.",
        alt=f"Panels of test loss on a log axis against pruning ratio for six methods on architecture {number}: a row for each noise level, right after pruning and after fine-tuning.",
        name=f"ec-pde-losses-{number}",
        interactive=widgets.explored(figure),
    )

# %% tags=["hide-input"]
page.verdict("EC-5a", "EC-5b", "EC-6", "EC-7", "EC-9b")

# %% [markdown]
# ### Against clean targets
#
# Noise puts the same floor under every method and hides what differs. Against the clean solution there is no floor.

# %% tags=["hide-input"]
for number, (widths, part) in enumerate(losses.groupby("widths", sort=False), start=1):
    figure = figures.losses_by_ratio(part, column="clean_loss")
    page.figure(
        figure,
        caption=f"Architecture {number}, {widths}: test loss on clean targets; the networks are those of the figures above.",
        alt=f"Panels of test loss on clean targets against pruning ratio for six methods on architecture {number}.",
        name=f"ec-pde-clean-{number}",
        interactive=widgets.explored(figure),
    )

# %% [markdown]
# ## Does a second phase of training help at all?
#
# The paper explains a panel of its Figure 4 by saying that under strong noise the first phase already reaches what can be reached. Then a network that is never pruned should
# not gain from a second phase either. This control is the *trained on* line above, and the claim is judged by it.

# %% tags=["hide-input"]
page.verdict("EC-8")

# %% [markdown]
# ## The pruned network as a solution
#
# The paper's Figure 2: noise 0.005, architecture 2, seven tenths of the weights removed. The paper does not say whether its figure is before or after fine-tuning, so both are here, for
# the lowest, the middle and the highest initial state among the held-out trajectories. Below it, where in space and time the error lies.

# %% tags=["hide-input"]
predictions = page.tables["predictions"]
widths = losses["widths"].unique()[-1]
noise = 0.005 if 0.005 in predictions["noise"].unique() else predictions["noise"].max()
chosen = predictions[(predictions["widths"] == widths) & (predictions["noise"] == noise)]
chosen = chosen[chosen["seed"] == chosen["seed"].min()]
page.figure(
    pde.profiles(chosen),
    caption=f"Profiles of {widths} at noise {noise:g}, pruned at ratio 0.7, for three unseen initial states, and the error against the clean solution. One seed.",
    alt="Concentration against place at four times for three initial states: noisy data, clean solution and the pruned network; below, its error before and after fine-tuning.",
    name="ec-pde-profiles",
)
page.figure(
    pde.error_map(chosen),
    caption="Root mean square error against the clean solution over all held-out trajectories, by place and time.",
    alt="Three maps of error over place and time: the dense network, the pruned network, and the pruned network after fine-tuning.",
    name="ec-pde-error-map",
)

# %% tags=["hide-input"]
page.verdict("EC-12a", "EC-12b")

# %% [markdown]
# ## Why magnitude pruning can blind this network
#
# The initial state reaches the network through 64 equal inputs. What counts for the output is the *sum* of their weights, yet magnitude looks at each one alone: a sum of many small weights is
# removed piece by piece. Elimination-compensation looks at each one alone as well. It knows how much each input varies, but not that all 64 vary together, so the shifts of a unit add up correctly while its importances do not.
#
# Every ranking without the output's derivatives runs this risk: magnitude, mean replacement and layer-wise optimal brain surgeon look at a weight or at a layer, not at what the network computes.
#
# The table holds a group of inputs at its mean and asks how much the output changes, as a share of what it does in the dense network: 1 is as before, 0 is blind. The last two columns compare the loss with that of the best
# predictor that ignores the initial state. A network that has lost sight of it can come down to 1 by fine-tuning, and no further: a pruned input does not come back.

# %% tags=["hide-input"]
ratio = 0.9 if 0.9 in page.tables["reliance"]["ratio"].unique() else 0.7
page.table(
    elimination_compensation.blindness(page.tables["reliance"], losses, floors, ratio),
    caption=f"What is left of the reliance on each group of inputs right after pruning at ratio {ratio:g}, without noise, and the loss against that of a predictor blind to the initial state.",
)
page.verdict("EC-X5")

# %% [markdown]
# ## Is it the ranking or the shift?

# %% tags=["hide-input"]
quiet = losses[losses["noise"] == losses["noise"].min()]
page.figure(
    figures.relative_losses(quiet, figures.ABLATION),
    caption="Loss relative to the dense baseline without noise for two rankings, each with and without the bias shift.",
    alt="Lines of relative loss against ratio for elimination-compensation and magnitude rankings with and without bias shift.",
    name="ec-pde-two-by-two",
)

# %% [markdown]
# ## Against methods that the paper leaves out

# %% tags=["hide-input"]
page.figure(
    figures.relative_losses(quiet, figures.OURS),
    caption="Loss relative to the dense baseline without noise for methods that the paper does not compare with.",
    alt="Lines of relative loss against ratio for optimal brain damage, Wanda, layer-wise optimal brain surgeon, mean replacement and joint shifts.",
    name="ec-pde-others",
)

# %% [markdown]
# ## Where the linear picture breaks
#
# The mean square change of the output that the first-order picture predicts for the whole set of removed weights, next to the true change.

# %% tags=["hide-input"]
table = page.tables["linearisation"]
table = table[table["noise"] == table["noise"].min()]
page.figure(
    figures.linearisation(table),
    caption="Predicted (dashed) and true (solid) mean square change of the output without noise, and their quotient.",
    alt="Left: predicted and true output change against ratio for no shift, independent shifts and joint shifts. Right: true over predicted.",
    name="ec-pde-linearisation",
)

# %% [markdown]
# ## Run card

# %% tags=["hide-input"]
page.run_card()

# %% [markdown]
# To measure it all again, from the repository's root:

# %% tags=["hide-input"]
page.command()
