"""Read every result below a folder, and compare it with another folder's, table by table, value by value.

    python tools/compare_results.py RESULTS [OTHER]

Only how long something took may differ. Prints one line; exit code 1 if a result is broken, missing, or different.
"""

import sys
from pathlib import Path

import pandas as pd

from prunebook.errors import ResultError
from prunebook.store.results import Result, Store

TIMINGS = ("seconds", "milliseconds")  # columns that begin so


def read(root: Path) -> dict[str, Result]:
    """Place → result, of all below ``root``; ResultError for one that is broken."""
    store = Store(root)
    found = sorted(path for path in root.glob("*/*/*/seed-*") if path.is_dir())
    return {str(path.relative_to(root)): store.open(path) for path in found}


def differences(one: dict[str, Result], other: dict[str, Result]) -> list[str]:
    """What differs between two sets of results."""
    found = [f"{place} is in one of the two only" for place in sorted(one.keys() ^ other.keys())]
    for place in sorted(one.keys() & other.keys()):
        mine, theirs = one[place].tables, other[place].tables
        found += [f"{place}: table {name} is in one of the two only" for name in sorted(mine.keys() ^ theirs.keys())]
        for name in sorted(mine.keys() & theirs.keys()):
            try:
                pd.testing.assert_frame_equal(
                    *(
                        table.drop(columns=[c for c in table if c.startswith(TIMINGS)])
                        for table in (mine[name], theirs[name])
                    ),
                    check_exact=True,
                )
            except AssertionError as error:
                found.append(f"{place}: table {name} differs: {' '.join(str(error).split())[:300]}")
    return found


def main() -> None:
    try:
        results = [read(Path(name).resolve()) for name in sys.argv[1:3]]
    except ResultError as error:
        sys.exit(print(error) or 1)
    tables = sum(len(result.tables) for result in results[0].values())
    whole = f"{len(results[0])} results with {tables} tables, all whole"
    if len(results) < 2:
        print(whole)
        return
    if found := differences(*results) or ([] if results[0] else ["there is nothing to compare"]):
        print("\n".join(found))
        sys.exit(1)
    print(f"{whole}, and equal in every value but how long it took")


if __name__ == "__main__":
    main()
