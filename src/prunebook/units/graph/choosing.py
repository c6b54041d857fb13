"""Which units go, in each group by itself or in several together."""

from collections.abc import Mapping, Sequence
from numbers import Integral

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from prunebook.errors import InputError
from prunebook.units.graph.dependencies import Group
from prunebook.units.scores import mask_lowest, number_to_prune

SCOPES = ("layer", "global", "isomorphic")
Ratio = float | int | Mapping[str, float | int]


def amounts(groups: Sequence[Group], ratio: Ratio, layers: Sequence[str] | None) -> dict[str, float | int]:
    """The ratio of each group that is to be pruned. Raises InputError for names that are not those of groups."""
    makers = {part.layer: group.name for group in groups for part in group.of("makes")}
    known = [group.name for group in groups]
    asked = dict(ratio) if isinstance(ratio, Mapping) else dict.fromkeys(known, ratio)
    names = asked if layers is None else [layers] if isinstance(layers, str) else list(layers)
    for name in [*names, *asked]:
        if name in makers and name not in known:
            raise InputError(f"the units of {name!r} go with those of {makers[name]!r}: name that layer")
        if name not in known:
            raise InputError(f"there is no group of units {name!r}: there are {', '.join(known) or 'none'}")
    for name in names:
        if name not in asked:
            raise InputError(f"no ratio for layer {name!r}: name it in ratio too")
    for group in groups:
        if group.name in names:
            number_to_prune(group.units, asked[group.name])
    return {name: asked[name] for name in known if name in names}


def choose(
    groups: Sequence[Group],
    scores: Mapping[str, Float[Tensor, " units"]],
    ratios: Mapping[str, float | int],
    *,
    scope: str = "layer",
    round_to: int = 1,
    widths: Mapping[str, int] | None = None,
) -> dict[str, Bool[Tensor, " units"]]:
    """Masks by group, True for units that go: the lowest scores of each pool of groups.

    The scope "layer" makes a pool of each group, "global" one of all, and "isomorphic" one of each kind. In a pool of
    several a score counts relative to the mean size of the scores of its group, and at least one unit of each group
    stays. What is left of a group is a multiple of ``round_to``, if need be by pruning less. ``widths`` are the units
    that groups had before earlier steps; the ratio is then of these.
    """
    check_options(ratios, scope, round_to)
    chosen = [group for group in groups if group.name in ratios]
    pools: dict[object, list[Group]] = {}
    for group in chosen:
        pools.setdefault({"layer": group.name, "global": "", "isomorphic": group.kind}[scope], []).append(group)
    masks = {}
    for pool in pools.values():
        had = sum((widths or {}).get(group.name, group.units) for group in pool)
        have = sum(group.units for group in pool)
        count = max(0, number_to_prune(had, ratios[pool[0].name]) - (had - have))
        if len(pool) == 1:
            shares = {pool[0].name: count}
        else:
            relative = [scores[g.name] / scores[g.name].abs().mean().clamp(min=1e-30) for g in pool]
            lowest = mask_lowest(torch.cat([r.double().cpu() for r in relative]), count)
            parts = lowest.split([group.units for group in pool])
            shares = {g.name: min(int(part.sum()), g.units - g.blocks) for g, part in zip(pool, parts, strict=True)}
        for group in pool:
            share = _allowed(group, shares[group.name], round_to)
            by_block = scores[group.name].view(group.blocks, -1)
            masks[group.name] = mask_lowest(by_block, share // group.blocks).flatten()
    return {group.name: masks[group.name] for group in chosen}


def check_options(ratios: Mapping[str, float | int], scope: str, round_to: int) -> None:
    """Raises InputError for options that cannot be used."""
    if scope not in SCOPES:
        raise InputError(f"unknown scope {scope!r}: choose from {', '.join(SCOPES)}")
    if not isinstance(round_to, Integral) or isinstance(round_to, bool) or round_to < 1:
        raise InputError(f"round_to is {round_to!r}: give a whole number of units, at least 1")
    several = len({*ratios.values()}) > 1 or any(isinstance(r, Integral) for r in ratios.values())
    if scope != "layer" and several:
        raise InputError(f"scope {scope!r} compares units of different layers: give one ratio, as a fraction")


def _allowed(group: Group, count: int, round_to: int) -> int:
    """So many of the ``count`` units can go."""
    while count and (count % group.blocks or (group.units - count) % round_to):
        count -= 1
    return count
