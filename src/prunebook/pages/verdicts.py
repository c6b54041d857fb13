"""Verdicts as readers see them: on pages, on the front page, in the README."""

import math
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from prunebook.evidence.claims import INCONCLUSIVE, NO_DIFFERENCE, NOT_SUPPORTED, NOT_TESTED, SUPPORTED

PAGES = {
    "ec-mnist": "notebooks/elimination_compensation_mnist",
    "ec-pde": "notebooks/elimination_compensation_pde",
    "ec-pde-converged": "notebooks/elimination_compensation_pde",
    "cb-lenet": "notebooks/coreset_bounds_lenet",
    "cb-vgg": "notebooks/coreset_bounds_vgg",
    "mr-training": "notebooks/mean_replacement",
    "mr-tuning": "notebooks/mean_replacement_tuning",
    "mr-moments": "notebooks/mean_replacement",
    "mr-pictures": "notebooks/mean_replacement_pictures",
    "head-to-head": "notebooks/head_to_head",
}


TITLES = {
    "ballini2026": "Elimination-compensation",
    "gordon2020": "Coreset bounds",
    "evci2018": "Mean replacement",
    "ours": "Questions of our own",
}


def tally(found: pd.Series) -> list[tuple[int, str]]:
    """How often each verdict was found, in one order everywhere."""
    counts = found.value_counts()
    order = (SUPPORTED, NOT_SUPPORTED, NO_DIFFERENCE, INCONCLUSIVE, NOT_TESTED)
    return [(int(counts[verdict]), verdict) for verdict in order if verdict in counts]


def chip(verdict: str) -> str:
    """The verdict as HTML; its word carries the meaning, its colour only helps to find it."""
    return f'<span class="pb-verdict-{verdict.replace(" ", "-")}">{verdict}</span>'


def coverage(row) -> str:
    """A remark on seeds and an outdated protocol, to stand behind the evidence; empty if nothing was tested."""
    if row["verdict"] == NOT_TESTED:
        return ""
    planned = f" of {row['planned']} planned" if row["seeds"] < row["planned"] else ""
    return f". Seeds: {row['seeds']}{planned}" + (
        "; outdated, the protocol has changed since." if row["stale"] else "."
    )


def markdown(columns: Mapping[str, str], rows: Iterable[Sequence]) -> str:
    """A table in Markdown; ``columns`` gives each header with "l" or "r", the side that its cells stand at."""
    rules = [{"l": ":--", "r": "--:"}[side] for side in columns.values()]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in (columns, rules, *rows))


def measured_text(effect: float, interval: tuple[float, float] | None, threshold: float, digits: int = 3) -> str:
    """An effect with its interval, e.g. "0.93 (0.9 to 0.97)", or "exactly 0.5" where all three are the threshold.

    A number gets more than ``digits`` where it would otherwise read as if it were on the threshold, or beyond it.
    ``interval`` is None for a single seed.
    """
    if interval and all(math.isclose(value, threshold, rel_tol=1e-9) for value in (effect, *interval)):
        return f"exactly {_threshold(threshold)}"
    shown, *ends = (_beside(value, threshold, digits) for value in (effect, *(interval or ())))
    return f"{shown} ({' to '.join(ends)})" if ends else shown


def rule_text(side: str, threshold: float) -> str:
    """Which side of the threshold an effect must lie on, e.g. "above 0.999999"; the threshold in full."""
    return f"{side} {_threshold(threshold)}"


def _threshold(value: float) -> str:
    text = _number(value, 3)
    return text if _read(text) == value else f"{value:.15g}"


def _beside(value: float, threshold: float, digits: int) -> str:
    for more in range(digits, 16):
        text = _number(value, more)
        if _side(_read(text), threshold) == _side(value, threshold):
            break
    return text


def _side(value: float, threshold: float) -> int:
    if math.isclose(value, threshold, rel_tol=1e-9):  # but for rounding
        return 0
    return int(value > threshold) - int(value < threshold)


def _read(text: str) -> float:
    return float(text.replace(",", ""))


def _number(value: float, digits: int) -> str:
    """So many digits at least; thousands as a whole number, what is larger still or tiny as a power of ten."""
    if 10**3 - 0.5 * 10 ** (3 - digits) <= abs(value) < 10**4:
        return f"{value:,.{max(digits - 4, 0)}f}"
    if 1e-4 <= abs(value) < 10**4 or value == 0:
        return f"{value:.{digits}g}"
    return f"{value:.{digits - 2}e}"


def evidence(row) -> str:
    """One phrase that says what a verdict rests on, e.g. "0.93 (0.90 to 0.97), must be below 1; 6 of 6 hold"."""
    if row.get("edition", 1) > 1:
        return _second(row)
    if row["verdict"] == NOT_TESTED and not row["seeds"]:
        after = int(row.get("after_seed", 0))
        asked = f" from a seed after {after}, the last that the question came from" if after else ""
        return f"no paper-scale results yet{asked}."
    interval = (row["low"], row["high"]) if row["seeds"] > 1 else None
    number = measured_text(row["effect"], interval, row["threshold"], digits=4)
    if row["verdict"] == NOT_TESTED:
        return (
            f"one seed is too few for a verdict. It gives, {row['label']}: {number}, "
            f"must be {rule_text(row['side'], row['threshold'])}."
        )
    held = f"; {row['held']} of {row['conditions']} conditions hold" if row["conditions"] > 1 else ""
    rule = rule_text(row["side"], row["threshold"])
    return f"{row['label']}: {number}, must be {rule}{held}{_more(row)}"


def _second(row) -> str:
    """The same for a claim of the second edition: the pooled effect in words, and how many conditions hold."""
    if row["verdict"] == NOT_TESTED:
        return f"{row['reason']}."
    number = measured_text(row["effect"], (row["low"], row["high"]), row["threshold"], digits=4)
    beside = f"; {row['beside']}" if row["beside"] else ""
    return f"{number} {row['label']}; {row['held']} of {row['conditions']} conditions hold{beside}{_more(row)}"


def _more(row) -> str:
    if row["verdict"] != INCONCLUSIVE:
        return ""
    if pd.isna(row["more_seeds"]):
        return "; no number of seeds in reach would give a good chance of a decision"
    wanted = int(row["more_seeds"])
    return f"; {wanted} more seed{'s' * (wanted > 1)} would give an 80 % chance of a decision"
