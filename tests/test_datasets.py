"""Finding, verifying and reading MNIST and CIFAR-10, with made-up files in their formats and no network."""

import gzip
import hashlib
import http.server
import io
import logging
import multiprocessing
import os
import pickle
import re
import socket
import struct
import tarfile
import threading
import time
import warnings
from functools import partial
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from torchvision.datasets import CIFAR10, MNIST

from prunebook.data.images import download, load, published, where
from prunebook.errors import DataError, InputError

GZ = [name for name, _ in MNIST.resources]


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def idx(array: np.ndarray) -> bytes:
    """The format of MNIST's files: zero, zero, 8 (bytes), dimensions; big-endian sizes; then the bytes."""
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(np.uint8).tobytes()


def write(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """No named folder, an empty cache, no network."""
    monkeypatch.delenv("PRUNEBOOK_DATA", raising=False)
    monkeypatch.setenv("PRUNEBOOK_CACHE", str(tmp_path / "cache"))

    def unreachable(*args, **kwargs):
        raise URLError("no network in tests")

    forget = download.refusal.cache_clear
    forget()
    with monkeypatch.context() as patch:
        patch.setattr("urllib.request.urlopen", unreachable)
        yield patch
    forget()


def absent(name, data=None):
    """Why a data set is not there."""
    with pytest.raises(DataError) as error:
        where(name, data)
    return str(error.value)


@pytest.fixture
def mnist(monkeypatch):
    """A tiny MNIST: {path: packed bytes}, with torchvision's list of md5s to match; and its arrays."""
    rng = np.random.default_rng(0)
    arrays = [
        rng.integers(0, 256, (60, 28, 28)),
        np.arange(60) % 10,
        rng.integers(0, 256, (20, 28, 28)),
        np.arange(20) % 10,
    ]
    packed = {gz: gzip.compress(idx(array)) for gz, array in zip(GZ, arrays, strict=True)}
    monkeypatch.setattr(MNIST, "resources", [(gz, md5(packed[gz])) for gz in GZ])
    monkeypatch.setattr(published, "UNPACKED", {gz[:-3]: md5(gzip.decompress(packed[gz])) for gz in GZ})
    return {f"MNIST/raw/{gz}": content for gz, content in packed.items()}, arrays


@pytest.fixture
def cifar10(monkeypatch):
    """A tiny CIFAR-10 (two training batches), likewise."""
    rng = np.random.default_rng(1)
    names = ["data_batch_1", "data_batch_2", "test_batch"]
    arrays = [rng.integers(0, 256, (20, 3072), dtype=np.uint8) for _ in names]
    labels = [int(v) for v in np.arange(20) % 10]
    files = {n: pickle.dumps({"data": a, "labels": labels}) for n, a in zip(names, arrays, strict=True)}
    files["batches.meta"] = pickle.dumps({"label_names": list("abcdefghij")})
    monkeypatch.setattr(CIFAR10, "train_list", [[n, md5(files[n])] for n in names[:2]])
    monkeypatch.setattr(CIFAR10, "test_list", [[n, md5(files[n])] for n in names[2:]])
    meta = {"filename": "batches.meta", "key": "label_names", "md5": md5(files["batches.meta"])}
    monkeypatch.setattr(CIFAR10, "meta", meta)
    return {f"cifar-10-batches-py/{n}": content for n, content in files.items()}, arrays


def check_mnist(dataset, arrays):
    """Every value, against our own arithmetic in float64."""
    train_x, train_y, test_x, test_y = arrays
    assert (dataset.name, dataset.requested, dataset.stand_in, dataset.notice) == ("mnist", "mnist", False, "")
    for split, x, y in ((dataset.train, train_x, train_y), (dataset.test, test_x, test_y)):
        assert split.x.dtype == torch.float32
        assert split.y.dtype == torch.int64
        assert split.x.is_contiguous()
        np.testing.assert_allclose(split.x[:, 0], (x / 255 - 0.1307) / 0.3081, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(split.y, y)


def snapshot(root: Path) -> dict[str, tuple[int, int]]:
    return {str(p): (p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(root.rglob("*"))}


def test_packed_mnist_is_read_from_a_folder_that_is_only_read(tmp_path, mnist):
    files, arrays = mnist
    root = write(tmp_path / "data", files)
    for path in [*root.rglob("*"), root]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = snapshot(root)
    dataset = load("mnist", data=root, dev=0)
    assert snapshot(root) == before  # the mode does not bind the superuser
    assert not (tmp_path / "cache").exists()
    check_mnist(dataset, arrays)
    assert dataset.origin == "named folder"
    assert dataset.classes == tuple("0123456789")
    assert dataset.checksums["MNIST/raw/" + GZ[0]] == f"md5:{md5(files['MNIST/raw/' + GZ[0]])}"
    assert dataset.standardisation == ((0.1307,), (0.3081,))
    assert len(dataset.dev) == 0


def test_unpacked_mnist_is_read_and_checked(tmp_path, mnist):
    files, arrays = mnist
    root = write(tmp_path, {name[:-3]: gzip.decompress(content) for name, content in files.items()})
    check_mnist(load("mnist", data=root, dev=0), arrays)
    path = root / "MNIST/raw" / GZ[1][:-3]
    path.write_bytes(path.read_bytes()[:-1] + b"\7")
    with pytest.raises(DataError, match=f"{GZ[1][:-3]} .*md5 expected .*found"):
        load("mnist", data=root, dev=0)


def test_cifar10_is_read_in_order_and_standardised_per_channel(tmp_path, cifar10):
    files, arrays = cifar10
    dataset = load("cifar10", data=write(tmp_path, files), dev=0)
    mean, std = (np.array(v).reshape(1, 3, 1, 1) for v in published.STANDARDISATION["cifar10"])
    for split, rows in ((dataset.train, np.vstack(arrays[:2])), (dataset.test, arrays[2])):
        expected = (rows.reshape(-1, 3, 32, 32) / 255 - mean) / std
        np.testing.assert_allclose(split.x, expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(split.y, np.arange(len(rows)) % 10)
        assert split.x.is_contiguous()
    assert dataset.classes == tuple("abcdefghij")
    assert dataset.name == "cifar10"
    assert not dataset.stand_in


def test_without_standardisation_pixels_are_in_the_unit_interval(tmp_path, mnist):
    files, arrays = mnist
    dataset = load("mnist", data=write(tmp_path, files), dev=0, standardise=False)
    np.testing.assert_allclose(dataset.train.x[:, 0], arrays[0] / 255, rtol=1e-6)
    assert dataset.standardisation == ((0.0,), (1.0,))


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_one_cut_flipped_or_missing_file_is_one_error_that_names_it(tmp_path, name, request):
    files, _ = request.getfixturevalue(name)
    for number, (file, content) in enumerate(files.items()):
        flipped = bytearray(content)
        flipped[len(content) // 2] ^= 1
        for what, bad in (("cut", content[:-5]), ("flipped", bytes(flipped)), ("empty", b"")):
            root = write(tmp_path / f"{number}{what}", {**files, file: bad})
            with pytest.raises(DataError) as error:
                load(name, data=root, dev=0)
            for part in (str(root / file), f"{len(bad):,} bytes", md5(content), md5(bad)):
                assert part in str(error.value)
            assert absent(name, root) == str(error.value)
        root = write(tmp_path / f"{number}missing", {f: c for f, c in files.items() if f != file})
        with pytest.raises(DataError, match="does not hold") as error:
            load(name, data=root, dev=0)
        assert file in str(error.value)
        assert str(root) in str(error.value)
        assert sum(f in str(error.value) for f in files) == 1


def test_a_named_folder_never_gets_a_stand_in(tmp_path, monkeypatch, mnist):
    write(tmp_path / "cache", mnist[0])  # not even when the cache holds the data
    with pytest.raises(DataError, match=r"data=\S+nowhere is not a readable folder"):
        load("mnist", data=tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"data=\S+empty does not hold MNIST: expected MNIST/raw/train-images"):
        load("mnist", data=tmp_path / "empty")
    monkeypatch.setenv("PRUNEBOOK_DATA", str(tmp_path / "empty"))
    with pytest.raises(DataError, match=r"PRUNEBOOK_DATA=\S+empty does not hold CIFAR-10: expected cifar-10-bat"):
        load("cifar10")


def test_the_argument_goes_before_the_environment_and_that_before_the_cache(tmp_path, monkeypatch, mnist):
    files, arrays = mnist
    write(tmp_path / "cache", files)
    assert load("mnist", data="", dev=0).origin == "cache"  # an empty name names nothing
    check_mnist(load("mnist", dev=0, download=False), arrays)
    monkeypatch.setenv("PRUNEBOOK_DATA", str(write(tmp_path / "data", files)))
    assert load("mnist", dev=0).origin == "named folder"
    with pytest.raises(DataError, match="empty"):
        load("mnist", data=write(tmp_path / "empty", {"unrelated": b""}))


def test_a_damaged_cache_is_an_error_that_says_how_to_mend_it(tmp_path, mnist):
    files, _ = mnist
    write(tmp_path / "cache", {**files, "MNIST/raw/" + GZ[2]: b"half"})
    with pytest.raises(DataError, match=f"{GZ[2]} .*delete it and it is downloaded again"):
        load("mnist")
    assert "delete it and it is downloaded again" in absent("mnist")


@pytest.mark.parametrize(
    ("name", "title", "channels", "side"), [("mnist", "MNIST", 1, 28), ("cifar10", "CIFAR-10", 3, 32)]
)
def test_the_stand_in_announces_itself(caplog, name, title, channels, side):
    with caplog.at_level(logging.WARNING, "prunebook.data.images"):
        dataset = load(name)
    assert (dataset.name, dataset.requested, dataset.origin) == ("digits", name, "scikit-learn")
    assert dataset.stand_in
    assert [record.getMessage() for record in caplog.records] == [dataset.notice]
    assert f"no number from it is a measurement on {title}" in dataset.notice
    assert "no folder named, and the download failed" in dataset.notice
    assert "no network in tests" in dataset.notice
    assert not any("raw" in file or "batch" in file for file in dataset.checksums)
    assert dataset.test.x.shape == (360, channels, side, side)
    # 5,000 of 60,000 or 50,000, as a share of 1,437
    assert len(dataset.dev) == {"mnist": 120, "cifar10": 144}[name]
    assert len(dataset.train) + len(dataset.dev) == 1437
    assert abs(dataset.train.x.mean()) < 0.01
    assert abs(dataset.train.x.std() - 1) < 0.01


def test_the_stand_in_takes_any_limit_and_says_when_downloads_are_off():
    dataset = load("mnist", limit=10_000, download=False)
    assert len(dataset.train) == 1437 - 120
    assert "downloads are switched off" in dataset.notice
    assert len(load("mnist", limit=50, dev=0, download=False).train) == 50
    for dev in (60_000, 100_000):
        with pytest.raises(InputError, match="give a smaller dev"):
            load("mnist", dev=dev, limit=10, download=False)


def test_an_unusable_cache_is_the_reason_given(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setenv("PRUNEBOOK_CACHE", str(tmp_path / "file" / "cache"))
    dataset = load("mnist")
    assert dataset.stand_in
    shown = Path("~") / "file" / "cache"  # a published page does not tell where its author's home is
    assert f"the cache folder {shown} cannot be used: Not a directory" in dataset.notice


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "mnits"}, "unknown data set 'mnits'; one of mnist, cifar10, digits, imagefolder"),
        ({"dev": -1}, "dev=-1 must be"),
        ({"limit": 0}, "limit=0 must be"),
        ({"size": 0}, "size=0 must be"),
        ({"device": "abacus"}, "device abacus cannot be used here"),
        ({"dev": 60}, "dev=60 held out and at least 1 kept is more than the 60 training images of mnist"),
        ({"dev": 31, "limit": 30}, "limit=30 kept is more than the 60"),
    ],
)
def test_bad_arguments_are_refused(tmp_path, mnist, arguments, message):
    root = write(tmp_path, mnist[0])
    with pytest.raises(InputError, match=message):
        load(**{"name": "mnist", "data": root, **arguments})
    assert len(load("mnist", data=root, dev=30, limit=30).train) == 30


def test_where_tells_what_there_is_and_touches_nothing(tmp_path, mnist):
    files, _ = mnist
    root = write(tmp_path / "data", files)
    assert where("mnist", root) == f"named folder: {root}"
    (root / "MNIST/raw" / GZ[3]).unlink()
    assert re.search(f"expected MNIST/raw/{GZ[3]} below .*put the missing files of MNIST", absent("mnist", root))
    assert all(file in absent("mnist") for file in files)
    assert "PRUNEBOOK_DATA" in absent("mnist")
    assert not (tmp_path / "cache").exists()
    assert "not a readable folder" in absent("mnist", tmp_path / "nowhere")
    assert where("digits") == "scikit-learn"
    write(tmp_path / "cache", files)
    assert where("mnist") == f"cache: {tmp_path / 'cache'}"
    with pytest.raises(InputError, match="unknown data set"):
        where("mnits")


LAYOUTS = {
    "the folder": lambda root: root,
    "one level too deep": lambda root: root / "MNIST",
    "two levels too deep": lambda root: root / "MNIST" / "raw",
    "small letters": lambda root: (root / "MNIST").rename(root / "mnist").parent,
    "a dot in the names": lambda root: [path.rename(path.with_name(path.name.replace("-idx", ".idx")))
                                        for path in (root / "MNIST" / "raw").iterdir()] and root,
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_mnist_is_found_as_people_have_it(tmp_path, mnist, layout):
    files, arrays = mnist
    folder = LAYOUTS[layout](write(tmp_path / "named", files))
    found = load("mnist", data=folder, dev=0)
    check_mnist(found, arrays)
    if "dot" not in layout:
        assert set(found.checksums) == {*files, "split"}, "the same files have the same names in a record"
    assert where("mnist", folder) == f"named folder: {folder}"


def test_cifar10_is_found_one_level_too_deep_and_packed_it_is_named(tmp_path, cifar10):
    files, _ = cifar10
    folder = write(tmp_path / "named", files)
    assert len(load("cifar10", data=folder / CIFAR10.base_folder, dev=0).train) == 40
    packed = write(tmp_path / "packed", {"cifar-10-python.tar.gz": b"x"})
    with pytest.raises(DataError, match=r"still packed: unpack it there \(tar -xzf"):
        load("cifar10", data=packed)
    assert "tar -xzf" in absent("cifar10", packed)
    other = write(tmp_path / "other", {"mnist.npz": b"x"})
    with pytest.raises(DataError, match=r"but there is mnist\.npz: put the missing files of MNIST below"):
        load("mnist", data=other)


# ---- downloads, from a server on this machine


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path, alone):
    alone.undo()  # the network is back
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        alone.delenv(variable, raising=False)
    root = tmp_path / "served"
    root.mkdir()
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root)))
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield root, f"http://127.0.0.1:{running.server_port}/"
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture
def silent_server():
    """Accepts connections and never says a word; hangs up after ten seconds, so that no test can hang."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        hang_up = threading.Timer(10, listening.close)
        hang_up.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        hang_up.cancel()
        hang_up.join()


def test_mnist_is_downloaded_from_the_second_mirror(tmp_path, monkeypatch, mnist, server):
    files, arrays = mnist
    root, url = server
    write(root, {"good/" + Path(name).name: content for name, content in files.items()})
    monkeypatch.setattr(MNIST, "mirrors", [url + "gone/", url + "good/"])
    check_mnist(load("mnist", dev=0), arrays)
    left = {p.relative_to(tmp_path / "cache").as_posix() for p in (tmp_path / "cache").rglob("*") if p.is_file()}
    assert left == {*files, "mnist.lock"}


def test_a_download_with_wrong_contents_leaves_nothing_behind(tmp_path, monkeypatch, mnist, server):
    files, _ = mnist
    root, url = server
    write(root, {Path(name).name: content for name, content in files.items()})
    write(root, {GZ[3]: b"<html>log in to the network first</html>"})
    monkeypatch.setattr(MNIST, "mirrors", [url])
    dataset = load("mnist")
    assert dataset.stand_in
    assert "corrupted" in dataset.notice
    assert [p.name for p in (tmp_path / "cache").iterdir()] == ["mnist.lock"]
    write(root, {Path(name).name: content for name, content in files.items()})
    assert not load("mnist", dev=0).stand_in


@pytest.mark.filterwarnings("ignore:.*filter:DeprecationWarning")  # tarfile's, from torchvision
def test_cifar10_is_downloaded_and_unpacked(tmp_path, monkeypatch, cifar10, server):
    files, _ = cifar10
    root, url = server
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    write(root, {CIFAR10.filename: buffer.getvalue()})
    monkeypatch.setattr(CIFAR10, "url", url + CIFAR10.filename)
    monkeypatch.setattr(CIFAR10, "tgz_md5", md5(buffer.getvalue()))
    dataset = load("cifar10", dev=0)
    assert (dataset.name, dataset.origin, len(dataset.train)) == ("cifar10", "cache", 40)
    assert not (tmp_path / "cache" / CIFAR10.filename).exists()


def test_a_server_that_does_not_answer_is_given_up_and_not_asked_twice(monkeypatch, mnist, alone, silent_server):
    alone.undo()
    monkeypatch.setattr(download, "PATIENCE", 0.2)
    monkeypatch.setattr(MNIST, "mirrors", [silent_server])
    assert "no answer in 0.2 s" in (notice := load("mnist").notice) or "timed out" in notice
    monkeypatch.setattr("urllib.request.urlopen", lambda *a, **k: pytest.fail("asked again"))
    assert load("mnist").stand_in


def test_a_name_service_that_does_not_answer_is_given_up(monkeypatch, mnist, alone):
    """Looking up a host's name heeds no time limit."""
    released = threading.Event()

    def hang(*args, **kwargs):
        released.wait(20)
        raise URLError("too late")

    monkeypatch.setattr(download, "PATIENCE", 0.2)
    alone.setattr("urllib.request.urlopen", hang)
    before = set(threading.enumerate())
    try:
        assert load("mnist").notice.count("no answer in 0.2 s") == len(MNIST.mirrors)
        assert not released.is_set()
    finally:
        released.set()
        for thread in set(threading.enumerate()) - before:
            thread.join()


def test_a_connection_that_stalls_is_given_up(monkeypatch, mnist, alone, silent_server):
    alone.undo()
    monkeypatch.setattr(download, "PATIENCE", 0.2)
    monkeypatch.setattr(download, "refusal", lambda url: "")  # it answered, then fell silent
    monkeypatch.setattr(MNIST, "mirrors", [silent_server])
    assert "timed out" in load("mnist").notice
    assert socket.getdefaulttimeout() is None


def _fetch_and_leave(cache):
    try:
        download.fetch("mnist", cache)
        assert not published.look("mnist", cache)[1]
    except BaseException:
        os._exit(1)
    os._exit(0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_two_processes_download_once(tmp_path, monkeypatch, mnist):
    files, arrays = mnist
    cache, diary = tmp_path / "cache", tmp_path / "diary"

    def slow(name, folder):
        with diary.open("a") as f:
            f.write("downloading\n")
        for file, content in files.items():
            write(folder, {file: content})
            time.sleep(0.05)

    monkeypatch.setattr(download, "_download", slow)
    context = multiprocessing.get_context("fork")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: fork beside threads
        processes = [context.Process(target=_fetch_and_leave, args=(cache,)) for _ in range(2)]
        for process in processes:
            process.start()
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0, 0]
    assert diary.read_text() == "downloading\n"
    check_mnist(load("mnist", dev=0, download=False), arrays)
