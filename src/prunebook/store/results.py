"""Where a result lives on disk, and what makes it trustworthy.

A result is what one configuration measured with one seed: a few tables and a record of where they come from.
It lives at ``ROOT/<scale>/<study>/<hash of the configuration>/seed-<n>/`` as ``record.json`` and one Parquet
file a table. The folder appears whole or not at all, and is checked whenever it is read.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import filelock
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from prunebook import paths
from prunebook.errors import InputError, ResultError
from prunebook.store import machine
from prunebook.store.reading import Tables, broken_file, read_table
from prunebook.studies.configuration import canonical, check_name, check_seed, config_hash, digest
from prunebook.studies.study import Study

FORMAT = 1
FACTS = ("module", "protocol", "device", "started", "wall_time", "data")

_TABLE = re.compile(r"[a-z][a-z0-9_]*")
_HASH = re.compile(r"[0-9a-f]{12}")
_SEED = re.compile(r"seed-([1-9][0-9]*)")


class ResultMissing(ResultError):
    """There is no such result yet."""


@dataclasses.dataclass(frozen=True)
class Result:
    """The tables of one (configuration, seed), the record of where they come from, and their folder."""

    tables: Mapping
    record: dict
    path: Path

    def arrow(self, name: str) -> pa.Table:
        """One table as it is stored, read anew and checked. Raises ResultError where it is not what was written."""
        return read_table(self.path, self.record["tables"][name])


def default_root() -> Path:
    """``$PRUNEBOOK_RESULTS``, else ``data/results`` of the checkout, else a folder in the user's cache."""
    if chosen := os.environ.get("PRUNEBOOK_RESULTS"):
        return Path(chosen).expanduser().absolute()
    checkout = paths.checkout()
    return checkout / "data" / "results" if checkout else paths.cache_folder() / "results"


def _sync(path: Path) -> None:
    """Push a file, or a folder's list of names, to the disk."""
    if path.is_dir() and os.name == "nt":  # Windows cannot open a folder
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_table(name: object, table: object, folder: Path) -> dict:
    if not isinstance(name, str) or not _TABLE.fullmatch(name):
        raise InputError(f"table name {name!r}: use a-z, 0-9 and underscores, a letter first")
    if not isinstance(table, pd.DataFrame):
        raise InputError(f"table {name!r} is a {type(table).__name__}, not a DataFrame")
    if not all(isinstance(column, str) for column in table.columns) or not table.columns.is_unique:
        raise InputError(f"table {name!r}: its columns {list(table.columns)} must be unique strings")
    if table.index.nlevels > 1 or table.index.name is not None:
        raise InputError(f"table {name!r} has an index that would be lost: call reset_index() first")
    path = folder / f"{name}.parquet"
    try:
        arrow = pa.Table.from_pandas(table, preserve_index=False)
        # pandas' own notes hold its version, so the same numbers would give different files.
        pq.write_table(arrow.replace_schema_metadata(None), path, compression="zstd", compression_level=9)
    except (pa.ArrowException, TypeError) as error:
        raise InputError(f"table {name!r} cannot be written as Parquet: {error}") from error
    _sync(path)
    return {"file": path.name, "rows": len(table), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


class Store:
    """A folder of results."""

    def __init__(self, root: str | Path | None = None) -> None:
        self.root = Path(root) if root is not None else default_root()
        self._locks: dict[Path, filelock.BaseFileLock] = {}  # a lock object counts how often it is held

    def path(self, scale: str, config: object, seed: int) -> Path:
        """The folder of one result, whether it exists or not."""
        study, digest = canonical(config)["study"], config_hash(config)
        return self.root / check_name(scale, "scale") / study / digest / f"seed-{check_seed(seed)}"

    def lock(self, scale: str, config: object, seed: int, timeout: float | int = -1) -> filelock.BaseFileLock:
        """A lock between processes, for ``with``: held while a result is being made, and let go of when one dies.

        ``timeout`` in seconds: -1 waits for ever, 0 does not wait; then ``filelock.Timeout`` is raised. One thread may
        take a lock of this store twice.
        """
        name = "--".join(self.path(scale, config, seed).relative_to(self.root).parts)
        lock_file = self.root / ".locks" / f"{name}.lock"
        try:
            lock_file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            told = f"cannot write to {self.root} ({error}): set PRUNEBOOK_RESULTS to a writable folder"
            raise ResultError(told) from error
        lock = self._locks.setdefault(lock_file, filelock.FileLock(lock_file))
        lock.timeout = timeout
        return lock

    def sweep(self, scale: str, config: object, seed: int) -> None:
        """Clear away what killed runners left of a result, unless a runner is at it now.

        An earlier result that a killed runner had put aside goes back to its place.
        """
        final = self.path(scale, config, seed)
        if any(final.parent.glob(f".{final.name}.*")):
            # A folder that cannot be written to has its leftovers, and can still be read.
            with suppress(filelock.Timeout, OSError, ResultError), self.lock(scale, config, seed, timeout=0):
                _sweep(final)

    def save(self, scale: str, config: object, seed: int, tables: Mapping, facts: Mapping) -> Result:
        """Write one result, whole or not at all, in the place of an earlier one.

        ``facts`` must tell ``FACTS``: the module that measured, its version of the protocol, the device, when it
        started (UTC, ISO 8601), seconds, and the data (a dict: name, origin, checksums, stand_in, notice). The commit,
        versions, hardware and precision are added here. Raises InputError for what cannot be stored.
        """
        if absent := [name for name in FACTS if name not in facts]:
            raise InputError(f"facts lack {', '.join(absent)}: a result without them cannot be trusted")
        if not tables:
            raise InputError("there is no table to save")
        final = self.path(scale, config, seed)
        with self.lock(scale, config, seed):
            try:
                self._write(final, self._record(scale, config, seed, facts), tables)
            except OSError as error:
                raise ResultError(f"cannot write {final} ({error}): free space or set PRUNEBOOK_RESULTS") from error
        return self.open(final)

    def _write(self, final: Path, record: dict, tables: Mapping) -> None:
        final.parent.mkdir(parents=True, exist_ok=True)
        _sweep(final)
        folder = final.with_name(f".{final.name}.{uuid.uuid4().hex}")
        old = folder.with_name(folder.name + ".old")
        folder.mkdir()
        try:
            record["tables"] = {name: _write_table(name, table, folder) for name, table in tables.items()}
            record["checksum"] = digest(record)
            text = json.dumps(record, indent=1, sort_keys=True) + "\n"
            (folder / "record.json").write_text(text, encoding="utf-8", newline="\n")
            _sync(folder / "record.json")
            _sync(folder)
            if final.exists():
                # A folder cannot be renamed onto a full one: for an instant there is none, never half of one.
                final.rename(old)
                folder.rename(final)
                shutil.rmtree(old, ignore_errors=True)
            else:
                folder.rename(final)
        except BaseException:
            if old.exists() and not final.exists():
                old.rename(final)
            shutil.rmtree(folder, ignore_errors=True)
            raise
        _sync(final.parent)

    def _record(self, scale: str, config: object, seed: int, facts: Mapping) -> dict:
        sha, dirty = machine.commit()
        record = {
            **facts,
            "format": FORMAT,
            "study": canonical(config)["study"],
            "scale": scale,
            "config": canonical(config),
            "config_hash": config_hash(config),
            "seed": seed,
            "finished": datetime.now(UTC).isoformat(timespec="microseconds"),
            "commit": sha,
            "dirty": dirty,
            "versions": machine.versions(),
            "hardware": machine.hardware(facts["device"]),
            "precision": getattr(config, "precision", "single"),
        }
        try:
            return json.loads(json.dumps(record, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise InputError(f"facts must be plain, finite values ready for JSON: {error}") from error

    def load(self, scale: str, config: object, seed: int) -> Result:
        """Read one result and check it. Raises as :meth:`open`."""
        return self.open(self.path(scale, config, seed))

    def open(self, path: Path) -> Result:
        """Read and check the result in the folder ``path`` of this store, whatever its configuration is.

        Raises ResultMissing where there is none, ResultError where it is half-written, edited, of another format, or
        not of the configuration and seed of its place.
        """
        result = self.peek(path)
        return dataclasses.replace(result, tables=dict(result.tables))

    def peek(self, path: Path) -> Result:
        """As :meth:`open`, but each table is read and checked only when it is first asked for."""
        path = Path(path)
        if not path.is_dir():
            raise ResultMissing(f"there is no result at {path}: make it with 'prunebook run'")
        record = _read_record(path)
        for file in sorted(path.glob("*.parquet")):
            if file.stem not in record["tables"]:
                raise broken_file(path, file.name, "is not in the record")
        result = Result({}, record, path)
        tables = Tables(record["tables"], lambda name: result.arrow(name).to_pandas())
        return dataclasses.replace(result, tables=tables)

    def seeds(self, scale: str, config: object) -> list[int]:
        """The seeds of which there is a result, in order; none of them is read."""
        return _seeds(self.path(scale, config, 1).parent)

    def paths(self, scale: str, study: str) -> Iterator[Path]:
        """The folders of all the results of ``study`` at ``scale``, in order; none of them is read."""
        folder = self.root / check_name(scale, "scale") / check_name(study, "study")
        for config in sorted(folder.glob("*")):
            if _HASH.fullmatch(config.name):
                yield from (config / f"seed-{seed}" for seed in _seeds(config))


def _sweep(final: Path) -> None:
    """Of all that has the name of ``final`` with a dot before it; the caller holds the lock of the result."""
    for left in sorted(final.parent.glob(f".{final.name}.*")):
        if left.suffix == ".old" and not final.exists():
            left.rename(final)  # its runner was killed before the new one had this place
        else:
            shutil.rmtree(left, ignore_errors=True)


def _seeds(folder: Path) -> list[int]:
    found = (_SEED.fullmatch(path.name) for path in folder.glob("seed-*") if path.is_dir())
    return sorted(int(match[1]) for match in found if match)


def _read_record(path: Path) -> dict:
    broken = partial(broken_file, path, "record.json")
    try:
        record = json.loads((path / "record.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise broken("is missing (the result is half-written)") from None
    except (OSError, ValueError, RecursionError) as error:
        raise broken(f"cannot be read ({error})") from error
    found = record.get("format") if isinstance(record, dict) else None
    if found != FORMAT:
        raise broken(f"has format {found!r}, but this version reads format {FORMAT}")
    try:
        if record["checksum"] != digest({key: value for key, value in record.items() if key != "checksum"}):
            raise broken("was changed after it was written")
        if record["config_hash"] != digest(record["config"])[:12]:
            raise broken("has a configuration that does not match its hash")
        told = (record["scale"], record["study"], record["config_hash"], f"seed-{record['seed']}")
        if told != path.absolute().parts[-4:]:
            raise broken(f"is of {'/'.join(map(str, told))}, which is not where it lies")
        for name, facts in record["tables"].items():
            if not _TABLE.fullmatch(name) or facts["file"] != f"{name}.parquet":
                raise broken(f"names a table {name!r} that no result can have")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise broken(f"is not a record of format {FORMAT} ({type(error).__name__}: {error})") from error
    return record


def version_of(result: Result) -> int:
    """Of the protocol that ``result`` was measured by. Records of before there were versions are of version 1."""
    return result.record.get("protocol", 1)


def outdated(result: Result, study: Study) -> tuple[str, ...]:
    """What has changed in the protocol of ``study`` since ``result`` was measured; empty if nothing has, or if the
    study keeps results of that version."""
    then = version_of(result)
    if then in study.kept:
        return ()
    if then > study.version:
        return (f"it was measured with version {then} of the protocol, and this is version {study.version}",)
    return tuple(study.changes[version] for version in range(then + 1, study.version + 1))
