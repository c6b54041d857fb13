"""The whole book at smoke scale, built again from what is stored, against building it from nothing.

    python benchmarks/whole_book.py [--scale smoke]

The first build trains, measures and stores; the second one finds all of it, as it does when only a page was changed.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]


def build(scale: str, folder: Path) -> float:
    """Seconds of one build into a folder of its own, where its results and its cache are, too."""
    environment = os.environ | {"PRUNEBOOK_RESULTS": str(folder / "results"), "PRUNEBOOK_CACHE": str(folder / "cache")}
    command = [sys.executable, str(ROOT / "book" / "build.py"), "--scale", scale, "--output", str(folder)]
    start = time.perf_counter()
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise RuntimeError(f"the book could not be built; its last words: {done.stdout[-2000:]}")
    return time.perf_counter() - start


def main(arguments: Sequence[str] | None = None) -> list[dict]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", default="smoke", choices=("smoke", "laptop"))
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        committed = ROOT / "data" / "results" / "paper"
        if committed.is_dir():
            shutil.copytree(committed, folder / "results" / "paper")
        first = build(options.scale, folder)
        again = build(options.scale, folder)
        runs = len(list((folder / "results" / options.scale).glob("*/*/*/record.json")))
    rows = [
        {
            "name": f"the whole book, {options.scale} scale",
            "size": f"{runs} runs",
            "seconds": again,
            "rival": "with nothing stored",
            "rival_seconds": first,
            "ratio": first / again,
            "peak_mib": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**10),
            "note": "the second time nothing is measured: notebooks are executed on what is stored, and pages laid out",
        }
    ]
    print(pd.DataFrame(rows).to_string(index=False, float_format="%.3g"))
    return rows


if __name__ == "__main__":
    main()
