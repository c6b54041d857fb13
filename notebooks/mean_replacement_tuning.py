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
# # Mean replacement and fine-tuning
#
# A pruned network is hardly ever used as it is: it is {term}`fine-tuned <fine-tuning>`. Is it still better off with the means a few steps later? Evci et al. {cite:p}`evci2018` say yes, by less and less, and that early in training the
# advantage fades faster. This page prunes snapshots of a training, with zeros and with means ({term}`mean replacement`), and trains the pruned networks on.
#
# **Words.** The {term}`penalty` is the rise of the loss; the *advantage* of the mean is the penalty with zeros minus the penalty with means, in {term}`nats`.

# %% tags=["parameters"]
scale = None  # "smoke", "laptop" or "paper"; None takes PRUNEBOOK_SCALE, or else "laptop"
device = "auto"  # "cpu", "cuda" or "auto"
seeds = None  # how many, or a list; None takes what the scale plans
data = None  # folder with the data; None takes PRUNEBOOK_DATA, a download, or a stand-in that says so
fresh = False  # True measures again what is already stored

# %% tags=["hide-input"]
from prunebook.pages import notebook
from prunebook.pages.figures import mean_replacement as figures
from prunebook.pages.tables import mean_replacement

page = notebook.begin(globals(), study="mr-tuning", notebook="mean_replacement_tuning")
page.banner()
page.claims()

# %% [markdown]
# ## Set-up, and what we had to assume
#
# - The trainings are those of the [page before](mean_replacement.ipynb), from which snapshots are taken at some steps. The paper splits at step 25,000: what is pruned from there on is *late*, the rest *early*.
# - Pruned, at the paper scale: a tenth, a fifth or half of the units, in all hidden layers together or in the middle convolution alone, chosen by `norm`, `abs_rs` or `abs_mrs`, at one early step of the training, 5,000, and at the first late one, 25,000. The paper has more scores, sets, fractions and steps; to train them all would cost several trainings for each snapshot. Three more steps (15,000, 35,000, 45,000) were planned and given up for their cost, when one run had been measured, Small's first at step 25,000.
# - Where a unit's mean is used, it is folded into the next layer's bias first, and the unit is taken out. The smaller network is what is trained. A test shows that this is the same as training the whole network with the unit's weights held at zero.
# - **Fine-tuning** goes on with batches of 64 and the same rate, in single precision, and with a momentum that starts at zero. The paper does not say what became of the momentum. All networks pruned at one step see the same batches in the same order.
# - The penalty after fine-tuning is the loss on the 1,000 scoring images minus the loss of the network before it was pruned. It can fall below zero, since the training goes on.

# %% tags=["remove-cell"]
nets = list(dict.fromkeys(page.tables["tuning"]["net"]))
page.glue("nets", mean_replacement.networks(page.tables["tuning"]))


def of(name, net):
    """The rows of one network."""
    table = page.tables[name]
    return table[table["net"] == net]


tuning = page.tables["tuning"]
late = 25_000 if tuning["step"].max() >= 25_000 else float(tuning["step"].median())
page.glue("late", f"{late:,.0f}")

# %% [markdown]
# Networks measured so far: {glue:text}`mr-tuning-nets`. Late is what was pruned from step {glue:text}`mr-tuning-late` on.
#
# ## What is left of the advantage
#
# The paper's Figures 4 and 8. How much there is to keep depends on what was pruned: half of all units cost far more than a tenth of one layer. The claims take the median over all networks pruned.

# %% tags=["hide-input"]
for net in nets:
    name, rows = mean_replacement.network_name(net), of("tuning", net)
    page.figure(
        figures.after_tuning(rows, net=net),
        caption=f"{name}: penalty with zeros minus penalty with means against steps of fine-tuning, by what was pruned and when, averaged over scores. Each panel has its own scale.",
        alt=f"{name}: panels by set of layers and amount, advantage of mean replacement against fine-tuning steps with intervals, a line for each step of pruning, and a line at zero.",
        name=f"mr-tuning-{net}",
    )
    page.figure(
        figures.penalties_after_tuning(rows, net=net),
        caption=f"{name}: every penalty with means over the same with zeros, after fine-tuning; below the diagonal the mean is better.",
        alt=f"{name}: scatter plots of the penalty with means over the penalty with zeros, a panel for each number of fine-tuning steps, with the diagonal, by step of pruning.",
        name=f"mr-tuned-penalties-{net}",
    )
    page.table(
        mean_replacement.spelled(mean_replacement.advantage(rows, late=late).dropna(axis="columns", how="all")),
        caption=f"{name}: advantage in nats, the median over layer sets, amounts, scores and steps of pruning, with the 95 % interval over seeds where there are several; what is kept of it, as a share of the advantage before fine-tuning; and the advantage on held-out images.",
    )
page.verdict("MR-4a", "MR-4b", "MR-5a", "MR-5b")

# %% [markdown]
# The first runs showed something that the paper does not mention. With half of all units removed late in training, the networks that got the means start with the lower loss on average, and are overtaken within ten steps. We asked again, on seeds that had no part in the question.

# %% tags=["hide-input"]
page.verdict("MR-X6a", "MR-X6b")

# %% [markdown]
# A penalty compares with the network before it was pruned, and that network could have trained on as well. The next table has the losses themselves. Where the loss of the unpruned network falls in the first ten steps too, part of what fine-tuning gives has nothing to do with pruning: with a momentum that starts at zero, the first steps are short ones.

# %% tags=["hide-input"]
for net in nets:
    page.table(
        mean_replacement.spelled(mean_replacement.losses(of("tuning", net), of("untouched", net), late=late)),
        caption=f"{mean_replacement.network_name(net)}: loss after so many steps of the network that was not pruned, and the median loss of those pruned with means and with zeros, on the scoring images and on held-out ones.",
    )

# %% [markdown]
# ## A smaller network, not only a masked one
#
# The units are taken out of the tensors, so the network is smaller and takes less time. The table gives the weights that are left, the time for a batch of 100 images before and after, and the largest difference of any logit from the network with folded means. A time is the shortest of fifteen, on the machine of the run card; other work there makes it longer.

# %% tags=["hide-input"]
for net in nets:
    page.table(
        mean_replacement.spelled(mean_replacement.removed(of("removal", net))),
        caption=f"{mean_replacement.network_name(net)} without its pruned units, averaged over seeds, scores and steps of pruning.",
    )

# %% [markdown]
# ## Run card

# %% tags=["hide-input"]
page.run_card()

# %% [markdown]
# To measure it all again, from the repository's root:

# %% tags=["hide-input"]
page.command()
