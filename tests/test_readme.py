"""What the README and the ledger say is what the committed results say."""

import re
import runpy
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from prunebook.store.collect import stored
from prunebook.store.results import Store
from prunebook.studies import STUDIES

ROOT = Path(__file__).resolve().parents[1]
COMMITTED = Store(ROOT / "data" / "results")
TOOL = runpy.run_path(str(ROOT / "tools" / "readme.py"))


def test_readme_shows_the_verdicts_of_the_committed_results():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text == TOOL["with_verdicts"](text), "run `make readme`"


def test_the_figure_of_the_readme_is_that_of_the_committed_results():
    """Up to a pixel: another machine rounds otherwise."""
    committed, now = TOOL["PICTURE"].read_text(encoding="utf-8"), TOOL["picture"]()
    words, wanted = (re.findall(r">([^<\s][^<]*)</text>", text) for text in (committed, now))
    assert words == wanted, "run `make readme`"
    ours, theirs = (np.array(re.findall(r"[-\d]+\.\d+", text), float) for text in (committed, now))
    assert len(ours) == len(theirs)
    assert np.abs(ours - theirs).max() < 1, "run `make readme`"
    assert f"({TOOL['PICTURE'].relative_to(ROOT).as_posix()})" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_is_two_screens():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.split()) < 850


def test_examples_of_the_readme_run_as_they_stand():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(examples) == 1
    torch.manual_seed(0)
    images, labels = torch.randn(60, 1, 8, 8), torch.arange(60) % 10
    # The convolutions pad: there, folding needs to know the size of the images.
    layers = {
        "conv1": nn.Conv2d(1, 8, 3, padding=1),
        "relu1": nn.ReLU(),
        "conv2": nn.Conv2d(8, 16, 3, padding=1),
        "relu2": nn.ReLU(),
        "conv3": nn.Conv2d(16, 4, 3, padding=1),
        "relu3": nn.ReLU(),
        "flatten": nn.Flatten(),
        "dense": nn.Linear(256, 10),
    }
    chain = nn.Sequential(OrderedDict(layers)).eval()
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 10))
    loader = DataLoader(TensorDataset(images, labels), batch_size=32)
    given = {"model": model, "loader": loader, "chain": chain, "images": images, "labels": labels}
    for example in examples:
        exec(example, given)
    assert given["pruned"].reached == pytest.approx(0.8, abs=0.01)
    assert given["smaller"].model.conv2.out_channels == 16 - int(0.4 * 16)
    assert given["smaller"].difference < 1e-5, "the small network gives what the large one gives with means in it"


@pytest.mark.parametrize("name", STUDIES)
def test_committed_results_are_whole_real_and_current(name):
    results = stored(STUDIES[name], "paper", store=COMMITTED)
    if results is None:
        pytest.skip(f"no committed results of {name}")
    assert not results.stand_in
    for record in results.records:
        assert not record["dirty"], "a published result comes from committed code"
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    untold = [change for change in results.changes if change not in text]
    assert not untold, (
        f"{len(results.stale)} results of {name} are outdated, and README does not say so: measure them anew, or let "
        f"it say: {'; '.join(untold)}"
    )


@pytest.mark.parametrize("name", ["ec-mnist", "ec-pde"])
def test_fine_tuning_left_the_masks_as_they_were(name):
    results = stored(STUDIES[name], "paper", store=COMMITTED)
    losses = results.tables["losses"]
    both = losses.pivot_table(index=["widths", "noise", "seed", "method", "ratio"], columns="stage", values="weights")
    both = both.dropna(subset=["pruned", "fine-tuned"])
    assert (both["pruned"] == both["fine-tuned"]).all(), "fine-tuning changed a mask"
