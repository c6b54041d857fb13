"""Statistics of what replaces a unit and of the moments it keeps: the study mr-moments."""

import numpy as np
import pandas as pd

from prunebook.errors import InputError
from prunebook.evidence.statistics.general import chosen
from prunebook.evidence.statistics.ranks import spearman
from prunebook.evidence.statistics.registry import frame, statistic

PLACE = ["net", "seed", "step", "score", "amount", "layers"]


def _wide(moments: pd.DataFrame, replacements: list[str], images: str, column: str) -> pd.DataFrame:
    """A column of the table ``moments``, a row a place and a column a replacement."""
    rows = chosen(moments, {"images": images, "replacement": replacements}, [*PLACE, "replacement", column])
    wide = rows.set_index([*PLACE, "replacement"])[column].unstack("replacement")  # noqa: PD010 - keeps gaps
    if missing := [name for name in replacements if name not in wide]:
        raise InputError(f"nothing was replaced by {missing[0]!r}")
    return wide


@statistic(log=False, scale="correlation")
def foretold_by_variance(tables, *, images, column="loss"):
    """Rank correlation over places between the share of variance that the mean keeps and its gain over zero."""
    losses = _wide(tables["moments"], ["zero", "mean"], images, column)
    kept = _wide(tables["moments"], ["mean"], images, "variance_kept")["mean"]
    both = pd.DataFrame({"kept": kept, "gain": losses["zero"] - losses["mean"]}).dropna()
    return frame(
        {"cell": net, "seed": seed, "value": spearman(group["kept"], group["gain"])}
        for (net, seed), group in both.groupby(["net", "seed"])
    )


@statistic(log=False)
def left_to_gain(tables, *, repaired, against, images, column="loss"):
    """What ``against`` gains over ``repaired``, as a share of zero's penalty; both are means over places.

    The penalty is over the network that nothing was taken from, in rows with the replacement "none".
    """
    wide = _wide(tables["moments"], ["zero", repaired, against], images, column).dropna()
    whole = chosen(tables["moments"], {"images": images, "replacement": "none"}, ["net", "seed", "step", column])
    if whole.empty or wide.empty:
        raise InputError(f"there are no rows of {repaired!r}, or of the network that nothing was taken from")
    whole = whole.groupby(["net", "seed", "step"])[column].mean()
    penalty = wide["zero"] - whole.reindex(wide.index.droplevel(PLACE[3:])).to_numpy()
    keys = [wide.index.get_level_values(name) for name in ("net", "seed")]
    share = (wide[repaired] - wide[against]).groupby(keys).mean() / penalty.groupby(keys).mean()
    if not np.isfinite(share).all():
        raise InputError("zero has no penalty, so that there is no share of it")
    return frame({"cell": net, "seed": seed, "value": value} for (net, seed), value in share.items())
