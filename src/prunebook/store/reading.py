"""Tables by name, each of which is made when it is first asked for."""

from collections.abc import Callable, Iterable, Iterator, Mapping

import pandas as pd


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
