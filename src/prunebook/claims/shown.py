"""Verdicts as readers see them: on pages, on the front page, in the README."""

from pathlib import Path

import pandas as pd

from prunebook.claims.ledger import CLAIMS_FILE, INCONCLUSIVE, NOT_SUPPORTED, NOT_TESTED, SUPPORTED
from prunebook.claims.verdict_table import verdicts

PAGES = {
    "ec-mnist": "notebooks/elimination_compensation_mnist",
    "ec-pde": "notebooks/elimination_compensation_pde",
    "cb-lenet": "notebooks/coreset_bounds_lenet",
    "cb-vgg": "notebooks/coreset_bounds_vgg",
    "mr-training": "notebooks/mean_replacement",
    "mr-tuning": "notebooks/mean_replacement_tuning",
    "mr-pictures": "notebooks/mean_replacement_pictures",
    "head-to-head": "notebooks/head_to_head",
}


TITLES = {
    "ballini2026": "Elimination-compensation",
    "gordon2020": "Coreset bounds",
    "evci2018": "Mean replacement",
    "ours": "Questions of our own",
}


def chip(verdict: str) -> str:
    """The verdict as HTML; its word carries the meaning, its colour only helps to find it."""
    return f'<span class="pb-verdict-{verdict.replace(" ", "-")}">{verdict}</span>'


def coverage(row) -> str:
    """A remark on seeds and staleness, to stand behind the evidence; empty if nothing was tested."""
    if row["verdict"] == NOT_TESTED:
        return ""
    seeds = f". Seeds: {row['seeds']}" + (
        f" of {row['planned']} planned" if row["seeds"] < row["planned"] else ""
    )
    return seeds + ("; stale, the code has changed since." if row["stale"] else ".")


def markdown_table(store=None, path: Path = CLAIMS_FILE, link: str | None = "/{page}") -> str:
    """All verdicts as Markdown, a table a paper; each row in short, with the effect and interval it rests on.

    ``link`` makes the claim's id a link to its page, with {page} for the page's path without suffix; None: plain text.
    """
    blocks = []
    for paper, rows in verdicts(store, path).groupby("paper", sort=False):
        counts = rows["verdict"].value_counts()
        order = [v for v in (SUPPORTED, NOT_SUPPORTED, INCONCLUSIVE, NOT_TESTED) if v in counts]
        summary = ", ".join(f"{counts[verdict]} {verdict}" for verdict in order)
        lines = [f"**{TITLES.get(paper, paper)}**: {summary}.", ""]
        lines += ["| | Claim | Verdict | Effect | Rule |", "| :-- | :-- | :-- | :-- | :-- |"]
        for _, row in rows.iterrows():
            name = row["claim"]
            if link and row["study"] in PAGES:
                name = f"[{name}]({link.format(page=PAGES[row['study']])})"
            verdict = chip(row["verdict"]) if link else row["verdict"]
            effect = rule = ""
            if row["verdict"] != NOT_TESTED:
                effect = f"{_brief(row['effect'])} ({_brief(row['low'])} to {_brief(row['high'])})"
                rule = f"{row['side']} {_brief(row['threshold'])}"
            lines.append(f"| {name} | {row['short']} | {verdict} | {effect} | {rule} |")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _brief(value: float) -> str:
    return f"{value:.3g}" if 1e-4 <= abs(value) < 1e4 or value == 0 else f"{value:.1e}"


def evidence(row) -> str:
    """One phrase that says what a verdict rests on, e.g. "0.93 (0.90 to 0.97), must be below 1; 6 of 6 hold"."""
    if row["verdict"] == NOT_TESTED:
        if not row["seeds"]:
            return "no paper-scale results yet."
        return (
            f"one seed is too few for a verdict. It gives, {row['label']}: {_short(row['effect'])}, "
            f"must be {row['side']} {_short(row['threshold'])}."
        )
    number = (
        f"{_short(row['effect'])} ({_short(row['low'])} to {_short(row['high'])}), "
        f"must be {row['side']} {_short(row['threshold'])}"
    )
    held = f"; {row['held']} of {row['conditions']} conditions hold" if row["conditions"] > 1 else ""
    more = ""
    if row["verdict"] == INCONCLUSIVE:
        wanted = None if pd.isna(row["more_seeds"]) else int(row["more_seeds"])
        more = (
            "; no number of seeds in reach would settle it"
            if wanted is None
            else f"; about {wanted} more seed{'s' * (wanted > 1)} would settle it"
        )
    return f"{row['label']}: {number}{held}{more}"


def _short(value: float) -> str:
    return f"{value:.4g}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:.2e}"
