"""What a study is asked: a frozen dataclass, its plain form, its address, its columns; and the seeds beside it."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable
from types import MappingProxyType
from typing import Any

from prunebook.errors import InputError

SCALES = ("smoke", "laptop", "paper")
LAST_SEED = 2**31 - 1  # studies multiply seeds, by up to a million
MOST_SEEDS, MOST_THREADS = 10_000, 1024

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def setting(default: Any, *, absent: Any, **options: Any) -> Any:
    """A field that a configuration gained after results of it had been stored.

    ``absent`` is what those results had. A configuration that has it too is addressed as if the field were not there,
    so the field moves no result. It is a value of its own and not the default, which may be changed one day.
    """
    return dataclasses.field(default=default, metadata=MappingProxyType({"absent": absent}), **options)


def _stands_out(item: dataclasses.Field, value: object) -> bool:
    """Whether a field has another value than what was measured before there was the field."""
    absent = item.metadata.get("absent", dataclasses.MISSING)
    return absent is dataclasses.MISSING or type(value) is not type(absent) or value != absent


def _plain(value: object, name: str) -> object:
    if value is None or type(value) in (str, int, bool):
        return value
    if type(value) is float:
        if value != value or value in (float("inf"), float("-inf")):
            raise InputError(f"{name} is {value}: a configuration holds finite numbers only")
        return value
    if type(value) is tuple:
        return [_plain(item, f"{name}[{index}]") for index, item in enumerate(value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        # The class is part of the value: two kinds of thing may have fields of the same names.
        return {"class": type(value).__name__, **_fields(value)}
    raise InputError(
        f"{name} is a {type(value).__name__} ({value!r}): a configuration holds str, int, float, bool, None, "
        "tuples and frozen dataclasses of these; convert it"
    )


def _fields(config: object) -> dict:
    kind = type(config)
    if not dataclasses.is_dataclass(config) or isinstance(config, type) or not kind.__dataclass_params__.frozen:
        raise InputError(f"{config!r} is not an instance of a frozen dataclass: declare it @dataclass(frozen=True)")
    return {
        f.name: _plain(value, f"{kind.__name__}.{f.name}")
        for f in dataclasses.fields(config)
        if _stands_out(f, value := getattr(config, f.name))
    }


def canonical(config: object) -> dict:
    """``config`` as plain values ready for JSON, with the name of its study under ``"study"``.

    The name is a class variable or a field of the configuration, called ``study``. ``1`` and ``1.0`` are
    different values, as are two nested classes with the same fields.
    """
    fields = _fields(config)
    study = getattr(config, "study", None)
    if not isinstance(study, str):
        raise InputError(f"{type(config).__name__} does not tell its study: add study: ClassVar[str] = 'its-name'")
    return {**fields, "study": check_name(study, "study")}


def digest(plain: dict) -> str:
    """SHA-256 of plain values; the same on every machine and Python version."""
    # json writes floats by repr, and ASCII with sorted keys leaves nothing to the platform.
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def config_hash(config: object) -> str:
    """12 hex digits that name a configuration; the same on every machine and Python version."""
    return digest(canonical(config))[:12]


def check_name(name: object, what: str) -> str:
    """Return ``name``, or raise InputError: it becomes a folder."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(f"{what} {name!r} is not a name: use a-z, 0-9 and single hyphens")
    return name


def check_seed(seed: object) -> int:
    """Return ``seed``, or raise InputError: seeds are the whole numbers from 1 to ``LAST_SEED``."""
    if type(seed) is not int or not 1 <= seed <= LAST_SEED:
        raise InputError(f"seed {seed!r} is not a whole number from 1 to {LAST_SEED}: seeds count from 1")
    return seed


def check_threads(threads: object) -> int:
    """Return ``threads``, or raise InputError: a number that a machine may have."""
    if type(threads) is not int or not 1 <= threads <= MOST_THREADS:
        raise InputError(f"threads {threads!r} must be at least 1 and at most {MOST_THREADS}, a whole number")
    return threads


def seed_list(seeds: Any) -> tuple[int, ...]:
    """The seeds 1..n for a count n, or the seeds of a list. Raises InputError for what is neither.

    Either may come as text, "3" or "[1, 2]", as papermill's ``-p`` hands it on.
    """
    if isinstance(seeds, str):
        with contextlib.suppress(ValueError):  # refused below, as it was given
            seeds = json.loads(seeds)
    if isinstance(seeds, list | tuple):
        chosen = tuple(check_seed(seed) for seed in seeds)
        if not chosen or len(set(chosen)) < len(chosen):
            raise InputError(f"seeds {list(seeds)} must be at least one, each of them once")
        return chosen
    if type(seeds) is not int or not 1 <= seeds <= MOST_SEEDS:
        raise InputError(
            f"seeds {seeds!r} must be a count of at least 1 and at most {MOST_SEEDS:,}, or a list of seeds"
        )
    return tuple(range(1, seeds + 1))


def with_precision(configs: Iterable, precision: str) -> tuple:
    """The configurations with another precision, which gives them addresses of their own.

    Raises InputError for one that leaves no choice. One that trains in several ways has it for some of them.
    """
    configs = tuple(configs)
    for config in configs:
        if not hasattr(config, "precision"):
            raise InputError(
                f"--precision {precision}: {config.study} has configurations that leave no choice of precision, as "
                f"{describe(config, configs) or type(config).__name__}; leave it out, or name others with --only"
            )
    return tuple(dataclasses.replace(config, precision=precision) for config in configs)


def config_columns(config: object) -> dict[str, object]:
    """The fields of ``config`` that become columns: scalars, and ``widths`` written like 784-32-32-10.

    As in the address, a later :func:`setting` is no column where it has the value that all had before.
    """
    columns = {}
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        if item.name == "study" or not _stands_out(item, value):
            continue
        if item.name == "widths" and isinstance(value, tuple):
            columns["widths"] = "-".join(map(str, value))
        elif value is None or isinstance(value, str | int | float):
            columns[item.name] = value
    return columns


def describe(config: object, among: Iterable[object] = ()) -> str:
    """``config`` in a few words: as many columns, in their order, as tell it from the others."""
    words, others = [], [config_columns(other) for other in among if other != config]
    for key, value in config_columns(config).items():
        alike = [other for other in others if other.get(key) == value]
        if len(alike) < len(others):
            words.append(f"{key}={value}")
            others = alike
    return " ".join(words)


def _matches(value: object, text: str) -> bool:
    if type(value) in (int, float):
        with contextlib.suppress(ValueError):
            return float(text) == value
        return False
    return str(value).casefold() == text.casefold()


def select(configs: tuple, only: list[str]) -> tuple:
    """The configurations that fit all the KEYs of ``KEY=VALUE``; of one KEY given twice, either VALUE.

    Raises InputError for what is not KEY=VALUE, a KEY that there is not, or nothing that fits.
    """
    wanted: dict[str, list[str]] = {}
    for text in only:
        key, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--only {text!r} must look like KEY=VALUE")
        wanted.setdefault(key.strip(), []).append(value.strip())
    columns = [config_columns(config) for config in configs]
    for key in wanted:
        if known := [c for c in columns if key not in c]:
            raise InputError(f"--only {key}=...: there is no {key!r}; use one of {', '.join(known[0])}")
    chosen = tuple(
        config
        for config, column in zip(configs, columns, strict=True)
        if all(any(_matches(column[key], value) for value in values) for key, values in wanted.items())
    )
    if not chosen:
        there = "; ".join(f"{key}: {', '.join(dict.fromkeys(str(c[key]) for c in columns))}" for key in wanted)
        raise InputError(f"--only {' '.join(only)} fits no configuration; there are {there}")
    return chosen
