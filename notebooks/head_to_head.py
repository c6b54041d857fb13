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
# # Head to head
#
# Here all methods prune the same trained networks at the same {term}`ratios <pruning ratio>`, and everything is then {term}`fine-tuned <fine-tuning>` on the same minibatches. A method is two choices: a *ranking* (a {term}`score`), which says what is removed
# first, and a {term}`compensation`, which says what makes up for it. We cross them, and add {term}`coresets <coreset>` and two controls. The table shows the winners; what to make of them stands in [](which_method.ipynb).
#
# Is the plainest way, magnitude or norm without any compensation, good enough?

# %% tags=["parameters"]
scale = None  # "smoke", "laptop" or "paper"; None takes PRUNEBOOK_SCALE, or else "laptop"
device = "auto"  # "cpu", "cuda" or "auto"
seeds = None  # how many, or a list; None takes what the scale plans
data = None  # folder with the data; None takes PRUNEBOOK_DATA, a download, or a stand-in that says so
fresh = False  # True measures again what is already stored

# %% tags=["hide-input"]
from IPython.display import HTML, display

from prunebook.pages import notebook
from prunebook.pages.figures import head_to_head as figures
from prunebook.pages.tables import advice, best, head_to_head

page = notebook.begin(globals(), study="head-to-head", notebook="head_to_head")
page.banner()
losses, cost, latency = (page.tables[name] for name in ("losses", "cost", "latency"))
display(HTML(advice.as_list(advice.plain(losses))))
page.table(
    best.overview(losses),
    caption="The best pair of ranking and compensation at each ratio, and how many times its errors, or its loss, the plain ranking without compensation has (magnitude of weights, norm of units), with 95 % intervals over seeds. "
    "Classifiers are judged by test errors, the PDE network by its loss. Tied: within one per cent, or an interval that reaches 1. The best method is chosen on the same test set, so the distance to it is overstated.",
)

# %% tags=["hide-input"]
page.claims()

# %% [markdown]
# ## What was compared
#
# | | LeNet-300-100 | PDE network | Small |
# | :-- | :-- | :-- | :-- |
# | Task | MNIST, pixels standardised | diffusion–sorption, regression | CIFAR-10 |
# | Layers | 784-300-100-10, PReLU | 68-32-32-32-1, PReLU | three convolutions, two dense layers, ReLU |
# | Pruned | weights, over the whole network | weights, over the whole network | units, the same share of each hidden layer |
# | Training | Adam, 15 epochs | Adam, 15 epochs | SGD, 5,000 steps: from there on the test loss rises |
# | Fine-tuning | 1 epoch, 469 minibatches | 1 epoch, 400 minibatches | 250 minibatches |
#
# This is the protocol of the paper scale; the run card at the end says what this copy was made with.
#
# - **Rankings of weights**: those of the [elimination-compensation](elimination_compensation_mnist.ipynb) chapter, and *sensitivity*, the largest share that a weight takes in its output, from the [coreset](coreset_bounds_lenet.ipynb) chapter; it is defined for inputs that are not negative, so the positive and the negative parts of the inputs are taken apart and the larger of the two shares counts. All weights of the network are compared with each other, but for Wanda, which compares within rows.
# - **Compensations**: none; the biases shifted by the mean of what was removed, by elimination-compensation's own shift, or by the shifts that are best for all units together; or all kept weights of a row re-fitted (*re-fit*). The last two take seconds for each mask of LeNet, so there they meet three rankings only.
# - **Drawn coreset**: weights drawn with replacement by their sensitivities and reweighted. The share that stays is random; the number of draws is set so that its mean is the wanted share. Each output needs at least one draw of each sign, so very high ratios cannot be had, and are left out.
# - **Scores of units**: the six of the [mean replacement](mean_replacement.ipynb) chapter, with zeros and with means. Units drawn as a coreset are left out: their sensitivities are known for dense layers, and most layers here are convolutions.
# - **Controls**: the dense network trained on for as long, and a narrower network with about as many weights, trained from the start. For Small there is no narrower one.
# - **Budget**: on LeNet the rankings are all fine-tuned without compensation and with their own; magnitude and elimination-compensation with every one. Elsewhere everything is fine-tuned. Rankings and compensations of weights share one sample of 5,000 training inputs. The sensitivities, and with them the drawn coreset, look at 1,000 of it, and the brute-force ranking at 100 on LeNet and 1,000 on the PDE network. Scores of units see 1,000 images. All losses are over the whole test set.
#
# Every run checks itself: ratios met to the weight, masks untouched by fine-tuning, pruned weights at zero when the loss is taken. A run that fails stops.

# %% tags=["hide-input"]
page.table(
    head_to_head.draw_table(page.tables["draws"]),
    caption="Drawn coresets: share of weights that was wanted, draws that were needed, and the share that stays in the mean and as drawn. Not comparable: the wanted share cannot be drawn.",
)

# %% [markdown]
# ## Loss against ratio
#
# On the left the network as pruning leaves it, on the right after the same fine-tuning. The dotted line is the lowest loss that any pair reached: the room that a better choice would have. Only the pairs that people use are drawn; all others are in the grids below.
# The second figure has the same losses as multiples of the lowest at that ratio.

# %% tags=["hide-input"]
nets = list(dict.fromkeys(losses["net"]))
for net in nets:
    name = figures.net_name(net)
    page.figure(
        figures.pairs_by_ratio(losses, net),
        caption=f"Test loss against the share that is pruned, {name}.",
        alt=f"Two panels of test loss on a log axis against pruned share for {name}, right after pruning and after fine-tuning, a line for each method.",
        name=f"head-to-head-loss-{net}",
    )
    page.figure(
        figures.times_the_best(losses, net),
        caption=f"How many times the lowest loss of all pairs each pair that people use has, {name}: a dot a ratio, the lighter the more is pruned.",
        alt=f"Rows of dots for {name}, a row a method: loss over the lowest loss on a log axis, right after pruning and after fine-tuning, coloured by ratio.",
        name=f"head-to-head-best-{net}",
    )

# %% [markdown]
# The loss of a classifier also falls where it merely becomes less sure of itself, and a network that was trained for long is too sure: taking weights away at random can then lower the loss while it costs accuracy. So here is who wins by loss, next to the table at the top. The claims of this page were all written for the loss.

# %% tags=["hide-input"]
classifiers = losses.groupby("net").filter(lambda rows: rows["accuracy"].notna().any())
if len(classifiers):
    page.table(best.overview(classifiers, by="loss"), caption="As the table at the top, by test loss.")

# %% tags=["hide-input"]
page.verdict("HH-X4", "HH-X6")

# %% [markdown]
# The same in accuracy, where there is one.

# %% tags=["hide-input"]
for net in nets:
    rows = losses[losses["net"] == net]
    if rows["accuracy"].notna().any():
        name = figures.net_name(net)
        page.figure(
            figures.pairs_by_ratio(losses, net, column="accuracy"),
            caption=f"Test accuracy against the share that is pruned, {name}; the dotted line is the highest of all pairs.",
            alt=f"Two panels of test accuracy against pruned share for {name}, right after pruning and after fine-tuning, a line for each method.",
            name=f"head-to-head-accuracy-{net}",
        )

# %% [markdown]
# ## Ranking or compensation?
#
# Each row is a ranking, each column a compensation, each number the loss over that of the dense network before pruning. Read along a row for what a compensation does, down a column for what a ranking does. Then compare left and right: how much of either is left once the network was trained again?

# %% tags=["hide-input"]
at = {net: head_to_head.middle(losses, net) for net in nets}
page.figure(
    figures.rankings_by_compensations(losses, at),
    caption="Loss over the dense network's loss for every pair at one ratio. The colour tells how many times the lowest loss of its panel each one is, on one scale for all panels; white was not measured.",
    alt="Grids of numbers on a colour scale, rankings in rows and compensations in columns, right after pruning on the left and after fine-tuning on the right, a row of grids for each network.",
    name="head-to-head-pairs",
)

# %% tags=["hide-input"]
page.verdict("HH-X1a", "HH-X1b", "HH-X2a", "HH-X2b", "HH-X3a", "HH-X3b", "HH-X7a", "HH-X7b")

# %% [markdown]
# ## What a criterion costs
#
# Seconds of one thread from the trained network and the samples to the scores, or to the compensated network. Passes over the samples that a ranking and a compensation could share are counted for both. An epoch of training, or a forward pass, on the same thread stands beside them for scale.

# %% tags=["hide-input"]
page.figure(
    figures.cost_against_loss(losses, cost, at),
    caption="Seconds of ranking and compensation together against loss over the dense network's loss, at the ratio of the grids above. Left and down is better. Numbered: the pairs that no other beats in both. Grey: all others.",
    alt="Scatter plots of loss relative to dense against seconds of the criterion, a column for each network, right after pruning above and after fine-tuning below.",
    name="head-to-head-cost",
)
page.table(head_to_head.cost_table(cost), caption="Seconds of one thread, means over seeds.")
page.verdict("HH-X5a", "HH-X5b")

# %% [markdown]
# ## Size and latency of what is left
#
# A mask sets weights to zero and still multiplies by them, so by itself it makes nothing faster or smaller. The other weights can be stored in sparse rows (PyTorch's CSR). Units can be taken out of the tensors. Times are the shortest of many passes on one thread of this processor; the library, the batch and the layer sizes decide them, so measure on your own machine.

# %% tags=["hide-input"]
page.figure(
    figures.time_of_a_pass(latency),
    caption="Time of a forward pass over that of the dense network, against the share that is pruned. Below the black line it is faster.",
    alt="A panel for each network of relative time of a forward pass against pruned share: masked, in sparse rows, or with units removed, for one input and for 256 inputs.",
    name="head-to-head-latency",
)
page.table(
    head_to_head.speed_table(latency),
    caption="Time of a forward pass, and bytes, over those of the dense network; medians over seeds. Bytes are of the smallest form: sparse rows, or the network without its units.",
)

# %% [markdown]
# What follows from all this for your own network stands in [](which_method.ipynb).

# %% [markdown]
# ## Run card

# %% tags=["hide-input"]
page.run_card()

# %% [markdown]
# To measure it all again, from the repository's root. One network alone: `prunebook run head-to-head --scale paper --only net=pde`, and so for `lenet` and `small`.

# %% tags=["hide-input"]
page.command()
