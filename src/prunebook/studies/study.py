"""What a study is, and which there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType

from prunebook.errors import InputError
from prunebook.studies.configuration import SCALES, canonical, seed_list


@dataclass(frozen=True)
class Study:
    """One study: what is measured, with which configurations at each scale, and how.

    - ``config_type``: a frozen dataclass whose ``study``, a class variable or a field, equals ``name``.
    - ``presets``: scale → the configurations; ``seeds``: scale → how many seeds, which count from 1.
    - ``module``: dotted name of the module that measures, whose two functions are called as ``prepare`` and ``run``.
      It is imported at the first call, so that whoever only asks what there is does not load PyTorch.
    - ``prepare(config, data, device) -> (config, dataset)`` loads the data. The configuration it returns
      names what was really loaded, so that a stand-in's results have an address of their own. The dataset
      has ``name``, ``origin``, ``checksums``, ``stand_in`` and ``notice``.
    - ``run(config, seed, dataset, device, report) -> {table name: DataFrame}`` measures one seed.
    - ``version``: of the protocol. Raise it when a number may come out differently; results of another
      version are then outdated, and stay readable.
    - ``changes``: version → a sentence for readers on what it changed, for every version from 2 on.
    - ``kept``: earlier versions whose results are not outdated, as they judge claims that were made for them.
    - ``probes``: tiny configurations that together reach every line that measures.
    """

    name: str
    title: str
    config_type: type
    presets: Mapping[str, tuple]
    seeds: Mapping[str, int]
    module: str
    version: int = 1
    changes: Mapping[int, str] = field(default_factory=dict)
    kept: tuple[int, ...] = ()
    probes: tuple = ()
    prepare: Callable | None = None
    run: Callable | None = None

    def __post_init__(self) -> None:
        if set(self.presets) != set(self.seeds) or not set(self.presets) <= set(SCALES):
            raise InputError(f"study {self.name}: presets and seeds need the same scales, of {', '.join(SCALES)}")
        for scale, configs in self.presets.items():
            seed_list(self.seeds[scale])
            self.check(configs, f"presets[{scale!r}]")
        if self.probes:
            self.check(self.probes, "probes")
        later = set(range(2, self.version + 1))
        if type(self.version) is not int or self.version < 1 or set(self.changes) != later:
            raise InputError(
                f"study {self.name}: changes tell of {sorted(self.changes)}, and version is {self.version}: "
                "give a sentence for every version from 2 on"
            )
        if silent := [number for number, text in self.changes.items() if not str(text).strip()]:
            raise InputError(f"study {self.name}: changes[{silent[0]}] is empty: say what has changed")
        if unknown := sorted(set(self.kept) - set(range(1, self.version))):
            raise InputError(f"study {self.name}: kept names version {unknown[0]}, which is none before {self.version}")
        for name in ("presets", "seeds", "changes"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        for name in ("prepare", "run"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, _function_of(self.module, name))

    def check(self, configs: Iterable, what: str) -> tuple:
        """``configs`` as a tuple, or InputError: some, each once, each of this study."""
        configs = tuple(configs)
        for config in configs:
            if not isinstance(config, self.config_type):
                raise InputError(f"study {self.name}: {what} holds {config!r}, not a {self.config_type.__name__}")
            if canonical(config)["study"] != self.name:
                raise InputError(f"study {self.name}: {what} holds a configuration of {config.study!r}")
        if not configs or len(set(configs)) < len(configs):
            raise InputError(f"study {self.name}: {what} must hold at least one configuration, and each once")
        return configs


def _function_of(module: str, name: str) -> Callable:
    def call(*arguments):
        return getattr(import_module(module), name)(*arguments)

    return call
