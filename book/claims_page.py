"""The page of all claims: a table a paper, which filters narrow down where scripts run."""

import html
import os

import pandas as pd

from prunebook.evidence import latest, verdicts
from prunebook.evidence.claims import NOT_TESTED
from prunebook.pages.verdicts import PAGES, TITLES, chip, measured_text, rule_text, tally

HEADS = ("Claim", "", "Verdict", "Before", "Holds in", "Deciding case", "Effect, 95 % interval", "Must be", "Seeds")


def claims() -> str:
    """All claims in their latest edition as raw HTML: choices above, then a table a paper, each row with what the
    verdict rests on."""
    found = latest(verdicts())
    parts = [
        _choices("paper", "Paper", {key: name for key, name in TITLES.items() if key in set(found["paper"])}),
        _choices("verdict", "Verdict", {verdict: verdict for _, verdict in tally(found["verdict"])}),
        _choices("study", "Study", {study: study for study in dict.fromkeys(found["study"])}),
    ]
    shown = '<p class="pb-shown" role="status"></p>'
    tables = [_table(paper, rows) for paper, rows in found.groupby("paper", sort=False)]
    body = f'<div class="pb-filter" hidden>{"".join(parts)}{shown}</div>{"".join(tables)}'
    return f"```{{raw}} html\n{body}\n```"


def _choices(name: str, label: str, options: dict[str, str]) -> str:
    listed = "".join(
        f'<option value="{html.escape(key)}">{html.escape(text)}</option>' for key, text in options.items()
    )
    return f'<label>{label} <select data-by="{name}"><option value="">all</option>{listed}</select></label>'


def _table(paper: str, rows: pd.DataFrame) -> str:
    counted = rows["kind"] != "check"
    counts = ", ".join(f"{count} {verdict}" for count, verdict in tally(rows.loc[counted, "verdict"]))
    checks = f"; {(~counted).sum()} checks beside" if not counted.all() else ""
    body = "".join(_row(row) for row in rows.to_dict("records"))
    head = "".join(f'<th scope="col">{name}</th>' for name in HEADS)
    return (
        f'<section class="pb-claims" data-paper="{paper}"><h2 id="claims-{paper}">{TITLES.get(paper, paper)}</h2>'
        f'<p>{counts}{checks}.</p><table class="pb-table pb-stacked"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></section>"
    )


def _row(row: dict) -> str:
    name = row["claim"]
    if row["study"] in PAGES:
        page = os.path.relpath(f"{PAGES[row['study']]}.html", "book")
        name = f'<a class="reference internal" href="{page}">{name}</a>'
    short = row["short"] + {"check": " (check)", "inference": " (our reading)"}.get(row["kind"], "")
    cells = [html.escape(short), chip(row["verdict"]), row["first"]]
    if row["verdict"] == NOT_TESTED:
        cells += [""] * 5
    else:
        effect = measured_text(row["effect"], (row["low"], row["high"]), row["threshold"], digits=4)
        label, rule = html.escape(row["label"]), ""
        if row["edition"] > 1:  # all conditions of a kind together, each held against a threshold of its own
            label, effect = "all together", f"{effect} {label}"
        else:
            rule = rule_text(row["side"], row["threshold"])
        cells += [f"{row['held']} of {row['conditions']}", label, effect, rule, str(row["seeds"])]
    filled = "".join(f'<td data-label="{head}">{cell}</td>' for head, cell in zip(HEADS[1:], cells, strict=True))
    keys = f'data-paper="{row["paper"]}" data-verdict="{row["verdict"]}" data-study="{row["study"]}"'
    return f'<tr {keys}><th scope="row">{name}</th>{filled}</tr>'
