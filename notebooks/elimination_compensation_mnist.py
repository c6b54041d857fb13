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
# # Elimination-compensation on MNIST
#
# When a weight is removed, {term}`elimination-compensation` shifts the {term}`bias` beside it, so that the network's output moves as little as possible.
# The weights whose removal then moves the output least are removed first. Ballini et al. {cite:p}`ballini2026` claim that this
# removes half of a small network's weights at no cost, and most of the rest at little cost once the network is {term}`fine-tuned <fine-tuning>`.
# This page trains their two networks on MNIST {cite:p}`lecun1998`, prunes them with the paper's six methods and seven others, fine-tunes them, and
# holds each claim against a rule that was written before the results.
#
# ```{include} ../book/_generated/drawing-weight.md
# ```
#
# **Words.** The {term}`pruning ratio` is the share of weights that is removed. The {term}`dense baseline` is the network just before pruning; {term}`dense-continued` is the same network, trained on without pruning. A {term}`bias shift` is the change of a bias that makes up for what was removed.

# %% tags=["parameters"]
scale = None  # "smoke", "laptop" or "paper"; None takes PRUNEBOOK_SCALE, or else "laptop"
device = "auto"  # "cpu", "cuda" or "auto"
seeds = None  # how many, or a list; None takes what the scale plans
data = None  # folder with the data; None takes PRUNEBOOK_DATA, a download, or a stand-in that says so
fresh = False  # True measures again what is already stored

# %% tags=["hide-input"]
from prunebook.pages import notebook, widgets
from prunebook.pages.figures import elimination_compensation as figures
from prunebook.pages.tables import elimination_compensation

page = notebook.begin(globals(), study="ec-mnist", notebook="elimination_compensation_mnist")
page.banner()
page.claims()

# %% [markdown]
# ## How the method works
#
# Let unit $i$ of some layer have input weights $w_{ij}$, and let $a_j$ be its inputs and $J_i$ the derivative of the
# network's outputs by the unit's pre-activation. Removing $w_{ij}$ and shifting the bias by $\delta$ changes the outputs, to first
# order, by $J_i\,(\delta - w_{ij} a_j)$. The mean square of this over the training set is least at
#
# $$\delta_{ij} = w_{ij}\,\bar a_{ij}, \qquad \bar a_{ij} = \frac{\mathbb E\,[\lVert J_i\rVert^2 a_j]}{\mathbb E\,\lVert J_i\rVert^2},$$
#
# and what is left there is the weight's importance:
#
# $$I_{ij} = w_{ij}^2\;\mathbb E\bigl[\lVert J_i\rVert^2\,(a_j - \bar a_{ij})^2\bigr].$$
#
# So a weight is cheap to remove if it is small, if its input hardly varies, or if the output hardly listens to its unit *when* the input varies.
# With $\lVert J_i\rVert$ constant this is mean replacement: the shift is $w_{ij}\,\mathbb E[a_j]$ and the importance $w_{ij}^2 \operatorname{Var} a_j$ up to a factor.
# Without the shift it is the Gauss–Newton form of optimal brain damage {cite:p}`lecun1990`, and with it, optimal brain surgeon {cite:p}`hassibi1993`
# restricted to the pair of a weight and its bias. The test suite holds each of these statements to eight digits or more.
#
# One formula in the paper needs a remark. For a single output it prints the square of a mean where its own derivation gives the mean of
# a square, $\mathbb E[(\partial_b y)^2]$. We use the latter. The former can do worse than no shift at all; a test shows it.
#
# ### In four lines, on your own network
#
# ```python
# from prunebook.weights import prune
#
# pruned = prune(model, loader, ratio=0.5)  # any nn.Module with nn.Linear layers; the model itself stays as it is
# evaluate(pruned.model)
# torch.nn.utils.prune.is_pruned(pruned.model)  # True: the masks are PyTorch's own
# ```
#
# `loader` yields batches of inputs, or pairs whose first part is the input. Other methods: `method="magnitude"` and so on. For a network of many
# outputs, `probes=4` replaces one backward pass an output by four random ones.

# %% [markdown]
# ## Try it
#
# A network of one hidden layer that reads 8 by 8 digits, pruned in your browser. Remove weights, lowest importance first, and switch the shift on and off. It shows the method at work; the claims rest on the networks below.
#
# ```{include} ../book/_generated/slider.md
# ```

# %% [markdown]
# ## Set-up
#
# ```{include} ../book/_generated/drawing-flow.md
# ```
#
# - **Networks**: 784-32-32-10 and 784-64-64-10, PReLU after each hidden layer, 26,432 and 54,912 weights. Biases are neither pruned nor counted.
# - **Training**: Adam {cite:p}`kingma2015` with its default settings and cross-entropy; prune; then the same again with the pruned weights held at zero.
# - **Pruning**: one shot, all layers compared with each other, importance from the training set. Losses are on the test set.
# - **Controls**: the dense network before pruning, the dense network *trained on* for as long as the pruned ones, and narrower dense networks with as many weights.
#
# The paper leaves open what follows; these are our choices. Batches of 128. Pixels standardised with mean 0.1307 and deviation 0.3081, so the black background is $-0.42$ and not 0. All 60,000
# training images, no validation set, and no selection of a best epoch. Adam starts anew in the second phase. Gradient-magnitude is
# $\lvert w\rvert\cdot\lvert\mathbb E\,\partial_w L\rvert$. The brute-force "non-linear" criterion uses mean replacement and
# looks at a random sample of training images. Rivals get no bias shift, except where a row says so.
# Five seeds differ in initial weights and batch order; they share the data.

# %% [markdown]
# ## What happens to the loss
#
# The paper's Figure 1, measured here. On the left, the loss right after pruning; on the right, after fine-tuning.
# The dashed line on the right is the control: a network that was never pruned and was trained just as long. A curve that dips below the
# baseline but not below this line has gained from training, not from pruning.

# %% tags=["hide-input"]
losses = page.tables["losses"]
figure = figures.losses_by_ratio(losses)
page.figure(
    figure,
    caption="Test loss against pruning ratio; rows are networks. Ratios stand on a logit scale, so that .9 to .95 has room.",
    alt="Four panels of test loss on a log axis against pruning ratio for six methods: two networks, right after pruning and after fine-tuning.",
    name="ec-mnist-losses",
    interactive=widgets.explored(figure),
)

# %% tags=["remove-cell"]
for ratio in (0.5, 0.9):
    for stage in ("pruned", "fine-tuned"):
        for method in ("elimination-compensation", "magnitude"):
            value = elimination_compensation.mean_of(losses, method, stage, ratio, column="accuracy")
            page.glue(f"{method}-{stage}-{ratio}", 100 * value, ".1f")
page.glue("dense", 100 * elimination_compensation.mean_of(losses, "dense", "trained", 0.0, column="accuracy"), ".1f")
page.glue(
    "dense-on", 100 * elimination_compensation.mean_of(losses, "dense", "fine-tuned", 0.0, column="accuracy"), ".1f"
)

# %% [markdown]
# In test accuracy, averaged over both networks and all seeds: the dense network has {glue:text}`ec-mnist-dense` %, and
# {glue:text}`ec-mnist-dense-on` % when it is trained on. With half of the weights removed, elimination-compensation leaves
# {glue:text}`ec-mnist-elimination-compensation-pruned-0.5` % and magnitude pruning {glue:text}`ec-mnist-magnitude-pruned-0.5` %;
# with nine tenths removed, {glue:text}`ec-mnist-elimination-compensation-pruned-0.9` % and {glue:text}`ec-mnist-magnitude-pruned-0.9` %.
# After fine-tuning, with nine tenths removed: {glue:text}`ec-mnist-elimination-compensation-fine-tuned-0.9` % and
# {glue:text}`ec-mnist-magnitude-fine-tuned-0.9` %.

# %% tags=["hide-input"]
page.verdict("EC-1", "EC-2", "EC-3", "EC-4", "EC-9a")

# %% [markdown]
# The same figure in accuracy. A loss can rise through confident mistakes while the accuracy stays: where the two tell different stories, trust neither alone.

# %% tags=["hide-input"]
figure = figures.losses_by_ratio(losses, column="accuracy")
page.figure(
    figure,
    caption="Test accuracy against pruning ratio, as in the figure above.",
    alt="Four panels of test accuracy against pruning ratio for six methods: two networks, right after pruning and after fine-tuning.",
    name="ec-mnist-accuracy",
    interactive=widgets.explored(figure),
)

# %% [markdown]
# ## Is it the ranking or the shift?
#
# The method does two things: it ranks weights, and it shifts biases. Each works without the other. Here are the four combinations with magnitude,
# as a ratio to the loss of the dense network. If the shift did all the work, the two rankings would lie together once both have it.

# %% tags=["hide-input"]
page.figure(
    figures.relative_losses(losses, figures.ABLATION),
    caption="Loss relative to the dense baseline for two rankings, each with and without the bias shift.",
    alt="Lines of relative loss against ratio for elimination-compensation and magnitude rankings with and without bias shift.",
    name="ec-mnist-two-by-two",
)

# %% tags=["hide-input"]
page.verdict("EC-X1", "EC-X2")

# %% [markdown]
# ## Against methods that the paper leaves out
#
# Optimal brain damage with the Gauss–Newton diagonal, Wanda {cite:p}`sun2023`, layer-wise optimal brain surgeon (the rule that SparseGPT {cite:p}`frantar2023` approximates; it
# re-fits the kept weights of a row, so it moves far more than a bias), mean replacement (the same method with the Jacobian set to one), and joint shifts: the bias shifts of all units solved
# for together, since shifting each unit on its own ignores that their effects add up at the output.

# %% tags=["hide-input"]
page.figure(
    figures.relative_losses(losses, figures.OURS),
    caption="Loss relative to the dense baseline for methods the paper does not compare with. They were fine-tuned at some of the ratios only.",
    alt="Lines of relative loss against ratio for optimal brain damage, Wanda, layer-wise optimal brain surgeon, mean replacement and joint shifts.",
    name="ec-mnist-others",
)

# %% tags=["hide-input"]
page.verdict("EC-X3", "EC-X4")

# %% [markdown]
# ## Where the linear picture breaks
#
# Importance and shift come from a first-order picture of the network. Below is the mean square change of the logits that this picture predicts for the whole set of removed weights,
# next to the change that really happens. While the lines lie together the shifts can be trusted; where they part, the derivatives of the dense network no longer describe the pruned one.

# %% tags=["hide-input"]
page.figure(
    figures.linearisation(page.tables["linearisation"]),
    caption="Predicted (dashed) and true (solid) mean square change of the logits, and their quotient.",
    alt="Left: predicted and true output change against ratio for no shift, independent shifts and joint shifts. Right: true over predicted.",
    name="ec-mnist-linearisation",
)

# %% [markdown]
# ## Where the kept weights lie
#
# Nothing in a one-shot, network-wide comparison stops a method from emptying a layer.

# %% tags=["hide-input"]
figure = figures.layers_kept(page.tables["layers"])
page.figure(
    figure,
    caption="Share of each layer's weights that is kept.",
    alt="Small panels, one per layer, of the share of kept weights against pruning ratio for several methods.",
    name="ec-mnist-layers",
    interactive=widgets.explored(figure),
)

# %% [markdown]
# ## Is a gradient a ranking or noise?
#
# At the end of training the mean gradient of the loss is nearly zero, and the paper suspects that a ranking made from it follows noise. Two halves of the training set give two
# rankings of the same weights. If a ranking means something, they agree. Some agreement is guaranteed, because both halves share the factor $\lvert w\rvert$.

# %% tags=["hide-input"]
page.figure(
    figures.stability(page.tables["stability"]),
    caption="Rank correlation between the rankings from two halves of the training set; the lines are the thresholds of the claim.",
    alt="Points of rank correlation for elimination-compensation and gradient-magnitude on both networks.",
    name="ec-mnist-stability",
)
page.verdict("EC-10")

# %% [markdown]
# ## What it costs
#
# The paper puts the cost at about one backpropagation. The outputs' derivatives take one backward pass for each output, ten here, but only to the pre-activations. All numbers are seconds of one
# process over the training set, on the hardware of the run card. The brute-force criterion is our vectorised one on its sample of images; one forward pass per weight over all
# images would take the forward time times the number of weights.

# %% tags=["hide-input"]
page.table(
    elimination_compensation.cost_summary(page.tables["cost"]), caption="Seconds for each criterion, mean over seeds."
)
page.verdict("EC-11a", "EC-11b")

# %% [markdown]
# ## Why could pruning help at all?
#
# The paper's Remark 2.1 says: a pruned network is a member of the same family as the dense one, so a perfect optimiser could not gain from pruning. If it helps, it is because the search becomes easier.
# The control decides. Below, the loss of the pruned network over that of the dense one: on the left before the second phase, on the right after it, against the dense network that was *trained on*. Below 1,
# pruning gained something; above 1, it cost something. The table shows the training loss beside the test loss: where training goes on down and test goes up, the second phase over-fits, and a gain
# from pruning may be a gain from over-fitting less.

# %% tags=["hide-input"]
page.figure(
    figures.effect(losses, "elimination-compensation", "dense"),
    caption="Loss of the network pruned by elimination-compensation over that of the dense network at the same stage.",
    alt="Two panels of loss ratio to the dense network against pruning ratio for both networks, before and after the second training phase.",
    name="ec-mnist-effect",
)
page.table(
    elimination_compensation.overfitting(losses),
    caption="Training and test loss after the second phase, mean over seeds.",
)

# %% [markdown]
# ## Run card

# %% tags=["hide-input"]
page.run_card()

# %% [markdown]
# To measure it all again, from the repository's root:

# %% tags=["hide-input"]
page.command()
