"""What must hold before a run, and what must hold in every run, counted and kept."""

from collections.abc import Container

import pandas as pd

from prunebook.errors import InputError, RunError


def check_start(config, snapshots: Container[int]) -> None:
    """Raises InputError unless the step at which a network is pruned has a snapshot."""
    if config.start not in snapshots:
        remedy = f"take a multiple of {config.snapshot_every} up to {config.steps}"
        raise InputError(f"start={config.start} has no snapshot: {remedy}")


def require_none(checks: dict[str, int]) -> None:
    """Raises RunError unless all are zero."""
    for name, count in checks.items():
        if count:
            raise RunError(f"{name}: {count}")


def check_table(checks: dict[str, float | int]) -> pd.DataFrame:
    """A row a check: name, value."""
    return pd.DataFrame({"name": checks.keys(), "value": [float(value) for value in checks.values()]})
