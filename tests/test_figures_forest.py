"""The forest plots of the verdicts: every claim against its threshold, and the committed pictures are what is drawn."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex

from prunebook import evidence
from prunebook.errors import InputError
from prunebook.evidence.claims import read
from prunebook.pages.figures import forest
from prunebook.store.results import Store

ROOT = Path(__file__).resolve().parents[1]
MADE = pd.DataFrame(
    [
        ("A-1", "A ratio", "supported", "times", "below", 1.1, 0.9, 0.8, 1.0, 5),
        ("A-2", "A ratio far off", "not supported", "times", "below", 1.0, 30.0, 20.0, 45.0, 5),
        ("A-3", "A share", "inconclusive", "share", "above", 0.5, 0.48, -0.2, 1.3, 5),
        ("A-4", "A difference", "no difference", "difference", "above", 0.0, 0.01, -0.02, 0.04, 8),
    ],
    columns=["claim", "short", "verdict", "unit", "side", "threshold", "effect", "low", "high", "seeds"],
)


def lines(axis, label):
    return [line for line in axis.lines if line.get_label() == label]


def test_every_claim_stands_in_the_panel_of_its_unit_with_interval_threshold_and_verdict():
    figure = forest.forest(MADE)
    assert [axis.get_xlabel() for axis in figure.axes] == list(forest.UNITS.values())
    for axis, (_, part) in zip(figure.axes, MADE.groupby("unit", sort=False), strict=True):
        left, right = axis.get_xlim()
        assert [tick.get_text().split()[0] for tick in axis.get_yticklabels()] == part["claim"].tolist()
        spans = [line.get_xdata() for line in lines(axis, "_interval")]
        np.testing.assert_allclose(spans, part[["low", "high"]].clip(left, right))
        np.testing.assert_allclose([line.get_xdata()[0] for line in lines(axis, "_threshold")], part["threshold"])
        arrows = [text.get_text() for text in axis.texts]
        assert arrows == ["→" if side == "above" else "←" for side in part["side"]]
        (points,) = axis.collections
        np.testing.assert_allclose(points.get_offsets()[:, 0], part["effect"])
        colours = [forest.VERDICTS.get(verdict, forest.OTHER).colour for verdict in part["verdict"]]
        assert [to_hex(colour) for colour in points.get_facecolors()] == colours
    assert "5 to 8 seeds" in figure.note
    with pytest.raises(InputError, match="is empty"):
        forest.forest(MADE[:0])


def test_units_are_those_of_the_statistics():
    claims = read()
    judged = pd.DataFrame(
        {"claim": name, "paper": "p", "short": "", "verdict": "supported", "side": "below", "threshold": threshold,
         "effect": 0.5, "low": 0.4, "high": 0.6, "seeds": 3}
        for name, threshold in (("EC-1", 1.15), ("EC-7", 0.6), ("MR-1", 0.0))
    )  # fmt: skip
    assert forest.rows_of(judged, claims, "p")["unit"].tolist() == ["times", "share", "difference"]
    untested = judged.assign(verdict="not tested")
    assert forest.rows_of(untested, claims, "p").empty


def test_the_committed_pictures_are_those_of_the_committed_results():
    judged = evidence.verdicts(Store(ROOT / "data" / "results"))
    drawn = forest.pictures(judged, read())
    for paper, svg in drawn.items():
        path = ROOT / "book" / "_static" / f"forest-{paper}.svg"
        assert path.read_text(encoding="utf-8") == svg, f"{path.name} is not what the results say: run `make readme`"
    tested = (judged["verdict"] != "not tested") & (judged["paper"] == "ballini2026")
    assert len(forest.rows_of(judged, read(), "ballini2026")) == tested.sum()


def test_text_is_large_enough_and_on_the_page():
    figure = forest.forest(MADE)
    figure.draw_without_rendering()
    tight = figure.get_tightbbox(FigureCanvasAgg(figure).get_renderer())
    assert tight.width <= figure.get_figwidth() + 0.02
    assert min(text.get_fontsize() for axis in figure.axes for text in axis.get_yticklabels()) >= 8.5
