"""The book's interactive figures: from a study's table to what :func:`prunebook.pages.interactive.lines` makes of it.

Looks are those of the static figures, and so are the numbers: means over the same seeds, left out by the same rules.
"""

from collections.abc import Sequence

import pandas as pd

from prunebook.evidence.statistics.elimination_compensation import PAPER_METHODS
from prunebook.pages.figures.coreset_parts import LOOKS as CORESETS
from prunebook.pages.figures.coreset_parts import ORDER, WAYS, unit_of
from prunebook.pages.figures.ec_diagnostics import MAIN
from prunebook.pages.figures.elimination_compensation import NAMES as COMPENSATION
from prunebook.pages.figures.mr_choices import profile_curves
from prunebook.pages.figures.mr_parts import LOOKS as SCORES
from prunebook.pages.figures.mr_parts import REPLACED, SETS, SIGNED, named, network_name
from prunebook.pages.figures.style import INK, Look, look
from prunebook.pages.figures.tables import CELL, STAGES, need
from prunebook.pages.interactive import Measure, lines
from prunebook.weights import METHODS

_DOTS = (1.2, 1.8)
DENSE = {
    "dense": Look(INK, "", (), "Dense, before pruning"),
    "dense-on": Look(INK, "", (5, 2), "Dense, trained on"),
}
FLOORS = {
    "noise": Look("#b30000", "", (1, 1.5), "Noise floor"),
    "blind_test": Look("#b30000", "", (4, 1.5, 1, 1.5), "Blind to the initial state"),
}
NAMES = COMPENSATION | {"accuracy": "Test accuracy"}
EVEN = Look(INK, "", _DOTS, "Same share in every layer")
AMOUNTS = (0.05, 0.1, 0.5)


def losses(table: pd.DataFrame, column: str = "loss", floors: pd.DataFrame | None = None) -> dict:
    """Loss or accuracy of all methods against ratio, by network, noise and stage; the paper's methods are on at first.

    The dense network is a level across all ratios: before pruning, and beside the fine-tuned ones as trained on too.
    So are the means of the positive ``floors``.
    """
    need(table, (*CELL, "seed", "method", "ratio", "stage", "reached", column), "losses")
    pruned = table[table["stage"].isin(list(STAGES)) & (table["method"] != "dense")]
    dense = table[table["method"] == "dense"]
    levels = [
        dense[dense["stage"] == state].assign(method=name, stage=stage)
        for state, stage, name in (
            ("trained", "pruned", "dense"),
            ("trained", "fine-tuned", "dense"),
            ("fine-tuned", "fine-tuned", "dense-on"),
        )
    ]
    if floors is not None:
        means = (
            floors[floors["name"].isin(list(FLOORS))].groupby([*CELL, "name"])["value"].mean().reset_index()
        )
        means = means[means["value"] > 0].rename(columns={"name": "method", "value": column})
        levels += [means.assign(stage=stage, seed=0) for stage in STAGES]
    ends = [pruned["ratio"].min(), pruned["ratio"].max()]
    rows = pd.concat([pruned, *(level.assign(ratio=end, reached=end) for level in levels for end in ends)])
    looks = {name: look(name) for name in (*PAPER_METHODS, *METHODS)} | DENSE | FLOORS
    return lines(
        rows,
        x="reached",
        point="ratio",
        x_title="Pruning ratio",
        line="method",
        measures={NAMES[column]: Measure(column, "percent" if column == "accuracy" else "log")},
        looks=looks,
        choices=_networks(rows) | {"Stage": "stage"},
        first={"stage": "pruned"},
        names=STAGES | {level: f"±{level:g}" if level else "none" for level in rows["noise"].unique()},
        hidden=[name for name in looks if name not in (*PAPER_METHODS, *DENSE, *FLOORS)],
    )


def layers(table: pd.DataFrame, methods: Sequence[str] = MAIN) -> dict:
    """Share of each layer's weights that is kept, for all methods; those of the static figure are on at first."""
    need(table, (*CELL, "seed", "method", "ratio", "layer", "kept", "weights"), "layers")
    rows = table.assign(share=table["kept"] / table["weights"])
    one = rows[rows["method"] == rows["method"].iloc[0]]
    rows = pd.concat([rows, one.assign(method="even", share=1 - one["ratio"])])
    looks = {name: look(name) for name in (*methods, *METHODS)} | {"even": EVEN}
    return lines(
        rows,
        x="ratio",
        x_title="Pruning ratio",
        line="method",
        measures={"Weights kept": Measure("share", "percent")},
        looks=looks,
        choices=_networks(rows) | {"Layer": "layer"},
        hidden=[name for name in looks if name not in (*methods, "even")],
    )


def draws(epsilon_first: pd.DataFrame) -> dict:
    """Error allowed and seen, draws asked for and sparsity, against the share of labels to keep."""
    columns = (
        "reading",
        "case",
        "seed",
        "kind",
        "share",
        "epsilon",
        "observed",
        "observed_max",
        "samples",
        "sparsity",
    )
    need(epsilon_first, columns, "epsilon_first")
    seen = {"seen, mean": "observed", "allowed": "epsilon", "seen, largest": "observed_max"}
    return lines(
        _in_order(epsilon_first),
        x="share",
        x_title="Share of correct labels to keep",
        line="kind",
        measures={
            "Draws asked for": Measure("samples", "log"),
            "Sparsity": Measure("sparsity", "percent"),
            **_errors(epsilon_first, "kind", seen),
        },
        looks=CORESETS,
        choices=_circumstances(epsilon_first),
    )


def guarantees(sparsity_first: pd.DataFrame) -> dict:
    """Accuracy and error, seen and guaranteed, against the sparsity reached."""
    seen = {"seen": "observed", "guaranteed": "epsilon"}
    accuracy = {"seen": "accuracy", "guaranteed": "implied_accuracy"}
    columns = ("reading", "case", "seed", "way", "ratio", "sparsity", *seen.values(), *accuracy.values())
    need(sparsity_first, columns, "sparsity_first")
    return lines(
        _in_order(sparsity_first),
        x="sparsity",
        point="ratio",
        x_title="Sparsity",
        line="way",
        measures={
            "Accuracy": Measure(accuracy, "percent"),
            **_errors(sparsity_first, "way", seen),
        },
        looks={way: CORESETS[way] for way in WAYS},
        choices=_circumstances(sparsity_first),
    )


def penalties(table: pd.DataFrame, amounts: Sequence[float] = AMOUNTS) -> dict:
    """Penalty along training, by layer set and fraction of units; the signed scores, far larger, are off at first."""
    rows = penalty_rows(table, amounts)
    there = list(dict.fromkeys(rows["amount"]))
    return lines(
        rows,
        x="step",
        x_title="Training step",
        line="score",
        measures={"Penalty": Measure("penalty")},
        looks=SCORES,
        choices={"Network": "net", "Layers": "set", "Fraction of units": "amount"},
        dash=("replacement", REPLACED),
        first={"amount": 0.1} if 0.1 in there else {},
        names=SETS | {net: network_name(net) for net in rows["net"].unique()},
        hidden=SIGNED,
    )


def penalty_rows(table: pd.DataFrame, amounts: Sequence[float] = AMOUNTS) -> pd.DataFrame:
    """The rows of the penalties that :func:`penalties` draws."""
    need(table, ("net", "seed", "step", "score", "set", "amount", "replacement", "penalty"), "penalties")
    rows = named(table)
    there = rows["amount"].isin(list(amounts))
    return rows[there | ~there.any()]  # a smaller scale may have measured other fractions


def profiles(table: pd.DataFrame, every: int = 4) -> dict:
    """Performance profiles, with and without the signed scores; of the curve's points, one in ``every``."""
    parts = []
    for name, left_out in (("all scores", ()), ("without the signed scores", SIGNED)):
        rows = table[~table["score"].isin(list(left_out))]
        if rows["score"].nunique() < 2:
            continue
        curves = profile_curves(named(rows)).iloc[:, ::every]
        points = curves.reset_index().melt(list(curves.index.names), var_name="tau", value_name="share")
        parts.append(points.assign(among=name))
    rows = pd.concat(parts)
    return lines(
        rows,
        x="tau",
        x_title="τ: 0 is the worst of all, 1 the best",
        line="score",
        measures={"Share of points below threshold": Measure("share", "percent")},
        looks={name: Look(style.colour, "", style.dash, style.label) for name, style in SCORES.items()},
        choices={"Network": "net", "Among": "among"},
        dash=("replacement", REPLACED),
        names={net: network_name(net) for net in rows["net"].unique()},
    )


def _networks(table: pd.DataFrame) -> dict[str, str]:
    return {"Network": "widths"} | ({"Noise": "noise"} if table["noise"].nunique() > 1 else {})


def _circumstances(table: pd.DataFrame) -> dict[str, str]:
    return ({"Reading": "reading"} if table["reading"].nunique() > 1 else {}) | {"Case": "case"}


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Easy, moderate, difficult, then all other cases as they come."""
    order = [*ORDER, *dict.fromkeys(table["case"])]
    return table.sort_values("case", key=lambda cases: cases.map(order.index), kind="stable")


def _errors(table: pd.DataFrame, column: str, columns: dict[str, str]) -> dict[str, Measure]:
    """A measure for units and one for weights: their errors are not in the same unit."""
    groups: dict[str, list[str]] = {}
    for value in dict.fromkeys(table[column]):
        groups.setdefault(unit_of(value), []).append(value)
    return {
        unit.capitalize(): Measure(columns, "log", where={column: among}) for unit, among in groups.items()
    }
