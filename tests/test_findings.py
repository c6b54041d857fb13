"""The first page's sentences stand only while the ledger's verdicts are those that they presume."""

import pandas as pd
import pytest

from prunebook import evidence
from prunebook.errors import InputError
from prunebook.pages import findings as module
from prunebook.pages.verdicts import PAGES
from prunebook.studies import STUDIES

FILE = """
evci2018:
  title: Title
  question: Why?
  page: notebooks/mean_replacement
  sentences:
    - {text: "Half goes at {EC-1:.2f} times the loss.", needs: {EC-1: supported}, front: true}
    - {text: "Never.", needs: {EC-1: not supported, EC-2: supported}, front: true}
"""


@pytest.fixture
def ledger(monkeypatch):
    table = pd.DataFrame(
        {
            "claim": ["EC-1", "EC-2"],
            "paper": "evci2018",
            "kind": "claim",
            "replaces": "",
            "verdict": [evidence.SUPPORTED, evidence.NOT_TESTED],
            "effect": [1.004, float("nan")],
        }
    )
    monkeypatch.setattr(module, "verdicts", lambda *args: table)


def write(folder, text=FILE):
    path = folder / "findings.yaml"
    path.write_text(text)
    return path


def test_every_published_sentence_stands_on_the_committed_results():
    rows = module.findings()
    fallen = rows[~rows["stands"]]
    assert fallen.empty, f"write anew: {fallen[['text', 'off']].to_dict('records')}"
    assert not rows["text"].str.contains("nan").any()


@pytest.mark.usefixtures("ledger")
def test_a_sentence_falls_with_its_verdicts_and_is_left_out(tmp_path):
    rows = module.findings(path=write(tmp_path))
    assert rows["stands"].tolist() == [True, False]
    assert rows["text"].iloc[0] == "Half goes at 1.00 times the loss."
    assert rows["off"].iloc[1] == "EC-1 is supported, EC-2 is not tested"
    ((entry, answer, counts),) = module.answers(path=write(tmp_path)).values()
    assert entry["title"] == "Title"
    assert answer == "Half goes at 1.00 times the loss."
    assert counts == [(1, "supported"), (1, "not tested")]
    text = module.findings_text(path=write(tmp_path))
    assert "1.00 times" in text
    assert "Never" not in text


@pytest.mark.usefixtures("ledger")
def test_a_sentence_falls_where_more_fails_than_it_says(tmp_path, monkeypatch):
    table = pd.DataFrame({"label": ["net 1, against a", "net 1, against b"], "outcome": ["supported", "not supported"]})
    monkeypatch.setattr(module, "conditions_table", lambda *args: table)
    text = FILE.replace("{EC-1: supported},", "{EC-1: supported}, fails_only: {EC-1: against b},", 1)
    assert module.findings(path=write(tmp_path, text))["stands"].iloc[0]
    other = text.replace("against b", "against a")
    assert module.findings(path=write(tmp_path, other))["off"].iloc[0] == "EC-1 does not hold for net 1, against b"


@pytest.mark.usefixtures("ledger")
def test_a_paper_without_a_sentence_says_so(tmp_path):
    lines = [line for line in FILE.splitlines() if "Half goes" not in line]
    ((_, answer, _),) = module.answers(path=write(tmp_path, "\n".join(lines))).values()
    assert answer == "No answer yet."


def test_a_page_shows_the_sentences_that_rest_on_its_own_study(tmp_path):
    judged = pd.DataFrame(
        {
            "claim": ["EC-1", "EC-2", "EC-3"],
            "study": ["ec-mnist", "ec-pde", "ec-pde"],
            "verdict": [evidence.SUPPORTED, evidence.SUPPORTED, evidence.NOT_TESTED],
            "effect": [2.0, 3.0, float("nan")],
        }
    )
    sentences = """
paper:
  sentences:
    - {text: "One.", needs: {EC-1: supported}}
    - {text: "Two.", needs: {EC-1: supported, EC-2: supported}}
    - {text: "Fallen.", needs: {EC-2: supported, EC-3: supported}}
"""
    path = write(tmp_path, sentences)
    assert module.findings_of("ec-mnist", judged, path) == ["One.", "Two."]
    assert module.findings_of("ec-pde", judged, path) == ["Two."]
    assert module.findings_of("cb-vgg", judged, path) == []


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize(
    "changed",
    [("needs: {EC-1: supported}", "needs: {}"), ("{EC-1:.2f}", "{EC-2:.2f}"), ("EC-2: supported", "EC-9: supported")],
)
def test_a_sentence_must_rest_on_claims_that_exist(tmp_path, changed):
    with pytest.raises(InputError, match="must name"):
        module.findings(path=write(tmp_path, FILE.replace(*changed)))


def test_every_claim_leads_to_a_page():
    studies = {claim["study"] for claim in evidence.read().values()} & set(STUDIES)
    assert studies <= set(PAGES), "name the page of the study in prunebook.pages.verdicts"
