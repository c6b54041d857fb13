"""How the time of our way, and of the straightforward way, grows with the size of the problem."""

from textwrap import fill

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from prunebook.pages.figures.layout import log_axis, wrapped
from prunebook.pages.figures.lines import finish
from prunebook.pages.figures.style import Look, handle, in_house_style

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
def time_by_size(table: pd.DataFrame) -> Figure:
    """A panel a benchmark: seconds against size, both logarithmic. Raises InputError for a table without rows."""
    groups = list(table.groupby("panel"))
    figure, panels = wrapped(len(groups), 2.1)
    for axis, (panel, rows) in zip(panels, groups, strict=True):
        for column, look in LOOKS.items():
            sns.lineplot(rows, x="size", y=column, errorbar=None, ax=axis, legend=False, **look.line)
        axis.set_title(fill(panel[0].upper() + panel[1:], 26), loc="left")
        axis.set(xlabel=rows["of"].iloc[0], ylabel="seconds" if axis.get_subplotspec().is_first_col() else "")
        log_axis(axis, "x", 4), log_axis(axis, "y", 5)
    return finish(figure, map(handle, LOOKS.values()))
