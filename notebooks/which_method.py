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
# # Which method
#
# Three situations, three calls. What stands here is put together from the measured tables of the [head-to-head](head_to_head.ipynb), and the calls run below as they stand. A *pair* is a {term}`ranking <saliency>`, which says what is removed first, and a {term}`compensation`, which says what makes up for it.

# %% tags=["parameters"]
scale = None  # "smoke", "laptop" or "paper"; None takes PRUNEBOOK_SCALE, or else "laptop"
device = "auto"  # "cpu", "cuda" or "auto"
seeds = None  # how many, or a list; None takes what the scale plans
data = None  # folder with the data; None takes PRUNEBOOK_DATA, a download, or a stand-in that says so
fresh = False  # True measures again what is already stored

# %% tags=["hide-input"]
from IPython.display import HTML, display

from prunebook.pages import notebook
from prunebook.pages.tables import advice
from prunebook.pages.vocabulary import net_name

page = notebook.begin(globals(), study="head-to-head", notebook="which_method")
page.banner()
losses, cost, latency = (page.tables[name] for name in ("losses", "cost", "latency"))
choices = advice.choices(losses, cost, latency)
shown = choices.assign(call="<code>" + choices["call"] + "</code>")
page.table(
    shown[["when", "call", "why"]].set_axis(["If you have", "Call", "Because"], axis=1),
    caption="What to take. The ratio is the share that is removed.",
)

sizes = losses.groupby(losses["net"].map(net_name), sort=False)["left"].max()
names = ", ".join(f"{name} ({size:,} weights)" for name, size in sizes.items())
display(HTML(f'<p class="pb-scope">This holds for the networks that were measured: {names}.</p>'))

# %% [markdown]
# No residual network, no transformer and nothing of ImageNet's size is among them. If yours is different, [compare the methods on it](own_network.ipynb): that page goes from the first score to the saved file.
#
# ## The calls, run
#
# A small classifier of handwritten digits, trained in seconds. It shows that the calls work and what they give back, and no more: one network and one seed prove nothing about methods.

# %%
import pandas as pd
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from prunebook import prune, prune_units  # noqa: F401 - the calls use them
from prunebook.weights import Method  # noqa: F401

torch.manual_seed(0)
digits = load_digits()
images, labels = torch.tensor(digits.images / 16, dtype=torch.float32), torch.tensor(digits.target)
loader = DataLoader(TensorDataset(images[:1200], labels[:1200]), batch_size=64, shuffle=True)
model = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def train(network, epochs):
    optimizer = torch.optim.Adam(network.parameters(), 0.002)
    for _ in range(epochs):
        for x, y in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(x), y).backward()
            optimizer.step()


def accuracy(network):
    with torch.no_grad():
        return float((network(images[1200:]).argmax(1) == labels[1200:]).float().mean())


train(model, 20)

# %% [markdown]
# Each call leaves `model` as it was, and gives back a copy. Masks are those of `torch.nn.utils.prune`, so training keeps what was removed at zero.

# %%
ratio, rows = 0.5, [{"call": "the network as it was trained", "right after pruning": accuracy(model)}]
for call in choices["call"]:
    pruned = eval(call)
    row = {"call": call, "right after pruning": accuracy(pruned.model)}
    train(pruned.model, 2)
    rows.append(row | {"after 2 epochs": accuracy(pruned.model)})
page.table(
    pd.DataFrame(rows), caption=f"Accuracy on the {len(images) - 1200} digits that were not trained on, one seed."
)

# %% [markdown]
# ## When the plainest method is enough

# %% tags=["hide-input"]
display(HTML(advice.as_list([*advice.plain(losses), *advice.prices(cost)])))

# %% [markdown]
# ## When not to prune

# %% tags=["hide-input"]
display(HTML(advice.as_list([*advice.limits(losses), *advice.speed(latency)])))

# %% [markdown]
# A mask only sets weights to zero: the network keeps its size, and its time. What makes it smaller and faster is removing whole units.
#
# ## Who won, network by network
#
# The *safest* pair is the one whose worst ratio is the least bad.

# %% tags=["hide-input"]
display(HTML(advice.as_list(advice.which(losses, cost))))

# %% [markdown]
# Names in the library: `EC, re-fit` is `"ec-refit"`, and so for `"magnitude-refit"`, `"mean-replacement-refit"` and `"non-linear-refit"` (brute force). All other names stand [in the reference](../book/api/weights.md). The full tables, with intervals and every pair, are in the [head-to-head](head_to_head.ipynb).

# %% [markdown]
# ## Run card

# %% tags=["hide-input"]
page.run_card()

# %% [markdown]
# To measure it all again, from the repository's root:

# %% tags=["hide-input"]
page.command()
