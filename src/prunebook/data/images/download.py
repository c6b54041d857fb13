"""Downloads into the cache, bounded in time; pooch compares checksums, and nothing half-done is left there."""

import functools
import http.client
import shutil
import tarfile
import tempfile
import threading
import urllib.request
from pathlib import Path

from filelock import FileLock, Timeout

from prunebook.data.images.published import look
from prunebook.paths import tidy

PATIENCE = 5.0  # seconds without an answer from a server before it counts as not there
LOCK_PATIENCE = 900.0  # seconds to wait for another process that is downloading the same data


class NoDownload(Exception):
    """The data could not be brought into the cache; the message says why."""


def fetch(name: str, cache: Path) -> None:
    """Make sure that ``cache`` holds all files of the data set. Safe for several processes at once.

    The files are downloaded to a scratch folder, and only moved to their places when all are there.
    Raises NoDownload if there is no network, a download is damaged, or the cache cannot be written.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f"{name}.lock", timeout=LOCK_PATIENCE):
            if not look(name, cache)[1]:
                return
            for left in cache.glob(f".download-{name}-*"):  # of a process that was killed
                shutil.rmtree(left, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=cache, prefix=f".download-{name}-") as scratch:
                _download(name, Path(scratch))
                for file in look(name, Path(scratch))[0]:
                    (cache / file).parent.mkdir(parents=True, exist_ok=True)
                    (Path(scratch) / file).replace(cache / file)
    except Timeout as error:
        raise NoDownload(f"another process holds {tidy(cache)}/{name}.lock") from error
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise NoDownload(f"the cache folder {tidy(cache)} cannot be used: {reason}") from error


def _download(name: str, folder: Path) -> None:
    from torchvision.datasets import CIFAR10, MNIST

    if name == "mnist":
        for gz, md5 in MNIST.resources:
            _first([f"{mirror}{gz}" for mirror in MNIST.mirrors], md5, folder / "MNIST" / "raw" / gz)
    else:
        _first([CIFAR10.url], CIFAR10.tgz_md5, folder / CIFAR10.filename)
        with tarfile.open(folder / CIFAR10.filename) as packed:
            packed.extractall(folder, filter="data")


def _first(urls: list[str], md5: str, path: Path) -> None:
    """Download from the first of the mirrors that delivers."""
    import pooch

    pooch.get_logger().setLevel("WARNING")
    downloader, reasons = pooch.HTTPDownloader(timeout=PATIENCE), []
    for url in urls:
        reason = refusal(url)
        if not reason:
            try:
                pooch.retrieve(url, f"md5:{md5}", path.name, path.parent, downloader=downloader)
                return
            except (OSError, ValueError) as error:
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
        except (OSError, http.client.HTTPException) as error:
            answer[0] = str(getattr(error, "reason", "") or error) or type(error).__name__

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return answer[0]
