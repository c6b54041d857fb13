"""Regression data, the cache on disk, and a reader's own PDEBench file."""

import logging
import sys
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch

from prunebook.data.diffusion_sorption import (
    cache_folder,
    cached_solve,
    initial_states,
    load_pdebench,
    regression_data,
    solve,
    stored_times,
)
from prunebook.data.diffusion_sorption.cache import solution_key
from prunebook.data.diffusion_sorption.regression import split
from prunebook.errors import DataError, InputError

CELL = np.arange(8, 1024, 16)
STEP = np.arange(10, 101, 10)
FEW = 5


@pytest.fixture(autouse=True, scope="module")
def stored_here(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("PRUNEBOOK_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def clean():
    return regression_data(trajectories=FEW)


@pytest.fixture(scope="module")
def full():
    return solve(initial_states(FEW))


def small(**changes):
    return cached_solve(**({"u0": np.array([0.1, 0.15]), "cells": 16, "times": np.array([5.0, 50.0])} | changes))


# --- regression data


TRAIN, TEST = split(FEW)


def test_pairs_are_the_subsampled_trajectories(clean, full):
    for rows, x, y in ((TRAIN, clean.x_train, clean.y_train), (TEST, clean.x_test, clean.y_clean)):
        assert x.shape == (len(rows) * 640, 68)
        assert x.dtype == y.dtype == torch.float32
        expected = full.u[rows][:, STEP][:, :, CELL]
        assert np.abs(y.reshape(len(rows), 10, 64).numpy() - expected).max() < 2e-7
        x = x.reshape(len(rows), 10, 64, 68).numpy()
        assert (x[..., 0] == np.float32(5e-4)).all()
        assert (x[..., 1] == np.float32(0.29)).all()
        assert np.allclose(x[..., 2], (np.arange(1, 11) / 10)[:, None])
        assert np.allclose(x[..., 3], (CELL + 0.5) / 1024)
        assert np.allclose(x[..., 4:], initial_states(FEW)[rows][:, None, None, None])
    assert torch.equal(clean.y_test, clean.y_clean)
    assert (clean.name, clean.origin[:9]) == ("diffusion-sorption", "solved on")


def test_split_is_by_trajectory_and_fixed():
    assert sorted([*TRAIN, *TEST]) == list(range(FEW))
    assert (list(TEST), split(100)[1][:5].tolist()) == ([0], [4, 8, 11, 12, 15])


def test_noise_is_uniform_reproducible_and_in_targets_only(clean):
    low, high = (regression_data(trajectories=FEW, noise=d) for d in (0.005, 0.01))
    for part in ("train", "test"):
        a, b, c = (getattr(data, f"y_{part}").double() for data in (low, high, clean))
        assert torch.equal(getattr(low, f"x_{part}"), getattr(clean, f"x_{part}"))
        drawn = b - c
        assert drawn.abs().max() <= 0.01 + 1e-7
        assert torch.allclose(drawn, 2 * (a - c), atol=5e-7)
        assert drawn.square().mean() == pytest.approx(high.floor["noise"], rel=0.1)
        assert abs(float(drawn.mean())) < 4 * 0.01 / np.sqrt(3 * len(drawn))
    assert torch.equal(high.y_clean, clean.y_clean)
    assert high.floor["noise"] == pytest.approx(3.3333e-5, rel=1e-4)
    same = regression_data(trajectories=FEW, noise=0.01)
    assert torch.equal(same.y_train, high.y_train)
    assert same.checksums == high.checksums
    assert clean.checksums["u"] == high.checksums["u"]
    assert clean.checksums["targets"] != high.checksums["targets"]


def test_floor_of_a_blind_network(clean):
    """The best predictor without u0 is the mean over training trajectories at each (t, x)."""
    profiles = clean.y_train.reshape(len(TRAIN), 640).double()
    assert clean.floor["blind_train"] == pytest.approx(float(profiles.var(0, correction=0).mean()), rel=1e-4)
    gap = clean.y_clean.reshape(len(TEST), 640).double() - profiles.mean(0)
    assert clean.floor["blind_test"] == pytest.approx(float(gap.square().mean()), rel=1e-4)
    assert clean.floor["noise"] == 0


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"trajectories": 1}, "trajectories=1"), ({"noise": -0.1}, "noise=-0.1"), ({"noise": float("nan")}, "noise=nan")],
)
def test_unusable_arguments_are_refused(changes, named):
    with pytest.raises(InputError, match=named):
        regression_data(**changes)


# --- the cache


def stored(folder):
    return sorted(folder.glob("diffusion-sorption-*.npz"))


def test_second_call_reads_the_first_ones_result(tmp_path):
    first, second = small(folder=tmp_path), small(folder=tmp_path)
    assert (first.stats["cached"], second.stats["cached"]) == (False, True)
    assert np.array_equal(first.u, second.u)
    assert np.array_equal(first.x, second.x)
    assert second.stats["seconds"] == first.stats["seconds"]
    assert {path.suffix for path in tmp_path.iterdir()} - {".lock"} == {".npz"}


@pytest.mark.parametrize("changes", [{"u0": np.array([0.1, 0.16])}, {"cells": 17}, {"times": np.array([5.0, 51.0])}])
def test_everything_that_matters_is_in_the_key(changes, tmp_path):
    small(folder=tmp_path)
    assert not small(folder=tmp_path, **changes).stats["cached"]
    assert len(stored(tmp_path)) == 2


def test_damaged_files_are_computed_again(tmp_path, caplog):
    good = small(folder=tmp_path)
    (path,) = stored(tmp_path)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    flipped = []
    for place in rng.integers(0, len(content), 12):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        flipped.append(bytes(damaged))
    cuts = [content[:n] for n in (0, 1, 30, len(content) // 2, len(content) - 1)]
    for damaged in [b"not a zip file", *cuts, *flipped]:
        path.write_bytes(damaged)
        again = small(folder=tmp_path)
        assert np.array_equal(again.u, good.u)  # a byte that carries no number may go unnoticed
    assert sum("computing it again" in message for message in caplog.messages) >= 6 + 8
    path.write_bytes(content[: len(content) // 2])
    caplog.clear()
    assert not small(folder=tmp_path).stats["cached"]
    assert str(path) in caplog.text
    assert small(folder=tmp_path).stats["cached"]


def test_a_file_of_other_settings_is_not_used(tmp_path, caplog):
    small(folder=tmp_path)
    (first,) = stored(tmp_path)
    small(folder=tmp_path, cells=17)
    (second,) = set(stored(tmp_path)) - {first}
    second.replace(first)
    assert not small(folder=tmp_path).stats["cached"]
    assert "other settings" in caplog.text


def test_unusable_folder_is_only_a_warning(tmp_path, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with caplog.at_level(logging.WARNING):
        solution = small(folder=blocked / "cache")
    assert solution.u.shape == (2, 2, 16)
    assert "going on without" in caplog.text


def test_failed_write_leaves_nothing_behind(tmp_path, caplog, monkeypatch):
    def full_disk(file, **_):
        file.write(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    small(folder=tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} <= {".lock"}
    assert "no space left" in caplog.text


def test_what_a_killed_process_left_of_a_solution_is_swept_by_the_next_that_makes_it(tmp_path):
    small(folder=tmp_path)
    (stored,) = tmp_path.glob("*.npz")
    stored.rename(tmp_path / f".{stored.name}.killed.part")
    other = tmp_path / ".of-another-solution.npz.at-work.part"
    other.touch()
    small(folder=tmp_path)
    assert sorted(tmp_path.glob("*.part")) == [other]
    assert stored.exists()


def test_cache_folder(monkeypatch, tmp_path, stored_here):
    assert cache_folder() == stored_here
    monkeypatch.delenv("PRUNEBOOK_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "prunebook" or sys.platform != "linux"


def test_solutions_in_the_cache_are_found_under_the_names_they_have(monkeypatch):
    """Written down from the release before: another name would solve everything anew."""
    monkeypatch.setattr("scipy.__version__", "1.0")
    key = solution_key(np.linspace(0, 1, 8), cells=8, times=np.linspace(0, 1, 3))
    assert key == "aee77d4040c857d42e5edab9a848aefb8e3b028dcd4b9771e5a72b2ae41627fe"


# --- PDEBench's file


@pytest.fixture
def published(tmp_path, full):
    """A file of the published form, with our own numbers in it."""
    path = tmp_path / "1D_diff-sorp_NA_NA.h5"
    with h5py.File(path, "w") as file:
        for i in range(FEW):
            file[f"{i:04d}/data"] = full.u[i, :, :, None].astype("f4")
            file[f"{i:04d}/grid/x"] = full.x.astype("f4")
            file[f"{i:04d}/grid/t"] = stored_times().astype("f4")
    return path


def test_published_file(published, full, clean):
    read = load_pdebench(published, FEW)
    assert np.array_equal(read.u, full.u.astype(np.float32))
    assert np.array_equal(read.x, full.x)
    data = regression_data(source=published, trajectories=FEW)
    assert (data.name, data.origin) == ("pdebench-diffusion-sorption", f"read from {published.name}")
    assert str(published.parent) not in data.origin
    for name in ("x_train", "y_train", "x_test", "y_test"):
        assert (getattr(clean, name) - getattr(data, name)).abs().max() < 1e-6
    assert replace(data, origin="").checksums.keys() == {"inputs", "u", "targets"}


def edit(path, name, value):
    with h5py.File(path, "r+") as file:
        del file[name]
        if value is not None:
            file[name] = value


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("0003", None, "'0003/data'"),
        ("0001/data", None, "'0001/data'"),
        ("0001/grid", None, "'0001/grid/x'"),
        ("0001/data", np.zeros((101, 512, 1), "f4"), r"\(101, 512, 1\); expected \(101, 1024, 1\)"),
        ("0001/data", np.zeros((501, 1024, 1), "f4"), r"\(501, 1024, 1\)"),
        ("0001/data", np.zeros((101, 1024, 1), "i4"), "int32"),
        ("0001/data", np.full((101, 1024, 1), np.nan, "f4"), "not finite"),
        ("0002/grid/x", np.linspace(0.1, 0.9, 1024, dtype="f4"), "another grid"),
        ("0000/grid/x", np.linspace(0.9, 0.1, 1024, dtype="f4"), "increasing cell centres"),
        ("0000/grid/t", np.linspace(0, 5, 101, dtype="f4"), "from 0 to 500"),
    ],
)
def test_unexpected_contents_are_refused(published, name, value, words):
    edit(published, name, value)
    with pytest.raises(DataError, match=words) as caught:
        load_pdebench(published, FEW)
    assert published.name in str(caught.value)


def test_only_what_is_asked_for_is_read(published):
    edit(published, "0004/data", np.zeros(3))
    assert load_pdebench(published, 4).u.shape == (4, 101, 1024)
    with pytest.raises(DataError, match="0004"):
        load_pdebench(published, FEW)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.95])
def test_truncated_file(published, share):
    content = published.read_bytes()
    published.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=published.name):
        load_pdebench(published, FEW)


def test_missing_or_other_file(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        load_pdebench(tmp_path / "nothing.h5")
    other = tmp_path / "text.h5"
    other.write_text("hello")
    with pytest.raises(DataError, match="cannot be read as an HDF5 file"):
        load_pdebench(other)
    with pytest.raises(InputError, match="trajectories=0"):
        load_pdebench(other, 0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_tensors_on_the_device():
    data = regression_data(trajectories=2, device="cuda")
    assert data.x_train.is_cuda
    assert data.y_clean.is_cuda
