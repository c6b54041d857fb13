"""From a configuration and a seed to tables, whatever is pruned."""

from dataclasses import replace

import pandas as pd

from prunebook.data import images
from prunebook.errors import InputError
from prunebook.studies.elimination_compensation import mnist, pde
from prunebook.studies.head_to_head import units, weights
from prunebook.studies.head_to_head.config import HeadToHead, OnUnits, check


def prepare(config: HeadToHead, data, device):
    """The data, and the configuration under the name of what was really loaded."""
    check(config)
    if isinstance(config, OnUnits):
        found = images.load(config.dataset, data=data, device=device, dev=0, limit=config.limit)
    elif config.net == "pde":
        found = pde.pde(0.0, data=data, device=device, trajectories=config.limit)
    else:
        found = mnist.images(config.dataset, data=data, device=device, limit=config.limit)
    if not isinstance(config, OnUnits) and found.x_train.shape[1] != config.widths[0]:
        raise InputError(
            f"widths {config.widths} start with {config.widths[0]}, but {found.name} has {found.x_train.shape[1]} "
            "inputs: change the first width"
        )
    return replace(config, dataset=found.name), found


def run(config: HeadToHead, seed: int, found, device, report) -> dict[str, pd.DataFrame]:
    """All tables of one seed."""
    carry_out = units.run if isinstance(config, OnUnits) else weights.run
    return carry_out(config, seed, found, device, report)
