"""From a configuration and a seed to tables, whatever is pruned."""

from dataclasses import replace

import pandas as pd

from prunebook.data import images as datasets
from prunebook.data.tasks import images, pde
from prunebook.errors import InputError
from prunebook.studies.checks import check_start
from prunebook.studies.head_to_head import units, weights
from prunebook.studies.head_to_head.config import SENSITIVITY, HeadToHead, OnUnits
from prunebook.units import SCORES
from prunebook.weights import COMPENSATIONS, CRITERIA

HELD_OUT = 0.1  # of the training trajectories


def check(config: HeadToHead) -> None:
    """Raises InputError for a configuration that cannot be carried out, before any work."""
    if outside := [ratio for ratio in config.ratios if not 0 < ratio < 1]:
        raise InputError(f"ratio {outside[0]} is not between 0 and 1: give the share that is to be pruned")
    if not config.ratios or len(set(config.ratios)) < len(config.ratios):
        raise InputError(f"ratios {config.ratios} must be at least one, each of them once")
    if isinstance(config, OnUnits):
        _known("score", config.scores, SCORES)
        check_start(config, range(config.snapshot_every, config.steps + 1, config.snapshot_every))
        return
    known = (*CRITERIA, SENSITIVITY)
    for names in (config.rankings, config.partners, config.tuned_rankings):
        _known("ranking", names, known)
    for names in (config.compensations, config.costly):
        _known("compensation", names, COMPENSATIONS)
    if "none" not in config.compensations:
        raise InputError(f"compensations {config.compensations} lack 'none', which all others are compared with")
    if config.cost_ratio not in config.ratios:
        raise InputError(f"cost_ratio={config.cost_ratio} is not measured: choose one of {config.ratios}")


def _known(what: str, names: tuple[str, ...], known) -> None:
    if unknown := sorted(set(names) - set(known)):
        raise InputError(f"unknown {what} {', '.join(unknown)}: choose from {', '.join(known)}")


def prepare(config: HeadToHead, data, device):
    """The data, and the configuration under the name of what was really loaded."""
    check(config)
    if isinstance(config, OnUnits):
        found = datasets.load(config.dataset, data=data, device=device, limit=config.limit)
    elif config.net == "pde":
        found = pde(0.0, data=data, device=device, trajectories=config.limit, held_out=HELD_OUT)
    else:
        found = images(config.dataset, data=data, device=device, limit=config.limit)
    if not isinstance(config, OnUnits) and found.x_train.shape[1] != config.widths[0]:
        there = f"{found.name} has {found.x_train.shape[1]} inputs"
        raise InputError(f"widths {config.widths} start with {config.widths[0]}, but {there}: change the first width")
    return replace(config, dataset=found.name), found


def run(config: HeadToHead, seed: int, found, device, report) -> dict[str, pd.DataFrame]:
    """All tables of one seed."""
    carry_out = units.run if isinstance(config, OnUnits) else weights.run
    return carry_out(config, seed, found, device, report)
