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
# # Mean replacement on pictures
#
# Evci et al. {cite:p}`evci2018` also plan AlexNet and VGG11 on ImageNet, and mark a part of it as not completed. We have no ImageNet. This page shows that the study runs on any folder of pictures, with what it gives on a small one. It carries no verdict. At the paper scale the book's own copy was measured on ten classes of ImageNet, a part of the set known as Imagenette: 2,500 pictures for training and 1,000 held out. That is not ImageNet.

# %% tags=["parameters"]
scale = None  # "smoke", "laptop" or "paper"; None takes PRUNEBOOK_SCALE, or else "laptop"
device = "auto"  # "cpu", "cuda" or "auto"
seeds = None  # how many, or a list; None takes what the scale plans
data = None  # folder with train/ and val/, or with one such folder in it; None takes PRUNEBOOK_DATA, or a stand-in that says so
fresh = False  # True measures again what is already stored

# %% tags=["hide-input"]
from prunebook.evidence.statistics.mean_replacement import below_diagonal
from prunebook.pages import notebook
from prunebook.pages.figures import mean_replacement as figures

page = notebook.begin(globals(), study="mr-pictures", notebook="mean_replacement_pictures")
page.banner()

# %% [markdown]
# ## Set-up
#
# - **Pictures** lie as `train/<class>/` and `val/<class>/`. The shorter side is brought to the side that the run card gives, and the centre is cut out. All are kept in memory, so the whole of ImageNet needs 63 GB at 64 pixels.
# - **Network**: AlexNet with Glorot-uniform weights, without dropout, with the convolutions of the version in torchvision: 64, 192, 384, 256 and 256 channels, and a last pooling. The paper's has 96, 256, 384, 384 and 256, and none. Ours is far too large for a few thousand pictures and learns them by heart; its test loss rises. These results say nothing about networks trained on all of ImageNet.
# - Everything else is as on [CIFAR-10](mean_replacement.ipynb), with fewer steps.

# %% tags=["remove-cell"]
net = page.tables["penalties"]["net"].iloc[0]
penalties, network = (page.tables[name].query("net == @net") for name in ("penalties", "network"))
last = network[network["step"] == network["step"].max()]
for name in ("loss", "test_loss", "accuracy", "test_accuracy"):
    page.glue(name, last[name].mean())
page.glue("net", net)
below = below_diagonal({"penalties": penalties}, scores=("norm", "abs_rs", "abs_mrs"))
page.glue("below", below["value"].mean(), ".0%")
page.glue("step", f"{last['step'].iloc[0]:,}")

# %% [markdown]
# After {glue:text}`mr-pictures-step` steps of {glue:text}`mr-pictures-net`, the loss is {glue:text}`mr-pictures-loss` on the scoring images, of which {glue:text}`mr-pictures-accuracy` are right,
# and {glue:text}`mr-pictures-test_loss` on those held out, of which {glue:text}`mr-pictures-test_accuracy` are right (1 is all).
#
# ## The penalty through training
#
# The mean leaves the smaller penalty at {glue:text}`mr-pictures-below` of the points, over all sets of layers and amounts and the scores `norm`, `abs_rs` and `abs_mrs`; ties are left out.

# %% tags=["hide-input"]
page.figure(
    figures.penalties_through_training(penalties, network, net=net),
    caption="Penalty against training step, with means (solid) and zeros (dashed), and the loss of the network itself.",
    alt="Penalties against training step with means and with zeros, and the training and test loss of the unpruned network.",
    name="mr-pictures-penalties",
)
page.figure(
    figures.shares_below(penalties),
    caption="Share of the points at which the mean has the lower penalty, by set of layers and score.",
    alt="Rows of dots, one a set of layers: the share of points at which the mean has the lower penalty, for three scores.",
    name="mr-pictures-diagonal",
)
page.figure(
    figures.zero_against_mean(penalties, by="set"),
    caption="Penalty with means against penalty with zeros by set of layers; below the diagonal the mean is better.",
    alt="A panel a set of layers of the density of penalties with means over penalties with zeros, with the diagonal.",
    name="mr-pictures-by-set",
)

# %% [markdown]
# ## Run card

# %% tags=["hide-input"]
page.run_card()

# %% [markdown]
# To measure it all again, from the repository's root; name your own folder of pictures with `-p data FOLDER`:

# %% tags=["hide-input"]
page.command()
