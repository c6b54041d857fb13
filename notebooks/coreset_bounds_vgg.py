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
# # Coreset bounds on VGG-16
#
# The same questions as on [LeNet-300-100](coreset_bounds_lenet.ipynb), for a network that people would really prune: VGG-16 on CIFAR-10 {cite:p}`krizhevsky2009`, with one hidden layer of 512 units
# between its convolutions and the ten classes. Pruned are the 512 units, or the 5,120 weights of the last layer. The method and its formulas are on the other page; this one shows where the larger network differs.

# %% tags=["parameters"]
scale = None  # "smoke", "laptop" or "paper"; None takes PRUNEBOOK_SCALE, or else "laptop"
device = "auto"  # "cpu", "cuda" or "auto"
seeds = None  # how many, or a list; None takes what the scale plans
data = None  # folder with the data; None takes PRUNEBOOK_DATA, a download, or a stand-in that says so
fresh = False  # True measures again what is already stored

# %% tags=["hide-input"]
from prunebook.pages import notebook
from prunebook.pages.figures import coreset_bounds as figures
from prunebook.pages.figures import coreset_recovery
from prunebook.pages.tables import coreset_bounds

page = notebook.begin(globals(), study="cb-vgg", notebook="coreset_bounds_vgg")
page.banner()

for name, text in coreset_bounds.headline(page.tables).items():
    page.glue(name, text)

# %% [markdown]
# **In short.** Spans on this page go from the lowest to the highest of the easy, moderate and difficult case.
#
# - To guarantee half of the correct labels takes {glue:text}`cb-vgg-half-units-draws` draws per hidden unit, or {glue:text}`cb-vgg-half-weights-draws` per weight. The error seen is {glue:text}`cb-vgg-half-units-seen` % of the error allowed for units, {glue:text}`cb-vgg-half-weights-seen` % for weights.
# - The larger layer has more to spare. With half of its weights removed, the deterministic bound vouches for {glue:text}`cb-vgg-kept-difficult-0.5` % of the images in the difficult case, where {glue:text}`cb-vgg-seen-difficult-0.5` % are right.
# - That promise stands on a condition that is met at {glue:text}`cb-vgg-obeyed-1` % of the held-out images.

# %% tags=["hide-input"]
page.claims()

# %% [markdown]
# ## Set-up, and what we had to assume
#
# - **Network**: the thirteen convolutions of VGG-16 with batch norm, then 512→512→10 with ReLU. The theorem about units needs a hidden dense layer; many VGG-16 variants for CIFAR-10 have none.
# - **Training**: 45,000 images, 5,000 held out, no augmentation. The convolutions are trained for five epochs with one cycle of the learning rate (peak 0.05, batches of 128, weight decay 5e-4). That is short, made for a processor without a GPU, and the accuracy is what such a training gives.
# - **Cases**: easy, moderate and difficult heads are trained on the *same* convolutions of a seed: L1 3e-4, weight decay 3e-3, neither, ten epochs each, with the strengths of the LeNet page. So the cases differ in the layers that are pruned and in nothing else. The paper may have trained three networks; it is one of the things we could not see.
# - **Fine-tuning** of "all layers" means both layers of the head.
# - At the *laptop* scale a small convolutional network takes the place of VGG-16, and the banner and run card say so.

# %% tags=["hide-input"]
page.table(
    coreset_bounds.facts_table(page.tables["models"]),
    caption="The trained networks, means over seeds. Probability zero means that no number of draws would ever pick the item. Sums of sensitivities are over one class and sign.",
)

# %% [markdown]
# ## Keep half of the labels: what it takes, what it gives
#
# The VGG-16 rows of the paper's Figure 2. The rows are explained on the [other page](coreset_bounds_lenet.ipynb).

# %% tags=["hide-input"]
page.table(
    coreset_bounds.coreset_table(page.tables["epsilon_first"], page.tables["models"]),
    caption="Keeping half of the correct labels by guarantee, means over seeds.",
)
page.verdict("CB-3v", "CB-4v", "CB-5v")

# %% [markdown]
# ## The whole sweep
#
# The paper's Figure 10. Above a million draws the paper did not sample; it plotted sparsity 0 and said that the truth lies above it in the easy and moderate case. We draw counts, so the shaded part is measured like the rest. What it shows there comes close to the share that is never drawn in the table above. To keep all correct labels instead of half takes {glue:text}`cb-vgg-all-units-draws` times the draws of units and {glue:text}`cb-vgg-all-weights-draws` times those of weights.

# %% tags=["hide-input"]
page.figure(
    figures.draws_by_share(page.tables["epsilon_first"]),
    caption="Error allowed and seen, draws asked for and sparsity reached, against the share of correct labels to keep: units above, weights below. Beyond the million draws of the shaded part the paper stopped.",
    alt="Two rows of three panels, units and weights: error allowed and seen, draws and sparsity against the share of labels kept, a curve for each training circumstance.",
    name="cb-vgg-sweep",
)
page.verdict("CB-16")

# %% [markdown]
# ## Prune first, then ask what is guaranteed
#
# With half of the weights removed, deterministic pruning guarantees {glue:text}`cb-vgg-kept-easy-0.5` %, {glue:text}`cb-vgg-kept-moderate-0.5` % and {glue:text}`cb-vgg-kept-difficult-0.5` % of the images (easy, moderate, difficult); {glue:text}`cb-vgg-seen-easy-0.5` %, {glue:text}`cb-vgg-seen-moderate-0.5` % and {glue:text}`cb-vgg-seen-difficult-0.5` % are right.
# This is where a bound comes closest to being useful. But it takes the largest shares over 200 training images for the largest anywhere. Of the held-out images, {glue:text}`cb-vgg-obeyed-1` % stay within them, and {glue:text}`cb-vgg-obeyed-2` % within twice as much.

# %% tags=["hide-input"]
page.figure(
    figures.guaranteed_accuracy(page.tables["sparsity_first"]),
    caption="Accuracy and error, seen (solid) and guaranteed (dashed), against the sparsity reached: a column a way of pruning. A network that loses only weights of probability zero has no error.",
    alt="Two rows of four panels, one a way of pruning: accuracy above and error below against sparsity, seen and guaranteed, a curve for each training circumstance.",
    name="cb-vgg-guaranteed",
)
page.table(
    coreset_bounds.useful_until(page.tables["sparsity_first"]),
    caption="Largest pruning ratio at which nine tenths of the observed accuracy are guaranteed, means over seeds; 0 where there is none.",
)

# %% [markdown]
# ## Heuristics and fine-tuning
#
# The paper's Figure 9. Here the last layer matters less: most of it can go before anything is lost, and fine-tuning gives back what is lost.

# %% tags=["hide-input"]
recovery = page.tables["recovery"]
page.figure(
    coreset_recovery.heuristics(recovery),
    caption="Share of wrong labels against sparsity for L0 gates (units, above) and magnitude (weights, below), right after pruning and after fine-tuning. Pale points are the gates that were measured.",
    alt="Two rows of panels of wrong labels on a log axis against sparsity, gates and magnitude, a column a case.",
    name="cb-vgg-heuristics",
)
page.verdict("CB-15")

# %% [markdown]
# Does the error after pruning tell where fine-tuning ends? Each point is a network. After fine-tuning they lie on one line, whatever their error was.

# %% tags=["hide-input"]
page.figure(
    coreset_recovery.error_and_accuracy(recovery),
    caption="Share of wrong labels against the logit error right after pruning. Above: right after pruning. Below: the same networks after fine-tuning both layers of the head. A point a network.",
    alt="Scatter of wrong labels against logit error for several methods, a column a case; the upper row rises at large errors, the lower one is flat.",
    name="cb-vgg-error-accuracy",
)
page.table(
    coreset_bounds.foretelling(recovery),
    caption="Rank correlation (Spearman, means over seeds) of the error right after pruning with the share of wrong labels; and what share of the networks with the larger half of errors ends within one point of the dense network.",
)

# %% [markdown]
# ## Which factor is loose?
#
# As on the other page: for units the variance, by {glue:text}`cb-vgg-variance-units` times. For weights the exact variance at the worst image is {glue:text}`cb-vgg-variance-weights` times larger than the bound allows for, because the sample's sensitivities do not cover it.
# From the top to real draws the bound is {glue:text}`cb-vgg-loose-units` times too large for units and {glue:text}`cb-vgg-loose-weights` times for weights.

# %% tags=["hide-input"]
page.figure(
    figures.waterfall(page.tables["waterfall"]),
    caption="The bound with one factor after the other replaced by its measured value, as a multiple of the bound as stated. The numbers at the right are the factor to the step above, geometric means over cases and seeds.",
    alt="Rows of dots on a log axis, from the stated bound at 1 down to the error at a typical image, for units and for weights, a dot a case.",
    name="cb-vgg-waterfall",
)

# %% [markdown]
# ## Other inputs, other scales
#
# The two checks of the bound for units, inputs from its ball and a scaled last layer, come out as on the other page: the mean error is {glue:text}`cb-vgg-ball` % of $\varepsilon$ in the ball and {glue:text}`cb-vgg-orthant` % in its positive part,
# and of the factors we tried, the guarantee is broken from {glue:text}`cb-vgg-break-alpha` on.

# %% tags=["hide-input"]
page.figure(
    figures.other_inputs(page.tables["inputs"]),
    caption="Mean and largest error of the same sampled networks on held-out images, in the ball, and in its positive part, over the error allowed: at 1 the bound would be tight.",
    alt="Two panels of dots, mean and largest error over the error allowed on a log axis, for data, ball and positive part of the ball, a row a case; all lie left of 1.",
    name="cb-vgg-inputs",
)
page.figure(
    figures.scaling(page.tables["scaling"]),
    caption="Above: draws asked for by each bound. Below: largest error over images and classes, averaged over draws, as a multiple of the error allowed. Both against the factor that the last layer is multiplied by.",
    alt="Above: draws against alpha, a panel for each of three bounds, one falling and two flat. Below: largest error over epsilon, rising above 1 for the stated bound.",
    name="cb-vgg-scaling",
)

# %% [markdown]
# ## Run card

# %% tags=["hide-input"]
page.run_card()

# %% [markdown]
# To measure it all again, from the repository's root:

# %% tags=["hide-input"]
page.command()
