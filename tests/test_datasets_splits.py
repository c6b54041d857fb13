"""Class-balanced splits, the embedded digits, and folders of pictures."""

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from prunebook.data.images import digits, load, picture_folders, where
from prunebook.data.images.splits import apportion, fingerprint, first_of_each_class, stratified
from prunebook.errors import DataError, InputError


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch):
    monkeypatch.delenv("PRUNEBOOK_DATA", raising=False)


@given(
    counts=st.lists(st.integers(0, 40), min_size=1, max_size=12).filter(any),
    first=st.integers(0, 500),
    second=st.integers(0, 500),
    seed=st.integers(0, 9),
)
def test_sets_are_disjoint_and_each_class_is_within_one_of_its_share(counts, first, second, seed):
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    first %= len(y) + 1
    second %= len(y) - first + 1
    a, b = stratified(y, [first, second])
    assert (len(a), len(b)) == (first, second)
    assert len(np.union1d(a, b)) == first + second
    left = np.bincount(y)
    for chosen in (a, b):
        share = left * len(chosen) / max(left.sum(), 1)
        got = np.bincount(y[chosen], minlength=len(left))
        assert np.all(np.abs(got - share) < 1)
        left = left - got


def test_shares_follow_the_largest_remainders_and_then_the_lower_class():
    assert apportion(np.array([5, 3, 2]), 5).tolist() == [3, 1, 1]  # 2.5, 1.5, 1
    assert apportion(np.array([1, 6, 3]), 7).tolist() == [1, 4, 2]  # .7, 4.2, 2.1


def test_a_set_does_not_depend_on_those_after_it_and_grows_with_its_size():
    y = np.arange(1000) % 10
    held, few = stratified(y, [100, 50])
    same, many = stratified(y, [100, 800])
    np.testing.assert_array_equal(held, same)
    assert set(few) < set(many)


def test_the_choice_is_fixed():
    """Pinned: another choice of images on another machine or version would be another experiment."""
    held, rest = stratified(np.arange(1000) * 7 % 10, [100, 900])
    assert held[:5].tolist() == [1, 14, 27, 31, 45]
    assert fingerprint(rest, held) != fingerprint(held, rest)
    assert fingerprint(held[:50], held[50:]) != fingerprint(held[:51], held[51:])
    assert not np.array_equal(held, np.arange(100))


def test_the_first_of_each_class():
    y = np.array([0, 1, 1, 1, 2, 2, 0, 1])
    assert np.bincount(y[first_of_each_class(y, 2)]).tolist() == [2, 2, 2]
    assert np.bincount(y[first_of_each_class(y, 3)]).tolist() == [2, 3, 2]
    assert set(first_of_each_class(y, 1)) < set(first_of_each_class(y, 2))


def test_more_than_there_is_is_refused():
    with pytest.raises(InputError, match="cannot take 6 \\+ 5 images out of 10"):
        stratified(np.arange(10) % 2, [6, 5])


# ---- digits


def test_the_digits_are_scikit_learns_in_a_frame():
    from sklearn.datasets import load_digits

    raw, source = digits.read_digits(), load_digits()
    assert (len(raw.train_x), len(raw.test_x)) == (1437, 360)
    assert raw.train_x.shape[1:] == (1, 28, 28)
    assert np.ptp(np.bincount(raw.test_y)) <= 2
    # Bilinear enlargement written out: pixel centres of 20 laid over those of 8, the edges held.
    at = np.clip((np.arange(20) + 0.5) * 8 / 20 - 0.5, 0, 7)
    weights = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(8)))  # (20, 8)
    expected = np.pad(weights @ source.images @ weights.T * 255 / 16, [(0, 0), (4, 4), (4, 4)])
    (test,) = stratified(source.target, [360])
    train = np.delete(np.arange(1797), test)
    for x, y, indices in ((raw.train_x, raw.train_y, train), (raw.test_x, raw.test_y, test)):
        assert np.abs(x[:, 0].numpy() - expected[indices]).max() < 0.51  # rounded to whole levels
        assert y.tolist() == source.target[indices].tolist()


def test_the_digits_can_be_asked_for_by_name(monkeypatch):
    dataset = load("digits", data="this is not looked at")
    assert (dataset.name, dataset.stand_in, dataset.notice) == ("digits", False, "")
    assert (len(dataset.train), len(dataset.dev), len(dataset.test)) == (1294, 143, 360)
    again = load("digits", dev=143, limit=100)
    assert torch.equal(again.dev.x, dataset.dev.x)
    assert torch.equal(again.test.x, dataset.test.x)
    assert again.checksums["split"] != dataset.checksums["split"]
    whole = load("digits", dev=0).train.x
    assert abs(whole.mean()) < 1e-6
    assert abs(whole.std(correction=0) - 1) < 1e-5
    assert load("digits", dev=0, standardise=False).train.x.max() == 1
    with pytest.raises(InputError, match=r"dev=5,000 .* 1,437 training images of digits"):
        load("digits", dev=5000)


def test_wide_digits_are_the_same_in_every_channel():
    raw = digits.read_digits(3, 32)
    assert raw.train_x.shape == (1437, 3, 32, 32)
    assert (raw.train_x == raw.train_x[:, :1]).all()
    assert (raw.train_y == digits.read_digits().train_y).all()


# ---- folders of pictures


def draw(path, width, height, colour, mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (width, height), colour).save(path, quality=100)


@pytest.fixture
def album(tmp_path):
    """Two classes, single colours, several shapes and modes."""
    root = tmp_path / "album"
    for part, n in (("train", 6), ("val", 3)):
        for i in range(n):
            draw(root / part / "n1" / f"{i}.JPEG", 20 + i, 30, (250, 10, 10))
            draw(root / part / "n2" / f"{i}.JPEG", 40, 16 + i, 128, mode="L")
    return root


def test_pictures_become_squares_of_one_size(album):
    dataset = load("imagefolder", data=album, size=16, dev=2, standardise=False)
    assert dataset.classes == ("n1", "n2")
    assert dataset.train.x.shape == (10, 3, 16, 16)
    assert dataset.train.x.is_contiguous()
    assert (len(dataset.dev), len(dataset.test)) == (2, 6)
    assert sorted(dataset.dev.y.tolist()) == [0, 1]
    assert dataset.test.y.tolist() == [0, 0, 0, 1, 1, 1]
    colour = torch.tensor([[250, 10, 10], [128, 128, 128]]).float() / 255
    shown = dataset.train.x - colour[dataset.train.y][:, :, None, None]
    assert shown.abs().max() < 3 / 255  # what JPEG loses
    scaled = load("imagefolder", data=album, size=16, dev=2)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in picture_folders.IMAGENET)
    torch.testing.assert_close(scaled.train.x, (dataset.train.x - mean) / std)
    assert not scaled.stand_in


def test_the_centre_is_cut_out(tmp_path):
    picture = np.zeros((10, 30, 3), np.uint8)
    picture[:, 10:20] = 255  # a white square in the middle
    for part in ("train", "val"):
        (tmp_path / part / "a").mkdir(parents=True)
        Image.fromarray(picture).save(tmp_path / part / "a" / "x.png")
    dataset = load("imagefolder", data=tmp_path, size=10, dev=0, standardise=False)
    assert (dataset.train.x == 1).all()


def test_the_folder_above_will_do_if_it_holds_one_album(album, monkeypatch):
    monkeypatch.setenv("PRUNEBOOK_DATA", str(album.parent))
    dataset = load("imagefolder", size=8, dev=0, limit=2)
    assert (len(dataset.train), len(dataset.test)) == (4, 4)
    assert set(dataset.checksums) == {"album/train", "album/val", "split"}
    assert where("imagefolder") == f"named folder: {album}"
    for part in ("train", "val"):
        (album.parent / "second" / part).mkdir(parents=True)
    with pytest.raises(DataError, match=r"several image folders \(album, second\)"):
        load("imagefolder")
    with pytest.raises(DataError, match="several"):
        where("imagefolder")


def test_the_checksum_covers_names_and_contents(album):
    def checksums():
        return load("imagefolder", data=album, size=8, dev=0).checksums

    before = checksums()
    assert checksums() == before
    path = album / "train" / "n1" / "0.JPEG"
    content = path.read_bytes()
    name = path.relative_to(album).as_posix().encode()
    path.write_bytes(content + b"\0")  # decodes the same
    assert checksums()["album/train"] != before["album/train"]
    assert checksums()["album/val"] == before["album/val"]
    path.write_bytes(content)
    assert checksums() == before
    path.rename(path.with_name("00.JPEG"))
    assert checksums()["album/train"] != before["album/train"]
    only = hashlib.sha256(b"%d:%s%d:" % (len(name), name, len(content)) + content).hexdigest()
    for other in album.rglob("*.JPEG"):
        if other.parts[-3] == "train" and other.name != "00.JPEG":
            other.unlink()
    path.with_name("00.JPEG").rename(path)
    (album / "train" / "n2").rmdir()
    for other in (album / "val" / "n2").iterdir():
        other.unlink()
    (album / "val" / "n2").rmdir()
    assert checksums()["album/train"] == f"sha256:{only}"


def test_unreadable_pictures_are_all_named(album):
    cut = album / "train" / "n1" / "2.JPEG"
    cut.write_bytes(cut.read_bytes()[:-40])
    (album / "val" / "n2" / "1.JPEG").write_text("not a picture")
    with pytest.raises(DataError, match=r"2 unreadable: train/n1/2\.JPEG .*; val/n2/1\.JPEG"):
        load("imagefolder", data=album, size=8, dev=0)


def test_albums_that_do_not_fit_are_refused(album):
    with pytest.raises(InputError, match="imagefolder needs a folder"):
        load("imagefolder")
    with pytest.raises(DataError, match="PRUNEBOOK_DATA"):
        where("imagefolder")
    with pytest.raises(DataError, match="holds no image folder"):
        load("imagefolder", data=album / "train")
    with pytest.raises(InputError, match="dev=12 held out"):
        load("imagefolder", data=album, size=8, dev=12)
    draw(album / "train" / "n3" / "0.JPEG", 8, 8, (0, 0, 0))
    with pytest.raises(DataError, match=r"only in train/ or only in val/: n3"):
        load("imagefolder", data=album)
    (album / "val" / "n3").mkdir()
    with pytest.raises(DataError, match="no valid file for the classes n3"):
        load("imagefolder", data=album)
