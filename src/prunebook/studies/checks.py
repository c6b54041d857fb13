"""What must hold in every run, counted and kept."""

import pandas as pd

from prunebook.errors import RunError


def require_none(checks: dict[str, int]) -> None:
    """Raises RunError unless all are zero."""
    for name, count in checks.items():
        if count:
            raise RunError(f"{name}: {count}")


def check_table(checks: dict[str, float | int]) -> pd.DataFrame:
    """A row a check: name, value."""
    return pd.DataFrame({"name": checks.keys(), "value": [float(value) for value in checks.values()]})
