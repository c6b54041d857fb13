"""Does the code still do the same? Tables of tiny probes are committed, and compared with what the code makes now.

A fingerprint is a folder ``data/fingerprints/<study>`` of one CSV a table of the study, without its timings.
``versions.yaml`` beside it says which version of the study's protocol each was taken at, and where;
``tolerances.yaml`` how far numbers may be apart, which forgives the rounding of another processor and no mistake.
"""

import io
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import pandas as pd
import torch
import yaml

from prunebook.errors import InputError
from prunebook.networks import convnets
from prunebook.paths import DATA
from prunebook.store import comparison, machine
from prunebook.store.probes import PLANS, PROBES, write_pictures
from prunebook.studies.study import Study
from prunebook.tables import chosen
from prunebook.training import timing

FOLDER = DATA / "fingerprints"
TIMINGS = ("seconds", "seconds_left", "milliseconds")
MOST = 300  # rows of a table and probe that are kept, evenly spaced
Tables = dict[str, pd.DataFrame]


def take(study: Study, probes: Sequence[str] | None = None) -> Tables:
    """Tables of the probes of those names, or of all, as they would be read again: seed 1, the probe first."""
    known = PROBES[study.name]
    if unknown := sorted(set(probes or ()) - set(known)):
        raise InputError(f"{study.name} has no probe {', '.join(unknown)}: choose from {', '.join(known)}")
    parts: dict[str, list[pd.DataFrame]] = {}
    with _conditions() as pictures:
        for name in probes or known:
            source = pictures if known[name].dataset == "imagefolder" else None
            config, data = study.prepare(known[name], source, "cpu")
            for table, found in study.run(config, 1, data, torch.device("cpu"), lambda line: None).items():
                parts.setdefault(table, []).append(_thinned(name, found))
    return {table: _read(io.StringIO(_text(pd.concat(found)))) for table, found in sorted(parts.items())}


@contextmanager
def _conditions() -> Iterator[Path]:
    """What a fingerprint is taken under: one thread, single precision, an empty cache, and no data but its own.

    Gives the folder of generated pictures.
    """
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        stack.enter_context(timing.one_thread())
        stack.enter_context(patch.dict(os.environ, {"PRUNEBOOK_CACHE": f"{folder}/cache"}))
        stack.enter_context(patch.dict(convnets.PLANS, PLANS))
        stack.enter_context(patch.object(timing, "BUDGET", 0.0))  # no timing is kept
        os.environ.pop("PRUNEBOOK_DATA", None)
        yield write_pictures(Path(folder) / "pictures")


def _thinned(probe: str, table: pd.DataFrame) -> pd.DataFrame:
    table = table.drop(columns=[name for name in TIMINGS if name in table]).reset_index(names="row")
    table = table.astype(dict.fromkeys(table.select_dtypes("bool"), int))
    table.insert(0, "probe", probe)
    return table.iloc[:: max(1, -(-len(table) // MOST))]


def _text(table: pd.DataFrame) -> str:
    return table.to_csv(index=False, float_format="%.6g", lineterminator="\n")


def _read(file) -> pd.DataFrame:
    return pd.read_csv(file, keep_default_na=False, na_values=[""])


def read(name: str, folder: Path = FOLDER) -> Tables:
    """The committed fingerprint of a study. Raises InputError where there is none."""
    if not (found := sorted((folder / name).glob("*.csv"))):
        raise InputError(f"{name} has no fingerprint: prunebook fingerprint {name} --write")
    return {path.stem: _read(path) for path in found}


def write(study: Study, tables: Tables, folder: Path = FOLDER) -> None:
    """Put ``tables`` in the place of the fingerprint, and the version of the study's protocol beside it."""
    home = folder / study.name
    home.mkdir(parents=True, exist_ok=True)
    for path in home.glob("*.csv"):
        path.unlink()
    for name, table in tables.items():
        (home / f"{name}.csv").write_text(_text(table), encoding="utf-8")
    taken = {
        "protocol": study.version,
        "torch": str(torch.__version__),
        "taken": datetime.now(UTC).date().isoformat(),
        "machine": machine.hardware()["cpu"],
    }
    everything = dict(sorted((versions(folder) | {study.name: taken}).items()))
    (folder / "versions.yaml").write_text(yaml.safe_dump(everything, sort_keys=False), encoding="utf-8")


def versions(folder: Path = FOLDER) -> dict[str, dict]:
    """What each fingerprint was taken with: protocol, torch, taken, machine."""
    path = folder / "versions.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}


def tolerances(name: str, path: Path = FOLDER / "tolerances.yaml") -> dict:
    """Of the tables of a study. Raises InputError where the study has none."""
    declared = comparison.read_tolerances(path)
    if name not in declared:
        raise InputError(f"{path.name} has no tolerances for {name}")
    return declared[name]


def differences(then: Tables, now: Tables, allowed: Mapping) -> pd.DataFrame:
    """One row a table, column and group, as of ``compare``: the columns ``by`` of each probe make the groups.

    A table or column that is in one of the two only is a row that is not ok. Probes that ``now`` lacks are not looked
    at. Raises InputError for a number that has no tolerance.
    """
    taken = pd.concat([table["probe"] for table in now.values()]).unique()
    then = {name: part for name, table in then.items() if len(part := table[table["probe"].isin(taken)])}
    found = [{"table": t, "metric": "", "group": "", "ok": False} for t in sorted(then.keys() ^ now.keys())]
    compared = []
    for table in sorted(then.keys() & now.keys()):
        # A column that only other probes have is empty.
        left, right = (side[table].dropna(axis=1, how="all") for side in (then, now))
        for column in sorted(set(left) ^ set(right)):
            found.append({"table": table, "metric": column, "group": "", "ok": False})
        common, covered = [name for name in left if name in right], 0
        for entry in comparison.entries(allowed.get(table, [])):
            covered += len(chosen(left, entry.get("where", {})))
            keys = {key: ["probe", *(n for n in entry.get(key, ()) if n in common)] for key in ("rows", "by")}
            metrics = [name for name in common if name not in ("row", *keys["rows"])]
            if missing := [name for name in metrics if name not in entry]:
                raise InputError(f"no tolerance for {table}, {', '.join(missing)}")
            given = {name: entry[name] for name in (*metrics, "where") if name in entry}
            compared.append(comparison.compare(then, now, {table: {**keys, **given}}))
        if covered != len(left):
            raise InputError(f"tolerances for {table} are for {covered} of its {len(left)} rows")
    return pd.concat([pd.DataFrame(found), *compared], ignore_index=True)


def told(name: str, found: pd.DataFrame) -> str:
    """What is the matter with a study, in one sentence; empty if all is well."""
    wrong = found[~found["ok"].astype(bool)]
    if wrong.empty:
        return ""
    bad, columns = (len(rows[["table", "metric"]].drop_duplicates()) for rows in (wrong, found))
    first = wrong.iloc[0]
    return (
        f"{bad} of {columns} columns of {name} differ, first {first['table']}.{first['metric']} of "
        f"{first['group'] or 'all'}: a mistake, or raise the version of the study and write the fingerprint anew "
        f"with prunebook fingerprint {name} --write"
    )
