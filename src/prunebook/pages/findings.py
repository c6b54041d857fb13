"""What was found, in a few sentences a paper: each stands only while the verdicts that it rests on do."""

import re
from pathlib import Path

import pandas as pd
import yaml

from prunebook.errors import InputError
from prunebook.evidence.claims import CLAIMS_FILE, SUPPORTED
from prunebook.evidence.verdict_table import conditions_table, latest, verdicts
from prunebook.pages.verdicts import tally

FINDINGS_FILE = Path(__file__).parents[3] / "data" / "findings.yaml"
_EFFECT = re.compile(r"\{([A-Z]{2}-[\w.]+):([^}]+)\}")


def findings(store=None, path: Path = FINDINGS_FILE, claims: Path = CLAIMS_FILE) -> pd.DataFrame:
    """One row a sentence: paper, text (with its numbers put in), needs, front, stands, and ``off``, what differs.

    Raises InputError for a sentence that needs nothing, or that names a claim that does not exist or that it does not
    need.
    """
    return _read(path, verdicts(store, claims).set_index("claim"), store, claims)


def _read(path: Path, judged: pd.DataFrame, store=None, claims: Path = CLAIMS_FILE) -> pd.DataFrame:
    rows = []
    for paper, entry in yaml.safe_load(path.read_text(encoding="utf-8")).items():
        for sentence in entry["sentences"]:
            text, needs, alone = sentence["text"].strip(), sentence.get("needs", {}), sentence.get("fails_only", {})
            used = {match[1] for match in _EFFECT.finditer(text)} | set(alone)
            if not needs or used - set(needs) or set(needs) - set(judged.index):
                advice = "must name, under needs, known claims and all that it quotes"
                raise InputError(f"{path.name}: {text[:60]!r} {advice}")
            now = judged.loc[list(needs), "verdict"]
            off = [f"{name} is {verdict}" for name, verdict in now.items() if verdict != needs[name]]
            for name, word in alone.items():
                table = conditions_table(name, store, claims)
                labels = table.loc[table["outcome"] != SUPPORTED, "label"]
                off += [f"{name} does not hold for {label}" for label in labels if word not in label]
            put = _EFFECT.sub(lambda match: format(float(judged.loc[match[1], "effect"]), match[2]), text)
            rows.append((paper, put, tuple(needs), sentence.get("front", False), not off, ", ".join(off)))
    return pd.DataFrame(rows, columns=["paper", "text", "needs", "front", "stands", "off"])


def findings_of(study: str, judged: pd.DataFrame, path: Path = FINDINGS_FILE) -> list[str]:
    """The sentences that stand and rest on a claim of one study, in Markdown. ``judged`` is the table of verdicts."""
    own = set(judged.loc[judged["study"] == study, "claim"])
    found = _read(path, judged.set_index("claim"))
    return [row.text for row in found.itertuples() if row.stands and own & set(row.needs)]


def answers(store=None, path: Path = FINDINGS_FILE, claims: Path = CLAIMS_FILE) -> dict[str, tuple[dict, str, list]]:
    """Each paper's entry, its front sentences that stand, and how many claims have which verdict."""
    judged = verdicts(store, claims)  # takes seconds
    sentences, now, found = _read(path, judged.set_index("claim"), store, claims), latest(judged), {}
    for paper, entry in yaml.safe_load(path.read_text(encoding="utf-8")).items():
        own = sentences[(sentences["paper"] == paper) & sentences["stands"] & sentences["front"]]
        counted = now["study"] == entry["study"] if "study" in entry else now["paper"] == paper
        counted &= now["kind"] != "check"
        found[paper] = entry, " ".join(own["text"]) or "No answer yet.", tally(now.loc[counted, "verdict"])
    return found


def findings_text(store=None, path: Path = FINDINGS_FILE, claims: Path = CLAIMS_FILE) -> str:
    """The findings in plain Markdown, a paragraph a paper that has some."""
    return "\n\n".join(
        f"**{entry['title']}.** *{entry['question']}* {answer} "
        f"({', '.join(f'{count} {verdict}' for count, verdict in counts)})"
        for entry, answer, counts in answers(store, path, claims).values()
        if any(sentence.get("front") for sentence in entry["sentences"])
    )
