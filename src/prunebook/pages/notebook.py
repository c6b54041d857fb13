"""What a notebook says: its parameters, banner, numbered figures, verdicts, numbers in prose and run card.

A notebook calls :func:`begin` once, right below its parameters cell, and uses the :class:`Page` it gets.
"""

import html
import inspect
import os
import re
import sys
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
from IPython.display import HTML, display

from prunebook import evidence as claims
from prunebook.errors import InputError
from prunebook.pages.figures.embedded import figure_html
from prunebook.pages.findings import findings_of
from prunebook.pages.run_card import run_card_html, versions_text
from prunebook.pages.verdicts import chip, coverage, evidence, measured_text, rule_text, tally
from prunebook.store.collect import Collected, collect, stored
from prunebook.studies import STUDIES

PARAMETERS = ("scale", "device", "seeds", "data", "fresh")


@dataclass
class Page:
    """One notebook's parameters and results, and the ways of showing them."""

    name: str
    parameters: dict
    results: Collected | None
    study: object
    figures: int = 0
    glued: dict = field(default_factory=dict)

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        return self.results.tables

    @cached_property
    def judged(self) -> pd.DataFrame:
        """All verdicts; a page asks often."""
        return claims.verdicts()

    @cached_property
    def reported(self) -> pd.DataFrame:
        """The numbers that the papers print, with ours."""
        return claims.reported()

    def banner(self) -> None:
        """Say what the page is made of if that is not the paper's protocol on the paper's data."""
        results, whole = self.results, len(self.results.records)
        lines = [html.escape(notice) for notice in results.notices if notice]
        planned = len(self.study.presets["paper"]) * self.study.seeds["paper"]
        if results.scale != "paper":
            seeds = len({record["seed"] for record in results.records})
            if self.parameters["scale"] == "paper":
                lines.append("Nothing of this study has been measured at the paper scale yet.")
            lines.append(
                f"This copy was made at the <b>{results.scale}</b> scale: shorter training, {seeds} "
                f"seed{'s' * (seeds > 1)}. It shows how the study works and carries no verdict; verdicts come from the "
                "paper scale."
            )
        elif whole < planned:
            lines.append(f"{whole} of the {planned} planned runs are finished; the page shows these.")
        if results.stale:
            which = "These" if len(results.stale) == whole else f"{len(results.stale)} of the {whole}"
            lines.append(
                f"{which} results are <b>outdated</b>. Since they were measured, the protocol has changed: "
                f"{html.escape('; '.join(results.changes))}."
            )
        if mixed := versions_text(self.results.versions, self.study):
            lines.append(html.escape(mixed))
        if lines:
            display(HTML("".join(f'<div class="pb-banner"><p>{line}</p></div>' for line in lines)))

    def figure(
        self,
        figure,
        caption: str,
        alt: str,
        table: pd.DataFrame | None = None,
        *,
        name: str,
        interactive: dict | None = None,
    ) -> None:
        """Show a numbered figure with caption, alternative text and its numbers as CSV.

        Args:
            figure: a matplotlib figure; it is closed. One of the library's own says in the caption of how many seeds it
                is, and what its bands are.
            caption, alt: plain text. ``alt`` says what is drawn to somebody who does not see it.
            name: file name of the CSV, without suffix; also the anchor of the figure.
            table: the numbers that are drawn; left out, those that the figure brings itself.
            interactive: what ``prunebook.pages.widgets.explored`` makes of the figure; a button shows it in place of
                the static one where scripts run.
        """
        self.figures += 1
        display(HTML(figure_html(figure, self.figures, caption, alt, table, name, interactive)))

    def table(self, table: pd.DataFrame, caption: str) -> None:
        """Show a small table; numbers to three digits. Markup in cells is kept: hand in text of our own."""
        style = {"index": False, "border": 0, "escape": False, "classes": "pb-table"}
        body, caption = table.to_html(float_format="{:.3g}".format, **style), html.escape(caption)
        legend = f"<figcaption>{caption}</figcaption>"
        display(HTML(f'<figure class="pb-figure">{_scrolling(body, caption)}{legend}</figure>'))

    def claims(self) -> None:
        """What was found, then all claims of this page's study with where they stand in the paper, and verdicts."""
        if found := html.escape(" ".join(findings_of(self.study.name, self.judged))):
            answer = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", found)
            display(HTML(f'<p class="pb-answer">{answer}</p>'))
        judged = self.judged[self.judged["study"] == self.study.name]
        rows = "".join(
            f"<tr><th scope='row'>{row['claim']}</th><td>{html.escape(row['statement'])} "
            f'<span class="pb-where">({html.escape(row["where"])})</span></td>'
            f"<td>{chip(row['verdict'])}</td></tr>"
            for _, row in judged.iterrows()
        )
        head = "<tr><th></th><th>Claim</th><th>Verdict</th></tr>"
        table = f'<table class="pb-table">{head}{rows}</table>'
        now = claims.latest(judged)  # what is counted everywhere: no check, and no rule that another replaced
        counts = ", ".join(f"{count} {verdict}" for count, verdict in tally(now.loc[now["kind"] != "check", "verdict"]))
        heading = f"<summary>The claims of this page: {counts}</summary>"
        display(HTML(f'<details class="pb-fold">{heading}{_scrolling(table, "Claims of this page")}</details>'))

    def verdict(self, *names: str) -> None:
        """The verdicts on some claims, each with its rule, the numbers it rests on and what would change it.

        They come from the stored results of the paper scale, whatever the scale of this page.
        """
        judged, known, printed = self.judged.set_index("claim"), claims.read(), self.reported
        for name in names:
            row = judged.loc[name]
            claim = {key: html.escape(str(text)) for key, text in known[name].items()}
            box = (
                f'<div class="pb-claim" id="claim-{name}"><p>{chip(row["verdict"])} <b>{name}</b> · {claim["claim"]} '
                f'<span class="pb-where">({claim["where"]})</span></p><dl><dt>Rule</dt><dd>{claim["rule"]}</dd>'
                f"<dt>Measured</dt><dd>{html.escape(evidence(row))}{coverage(row)}</dd></dl>"
                "<details><summary>The paper's number, caveat, every case</summary><dl>"
                f"{_reported(printed[printed['id'] == name])}"
                f"<dt>Caveat</dt><dd>{claim['change']}</dd></dl>"
                f"{_conditions(name) if row['conditions'] > 1 else ''}</details></div>"
            )
            display(HTML(box))

    def run_card(self) -> None:
        """Commit, parameters, seeds, hardware, versions, wall time and data of the results on this page."""
        display(HTML(run_card_html(self.results, self.parameters)))

    def command(self) -> None:
        """The command that makes this page's results again."""
        given = {key: value for key, value in self.parameters.items() if value not in (None, False)}
        given["scale"] = self.results.scale
        options = " ".join(f"-p {key} {value}" for key, value in given.items() if key != "seeds")
        if self.parameters["seeds"] is not None:
            options += f' -y "seeds: {self.parameters["seeds"]}"'
        line = f"papermill notebooks/{self.name}.ipynb out.ipynb {options} -p fresh True"
        display(HTML(f"<pre>{html.escape(line)}</pre>"))

    def glue(self, name: str, value, form: str = ".3g") -> None:
        """Give a measured number to the prose: ``{glue:text}`name``` in any text cell shows it."""
        from myst_nb import glue

        text = value if isinstance(value, str) else format(float(value), form)
        self.glued[name] = text
        glue(f"{self.study.name}-{name}", text, display=False)


def begin(namespace: dict, study: str | None = None, *, notebook: str) -> Page:
    """Check the notebook's parameters, then load its results or make them.

    Args:
        namespace: ``globals()`` of the notebook, called before anything else is defined there.
        study: name of the study that the notebook shows; None for a page that shows none. Of its parameters only the
            names are looked at.
        notebook: the notebook's own name, for the command that runs it again.

    Raises:
        InputError: for a parameter that is missing, unknown or of the wrong type, before any work.
    """
    given = {
        name: value
        for name, value in namespace.items()
        if not name.startswith("_")
        and name not in ("In", "Out", "exit", "quit", "open")
        and not callable(value)
        and not inspect.ismodule(value)
    }
    if unknown := sorted(set(given) - set(PARAMETERS)):
        raise InputError(f"unknown parameter {', '.join(unknown)}: choose from {', '.join(PARAMETERS)}")
    if missing := [name for name in PARAMETERS if name not in given]:
        raise InputError(f"the notebook's parameters cell does not set {', '.join(missing)}")
    parameters = {name: given[name] for name in PARAMETERS}
    if study is None:
        return Page(notebook, parameters, None, SimpleNamespace(name=notebook.replace("_", "-")))
    chosen = STUDIES[study]
    scale = given["scale"] or os.environ.get("PRUNEBOOK_SCALE") or "laptop"
    if scale not in chosen.presets:
        raise InputError(f"scale={scale!r}: choose from {', '.join(chosen.presets)}")
    if not isinstance(given["fresh"], bool):
        raise InputError(f"fresh={given['fresh']!r}: give True or False")
    if given["data"] is not None and not isinstance(given["data"], str):
        raise InputError(f"data={given['data']!r}: give the path of a folder, as text")
    results = None
    if scale == "paper" and given["seeds"] is None and not given["fresh"]:
        # The published book shows what has been measured so far and says how much that is. It never starts days of
        # work by itself: with nothing measured yet, the page shows the small scale, and says so.
        results = stored(chosen, scale)
        if results is None:
            _progress(f"nothing of {study} is stored at the paper scale: showing laptop (seeds=N measures)")
            scale = "laptop"
    if results is None:
        options = {name: given[name] for name in ("seeds", "device", "data", "fresh")}
        results = collect(chosen, scale, **options, report=_progress)
    return Page(Path(notebook).stem, parameters, results, chosen)


def _progress(text: str) -> None:
    # Standard error goes to the log and the terminal, and is kept off the page.
    print(text, file=sys.stderr, flush=True)


def _scrolling(body: str, label: str) -> str:
    """A part of the page that scrolls by itself, by keyboard too."""
    return f'<div class="pb-scroll" tabindex="0" role="region" aria-label="{label}">{body}</div>'


_OUTCOMES = {claims.SUPPORTED: "holds", claims.NOT_SUPPORTED: "fails", claims.INCONCLUSIVE: "open"}


def _reported(rows: pd.DataFrame) -> str:
    """What the paper gives as a number, and ours beside it."""
    return "".join(
        f"<dt>In the paper</dt><dd>{html.escape(row.quantity)}: {html.escape(row.reported)} "
        f'<span class="pb-where">({html.escape(row.where)}'
        f"{f', read off with an error of {row.error:g}' if row.reading == 'axis' else ''})</span>. "
        f"Ours: {html.escape(row.ours)}.{' ' + html.escape(row.note) if row.note else ''}</dd>"
        for row in rows.itertuples()
    )


def _conditions(name: str) -> str:
    """All conditions of a claim as a table."""
    rows = ""
    for row in claims.conditions_table(name).itertuples():
        measured = measured_text(row.effect, (row.low, row.high) if row.seeds > 1 else None, row.threshold)
        rule, outcome = rule_text(row.side, row.threshold), _OUTCOMES.get(row.outcome, row.outcome)
        cells = "</td><td>".join((html.escape(row.label), measured, rule, outcome))
        rows += f"<tr><td>{cells}</td></tr>"
    head = "<tr><th>Condition</th><th>Effect, 95 % interval</th><th>Rule</th><th></th></tr>"
    return _scrolling(f'<table class="pb-table">{head}{rows}</table>', "Every case")
