"""Statistics of tidy tables against numbers worked out by hand."""

import math

import pandas as pd
import pytest

from prunebook.errors import InputError
from prunebook.evidence.statistics import coreset_bounds, general

ROWS = pd.DataFrame(
    [
        {"case": case, "seed": seed, "ratio": ratio, "a": base * ratio * seed, "b": base}
        for case, base in (("easy", 1.0), ("hard", 4.0))
        for seed in (1, 2)
        for ratio in (0.1, 0.2, 0.4)
    ]
)
TABLES = {"t": ROWS}


def values(frame):
    return {(row.cell, row.seed): row.value for row in frame.itertuples()}


def test_measured_pools_within_cells_and_seeds():
    found = values(general.measured(TABLES, table="t", column="a", cells=["case"], pool="max"))
    assert found == pytest.approx({("easy", 1): 0.4, ("easy", 2): 0.8, ("hard", 1): 1.6, ("hard", 2): 3.2})
    found = values(general.measured(TABLES, table="t", column="a", where={"ratio": 0.2, "case": ["hard"]}))
    assert found == pytest.approx({("all", 1): 0.8, ("all", 2): 1.6})


def test_rows_are_chosen_by_value_list_and_limits():
    assert len(general.chosen(ROWS, {"ratio": {"above": 0.1, "below": 0.4}})) == 4
    assert len(general.chosen(ROWS, {"case": ["easy", "hard"], "seed": 2})) == 6
    with pytest.raises(InputError, match="no column 'rate'"):
        general.chosen(ROWS, {"rate": 1})
    with pytest.raises(InputError, match="no results"):
        general.measured(TABLES, table="t", column="a", where={"case": "none"})


def test_quotients_differences_and_shares():
    found = values(general.quotient(TABLES, table="t", column="a", over="b", where={"ratio": 0.4}, cells=["case"]))
    assert found["hard", 2] == pytest.approx(math.log(0.8))
    found = values(general.difference(TABLES, table="t", column="a", minus="b", where={"ratio": 0.1}, cells=["case"]))
    assert found["hard", 1] == pytest.approx(-3.6)
    found = values(general.share(TABLES, table="t", column="a", at_most=0.2, cells=["case"]))
    assert found["easy", 1] == pytest.approx(2 / 3)
    assert values(general.share(TABLES, table="t", column="a", above=0.2, cells=["case"]))["easy", 1] == pytest.approx(
        1 / 3
    )


def test_change_pairs_the_rows_that_belong_together():
    one = general.change(TABLES, table="t", column="a", where={"ratio": 0.4}, against={"ratio": 0.1}, cells=["case"])
    assert list(values(one).values()) == pytest.approx([math.log(4)] * 4)
    two = general.change(
        TABLES, table="t", column="a", where={"case": "hard"}, against={"case": "easy"}, beside=["ratio"]
    )
    assert values(two) == pytest.approx({("all", 1): math.log(4), ("all", 2): math.log(4)})


def test_slope_spread_and_disorder():
    found = general.slope(TABLES, table="t", column="a", by="ratio", cells=["case"])
    assert list(found["value"]) == pytest.approx([1.0] * 4)
    found = general.spread(TABLES, table="t", column="a", cells=["case"])
    assert list(found["value"]) == pytest.approx([math.log(4)] * 4)
    wrong = ROWS.assign(a=ROWS["a"].where(ROWS["ratio"] < 0.3, 0.0))
    for rising, expected in ((True, 0.5), (False, 0.5)):
        found = general.disorder({"t": wrong}, table="t", column="a", by="ratio", rising=rising, cells=["case"])
        assert set(values(found).values()) == {expected}
    assert (
        general.disorder(TABLES, table="t", column="a", by="ratio", rising=True, cells=["case"])["value"] == 0
    ).all()


def recovery():
    keep = {"reading": "regularisation", "case": "difficult", "seed": 1, "method": "deterministic"}
    rows = []
    for ratio, before, after in ((0.5, 0.9, 0.95), (0.9, 0.2, 0.8)):
        common = {**keep, "ratio": ratio, "sparsity": ratio}
        rows.append({**common, "tuned": "none", "accuracy": before, "error": 1.0, "centred_error": 1.0})
        rows.append({**common, "tuned": "all layers", "accuracy": after, "error": 2.0, "centred_error": 0.5})
    control = {**keep, "method": "dense", "ratio": 0.0, "sparsity": 0.0, "tuned": "all layers"}
    rows.append({**control, "accuracy": 1.0, "error": 9.0, "centred_error": 9.0})
    return pd.DataFrame(rows)


def test_fine_tuning_is_compared_with_the_same_network_before_it():
    tables = {"recovery": recovery()}
    gap = coreset_bounds.fine_tuning_gap(tables, tuned="all layers", where={"method": "deterministic"})
    assert values(gap) == pytest.approx({("deterministic", 1): 0.6})
    for column, expected in (("error", 2.0), ("centred_error", 0.5)):
        found = coreset_bounds.error_after_tuning(
            tables, tuned="all layers", column=column, where={"method": "deterministic"}
        )
        assert values(found) == pytest.approx({("deterministic", 1): math.log(expected)})


def test_the_area_is_that_under_straight_lines():
    group = pd.DataFrame({"sparsity": [0.5, 0.95], "accuracy": [0.8, 0.0], "dense": 0.8})
    # 1 up to .5, then straight down to 0 at .95
    assert coreset_bounds.area(group) == pytest.approx((0.5 + 0.45 / 2) / 0.95, abs=0.01)
