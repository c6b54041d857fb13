"""The state of the evidence in Markdown: what was measured, on what, at what cost, and whether it came out again."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from prunebook.evidence.invariants import invariants
from prunebook.pages.run_card import versions_text
from prunebook.pages.verdicts import PAGES, markdown
from prunebook.store import machine
from prunebook.store.collect import Collected, stored
from prunebook.store.comparison import metrics_of, read_tolerances, unit_of
from prunebook.store.results import Store
from prunebook.studies import STUDIES
from prunebook.studies.study import Study
from prunebook.workflow import drift
from prunebook.workflow.costs import held_out

STATE = {"Study": "l", "Runs": "l", "Seeds": "l", "Hours": "r", "Data": "l", "State": "l"}
INVARIANTS = {"Study": "l", "What must hold": "l", "Cases": "r", "Broken": "r"}
PLANS = dict.fromkeys(("Runs", "Hours planned", "Hours taken", "Taken over planned", "Single runs"), "r")
OUTCOMES = {"Result": "l", "Made on": "l", "Measured again on": "l", "Metrics within": "r", "Outcome": "l"}
NEEDED = ("Needed on other machines", "Largest there", "Re-runs, kinds", "Needed by another seed")
TOLERANCES = {"Study": "l", "Metric": "l"} | dict.fromkeys(("Allowed", "In at least", *NEEDED), "r")


def studies_table(store: Store | None = None, link: str | None = "/{page}") -> str:
    """A row a study: runs done of those planned, seeds, hours, data, what has changed in the protocol since; below,
    what they ran on."""
    rows, machines = [], {}
    for study in STUDIES.values():
        results = stored(study, "paper", store=store)
        rows.append(_row(study, results, link))
        for record in results.records if results else ():
            machines.setdefault(machine.kind(record["hardware"]), {})[study.title] = True
    if len(machines) == 1:
        ran = f"All of them ran on {next(iter(machines))}."
    else:
        ran = "\n".join(f"- {kind}: {', '.join(titles)}" for kind, titles in machines.items())
    return f"{markdown(STATE, rows)}\n\n{ran}".rstrip()


def _row(study: Study, results: Collected | None, link: str | None) -> tuple:
    name = study.title
    if link and study.name in PAGES:
        name = f"**[{name}]({link.format(page=PAGES[study.name])})**"
    planned = len(study.presets["paper"]) * study.seeds["paper"]
    if results is None:
        return name, f"0 of {planned}", "–", "–", "–", "not measured yet"
    records = results.records
    hours = sum(record["wall_time"] for record in records) / 3600
    seeds = ", ".join(map(str, sorted({record["seed"] for record in records})))
    data = "; ".join(dict.fromkeys(record["data"]["name"] for record in records))
    state = f"outdated: {'; '.join(results.changes)}" if results.stale else "up to date"
    if mixed := versions_text(results.versions, study):
        state = f"{state}; {mixed}" if results.stale else mixed
    return name, f"{len(records)} of {planned}", seeds, f"{hours:.1f}", data, state


def invariants_table(store: Store | None = None) -> str:
    """A row a check and study: how many cases were looked at, and how many break it."""
    rows = invariants(store).itertuples()
    return markdown(INVARIANTS, ((r.study, r.what, f"{r.cases:,}", r.broken or "none") for r in rows))


def plans_table(store: Store | None = None) -> str:
    """A row a study: hours of its runs as foretold from the other seeds, and as they were."""
    rows = []
    for study in STUDIES.values():
        if pairs := held_out(study, "paper", store):
            planned, measured = (sum(seconds) / 3600 for seconds in zip(*pairs, strict=True))
            factors = [took / foretold for foretold, took in pairs]
            hours = (f"{value:.2f}" for value in (planned, measured, measured / planned))
            rows.append((study.title, len(pairs), *hours, f"{min(factors):.2f} to {max(factors):.2f}"))
    return markdown({"Study": "l", **PLANS}, rows) if rows else "No configuration has two seeds yet."


def drift_table(path: Path = drift.OUTCOME_FILE, tolerances: Mapping | None = None) -> str:
    """A row a re-run at the paper scale and kind of machine, then a row a tolerance with what was seen; or a sentence
    that no result was measured again."""
    outcomes = [entry for entry in drift.last(path) if entry["scale"] == "paper"]
    tolerances = read_tolerances() if tolerances is None else tolerances
    if not outcomes:
        return "No result has been measured again yet."
    rows = []
    for entry in outcomes:
        metrics = entry["metrics"]
        result = f"{entry['study']}, {entry['config']}, seed {entry['seed']}"
        made, again = machine.kind(entry["then"]["hardware"]), f"{machine.kind(entry['hardware'])} ({entry['date']})"
        within = f"{sum(row['ok'] for row in metrics)} of {len(metrics)}"
        rows.append((result, made, again, within, _came_out(metrics, tolerances[entry["study"]])))
    same = [e for e in outcomes if machine.same_kind(e["hardware"], e["then"]["hardware"])]
    other = [e for e in outcomes if e not in same]
    sums = [f"{sum(entry['ok'] for entry in part)} of {len(part)} re-runs" for part in (same, other)]
    said = (
        f"On the kind of machine that made them, {sums[0]} came out again within the tolerances; on another kind, "
        f"{sums[1]}."
    )
    needed = markdown(TOLERANCES, _tolerances(drift.seen_elsewhere(outcomes), tolerances))
    return "\n\n".join((markdown(OUTCOMES, rows), said, needed))


def _came_out(metrics: list[dict], tolerances: Mapping) -> str:
    """What drifted, with its numbers; "ok" if nothing did, "the same digits" if nothing moved at all, and else how many
    of the tolerances have been widened, maybe for this very re-run."""
    drifted = [
        f"{row['table']}, {row['metric']}: allowed {row['allowed']:g} {row['unit']} in {row['share']:.0%} of "
        f"{row['rows']} rows, {row['within']:.1%} are within, largest {_number(row['largest'])}"
        for row in metrics
        if not row["ok"]
    ]
    if drifted:
        return f"**drifted**: {'; '.join(drifted)}"
    if all(row["largest"] == 0 for row in metrics):
        return "ok, the same digits"
    widened = sum("was" in tolerances[row["table"]][row["metric"]] for row in metrics)
    return f"ok, {widened} of the tolerances widened" if widened else "ok"


def _number(value: float | None) -> str:
    return "a row is missing" if value in (None, float("inf")) else f"{value:.2g}"


def _tolerances(seen: Mapping, tolerances: Mapping) -> Iterable[tuple]:
    """A row a metric: what is allowed, and what re-runs on another kind of machine needed."""
    for study, tables in tolerances.items():
        for table, entry in tables.items():
            for metric, allowed in metrics_of(entry).items():
                unit = unit_of(allowed)
                before = f", before {allowed['was']}" if "was" in allowed else ""
                told = ("not measured yet", "–", "0")
                if at := seen.get((study, table, metric)):
                    told = (_number(at["needed"]), _number(at["largest"]), f"{at['runs']}, {len(at['kinds'])}")
                seeds = f"{allowed['seeds']:g}" if "seeds" in allowed else "–"
                limit = f"{allowed[unit]:g} {unit}{before}", f"{allowed.get('share', 1):.0%}"
                yield study, f"{table}: {metric}", *limit, *told, seeds
