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
# # On your own network
#
# You have a trained `nn.Module` and a `DataLoader`, and five minutes. This page prunes a network that the library has never seen, in the order in which you would do it: score, remove, fine-tune, certify, save, verify. Each step is a few lines and ends in a measured outcome. What goes wrong on the way is provoked at the end, with the messages that you would see.
#
# | You want | Take | What you get |
# | :-- | :-- | :-- |
# | a network that is faster and smaller everywhere | step 1, whole units | a smaller network of plain layers |
# | as few weights as possible | step 2, single weights | masks. **A mask alone is not faster, and not smaller either**: the zeros are stored and multiplied like any other number. It pays with compression, or with software and hardware for sparse matrices |
# | to know what is certain about the labels | step 3, certify | a guarantee for the last layer, and how far it is from what happens |
# | as good a network as can be had | fine-tune after each step | the compensation is a start, not an end |
#
# The steps go together as they do here, or alone. All amounts below are examples; the figure shows how to choose yours.

# %% tags=["parameters"]
scale = None  # "smoke", "laptop" or "paper", which is the same as laptop here; None takes PRUNEBOOK_SCALE, or laptop
device = "auto"  # "cpu", "cuda" or "auto"
seeds = None  # how many, or a list; the first makes the network and the order of the images
data = None  # folder with the data; None takes PRUNEBOOK_DATA, a download, or a stand-in that says so
fresh = False  # not used: this page stores nothing

# %% tags=["hide-input"]
from prunebook.pages import notebook

page = notebook.begin(globals(), notebook="own_network")

import copy
import html
import io
import os
import statistics
import time

import pandas as pd
import torch
from IPython.display import HTML, display
from matplotlib.lines import Line2D
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import prune as torch_prune
from torch.utils.data import DataLoader, TensorDataset

from prunebook import coresets, units, weights
from prunebook.data.images import load
from prunebook.errors import InputError
from prunebook.networks.device import resolve_device
from prunebook.pages.figures.layout import grid, legend_below, panel_label
from prunebook.pages.figures.style import in_house_style, look
from prunebook.studies import configuration

SIZES = {  # training images, held-out images, test images, width of the network, epochs, of fine-tuning
    "smoke": (600, 200, 300, 8, 2, 1),
    "laptop": (5000, 1000, 2000, 16, 5, 1),
}
scale = scale or os.environ.get("PRUNEBOOK_SCALE") or "laptop"
if scale not in (*SIZES, "paper"):
    raise InputError(f"scale={scale!r}: choose from {', '.join(SIZES)}, paper")
limit, dev, tested, width, epochs, tuning = SIZES.get(scale, SIZES["laptop"])
seed, device = configuration.seed_list(1 if seeds is None else seeds)[0], resolve_device(device)
pictures = load("cifar10", data=data or None, device=device, dev=dev, limit=limit)
if pictures.notice:
    display(HTML(f'<div class="pb-banner"><p>{html.escape(pictures.notice)}</p></div>'))
torch.manual_seed(seed)


def loader(split, most=None, shuffle=False):
    return DataLoader(TensorDataset(split.x[:most], split.y[:most]), batch_size=128, shuffle=shuffle)


def train(model, epochs, rate=1e-3):
    """Trains by Adam; gives the model back in evaluation mode."""
    optimiser = torch.optim.Adam(model.parameters(), rate)
    model.train()
    for _ in range(epochs):
        for images, labels in training:
            optimiser.zero_grad()
            cross_entropy(model(images), labels).backward()
            optimiser.step()
    return model.eval()


@torch.no_grad()
def accuracy(model, batches):
    """Share of samples, not a mean over batches of unequal size."""
    right = [model(images).argmax(1) == labels for images, labels in batches]
    return float(torch.cat(right).double().mean())


def apart(one, other):
    """Largest difference, relative to the largest value."""
    return float((one - other).detach().abs().max() / other.detach().abs().max())


# %% [markdown]
# ## A network of your own
#
# Ours is a small convolutional network with batch norm, a dense head and dropout. Any other will do; what the steps need of it is said where they need it. `train` and `accuracy` are the usual loops, folded away above with the imports.


# %%
def block(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)
    )


class Net(nn.Module):
    def __init__(self, channels, side, width, classes=10):
        super().__init__()
        double, flat = 2 * width, 2 * width * (side // 8) ** 2
        self.features = nn.Sequential(block(channels, width), block(width, double), block(double, double))
        self.head = nn.Sequential(
            nn.Flatten(), nn.Linear(flat, 4 * width), nn.ReLU(), nn.Dropout(0.2), nn.Linear(4 * width, classes)
        )

    def forward(self, images):
        return self.head(self.features(images))


training = loader(pictures.train, shuffle=True)
few = loader(pictures.train, most=1000)  # enough for scores and statistics
held_out = loader(pictures.dev)  # choices are made on these images
test = loader(pictures.test, most=tested)  # and never on these
shape = pictures.train.x.shape[1:]
net = train(Net(shape[0], shape[1], width).to(device), epochs)

# %% tags=["hide-input"]
page.glue("accuracy", accuracy(net, test), ".3f")
page.glue("images", f"{len(pictures.train):,}")
page.glue("data", {"cifar10": "CIFAR-10", "digits": "the stand-in"}.get(pictures.name, pictures.name))

# %% [markdown]
# Trained on {glue:text}`own-network-images` images of {glue:text}`own-network-data`, it is right on {glue:text}`own-network-accuracy` of the test images.
#
# ## Step 1: remove whole units
#
# The functions for units work on a chain: an `nn.Sequential` of convolutions, dense layers, batch norm, ReLU, max-pooling, flatten and dropout. If your network is one at heart, its layers in order make the chain. **Check that it computes the same**, for layers that are called in another order, twice, or as functions are not where they seem.


# %%
def leaves(model):
    """The layers of a model, in the order in which they were made."""
    layers = [layer for layer in model.modules() if not list(layer.children())]
    return nn.Sequential(*layers)


chain = leaves(net).eval()
images, labels = (torch.cat(part) for part in zip(*few, strict=True))
assert torch.equal(chain(images), net(images))

# %% [markdown]
# Now score every unit on a thousand images with their labels. `abs_mrs` asks how much the loss would change to first order if the unit were replaced by its mean. Take the lowest two fifths of each layer, fold their means into the biases that come next, and take the units out.

# %%
seen = units.unit_statistics(chain, images, labels)
score = units.SCORES["abs_mrs"]
gone, means = {}, {}
for site, s in seen.items():
    gone[site] = units.mask_lowest(score(s), units.number_to_prune(len(s.mean), 0.4))
    means[site] = s.mean
folded = units.fold(chain, gone, means, shape=shape)
small = units.remove(folded, gone)

# %% [markdown]
# Was that right? The definition of mean replacement overwrites the units while the network runs. Folding and removal must give the same outputs, up to rounding. Compare in float64 too: a mistake stays as large as it was, rounding all but vanishes.

# %% tags=["hide-input"]
wide = copy.deepcopy(chain).double()
wide_small = units.remove(units.fold(wide, gone, means, shape=shape), gone)
with torch.no_grad():
    sample = images[:200]
    single_error = apart(small(sample), units.masked_outputs(chain, sample, gone, means))
    double_error = apart(wide_small(sample.double()), units.masked_outputs(wide, sample.double(), gone, means))
zeroed = units.remove(units.fold(chain, gone), gone)
raw = {"zero": accuracy(zeroed, test), "mean": accuracy(small, test)}
small = train(small, tuning)


def parameters(model):
    return sum(values.numel() for values in model.parameters())


page.glue("single-error", single_error, ".1e")
page.glue("double-error", double_error, ".1e")
page.glue("units-zero", raw["zero"], ".3f")
page.glue("units-mean", raw["mean"], ".3f")
page.glue("units-tuned", accuracy(small, test), ".3f")
page.glue("units-left", 100 * parameters(small) / parameters(net), ".0f")

# %% [markdown]
# The two agree to {glue:text}`own-network-single-error` in float32 and to {glue:text}`own-network-double-error` in float64, relative to the largest output.
#
# {glue:text}`own-network-units-left` % of the parameters are left. The share of right answers is {glue:text}`own-network-units-zero` with the units at zero, {glue:text}`own-network-units-mean` with their means in the biases, and {glue:text}`own-network-units-tuned` after `train(small, 1)`, one more pass over the images.
#
# Two things to know. A convolution that pads with zeros does not see a constant near its border. To be exact there, `fold` gives it a bias for each position (`MapBiasConv2d`), and from then on the network takes images of this size only; `border="response-mean"` avoids that and is an approximation. And while you fine-tune, batch norm takes off the mean of each batch, and with it most of what was folded in front of it: see [the chapter on mean replacement](mean_replacement.ipynb).
#
# ## Step 2: remove single weights
#
# `weights.prune` takes any `nn.Module` with linear layers or convolutions, chain or not; `layers=` picks some of them, here the dense ones. The default is elimination-compensation: each weight is judged by how much the outputs would move after the best shift of its bias, and those shifts are applied. Labels are not needed, except by methods that use the loss.


# %%
def linear(model):
    return [name for name, layer in model.named_modules() if isinstance(layer, nn.Linear)]


pruned = weights.prune(small, few, ratio=0.8, layers=linear(small))
at_once = accuracy(pruned.model, test)
final = train(pruned.model, tuning)  # a copy, with parameters of its own
for name in pruned.masks:
    torch_prune.remove(final.get_submodule(name), "weight")  # plain zeros

# %% [markdown]
# The masks are those of `torch.nn.utils.prune`, which multiplies them in at every forward pass. So they outlast any optimiser, with momentum or weight decay, until you make them permanent. Do that **after** the last training step, not before.

# %% tags=["hide-input"]
dense = {name: layer.weight.detach() for name, layer in final.named_modules() if name in pruned.masks}
revived = sum(int((weight[~pruned.masks[name]] != 0).sum()) for name, weight in dense.items())
removed = sum(int((~mask).sum()) for mask in pruned.masks.values())
by_magnitude = accuracy(weights.prune(small, few, ratio=0.8, method="magnitude", layers=linear(small)).model, test)
page.glue("removed", f"{removed:,}")
page.glue("reached", 100 * pruned.reached, ".2f")
page.glue("revived", f"{revived}")
page.glue("weights-compensated", at_once, ".3f")
page.glue("weights-magnitude", by_magnitude, ".3f")
page.glue("weights-tuned", accuracy(final, test), ".3f")

# %% [markdown]
# {glue:text}`own-network-removed` weights are gone, {glue:text}`own-network-reached` % of those in the dense layers; after fine-tuning, {glue:text}`own-network-revived` of them are other than zero. Right answers: {glue:text}`own-network-weights-compensated` right after pruning, {glue:text}`own-network-weights-magnitude` had the smallest weights gone without any compensation, and {glue:text}`own-network-weights-tuned` after fine-tuning.
#
# ### How much?
#
# Look before you choose, and look at images that you do not report on. For units, `units.measure` runs all amounts at once. For weights, one `Calibration` serves every ratio and method, so that the data is passed only once.

# %%
fractions = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
scores = {site: score(s) for site, s in seen.items()}
variants = []
for constants in (None, means):
    for share in fractions:
        cut = {n: units.mask_lowest(v, units.number_to_prune(len(v), share)) for n, v in scores.items()}
        variants.append(units.Variant(cut, constants))
by_units = units.measure(chain, variants, [(pictures.dev.x, pictures.dev.y)])

calibration = weights.Calibration(small, few, layers=linear(small))
by_weights = {}
for method in ("elimination-compensation", "ec-ranking-only", "magnitude"):
    for ratio in (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98):
        found = weights.prune(small, None, ratio, method, calibration=calibration)
        by_weights[method, ratio] = accuracy(found.model, held_out)

# %% tags=["hide-input"]
unit_rows = [
    {"removed": "units", "method": way, "fraction": f, "accuracy": right / len(pictures.dev)}
    for (way, f), right in zip(
        [(way, f) for way in ("zero", "mean") for f in fractions], by_units.correct[:, 0].tolist(), strict=True
    )
]
weight_rows = [
    {"removed": "weights", "method": method, "fraction": ratio, "accuracy": right}
    for (method, ratio), right in by_weights.items()
]
amounts = pd.DataFrame(unit_rows + weight_rows)
whole = {"units": float(by_units.unpruned_correct[0]) / len(pictures.dev), "weights": accuracy(small, held_out)}
UNITS = {
    "zero": {"color": "#d55e00", "marker": "s", "linestyle": "--", "label": "Units at zero"},
    "mean": {"color": "#7a7a1f", "marker": "p", "linestyle": "-", "label": "Units at their mean"},
}


@in_house_style
def how_much():
    figure, (panels,) = grid(1, 2, 2.9, sharey=True)
    handles = []
    for number, (axes, (kind, title)) in enumerate(
        zip(panels, {"units": "Units of the network", "weights": "Weights of step 1's result"}.items(), strict=True)
    ):
        part = amounts[amounts["removed"] == kind]
        for method, curve in part.groupby("method", sort=False):
            style = UNITS[method] if kind == "units" else look(method).line
            handles += axes.plot(curve["fraction"], curve["accuracy"], **style)
        axes.axhline(whole[kind], color="#1a1a1a", linewidth=0.8, linestyle=":")
        axes.set(xlabel=f"Share of {kind} removed", ylim=(0, 1))
        panel_label(axes, number, title)
    panels[0].set_ylabel("Accuracy, held-out images")
    handles.append(Line2D([], [], color="#1a1a1a", linewidth=0.8, linestyle=":", label="Nothing removed"))
    legend_below(figure, handles)
    return figure


page.figure(
    how_much(),
    caption="Accuracy right after pruning, without fine-tuning, against how much is removed: the same share of units in each layer of the network (a), and of weights over the dense layers of what step 1 has left (b). One network, no intervals: this is what a choice looks like, not a comparison of methods.",
    alt="Two panels of accuracy against the share removed. Left: units at zero and units at their mean. Right: weights by elimination-compensation, by its ranking without the shift, and by magnitude. A dotted line marks the accuracy with nothing removed.",
    table=amounts,
    name="own-network-amounts",
)

# %% [markdown]
# Whether one method beats another is a question for many seeds and for the chapters on [elimination-compensation](elimination_compensation_mnist.ipynb) and [mean replacement](mean_replacement.ipynb).
#
# ## Step 3: certify
#
# What could be promised? `certify` looks at the last linear layer, draws a coreset of its weights (or of the units that feed it, with `kind="neurons"`), and says how many draws a theorem asks for so that nine in ten of the correct labels must stay. Next to it stands what the draws really did. The network is not changed.

# %%
certificate = coresets.certify(final, test, keep=0.9, seed=seed)
print(certificate)

# %% tags=["hide-input"]
page.glue("kept", 100 * certificate.kept / certificate.size, ".1f")
observed = certificate.observed_mean
page.glue("slack", "not measured" if observed is None else format(certificate.epsilon / observed, ".3g"))
stayed = certificate.labels_kept
page.glue("stayed", "not measured" if stayed is None else format(100 * stayed, ".1f"))
page.glue("covered", 100 * certificate.covered, ".0f")

# %% [markdown]
# So with the guarantee, {glue:text}`own-network-kept` % of the layer's weights stay. The error allowed is {glue:text}`own-network-slack` times the mean error observed, and {glue:text}`own-network-stayed` % of the correct labels really stayed. The guarantee rests on sensitivities of a sample of images, and its premise holds at {glue:text}`own-network-covered` % of the others. [The chapter on coresets](coreset_bounds_lenet.ipynb) says how much of such a gap comes from where. Use this step to learn what is certain, not to prune.
#
# ## Step 4: save, load, verify
#
# A network with units removed does not fit your old class any more. Save tensors only, and build the same shape anew from the masks: a fresh network, cut in the same places, takes the saved weights. Nothing in the file is code, so it loads with `weights_only=True`.

# %%
file = io.BytesIO()  # or a path
torch.save({"state": final.state_dict(), "gone": gone, "means": means}, file)

file.seek(0)
saved = torch.load(file, weights_only=True)
new = leaves(Net(shape[0], shape[1], width).to(device)).eval()
loaded = units.fold(new, saved["gone"], saved["means"], shape=shape)
loaded = units.remove(loaded, saved["gone"])
missing = loaded.load_state_dict(saved["state"])

# %% tags=["hide-input"]
with torch.no_grad():
    same = torch.equal(loaded(sample), final(sample))
zeros = {name: loaded.get_submodule(name).weight == 0 for name in pruned.masks}
checks = {
    "Outputs of the loaded network are those of the saved one": same,
    "Every pruned weight is zero": all(bool(zeros[n][~mask].all()) for n, mask in pruned.masks.items()),
    "Share of pruned weights is what was asked for, to the nearest weight": abs(pruned.reached - 0.8)
    <= 0.5 / sum(mask.numel() for mask in pruned.masks.values()) + 1e-12,
    "Removal is mean replacement, in float64": double_error < 1e-10,
}
page.table(
    pd.DataFrame({"Check": list(checks), "Holds": ["yes" if good else "NO" for good in checks.values()]}),
    caption="What to verify before you ship.",
)
assert all(checks.values())

# %% [markdown]
# ### What you have now
#
# Four networks, on the same test images: yours, the same with single weights masked and no unit removed, the one without the units, and the one after both steps. Time is that of one batch of 256 images in evaluation mode, the median of interleaved runs.

# %% tags=["hide-input"]
masked = weights.prune(net, few, ratio=0.8, layers=linear(net)).model
stages = {
    "as trained": net,
    "80 % of dense weights masked": masked,
    "40 % of units removed, fine-tuned": small,
    "and 80 % of dense weights zero, fine-tuned": final,
}
batch = pictures.test.x[:256]
times = {name: [] for name in stages}
with torch.inference_mode():
    for turn in range(5 if scale == "smoke" else 25):
        for name, model in stages.items():
            if device == "cuda":
                torch.cuda.synchronize()
            start = time.perf_counter()
            model(batch)
            if device == "cuda":
                torch.cuda.synchronize()
            if turn > 1:  # the first ones warm up
                times[name].append(1000 * (time.perf_counter() - start))


def kilobytes(model):
    target = io.BytesIO()
    torch.save(model.state_dict(), target)
    return len(target.getvalue()) / 1024


def other_than_zero(model):
    values = [
        layer.weight if name == "weight_orig" else value
        for layer in model.modules()
        for name, value in layer.named_parameters(recurse=False)
    ]
    return sum(int((value != 0).sum()) for value in values)


page.table(
    pd.DataFrame(
        {
            "Network": list(stages),
            "Accuracy": [f"{accuracy(model, test):.3f}" for model in stages.values()],
            "Parameters": [f"{parameters(model):,}" for model in stages.values()],
            "Other than zero": [f"{other_than_zero(model):,}" for model in stages.values()],
            "File, KiB": [f"{kilobytes(model):,.0f}" for model in stages.values()],
            "Batch, ms": [f"{statistics.median(times[name]):.1f}" for name in stages],
        }
    ),
    caption=f"Size, speed and accuracy, on {device} with torch on {torch.get_num_threads()} threads.",
)

# %% [markdown]
# A masked network stores its masks beside its weights, so its file grows. Made permanent, the zeros are stored like any other number; they shrink the file only if it is compressed.
#
# ## What goes wrong
#
# Each row below was provoked while this page was made, and shows what was really said. `InputError` is a `ValueError`; it comes before any work and names the value and the remedy. The others come from PyTorch.


# %% tags=["hide-input"]
class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(shape[0], shape[0], 3, padding=1), nn.Linear(shape.numel(), 10)

    def forward(self, x):
        return self.last((x + self.first(x).relu()).flatten(1))


handful = TensorDataset(images[:64], labels[:64])
gelu = nn.Sequential(nn.Flatten(), nn.Linear(shape.numel(), 16), nn.GELU(), nn.Linear(16, 10)).to(device)
tuned = weights.prune(small, handful, 0.5, layers=linear(small)).model
tuned(images[:8]).sum().backward()  # as in a training step

MISTAKES = [
    (
        "A module that is no chain is scored",
        lambda: units.unit_statistics(net, images, labels),
        "make the chain of its layers, as in step 1",
    ),
    (
        "The layers of a residual network as a chain",
        lambda: units.unit_statistics(leaves(Residual().to(device)), images, labels),
        "units of a residual network cannot be taken out here; prune weights",
    ),
    (
        "Another activation than ReLU in the chain",
        lambda: units.unit_layers(gelu),
        "mean replacement of units is made for ReLU; prune weights",
    ),
    ("More units than there are", lambda: units.number_to_prune(16, 40), "0.4 is a share, 40 a number of units"),
    (
        "Padded convolutions, and the shape left out",
        lambda: units.fold(chain, gone, means),
        "<code>shape=images.shape[1:]</code>",
    ),
    (
        "A mask for a layer that is not there",
        lambda: units.fold(chain, {"conv9": gone["conv1"]}),
        "<code>units.unit_layers(chain)</code> lists the names",
    ),
    (
        "Images of another size after exact folding",
        lambda: small(torch.zeros(1, shape[0], 2 * shape[1], 2 * shape[2], device=device)),
        '<code>border="response-mean"</code>',
    ),
    (
        "Inputs on another device than the network",
        lambda: units.unit_statistics(chain, images.to("meta"), labels),
        "<code>images.to(device)</code>; prune and certify do it themselves",
    ),
    ("A ratio in per cent", lambda: weights.prune(small, handful, 80), "0.8"),
    (
        "A method that nobody knows",
        lambda: weights.prune(small, handful, 0.5, "magnitud"),
        "<code>list(weights.METHODS)</code>",
    ),
    (
        "A method that needs the loss, without it",
        lambda: weights.prune(small, handful, 0.5, "gradient-magnitude"),
        "<code>loss=torch.nn.functional.cross_entropy</code>",
    ),
    (
        "A loader that has been turned into an iterator",
        lambda: weights.prune(small, iter(training), 0.5),
        "give the loader itself",
    ),
    (
        "A tuple of two tensors as data",
        lambda: weights.prune(small, (images, labels), 0.5),
        "<code>TensorDataset(images, labels)</code>",
    ),
    (
        "Inputs in float64, network in float32",
        lambda: weights.prune(small, images.double(), 0.5),
        "convert one of them",
    ),
    (
        "Batches of three items",
        lambda: weights.prune(small, [(images, labels, labels)], 0.5),
        "<code>forward=lambda model, batch: ...</code>",
    ),
    (
        "A masked network is pruned again",
        lambda: weights.prune(tuned, handful, 0.8),
        "make the masks permanent first; the zeros stay the first to go",
    ),
    (
        "A masked network is copied after a training step",
        lambda: copy.deepcopy(tuned),
        "copy before, or make the masks permanent first",
    ),
    (
        "A masked network's state is loaded into a plain one",
        lambda: copy.deepcopy(small).load_state_dict(tuned.state_dict()),
        "make the masks permanent before you save",
    ),
    (
        "A certificate from a loader without labels",
        lambda: coresets.certify(small, DataLoader(images, batch_size=32)),
        "labels decide what has to stay",
    ),
    (
        "A certificate for a network that ends in a softmax",
        lambda: coresets.certify(nn.Sequential(small, nn.Softmax(1)), handful),
        "take the network that gives logits",
    ),
    ("Labels to keep in per cent", lambda: coresets.certify(small, handful, keep=90), "0.9"),
]


def said(action):
    try:
        action()
    except Exception as error:
        text = " ".join(str(error).split())
        text = text if len(text) <= 230 else text[:230].rsplit(" ", 1)[0] + " …"
        return f"<b>{type(error).__name__}</b>: {html.escape(text)}"
    return "<b>nothing</b>"


messages = pd.DataFrame(
    [{"What was done": what, "What is said": said(act), "What to do": cure} for what, act, cure in MISTAKES]
)
page.table(messages, caption="Mistakes with a message.")

# %% [markdown]
# The worst mistakes say nothing. These were made here too, and this is what they did.


# %% tags=["hide-input"]
class Twisted(nn.Module):
    """The first layer is registered last, as happens when a class grows."""

    def __init__(self):
        super().__init__()
        self.second, self.first = nn.Linear(12, 12), nn.Linear(12, 12)

    def forward(self, x):
        return self.second(self.first(x))


with torch.no_grad():
    row = torch.randn(64, 12)
    twisted = Twisted()
    out_of_order = apart(leaves(twisted)(row), twisted(row))
    busy = copy.deepcopy(chain).train()
    in_training = apart(busy(sample), chain(sample))

early = weights.prune(small, handful, 0.8)
for name in early.masks:
    torch_prune.remove(early.model.get_submodule(name), "weight")
early_model = train(early.model, 1)
back = sum(int((early_model.get_submodule(n).weight[~m] != 0).sum()) for n, m in early.masks.items())
back /= sum(int((~m).sum()) for m in early.masks.values())

other = weights.prune(small, handful, 0.8)
state = copy.deepcopy(other.model.state_dict())
train(copy.deepcopy(small), 1)
moved = max(apart(value.double(), state[name].double()) for name, value in other.model.named_parameters())

silent = pd.DataFrame(
    [
        {
            "What was done": "A chain made of layers that are called in another order than they are registered",
            "What happened": f"outputs differ by {out_of_order:.2g} of the largest",
            "What to do": "<code>torch.equal(chain(x), net(x))</code>, as in step 1",
        },
        {
            "What was done": "Outputs compared with one network in training mode",
            "What happened": f"they differ by {in_training:.2g} of the largest: dropout, and batch norm by the batch",
            "What to do": "<code>model.eval()</code> on both; the library's own functions do not need it",
        },
        {
            "What was done": "Masks made permanent before fine-tuning",
            "What happened": f"{100 * back:.0f} % of the pruned weights came back",
            "What to do": "make them permanent after the last step",
        },
        {
            "What was done": "Fine-tuning with an optimiser that holds the parameters of the network before pruning",
            "What happened": f"the pruned network moved by {moved:.2g}",
            "What to do": "it is a copy: make the optimiser from its own parameters",
        },
    ]
)
page.table(silent, caption="Mistakes without a message.")

# %% [markdown]
# ## And then
#
# The functions of this page are described one by one in the [reference of the library](../book/api/index.md). A method of your own is one function and one line; `CONTRIBUTING.md` shows where. If a network as small as yours has become would do when trained from scratch, try that too: [a narrow network of the same size](elimination_compensation_mnist.ipynb) is the rival that pruning has to beat.
