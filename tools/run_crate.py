"""Pack one stored result as a Process Run Crate: its tables, what they were measured with, and how.

Typed as `python tools/run_crate.py data/results/paper/ec-mnist/HASH/seed-1 crate/`. The profile is
https://w3id.org/ro/wfrun/process/0.5; any tool that knows RO-Crate can read it. Needs `pip install -e '.[crate]'`.
"""

import argparse
import json
import sys
from pathlib import Path

from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
NAMES = {"mnist": "MNIST", "cifar10": "CIFAR-10"}


def crate(result: Path) -> ROCrate:
    """The crate of a stored result, a folder with `record.json` and the tables that it names.

    Raises FileNotFoundError for a folder without a record, or a table that is not there.
    """
    record = json.loads((result / "record.json").read_text(encoding="utf-8"))
    if absent := [table["file"] for table in record["tables"].values() if not (result / table["file"]).is_file()]:
        raise FileNotFoundError(f"{result} lacks {', '.join(absent)}")
    made = ROCrate(version="1.1")  # that of the profile
    name = f"{record['study']} {record['config_hash']}, seed {record['seed']}, scale {record['scale']}"
    made.name, made.license = f"Result of prunebook: {name}", "https://spdx.org/licenses/MIT"
    made.description = f"Tables that the study {record['study']} measured, with the record of the run."

    def add(place: str, kind: str, **properties) -> ContextEntity:
        return made.add(ContextEntity(made, place, properties={"@type": kind, **properties}))

    profile = add(PROFILE, "CreativeWork", name="Process Run Crate", version="0.5")
    made.root_dataset["conformsTo"] = profile
    made.root_dataset["datePublished"] = record["finished"]
    authors = add("#authors", "Organization", name="The prunebook authors")
    versions = record["versions"]
    program = add(
        "#prunebook",
        "SoftwareApplication",
        name="prunebook",
        softwareVersion=f"{versions['prunebook']}, commit {record['commit']}",
        softwareRequirements=[f"{package} {release}" for package, release in versions.items()],
    )
    data = record["data"]
    used = add(
        "#data",
        "Dataset",
        name=NAMES.get(data["name"], data["name"]),
        identifier=[f"{file} {checksum}" for file, checksum in data["checksums"].items()],
    )
    settings = {**record["config"], "seed": record["seed"], "device": record["device"]}
    values = [
        add(f"#setting-{key}", "PropertyValue", name=key, value=json.dumps(value)) for key, value in settings.items()
    ]
    noted = made.add_file(result / "record.json", "record.json", properties={"name": "Record of the run"})
    tables = [
        made.add_file(
            result / table["file"],
            table["file"],
            properties={"name": key, "encodingFormat": "application/vnd.apache.parquet", "sha256": table["sha256"]},
        )
        for key, table in record["tables"].items()
    ]
    action = add(
        "#run",
        "CreateAction",
        name=name,
        startTime=record["started"],
        endTime=record["finished"],
        actionStatus="http://schema.org/CompletedActionStatus",
        description=f"On {record['hardware']['cpu']}, {record['wall_time']:.0f} seconds.",
    )
    action["agent"], action["instrument"] = authors, program
    action["object"], action["result"] = [used, *values], [noted, *tables]
    made.root_dataset["author"], made.root_dataset["mentions"] = authors, action
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("result", type=Path, help="folder of a stored result, with record.json")
    parser.add_argument("to", type=Path, help="folder of the crate, or a file NAME.zip")
    asked = parser.parse_args()
    try:
        made = crate(asked.result)
    except FileNotFoundError as error:
        sys.exit(f"no stored result: {error}")
    (made.write_zip if asked.to.suffix == ".zip" else made.write)(asked.to)
    print(asked.to)


if __name__ == "__main__":
    main()
