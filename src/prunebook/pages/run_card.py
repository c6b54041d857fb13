"""What the results on a page were made with."""

import html
from collections.abc import Mapping

from prunebook.store.collect import Collected
from prunebook.studies.study import Study


def versions_text(versions: Mapping[int, tuple[int, ...]], study: Study) -> str:
    """Which seeds are of which version of the protocol, where some are of an earlier one that is kept, in sentences."""
    if not set(versions) & set(study.kept):
        return ""
    each = [f"{_seeds(seeds)} of version {version}" for version, seeds in versions.items()]
    text = f"The protocol has several versions: {' and '.join(each)}."
    since = [study.changes[version] for version in range(min(versions) + 1, study.version + 1)]
    return f"{text} What changed: {'; '.join(since)}. Claims are judged by the seeds of the version they were made for."


def _seeds(seeds: tuple[int, ...]) -> str:
    """In words, with runs of three and more as such: "seed 2 is", "seeds 1 to 5 and 8 are"."""
    runs: list[list[int]] = []
    for seed in seeds:
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    parts = [part for run in runs for part in ([f"{run[0]} to {run[-1]}"] if len(run) > 2 else map(str, run))]
    told = " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))
    return f"seed {told} is" if len(seeds) == 1 else f"seeds {told} are"


def run_card_html(results: Collected, parameters: Mapping) -> str:
    """Commit, parameters, seeds, hardware, versions, wall time and data of some results, as a table in HTML."""
    records = results.records
    seeds = sorted({record["seed"] for record in records})

    def each(values) -> str:
        return ", ".join(dict.fromkeys(str(value) for value in values))

    sets = {record["data"]["name"]: record["data"] for record in records}.values()
    configs = dict.fromkeys(record["config_hash"] for record in records)
    minutes = sum(record["wall_time"] for record in records) / 60
    versions = (", ".join(f"{name} {number}" for name, number in record["versions"].items()) for record in records)
    rows = {
        "Study and scale": f"{results.study}, {results.scale}",
        "Configurations": f"{len(configs)} ({', '.join(configs)})",
        "Seeds": each(seeds),
        "Version of the protocol": each(results.versions),
        "Commit of the code": each(r["commit"][:12] + (" with changes" if r["dirty"] else "") for r in records),
        "Precision": each(record.get("precision", "not recorded") for record in records),
        "Hardware": each(_hardware(record["hardware"]) for record in records),
        "Versions": each(versions),
        "Wall time": f"{minutes:.1f} minutes of one process, all seeds together",
        "Data": each(f"{data['name']} ({data['origin']})" for data in sets),
        "Checksums": each(f"{file} {value[:12]}" for data in sets for file, value in data["checksums"].items()),
        "Parameters": ", ".join(f"{key}={value!r}" for key, value in parameters.items()),
    }
    body = "".join(f"<tr><th scope='row'>{key}</th><td>{html.escape(value)}</td></tr>" for key, value in rows.items())
    return f'<div class="pb-scroll"><table class="pb-card">{body}</table></div>'


def _hardware(facts: dict) -> str:
    parts = [
        facts["cpu"],
        f"{facts['cores']} core{'s' * (facts['cores'] > 1)}",
        f"{facts['memory_gib']} GiB",
        f"torch on {facts['threads']} thread{'s' * (facts['threads'] > 1)}",
    ]
    return ", ".join([*parts, *([facts["gpu"]] if "gpu" in facts else [])])
