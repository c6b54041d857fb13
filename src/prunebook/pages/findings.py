"""What was found, in a few sentences a paper: each stands only while the verdicts that it rests on do."""

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import yaml

from prunebook.errors import InputError
from prunebook.evidence.claims import CLAIMS_FILE
from prunebook.evidence.verdict_table import latest, verdicts
from prunebook.pages.verdicts import chip, tally

FINDINGS_FILE = Path(__file__).parents[3] / "data" / "findings.yaml"
_EFFECT = re.compile(r"\{([A-Z]{2}-[\w.]+):([^}]+)\}")


def findings(store=None, path: Path = FINDINGS_FILE, claims: Path = CLAIMS_FILE) -> pd.DataFrame:
    """One row a sentence: paper, text (with its numbers put in), needs, stands, and ``off``, the verdicts that differ.

    Raises InputError for a sentence that needs nothing, or that names a claim that does not exist or that it does not
    need.
    """
    return _read(path, verdicts(store, claims).set_index("claim"))


def _read(path: Path, judged: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for paper, entry in yaml.safe_load(path.read_text(encoding="utf-8")).items():
        for sentence in entry["sentences"]:
            text, needs = sentence["text"].strip(), sentence.get("needs", {})
            used = {match[1] for match in _EFFECT.finditer(text)}
            if not needs or used - set(needs) or set(needs) - set(judged.index):
                advice = "must name, under needs, known claims and all that it quotes"
                raise InputError(f"{path.name}: {text[:60]!r} {advice}")
            now = judged.loc[list(needs), "verdict"]
            off = [f"{name} is {verdict}" for name, verdict in now.items() if verdict != needs[name]]
            put = _EFFECT.sub(lambda match: format(float(judged.loc[match[1], "effect"]), match[2]), text)
            rows.append((paper, put, tuple(needs), not off, ", ".join(off)))
    return pd.DataFrame(rows, columns=["paper", "text", "needs", "stands", "off"])


def findings_of(study: str, judged: pd.DataFrame, path: Path = FINDINGS_FILE) -> list[str]:
    """The sentences that stand and rest on a claim of one study, in Markdown. ``judged`` is the table of verdicts."""
    own = set(judged.loc[judged["study"] == study, "claim"])
    found = _read(path, judged.set_index("claim"))
    return [row.text for row in found.itertuples() if row.stands and own & set(row.needs)]


def _answers(store, path: Path, claims: Path) -> Iterator[tuple[dict, str, list[tuple[int, str]]]]:
    """Each paper's entry, its sentences that stand, and how many claims have which verdict."""
    judged = verdicts(store, claims)  # takes seconds
    sentences, now = _read(path, judged.set_index("claim")), latest(judged)
    for paper, entry in yaml.safe_load(path.read_text(encoding="utf-8")).items():
        own = sentences[(sentences["paper"] == paper) & sentences["stands"]]
        counted = now["study"] == entry["study"] if "study" in entry else now["paper"] == paper
        counted &= now["kind"] != "check"
        yield entry, " ".join(own["text"]) or "No answer yet.", tally(now.loc[counted, "verdict"])


def findings_cards(store=None, path: Path = FINDINGS_FILE, claims: Path = CLAIMS_FILE) -> str:
    """The findings as cards of sphinx-design, one a paper: question, answer, count of verdicts, link to the chapter."""
    cards = []
    for entry, answer, counted in _answers(store, path, claims):
        counts = " ".join(f'<span class="pb-count">{count} {chip(verdict)}</span>' for count, verdict in counted)
        head = f":::{{grid-item-card}} {entry['title']}\n:link: /{entry['page']}\n:link-type: doc"
        cards.append(f"{head}\n\n*{entry['question']}*\n\n{answer}\n\n{counts}\n:::")
    return "::::{grid} 1 1 2 2\n:gutter: 2\n\n" + "\n\n".join(cards) + "\n::::"


def findings_text(store=None, path: Path = FINDINGS_FILE, claims: Path = CLAIMS_FILE) -> str:
    """The findings in plain Markdown, a paragraph a paper."""
    return "\n\n".join(
        f"**{entry['title']}.** *{entry['question']}* {answer} "
        f"({', '.join(f'{count} {verdict}' for count, verdict in tally)})"
        for entry, answer, tally in _answers(store, path, claims)
    )
