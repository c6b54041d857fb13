"""What a study is, which there are, and the device they run on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from prunebook.errors import InputError
from prunebook.studies.configuration import SCALES, canonical, seed_list

DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class Study:
    """One study: what is measured, with which configurations at each scale, and how.

    - ``config_type``: a frozen dataclass whose ``study``, a class variable or a field, equals ``name``.
    - ``presets``: scale → the configurations; ``seeds``: scale → how many seeds, which count from 1.
    - ``prepare(config, data, device) -> (config, dataset)`` loads the data. The configuration it returns
      names what was really loaded, so that a stand-in's results have an address of their own. The dataset
      has ``name``, ``origin``, ``checksums``, ``stand_in`` and ``notice``.
    - ``run(config, seed, dataset, device, report) -> {table name: DataFrame}`` measures one seed.
    - ``module``: dotted name of the module that measures; its code decides whether a result is stale.
    """

    name: str
    title: str
    config_type: type
    presets: Mapping[str, tuple]
    seeds: Mapping[str, int]
    prepare: Callable
    run: Callable
    module: str

    def __post_init__(self) -> None:
        if set(self.presets) != set(self.seeds) or not set(self.presets) <= set(SCALES):
            raise InputError(
                f"study {self.name}: presets and seeds need the same scales, of {', '.join(SCALES)}"
            )
        for scale, configs in self.presets.items():
            seed_list(self.seeds[scale])
            self.check(configs, f"presets[{scale!r}]")
        for name in ("presets", "seeds"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def check(self, configs: Iterable, what: str) -> tuple:
        """``configs`` as a tuple, or InputError: some, each once, each of this study."""
        configs = tuple(configs)
        for config in configs:
            if not isinstance(config, self.config_type):
                raise InputError(
                    f"study {self.name}: {what} holds {config!r}, not a {self.config_type.__name__}"
                )
            if canonical(config)["study"] != self.name:
                raise InputError(f"study {self.name}: {what} holds a configuration of {config.study!r}")
        if not configs or len(set(configs)) < len(configs):
            raise InputError(f"study {self.name}: {what} must hold at least one configuration, and each once")
        return configs


def resolve_device(device: str) -> str:
    """ "cpu" or "cuda"; "auto" takes the GPU if there is one. Raises InputError if it cannot be had."""
    import torch

    if device not in DEVICES:
        raise InputError(f"device {device!r} is unknown: use {', '.join(DEVICES)}")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "device 'cuda' is not available (torch.cuda.is_available() is False): use cpu or auto"
        )
    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device


def registered() -> dict[str, Study]:
    """All the studies by name. Imported when asked for, as they bring everything with them."""
    from prunebook.studies import STUDIES

    return dict(STUDIES)
