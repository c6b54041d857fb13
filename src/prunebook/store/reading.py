"""Tables of stored results: read and checked, and each not before it is first asked for."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from prunebook.errors import ResultError


class Tables(Mapping[str, pd.DataFrame]):
    """Tables that are read, or cut out of others, on their first use and then kept.

    Args:
        names: the names of the tables, in order.
        make: gives the table of a name; it is called at most once for each.
    """

    def __init__(self, names: Iterable[str], make: Callable[[str], pd.DataFrame]) -> None:
        self._names, self._make = dict.fromkeys(names), make
        self._made: dict[str, pd.DataFrame] = {}

    def __getitem__(self, name: str) -> pd.DataFrame:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def broken_file(path: Path, file: str, trouble: str) -> ResultError:
    """What is wrong with a file of the result in the folder ``path``, and the remedy."""
    return ResultError(f"{path / file} {trouble}: delete the folder {path} and run again, or run with fresh (--fresh)")


def read_table(path: Path, facts: dict) -> pa.Table:
    """The table that the record of a result in the folder ``path`` tells of. Raises ResultError where it is another."""
    file = facts["file"]
    try:
        content = (path / file).read_bytes()
    except FileNotFoundError:
        raise broken_file(path, file, "is missing") from None
    except OSError as error:
        raise broken_file(path, file, f"cannot be read ({error})") from error
    if hashlib.sha256(content).hexdigest() != facts["sha256"]:
        raise broken_file(path, file, "does not have the checksum in its record")
    try:
        # pq.read_table brings the machinery of data sets, which takes five times as long on a file this small.
        table = pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False)
    except pa.ArrowException as error:
        raise broken_file(path, file, f"is not a Parquet file ({error})") from error
    if len(table) != facts["rows"]:
        raise broken_file(path, file, f"has {len(table)} rows, but its record says {facts['rows']}")
    return table
