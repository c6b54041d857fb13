"""What the results on a page were made with."""

import html
from collections.abc import Mapping

from prunebook.store.collect import Collected


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
