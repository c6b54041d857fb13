"""Which measuring lines do the probes of the fingerprints not reach? Fails below 98 % of a package.

    python tools/probe_coverage.py

Takes the fingerprint of every study under coverage.py, about a minute. Lines that raise are not counted. What no study
uses is exempt by name below: functions, methods, and whole classes.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import coverage

import prunebook

LEAST = 0.98
HOME = Path(prunebook.__file__).parent
PACKAGES = {
    "weights": ["weights/*.py"],
    "units": ["units/**/*.py"],
    "coresets": ["coresets/*.py"],
    "training": ["training/*.py"],
    "studies": ["studies/*/*.py"],
}
EXEMPT = {
    "is for a reader's own network or data": """
        apply prune Batches._raw _chunks single_changes single_changes.add _all_weights LayerStatistics.gram sparsity
        effective_sparsity Certificate certify _weights _neurons _logits _observed find_head _check_labels _check_output
        register
    """,
    "no study asks for, as outputs at several positions of a sample": """
        _Sums.add_row
        MapBiasConv2d _absorb _means masked_outputs penalty sample_size simultaneous fit _padding
    """,
    "is for other machines, or for what went wrong": "half_precision Trainer.load _wait write_atomically",
}


def functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, int, int]]:
    """Name, first and last line of each function and class, the outer ones first."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield f"{prefix}{node.name}", node.lineno, node.end_lineno
            yield from functions(node, f"{prefix}{node.name}.")


def holders(path: Path) -> dict[int, list[str]]:
    """Line → names of what it stands in, from the outside in."""
    found: dict[int, list[str]] = {}
    for name, first, last in functions(ast.parse(path.read_text(encoding="utf-8"))):
        for line in range(first, last + 1):
            found.setdefault(line, []).append(name)
    return found


def main() -> int:
    recorder = coverage.Coverage(source=["prunebook"], data_file=None, config_file=False)
    recorder.exclude(r"^\s*raise\b")
    with recorder.collect():
        from prunebook.store import fingerprints
        from prunebook.studies import STUDIES

        for study in STUDIES.values():
            fingerprints.take(study)
    exempt = {name for names in EXEMPT.values() for name in names.split()}
    unused, failed = set(exempt), []
    for package, patterns in PACKAGES.items():
        count, missed = 0, []
        for path in sorted(path for pattern in patterns for path in HOME.glob(pattern)):
            inside = holders(path)
            _, statements, _, missing, _ = recorder.analysis2(str(path))
            for line in statements:
                if free := exempt & set(inside.get(line, ())):
                    unused -= free if line in missing else set()
                    continue
                count += 1
                if line in missing:
                    missed.append(f"  {path.relative_to(HOME)}:{line} {(inside.get(line) or ['module'])[-1]}")
        share = 1 - len(missed) / count
        print(f"{package}: {share:.1%} of {count} lines", *missed, sep="\n")
        failed += [package] if share < LEAST else []
    if unused:
        print(f"exempt, but reached or gone: {', '.join(sorted(unused))}")
    return int(bool(failed or unused))


if __name__ == "__main__":
    sys.exit(main())
