"""Bounded downloads into the cache, through torchvision and its mirrors; nothing half-done is left there."""

import functools
import http.client
import socket
import tarfile
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from prunebook.data.images.folders import tidy
from prunebook.data.images.published import damage, look

PATIENCE = 5.0  # seconds without an answer from a server before it counts as not there
LOCK_PATIENCE = 900.0  # seconds to wait for another process that is downloading the same data
_TROUBLE = (OSError, RuntimeError, EOFError, http.client.HTTPException, tarfile.TarError)


class NoDownload(Exception):
    """The data could not be brought into the cache; the message says why."""


def fetch(name: str, cache: Path) -> None:
    """Make sure that ``cache`` holds all files of the data set. Safe for several processes at once.

    The files are downloaded to a scratch folder, checked, and only then moved to their places.
    Raises NoDownload if there is no network, a download is damaged, or the cache cannot be written.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f"{name}.lock", timeout=LOCK_PATIENCE):
            if not look(name, cache)[1]:
                return
            with tempfile.TemporaryDirectory(dir=cache, prefix=".download-") as scratch:
                _download(name, Path(scratch))
                _move(name, Path(scratch), cache)
    except Timeout as error:
        raise NoDownload(f"another process holds {tidy(cache)}/{name}.lock") from error
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise NoDownload(f"the cache folder {tidy(cache)} cannot be used: {reason}") from error


def _move(name: str, scratch: Path, cache: Path) -> None:
    present, missing = look(name, scratch)
    wrong = [*missing, *filter(None, (damage(scratch, *item) for item in present.items()))]
    if wrong:
        raise NoDownload(f"the download failed: what came is not the published data ({wrong[0]})")
    for file in present:
        (cache / file).parent.mkdir(parents=True, exist_ok=True)
        (scratch / file).replace(cache / file)


def _download(name: str, folder: Path) -> None:
    from torchvision.datasets import CIFAR10, MNIST
    from torchvision.datasets.utils import download_and_extract_archive, download_url

    if name == "mnist":
        raw = str(folder / "MNIST" / "raw")
        for gz, md5 in MNIST.resources:
            _first(
                [f"{mirror}{gz}" for mirror in MNIST.mirrors], download_url, root=raw, filename=gz, md5=md5
            )
    else:
        file, md5 = CIFAR10.filename, CIFAR10.tgz_md5
        _first([CIFAR10.url], download_and_extract_archive, download_root=str(folder), filename=file, md5=md5)


def _first(urls: list[str], call, **arguments) -> None:
    """Download from the first of the mirrors that delivers."""
    reasons = []
    for url in urls:
        reason = refusal(url)
        if not reason:
            try:
                with _impatient():
                    return call(url, **arguments)
            except _TROUBLE as error:
                reason = str(error) or type(error).__name__
        reasons.append(f"{url.split('/')[2]}: {reason.strip().rstrip('.')}")
    raise NoDownload(f"the download failed: {'; '.join(reasons)}")


@functools.cache
def refusal(url: str) -> str:
    """Why ``url`` cannot be had; "" if it can. Asked once in a process, so that many loads wait only once.

    The question runs in a thread because looking up a host's name knows no time limit.
    """
    answer = [f"no answer in {PATIENCE:g} s"]

    def ask() -> None:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=PATIENCE):
                answer[0] = ""
        except _TROUBLE as error:
            answer[0] = str(getattr(error, "reason", "") or error) or type(error).__name__

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return answer[0]


@contextmanager
def _impatient() -> Iterator[None]:
    """torchvision opens its connections without a time limit; give them one."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
