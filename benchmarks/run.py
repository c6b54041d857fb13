"""Run every benchmark of this folder, one after the other, and keep the table in data/benchmarks.json.

Each benchmark has a ``main()`` that returns rows; each runs in a process of its own, so that peak memory is its own.

    python benchmarks/run.py [--threads 2]
"""

import argparse
import json
import multiprocessing
import resource
import runpy
import sys
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
TABLE = HERE.parent / "data" / "benchmarks.json"


def measure(script: str, threads: int | None) -> tuple[list[dict], float, dict]:
    """Rows of one benchmark, its peak memory in MiB, and the hardware it ran on."""
    import torch

    from prunebook.provenance import hardware

    if threads:
        torch.set_num_threads(threads)
    sys.argv = [script]
    sys.path.insert(0, str(HERE))  # where scripts find what they share
    rows = runpy.run_path(script, run_name="benchmark")["main"]()
    unit = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, KiB elsewhere
    return rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, hardware()


def run(threads: int | None) -> dict:
    from prunebook.provenance import commit, versions

    rows, facts, failed = [], {}, []
    context = multiprocessing.get_context("spawn")
    for script in sorted(HERE.glob("*.py")):
        if script.name == Path(__file__).name or script.name.startswith("_"):
            continue
        print(f"\n== {script.name}", flush=True)
        try:
            with context.Pool(1) as pool:
                found, memory, facts = pool.apply(measure, (str(script), threads))
        except Exception as error:  # hours of the others are not lost to it
            failed.append(f"{script.name}: {error}")
            print(failed[-1], flush=True)
            continue
        rows += [{"peak_mib": round(memory), **row, "script": script.stem} for row in found]
    sha, dirty = commit()
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": sha,
        "dirty": dirty,
        "versions": versions(),
        "hardware": facts,
        "rows": rows,
        "failed": failed,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, help="torch threads; default: torch's own choice")
    table = run(parser.parse_args().threads)
    failed = table.pop("failed")
    text = json.dumps(table, indent=1, default=float) + "\n"
    TABLE.write_text(text, encoding="utf-8")
    print(f"\nwritten: {TABLE.relative_to(HERE.parent)}")
    sys.exit("\n".join(failed) or 0)
