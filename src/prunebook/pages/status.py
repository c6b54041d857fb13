"""The state of the evidence in Markdown: what was measured, on what, at what cost, and whether it came out again."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from prunebook.evidence.invariants import invariants
from prunebook.pages.verdicts import PAGES
from prunebook.store import machine
from prunebook.store.collect import Collected, stored
from prunebook.store.comparison import metrics_of, read_tolerances, unit_of
from prunebook.store.results import Store
from prunebook.studies import STUDIES
from prunebook.studies.study import Study
from prunebook.workflow import drift
from prunebook.workflow.costs import held_out


def studies_table(store: Store | None = None, link: str | None = "/{page}") -> str:
    """A row a study: runs done of those planned, seeds, hours, data, what has changed in the protocol since; below,
    what they ran on."""
    lines = ["| Study | Runs | Seeds | Hours | Data | State |", "| :-- | :-- | :-- | --: | :-- | :-- |"]
    machines: dict[str, list[str]] = {}
    for study in STUDIES.values():
        results = stored(study, "paper", store=store)
        lines.append(_row(study, results, link))
        for record in results.records if results else ():
            titles = machines.setdefault(machine.kind(record["hardware"]), [])
            titles += [] if study.title in titles else [study.title]
    if len(machines) == 1:
        lines += ["", f"All of them ran on {next(iter(machines))}."]
    else:
        lines += ["", *(f"- {kind}: {', '.join(titles)}" for kind, titles in machines.items())]
    return "\n".join(lines)


def _row(study: Study, results: Collected | None, link: str | None) -> str:
    name = study.title
    if link and study.name in PAGES:
        name = f"**[{name}]({link.format(page=PAGES[study.name])})**"
    planned = len(study.presets["paper"]) * study.seeds["paper"]
    if results is None:
        return f"| {name} | 0 of {planned} | – | – | – | not measured yet |"
    records = results.records
    hours = sum(record["wall_time"] for record in records) / 3600
    seeds = sorted({record["seed"] for record in records})
    data = _each(record["data"]["name"] for record in records)
    state = f"outdated: {'; '.join(results.changes)}" if results.stale else "up to date"
    return f"| {name} | {len(records)} of {planned} | {', '.join(map(str, seeds))} | {hours:.1f} | {data} | {state} |"


def _each(values: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(values))


def invariants_table(store: Store | None = None) -> str:
    """A row a check and study: how many cases were looked at, and how many break it."""
    rows = invariants(store)
    lines = ["| Study | What must hold | Cases | Broken |", "| :-- | :-- | --: | --: |"]
    lines += [f"| {r.study} | {r.what} | {r.cases:,} | {r.broken or 'none'} |" for r in rows.itertuples()]
    return "\n".join(lines)


def plans_table(store: Store | None = None) -> str:
    """A row a study: hours of its runs as foretold from the other seeds, and as they were."""
    lines = [
        "| Study | Runs | Hours planned | Hours taken | Taken over planned | Single runs |",
        "| :-- | --: | --: | --: | --: | --: |",
    ]
    for study in STUDIES.values():
        if pairs := held_out(study, "paper", store):
            planned, measured = (sum(seconds) / 3600 for seconds in zip(*pairs, strict=True))
            factors = [took / foretold for foretold, took in pairs]
            lines.append(
                f"| {study.title} | {len(pairs)} | {planned:.2f} | {measured:.2f} | {measured / planned:.2f} "
                f"| {min(factors):.2f} to {max(factors):.2f} |"
            )
    return "\n".join(lines) if len(lines) > 2 else "No configuration has two seeds yet."


def drift_table(path: Path = drift.OUTCOME_FILE, tolerances: Mapping | None = None) -> str:
    """A row a re-run at the paper scale and kind of machine, then a row a tolerance with what was seen; or a sentence
    that no result was measured again."""
    outcomes = [entry for entry in drift.last(path) if entry["scale"] == "paper"]
    tolerances = read_tolerances() if tolerances is None else tolerances
    if not outcomes:
        return "No result has been measured again yet."
    lines = ["| Result | Made on | Measured again on | Metrics within | Outcome |", "| :-- | :-- | :-- | --: | :-- |"]
    for entry in outcomes:
        metrics, made = entry["metrics"], machine.kind(entry["then"]["hardware"])
        lines.append(
            f"| {entry['study']}, {entry['config']}, seed {entry['seed']} | {made} "
            f"| {machine.kind(entry['hardware'])} ({entry['date']}) "
            f"| {sum(row['ok'] for row in metrics)} of {len(metrics)} "
            f"| {_came_out(metrics, tolerances[entry['study']])} |"
        )
    same = [e for e in outcomes if machine.same_kind(e["hardware"], e["then"]["hardware"])]
    other = [e for e in outcomes if e not in same]
    lines += [
        "",
        f"On the kind of machine that made them, {_within(same)} came out again within the tolerances; "
        f"on another kind, {_within(other)}.",
        "",
        *_tolerances(drift.seen_elsewhere(outcomes), tolerances),
    ]
    return "\n".join(lines)


def _within(outcomes: list[dict]) -> str:
    return f"{sum(entry['ok'] for entry in outcomes)} of {len(outcomes)} re-runs"


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


def _tolerances(seen: Mapping, tolerances: Mapping) -> list[str]:
    """A row a metric: what is allowed, and what re-runs on another kind of machine needed."""
    lines = [
        "| Study | Metric | Allowed | In at least | Needed on other machines | Largest there | Re-runs, kinds "
        "| Needed by another seed |",
        "| :-- | :-- | --: | --: | --: | --: | --: | --: |",
    ]
    for study, tables in tolerances.items():
        for table, entry in tables.items():
            for metric, allowed in metrics_of(entry).items():
                unit = unit_of(allowed)
                before = f", before {allowed['was']}" if "was" in allowed else ""
                at = seen.get((study, table, metric))
                told = (
                    f"{_number(at['needed'])} | {_number(at['largest'])} | {at['runs']}, {len(at['kinds'])}"
                    if at
                    else "not measured yet | – | 0"
                )
                seeds = f"{allowed['seeds']:g}" if "seeds" in allowed else "–"
                lines.append(
                    f"| {study} | {table}: {metric} | {allowed[unit]:g} {unit}{before} "
                    f"| {allowed.get('share', 1):.0%} | {told} | {seeds} |"
                )
    return lines
