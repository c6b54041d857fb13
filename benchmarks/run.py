"""Run the benchmarks of this folder, one after the other, and keep the table in data/benchmarks.json.

Each benchmark has a ``main()`` that returns rows; each runs in a process of its own, so that peak memory is its own.
With ``--only``, the rows of the others stay as they are, under the date and the commit of their own run.

    python benchmarks/run.py [--threads 2] [--only measurement]
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

    from prunebook.store.machine import hardware

    if threads:
        torch.set_num_threads(threads)
    sys.argv = [script]
    sys.path.insert(0, str(HERE))  # where scripts find what they share
    rows = runpy.run_path(script, run_name="benchmark")["main"]()
    unit = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, KiB elsewhere
    return rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, hardware()


def run(scripts: list[str], threads: int | None) -> tuple[dict, list[dict], list[str]]:
    """What each script was measured with, by its name; all rows; and what failed."""
    from prunebook.store.machine import commit, versions

    runs, rows, failed = {}, [], []
    context = multiprocessing.get_context("spawn")
    sha, dirty = commit()
    for name in scripts:
        print(f"\n== {name}", flush=True)
        try:
            with context.Pool(1) as pool:
                found, memory, facts = pool.apply(measure, (str(HERE / f"{name}.py"), threads))
        except Exception as error:  # hours of the others are not lost to it
            failed.append(f"{name}: {error}")
            print(failed[-1], flush=True)
            continue
        rows += [{"peak_mib": round(memory), **row, "script": name} for row in found]
        date = datetime.now(UTC).date().isoformat()
        runs[name] = {"date": date, "commit": sha, "dirty": dirty, "versions": versions(), "hardware": facts}
    return runs, rows, failed


def merged(old: dict, runs: dict, rows: list[dict], scripts: list[str]) -> dict:
    """The new rows in place of the old ones of the same script; those of scripts that are no more go."""
    kept = [row for row in old.get("rows", []) if row["script"] in scripts and row["script"] not in runs]
    return {
        "runs": {
            name: {**old.get("runs", {}), **runs}[name] for name in sorted({r["script"] for r in kept} | set(runs))
        },
        "rows": sorted([*kept, *rows], key=lambda row: row["script"]),
    }


if __name__ == "__main__":
    scripts = sorted(p.stem for p in HERE.glob("*.py") if p.stem != "run" and not p.stem.startswith("_"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, help="torch threads; default: torch's own choice")
    parser.add_argument("--only", nargs="+", choices=scripts, default=scripts, metavar="NAME", help="which")
    options = parser.parse_args()
    runs, rows, failed = run(options.only, options.threads)
    old = json.loads(TABLE.read_text(encoding="utf-8")) if TABLE.is_file() else {}
    text = json.dumps(merged(old, runs, rows, scripts), indent=1, default=float) + "\n"
    TABLE.write_text(text, encoding="utf-8")
    print(f"\nwritten: {TABLE.relative_to(HERE.parent)}")
    sys.exit("\n".join(failed) or 0)
