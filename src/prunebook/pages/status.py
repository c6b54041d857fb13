"""The state of the evidence in Markdown: what was measured, on what, at what cost, and whether it came out again."""

from collections.abc import Iterable
from pathlib import Path

from prunebook.evidence.invariants import invariants
from prunebook.pages.verdicts import PAGES
from prunebook.store.collect import Collected, stored
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
            titles = machines.setdefault(_machine(record["hardware"]), [])
            titles += [] if study.title in titles else [study.title]
    if len(machines) == 1:
        lines += ["", f"All of them ran on {next(iter(machines))}."]
    else:
        lines += ["", *(f"- {machine}: {', '.join(titles)}" for machine, titles in machines.items())]
    return "\n".join(lines)


def _machine(facts: dict) -> str:
    thread = f"{facts['threads']} thread{'s' * (facts['threads'] > 1)}"
    return ", ".join([facts["cpu"], thread, *([facts["gpu"]] if "gpu" in facts else [])])


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
    return (
        f"| {name} | {len(records)} of {planned} | {', '.join(map(str, seeds))} | {hours:.1f} | {data} "
        f"| {state} |"
    )


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
        if row := held_out(study, "paper", store):
            lines.append(
                f"| {study.title} | {row.runs} | {row.planned:.2f} | {row.measured:.2f} | {row.factor:.2f} "
                f"| {row.mask_lowest:.2f} to {row.highest:.2f} |"
            )
    return "\n".join(lines) if len(lines) > 2 else "No configuration has two seeds yet."


def drift_table(path: Path = drift.OUTCOME_FILE) -> str:
    """A row a metric of the last re-runs at the paper scale, or a sentence that there was none."""
    outcomes = [entry for entry in drift.last(path) if entry["scale"] == "paper"]
    if not outcomes:
        return "No result has been measured again yet."
    lines = [
        "| Result | Metric | Largest difference | Allowed | Rows within | Outcome |",
        "| :-- | :-- | --: | --: | --: | :-- |",
    ]
    for entry in outcomes:
        name = f"{entry['study']}, {entry['config']}, seed {entry['seed']} ({entry['date']})"
        for row in entry["metrics"]:
            verdict = "ok" if row["ok"] else "**drifted**"
            largest = "a row is missing" if row["largest"] is None else f"{row['largest']:.3g}"
            lines.append(
                f"| {name} | {row['table']}: {row['metric']} | {largest} | {row['allowed']:g} {row['unit']} | "
                f"{row['within']:.1%} of {row['rows']}, asked {row['share']:.0%} | {verdict} |"
            )
            name = ""
    same = [e for e in outcomes if e["hardware"]["cpu"] == e["then"]["hardware"]["cpu"]]
    lines += [
        "",
        f"{sum(e['ok'] for e in outcomes)} of {len(outcomes)} results came out again within the tolerances; "
        f"{len(same)} of them on the kind of processor that made them.",
    ]
    return "\n".join(lines)
