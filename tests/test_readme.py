"""What the README and the ledger say is what the committed results say."""

import runpy
from pathlib import Path

import pytest

from prunebook.collection import stored
from prunebook.experiments import STUDIES
from prunebook.results import Store

ROOT = Path(__file__).resolve().parents[1]
COMMITTED = Store(ROOT / "data" / "results")


def test_readme_shows_the_verdicts_of_the_committed_results():
    with_verdicts = runpy.run_path(str(ROOT / "tools" / "readme.py"))["with_verdicts"]
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text == with_verdicts(text), "run `make readme`"


@pytest.mark.parametrize("name", STUDIES)
def test_committed_results_are_whole_real_and_of_unchanged_code(name):
    results = stored(STUDIES[name], "paper", store=COMMITTED)
    if results is None:
        pytest.skip(f"no committed results of {name}")
    assert not results.stand_in
    for record in results.records:
        assert not record["dirty"], "a published result comes from committed code"
    if results.stale:
        modules = sorted({module for modules in results.stale.values() for module in modules})
        pytest.skip(f"{len(results.stale)} results of {name} are stale: {', '.join(modules)} changed since")


@pytest.mark.parametrize("name", ["ec-mnist", "ec-pde"])
def test_fine_tuning_left_the_masks_as_they_were(name):
    results = stored(STUDIES[name], "paper", store=COMMITTED)
    losses = results.tables["losses"]
    both = losses.pivot_table(
        index=["widths", "noise", "seed", "method", "ratio"], columns="stage", values="weights"
    )
    both = both.dropna(subset=["pruned", "fine-tuned"])
    assert (both["pruned"] == both["fine-tuned"]).all(), "fine-tuning changed a mask"
