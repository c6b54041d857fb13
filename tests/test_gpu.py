"""The same code on a GPU: every study runs there, and most of its numbers are those of the CPU.

Without a GPU the tests are skipped. What compares two runs is tried on the CPU anyway, where they must be equal.
"""

import numpy as np
import pandas as pd
import pytest
import torch

from prunebook.store import collect
from prunebook.store.results import Store
from prunebook.studies import STUDIES

NEAR = 1e-2  # relative; a choice of a unit or weight may flip, so not every number can be held to it
WITHOUT = {"seconds", "milliseconds"}
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def agreement(one: pd.DataFrame, other: pd.DataFrame) -> float:
    """The share of numbers, in columns of floats, that are near each other. Rows must be the same in number."""
    assert list(one.columns) == list(other.columns)
    assert len(one) == len(other)
    floats = [name for name in one.select_dtypes("float") if name not in WITHOUT]
    if not floats:
        return 1.0
    a, b = one[floats].to_numpy(float), other[floats].to_numpy(float)
    near = np.isclose(a, b, rtol=NEAR, atol=1e-6, equal_nan=True)
    return float(near.mean())


def measured(name: str, device: str, folder) -> collect.Collected:
    store = Store(folder / device)
    return collect.collect(STUDIES[name], "smoke", seeds=1, device=device, store=store, report=lambda text: None)


@GPU
@pytest.mark.parametrize("name", sorted(STUDIES))
def test_every_study_runs_on_the_gpu_and_agrees_with_the_cpu(name, tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNEBOOK_CACHE", str(tmp_path / "cache"))
    here, there = measured(name, "cpu", tmp_path), measured(name, "cuda", tmp_path)
    assert all("gpu" in record["hardware"] for record in there.records)
    shares = {table: agreement(here.tables[table], there.tables[table]) for table in here.tables}
    assert min(shares.values()) > 0.8, shares


def test_what_compares_two_runs_sees_a_difference(tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNEBOOK_CACHE", str(tmp_path / "cache"))
    one = measured("ec-pde", "cpu", tmp_path)
    losses = one.tables["losses"]
    assert agreement(losses, losses) == 1
    assert agreement(losses, losses.assign(loss=2 * losses["loss"])) < 1
    with pytest.raises(AssertionError):
        agreement(losses, losses.iloc[1:])
