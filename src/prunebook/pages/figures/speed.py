"""How the time of our way, and of the straightforward way, grows with the size of the problem."""

import pandas as pd

from prunebook.pages.figures.curves import Axis, Curves
from prunebook.pages.figures.layout import Drawing
from prunebook.pages.figures.style import Look, in_house_style

LOOKS = {
    "seconds": Look("#0072b2", "o", (), "Our way"),
    "rival_seconds": Look("#d55e00", "s", (), "The straightforward way, partly extrapolated"),
    "floor": Look("#4d4d4d", "", (1.2, 1.8), "The arithmetic alone"),
}


def sizes(rows: list[dict]) -> pd.DataFrame:
    """Rows of benchmarks as a table: panel, of, size, seconds, rival_seconds, floor; panels of two sizes or more.

    Where one of our ways has two rivals, the quicker one counts.
    """
    found = [
        (*row["scaling"], row["seconds"], row.get("rival_extrapolated") or row["rival_seconds"], row["floor"])
        for row in rows
        if "scaling" in row
    ]
    table = pd.DataFrame(found, columns=["panel", "of", "size", *LOOKS])
    table = table.groupby(["panel", "of", "size"], as_index=False, sort=False).min()
    table = table[table.groupby("panel")["size"].transform("size") > 1]
    return table.sort_values(["panel", "size"], ignore_index=True)


@in_house_style
def time_by_size(table: pd.DataFrame) -> Drawing:
    """A panel a benchmark: seconds against size, both logarithmic. Raises InputError for a table without rows."""
    rows = table.melt(["panel", "of", "size"], list(LOOKS), "curve", "y")
    rows["panel"] = rows["panel"].str.capitalize().str.wrap(26) + "\nby " + rows["of"]
    return Curves(
        rows.assign(x=rows["size"]), LOOKS, Axis("Size", "log", own=True), {"": Axis("Seconds", "log", own=True)}
    ).draw()
