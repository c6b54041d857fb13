"""Verdicts from made-up tables whose answer is known, and the ledger itself."""

import inspect
import itertools
import json
import math
from dataclasses import asdict, dataclass
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from prunebook import evidence
from prunebook.errors import InputError
from prunebook.evidence import verdict_table
from prunebook.evidence.judging import NO_ARGUMENTS
from prunebook.evidence.statistics import STATISTICS
from prunebook.evidence.statistics.elimination_compensation import PAPER_METHODS, loss_ratio
from prunebook.pages import verdicts
from prunebook.store.results import Store
from prunebook.studies import STUDIES
from prunebook.weights import METHODS

WIDTHS = "4-3-2"


def table(level, seeds=(1, 2, 3, 4, 5), noises=(0.0,), ratios=(0.3, 0.5), wobble=0.01):
    """``losses`` with loss = level(method, ratio, stage, noise), and a little spread over seeds."""
    rng = np.random.default_rng(0)
    rows = [
        {"widths": WIDTHS, "noise": noise, "seed": seed, "method": method, "ratio": ratio, "stage": stage}
        | {"loss": level(method, ratio, stage, noise) * math.exp(wobble * rng.standard_normal())}
        for noise, seed, method, ratio, stage in itertools.product(
            noises, seeds, (*PAPER_METHODS, "ec-ranking-only"), ratios, ("pruned", "fine-tuned")
        )
    ]
    rows += [
        {"widths": WIDTHS, "noise": noise, "seed": seed, "method": "dense", "ratio": 0.0, "stage": stage}
        | {"loss": level("dense", 0.0, stage, noise) * math.exp(wobble * rng.standard_normal())}
        for noise, seed, stage in itertools.product(noises, seeds, ("trained", "fine-tuned"))
    ]
    losses = pd.DataFrame(rows)
    return {"losses": losses.assign(clean_loss=losses["loss"])}


def claim(**condition):
    return {"conditions": [{"statistic": "loss_ratio", "method": "elimination-compensation", **condition}]}


HALF = {"stage": "pruned", "ratios": "all", "against": "magnitude", "below": 1}


@pytest.mark.parametrize(
    ("factor", "wobble", "verdict"),
    [(0.5, 0.01, evidence.SUPPORTED), (2.0, 0.01, evidence.NOT_SUPPORTED), (1.0, 0.3, evidence.INCONCLUSIVE)],
)
def test_a_known_ratio_gets_its_verdict(factor, wobble, verdict):
    tables = table(lambda m, *_: factor if m == "elimination-compensation" else 1.0, wobble=wobble)
    found, conditions = evidence.judge(claim(**HALF), tables)
    assert found == verdict
    assert conditions[0].effect == pytest.approx(factor, rel=3 * wobble)


def test_interval_is_students_over_seeds_of_means_over_ratios():
    tables = table(lambda m, *_: 0.9 if m == "elimination-compensation" else 1.0, wobble=0.1)
    _, (condition,) = evidence.judge(claim(**HALF), tables)
    losses = tables["losses"].pivot_table(index=["seed", "ratio"], columns=["method", "stage"], values="loss")
    logs = np.log(losses["elimination-compensation", "pruned"] / losses["magnitude", "pruned"])
    means = logs.groupby("seed").mean()
    low, high = stats.t.interval(0.95, 4, means.mean(), stats.sem(means))
    assert (condition.low, condition.high) == pytest.approx((math.exp(low), math.exp(high)), rel=1e-12)
    assert condition.seeds == 5  # ratios are not counted as independent


def test_one_failing_condition_fails_the_claim_and_decides_it():
    def level(method, ratio, stage, noise):
        return {"elimination-compensation": 0.5, "random": 0.25}.get(method, 1.0)

    two = claim(**{**HALF, "against": ["magnitude", "random"]})
    verdict, conditions = evidence.judge(two, table(level))
    assert verdict == evidence.NOT_SUPPORTED
    assert [c.outcome for c in conditions] == [evidence.SUPPORTED, evidence.NOT_SUPPORTED]
    assert "random" in evidence.deciding(conditions).label


def test_nothing_is_said_without_results_or_with_one_seed():
    assert evidence.judge(claim(**HALF), None) == (evidence.NOT_TESTED, [])
    verdict, _ = evidence.judge(claim(**HALF), table(lambda *_: 1.0, seeds=(1,)))
    assert verdict == evidence.NOT_TESTED


def test_seeds_that_a_question_came_from_do_not_count():
    tables = table(lambda method, *_: 0.5 if method == "elimination-compensation" else 1.0, wobble=0.01)
    losses, asked = tables["losses"], sorted(tables["losses"]["seed"].unique())[:2]
    ours = losses["method"] == "elimination-compensation"
    losses.loc[ours & losses["seed"].isin(asked), "loss"] *= 100
    verdict, (condition,) = evidence.judge(claim(**HALF), tables)
    assert (verdict, condition.seeds) == (evidence.INCONCLUSIVE, 5)
    verdict, (condition,) = evidence.judge({**claim(**HALF), "after_seed": int(asked[-1])}, tables)
    assert (verdict, condition.seeds) == (evidence.SUPPORTED, 3)
    assert condition.effect == pytest.approx(0.5, rel=0.05)
    last = {**claim(**HALF), "after_seed": int(losses["seed"].max())}
    assert evidence.judge(last, tables) == (evidence.NOT_TESTED, [])
    assert evidence.judge(last, None) == (evidence.NOT_TESTED, [])


def test_ratio_to_the_dense_network_and_to_another_ratio_of_the_same_method():
    def level(method, ratio, stage, noise):
        return 3.0 if method == "dense" else 1.0 + ratio

    tables = table(level, wobble=0.0)
    ec = {"method": "elimination-compensation", "stage": "pruned"}
    dense = loss_ratio(tables, **ec, ratios=[0.5], against="dense", against_stage="trained")
    assert np.exp(dense["value"]).tolist() == pytest.approx([0.5] * 5)
    other = loss_ratio(tables, **ec, ratios=[0.5], against_ratio=0.3)
    assert np.exp(other["value"]).tolist() == pytest.approx([1.5 / 1.3] * 5)
    each = loss_ratio(tables, **ec, ratios=[0.3, 0.5], against="magnitude", pool="each")
    assert each["cell"].nunique() == 2
    with pytest.raises(InputError, match="no results to compare"):
        loss_ratio(tables, **ec, ratios=[0.7], against="magnitude")


def test_shares_ranks_and_gains_on_tables_with_known_answers():
    def level(method, ratio, stage, noise):
        if method == "dense":  # trained on, it halves without noise and stays with noise
            return 0.5 if stage == "fine-tuned" and noise == 0 else 1.0
        if method == "elimination-compensation":
            return 5.0 if ratio == 0.5 else 1.0  # at one of two ratios five times worse than all others
        place = PAPER_METHODS.index(method) if method in PAPER_METHODS else 9
        return 1.5 + (place if noise == 0 else -0.1 * place)

    tables = table(level, noises=(0.0, 0.01), wobble=0.0)
    worse = STATISTICS["share_worse"].function
    shares = worse(tables, method="elimination-compensation", against="non-linear", factor=1)
    assert set(shares["value"]) == {0.5}
    assert worse(tables, method="non-linear", against="non-linear", factor=1)["value"].max() == 0.0
    taus = STATISTICS["rank_agreement"].function(tables, noises=[0.0, 0.01], stage="pruned")
    assert taus["value"].max() < 0.6  # the order of five methods is turned round
    gain = STATISTICS["gain_difference"].function(tables, noises=[0.01, 0.0])
    assert np.exp(gain["value"]).tolist() == pytest.approx([2.0] * 5)
    floors = pd.DataFrame({"widths": WIDTHS, "noise": 0.0, "seed": [1, 2, 3, 4, 5], "name": "noise", "value": 2.0})
    level_ = STATISTICS["loss_level"].function
    values = level_({**tables, "floors": floors}, method="random", stage="pruned", ratio=0.3, floor="noise")
    assert np.exp(values["value"]).tolist() == pytest.approx([(1.5 + 4) / 2] * 5)


def test_seeds_are_the_only_independent_unit():
    doubled = pd.DataFrame({"cell": "a", "seed": [1, 1, 2], "value": [0.1, 0.2, 0.3]})
    with pytest.raises(InputError, match="more than one value a seed"):
        evidence.judge_condition(doubled, "below", 1.0, log=False)


@pytest.mark.parametrize(
    ("more", "text"), [(1, "; 1 more seed would"), (7, "; 7 more seeds would"), (None, "no number")]
)
def test_evidence_says_how_many_seeds_are_missing(more, text):
    row = {"verdict": evidence.INCONCLUSIVE, "seeds": 5, "label": "a", "effect": 1.0, "low": 0.9, "high": 1.1}
    row |= {"side": "below", "threshold": 1.0, "held": 1, "conditions": 2, "more_seeds": more}
    frame = pd.DataFrame([row, {**row, "more_seeds": None}])  # as it comes out of the table of verdicts
    assert text in verdicts.evidence(frame.iloc[0])


@pytest.mark.parametrize(
    ("numbers", "rule", "text"),
    [
        ((1.0, 1.0, 1.0), ("above", 0.999999), "1 (1 to 1) above 0.999999"),
        ((0.5, 0.5, 0.5), ("above", 0.5), "exactly 0.5 above 0.5"),
        ((1 - 1e-13, 1 - 3e-13, 1 + 1e-13), ("above", 1.0), "exactly 1 above 1"),  # but for rounding
        ((1.0032, 0.9956, 1.01093), ("below", 1.01), "1 (0.996 to 1.011) below 1.01"),
        ((0.9230, 0.8515, 0.9998), ("below", 1.0), "0.923 (0.852 to 0.9998) below 1"),
        ((1248.0, 999.7, 3e4), ("below", 1.0), "1,248 (1,000 to 3.0e+04) below 1"),
        ((4.8e-16, 4e-16, 5.6e-16), ("below", 1e-12), "4.8e-16 (4.0e-16 to 5.6e-16) below 1.0e-12"),
        ((0.0, 0.0, 0.0), ("below", 0.01), "0 (0 to 0) below 0.01"),
        ((-0.02, -0.04, 0.0), ("above", 0.0), "-0.02 (-0.04 to 0) above 0"),
    ],
)
def test_a_row_shows_as_many_digits_as_its_comparison_needs(numbers, rule, text):
    effect, *interval = numbers
    side, threshold = rule
    words = f"{verdicts.measured_text(effect, tuple(interval), threshold)} {verdicts.rule_text(side, threshold)}"
    assert words == text


def test_what_is_printed_stands_to_the_threshold_as_what_was_measured():
    rng = np.random.default_rng(0)
    for threshold in (0.999999, 1.0, 1e-12, 0.3, 1234.5):
        for value in threshold * (1 + rng.choice([-1, 1], 50) * 10.0 ** rng.uniform(-8, 0.3, 50)):
            words = verdicts.measured_text(value, None, threshold), verdicts.rule_text("above", threshold)
            printed, limit = (float(word.split()[-1].replace(",", "")) for word in words)
            assert limit == threshold
            assert (printed > limit) == (value > threshold)
            assert printed != limit


def test_without_results_nothing_is_tested_and_seeds_that_do_not_count_are_not_planned(tmp_path):
    table = evidence.verdicts(Store(tmp_path)).set_index("claim")
    assert set(table["verdict"]) == {"not tested"}
    assert not table["seeds"].any()
    ledger = evidence.read()
    first = {name: entry for name, entry in ledger.items() if entry.get("edition", 1) == 1}
    assert any("after_seed" in entry for entry in first.values()), "no claim has such seeds any more"
    for name, entry in first.items():
        seeds = STUDIES[entry["study"]].seeds["paper"]
        assert table["planned"][name] == len(range(entry.get("after_seed", 0) + 1, seeds + 1)) > 0, name


def test_evidence_of_one_seed_has_no_interval():
    row = {"verdict": evidence.NOT_TESTED, "seeds": 1, "label": "a", "effect": 0.9, "low": 0.0, "high": math.inf}
    text = verdicts.evidence(row | {"side": "above", "threshold": 0.999999, "held": 0, "conditions": 1})
    assert text == "one seed is too few for a verdict. It gives, a: 0.9, must be above 0.999999."
    assert verdicts.evidence(row | {"seeds": 0}) == "no paper-scale results yet."
    asked = verdicts.evidence(row | {"seeds": 0, "after_seed": 2})
    assert asked == "no paper-scale results yet from a seed after 2, the last that the question came from."


def test_every_claim_of_the_ledger_is_complete_and_names_things_that_exist():
    ledger = evidence.read()
    methods = {*METHODS, "fully-connected", "dense"}
    for name, entry in ledger.items():
        if entry["study"] not in STUDIES:  # a rule comes before its study
            assert entry["edition"] > 1, name
            continue
        config = STUDIES[entry["study"]].presets["paper"][0]
        for condition in entry["conditions"]:
            against = condition.get("against") or []
            rivals = against if isinstance(against, list) else [against]
            if entry["paper"] == "ballini2026" or entry["study"].startswith("ec-"):
                named = {condition.get("method", "dense"), *rivals} - {"forward pass", "loss backpropagation"}
                assert named <= methods, name
            bound = inspect.signature(STATISTICS[condition["statistic"]].function)
            rest = {k: v for k, v in condition.items() if k not in NO_ARGUMENTS}
            bound.bind({}, **rest)  # a misspelt argument is found before there are results
            ratios = condition.get("ratios") or []
            assert ratios in ("all", []) or set(ratios) <= set(config.ratios), name


def test_the_conditions_of_a_claim_can_be_told_apart():
    tables = table(lambda *_: 0.7)
    plain, told = (evidence.judge(claim(**HALF, **says), tables)[1] for says in ({}, {"says": "half of it"}))
    assert [c.label for c in told] == [f"{c.label}, half of it" for c in plain]
    rows = evidence.all_conditions()
    twins = rows[rows.duplicated(["claim", "label", "side"], keep=False)]
    assert twins.empty, f"{twins[['claim', 'label']].to_string()}: give these conditions a `says`"


PARTS = "paper: p, short: s, where: w, claim: c, study: s, rule: r, change: h"


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("A: {claim: x, conditions: []}", "lacks"),
        (f"A: {{{PARTS}, conditions: [{{statistic: odd, below: 1}}]}}", "odd"),
        (f"A: {{{PARTS}, edition: 2, conditions: []}}", "lacks effect, thresholds"),
        (f"A: {{{PARTS}, replaces: B, why: x, conditions: []}}", "replaces B"),
        (f"A: {{{PARTS}, replaces: A, conditions: []}}", "lacks why"),
        (f"A: {{{PARTS}, kind: guess, conditions: []}}", "guess"),
        (f"A: {{{PARTS}, conditions: [{{statistic: stability, below: 1, margin: 2}}]}}", "no margin"),
        (f"A: {{{PARTS}, conditions: [{{statistic: stability}}]}}", "above and below"),
        (f"A: {{{PARTS}, conditions: [{{statistic: stability, above: 1, below: 2}}]}}", "above and below"),
    ],
)
def test_a_broken_ledger_is_refused(tmp_path, broken, message):
    path = tmp_path / "claims.yaml"
    path.write_text(broken)
    with pytest.raises(InputError, match=message):
        evidence.read(path)


@dataclass(frozen=True)
class Config:
    net: str


def test_only_seeds_that_ran_on_every_network_of_a_claim_count():
    study = SimpleNamespace(presets={"paper": (Config("small"), Config("large"))})
    small, large = {"net": "small"}, {"net": "large"}
    runs = [{"seed": 1, "config": small}, {"seed": 1, "config": large}, {"seed": 2, "config": small}]
    results = SimpleNamespace(records=runs)
    assert evidence.complete(study, results, {}) == (1,)
    assert evidence.complete(study, results, small) == (1, 2)
    assert evidence.complete(study, results, large) == (1,)
    assert evidence.complete(study, results, small, lambda record: record["seed"] > 1) == (2,)
    results.records = [runs[0], runs[2]]
    assert evidence.complete(study, results, {}) == ()
    assert evidence.complete(study, results, large) == ()


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """Results of a study of two networks, Small with a protocol of more epochs beside, seeds 1 to 9."""

    @dataclass(frozen=True)
    class Long(Config):
        epochs: int = 15

    configs = (Long("small"), Long("medium"), Long("small", 100))
    study = SimpleNamespace(presets={"paper": configs}, seeds={"paper": 9})
    records = [{"seed": seed, "config": asdict(config)} for config in configs for seed in range(1, 10)]
    rows = [{"net": r["config"]["net"], "epochs": r["config"]["epochs"], "seed": r["seed"]} for r in records]
    results = SimpleNamespace(records=records, stand_in=False, tables={"t": pd.DataFrame(rows)})
    monkeypatch.setitem(verdict_table.STUDIES, "toy", study)
    found = verdict_table.Measured(Store(tmp_path))
    found.results = lambda name: results
    return found, study


def runs(tables):
    return sorted({(row.net, row.epochs, row.seed) for row in tables["t"].itertuples()})


def test_fresh_seeds_judge_the_second_edition_and_the_others_stay_with_the_first(measured):
    found, study = measured
    short = {"net": "small", "epochs": 15}
    first, second = {"study": "toy", "only": short}, {"study": "toy", "only": short, "after_seed": 5}
    assert runs(found.judging(first)) == [("small", 15, seed) for seed in range(1, 10)]
    assert runs(found.judging(first, [second])) == [("small", 15, seed) for seed in range(1, 6)]
    assert runs(found.judging(second)) == [("small", 15, seed) for seed in range(6, 10)]
    some = {**second, "after_seed": 0, "seen_seeds": [1, 2, 3, 6, 8]}
    assert runs(found.judging(some)) == [("small", 15, seed) for seed in (4, 5, 7, 9)]
    assert [verdict_table.planned(claim, study) for claim in (first, second, some)] == [9, 4, 4]
    # Another protocol has configurations of its own; all of their seeds are fresh, and none is taken from the first.
    protocol = {"study": "toy", "only": {"net": "small", "epochs": {"above": 15}}}
    assert runs(found.judging(protocol)) == [("small", 100, seed) for seed in range(1, 10)]
    assert runs(found.judging(first, [protocol])) == [("small", 15, seed) for seed in range(1, 10)]
    assert found.judging({**second, "after_seed": 9}) is None


def test_where_networks_are_told_apart_each_run_is_a_seed(measured):
    found, study = measured
    claim = {"study": "toy", "only": {"epochs": 15}, "after_seed": {"small": 8, "medium": 6}}
    table = found.judging(claim)["t"]
    assert sorted(table["seed"]) == ["medium 7", "medium 8", "medium 9", "small 9"]
    assert verdict_table.planned(claim, study) == 4
    others = found.judging({**claim, "after_seed": {"small": 9, "other": 7}})["t"]
    assert sorted(others["seed"]) == ["medium 8", "medium 9"]


def test_the_latest_edition_stands_at_the_place_of_the_first():
    rows = [("A", "", "supported"), ("B", "", "inconclusive"), ("A.2", "A", "not tested"), ("C", "", "not tested")]
    found = evidence.latest(pd.DataFrame(rows, columns=["claim", "replaces", "verdict"]))
    assert found[["claim", "first"]].to_numpy().tolist() == [["A.2", "supported"], ["B", ""], ["C", ""]]


def test_what_changed_is_told_claim_by_claim(tmp_path):
    found = evidence.changes(Store(tmp_path))
    ledger = evidence.read()
    assert len(found) == sum(entry.get("edition", 1) > 1 for entry in ledger.values())
    row = found.set_index("after").loc["EC-5c.2"]
    assert row["claim"] == "EC-5a"
    assert (row["rule_before"], row["why"]) == (ledger["EC-5a"]["rule"], ledger["EC-5c.2"]["why"])


def test_a_row_of_the_second_edition_puts_its_effect_into_words():
    row = {"edition": 2, "verdict": evidence.INCONCLUSIVE, "effect": 0.83, "low": 0.75, "high": 0.92, "beside": ""}
    row |= {"label": "times the rival's loss", "held": 5, "conditions": 6, "more_seeds": 3, "threshold": math.nan}
    text = verdicts.evidence(row)
    assert text == (
        "0.83 (0.75 to 0.92) times the rival's loss; 5 of 6 conditions hold; "
        "3 more seeds would give an 80 % chance of a decision"
    )
    assert verdicts.evidence(row | {"verdict": evidence.NOT_TESTED, "reason": "no fresh seeds yet"}) == (
        "no fresh seeds yet."
    )


def test_a_claim_finds_the_records_of_its_configurations():
    # A record keeps its configuration as JSON, where a tuple of widths is a list.
    plain = {
        name: json.loads(json.dumps([{"seed": 1, "config": asdict(config)} for config in study.presets["paper"]]))
        for name, study in STUDIES.items()
    }
    for name, claim in evidence.read().items():
        if claim.get("edition", 1) == 1:
            results = SimpleNamespace(records=plain[claim["study"]])
            assert evidence.complete(STUDIES[claim["study"]], results, claim.get("only", {})) == (1,), name
