"""Which products a set of pruned variants needs, each once: a tree over layers and, in a layer, over masks.

Variants whose masks and constants agree up to a site share everything up to it. Among different masks of one site a
product is made from that of a similar mask: the next layer is linear, so only the channels in which the two differ
are multiplied, and replacing a pruned channel by a constant is an added bias, which needs no product at all. Channels
that every variant of a branch prunes next are not computed. The products are walked depth first, so that few maps are
alive at a time.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from prunebook.units.ablation.stages import Stage
from prunebook.units.forward import forward

LONGEST = 12  # differences in a row, each with its rounding, before a product is made afresh
WEIGHTS = 2**29  # bytes of chosen weights that are kept; beyond, they are chosen again for each chunk


@dataclass(frozen=True)
class Cut:
    """What a variant does at one site. ``mask`` is an integer whose bit c says that channel c is pruned; ``constants``
    are what takes its place, None for zeros, as bytes so that equal cuts are equal."""

    mask: int = 0
    constants: bytes | None = None
    border: str = "exact"


@dataclass
class Product:
    """A weight matrix for some channels of a site, added to the result of the parent product or to the bias.

    ``weights`` makes the matrix, or gives it where there is room to keep it."""

    mask: int
    outs: int  # bits: channels of the next site that are needed
    ins: Tensor | None  # places among the rows of the site's map; None: all
    weights: Callable[[], Tensor]
    base: Tensor | None  # places among the parent's results; None: all
    depth: int
    branches: list["Branch"] = field(default_factory=list)
    children: list["Product"] = field(default_factory=list)


@dataclass
class Branch:
    """What becomes of a product: shifted, it is the map of the next site, or the logits of variant ``leaf``."""

    shift: Tensor | None
    node: "Node | None"
    leaf: int | None


@dataclass
class Node:
    level: int
    products: list[Product]


class Plan:
    """The tree for ``variants``, each a tuple of one Cut per stage. ``macs``: multiply-accumulates for one sample."""

    def __init__(self, stages: Sequence[Stage], variants: Sequence[tuple[Cut, ...]]):
        self.stages, self.variants, self.macs = stages, variants, 0
        self._room = WEIGHTS
        self._weights: dict[tuple[int, int, int, int], tuple[Callable[[], Tensor], int]] = {}
        self._shifts: dict[tuple[int, Cut], Tensor] = {}
        self.root = self._node(0, list(range(len(variants))), (1 << stages[0].site.units) - 1)

    def _node(self, level: int, group: list[int], rows: int) -> Node:
        masks: dict[int, list[int]] = {}
        for index in group:
            masks.setdefault(self.variants[index][level].mask, []).append(index)
        needed = {mask: self._needed(level, members) for mask, members in masks.items()}
        # Parents come first: those with more results, then those with fewer pruned channels.
        order = sorted(masks, key=lambda mask: (-needed[mask].bit_count(), mask.bit_count()))
        products, top = [], []
        for mask in order:
            outs = needed[mask]
            parents = [p for p in products if not outs & ~p.outs and p.depth < LONGEST]
            parent = min(parents, key=lambda p: (p.mask ^ mask).bit_count(), default=None)
            if parent and (parent.mask ^ mask).bit_count() >= (rows & ~mask).bit_count():
                parent = None
            product = self._product(level, rows, mask, outs, parent)
            product.branches = self._branches(level, masks[mask], outs)
            products.append(product)
            (parent.children if parent else top).append(product)
        return Node(level, top)

    def _needed(self, level: int, members: list[int]) -> int:
        if level + 1 == len(self.stages):
            return (1 << self.stages[level].outputs) - 1
        kept = 0
        for index in members:
            kept |= ~self.variants[index][level + 1].mask
        return kept & ((1 << self.stages[level + 1].site.units) - 1)

    def _product(self, level: int, rows: int, mask: int, outs: int, parent: Product | None) -> Product:
        stage = self.stages[level]
        whole, every = (1 << stage.site.units) - 1, (1 << stage.outputs) - 1
        channels = rows & ~mask if parent is None else parent.mask ^ mask
        removed = 0 if parent is None else channels & mask  # the others come back
        name = level, channels, removed, outs
        if name not in self._weights:
            signs = None
            if removed:
                signs = torch.ones(channels.bit_count(), dtype=stage.weight.dtype)
                signs[places(removed, channels)] = -1.0
                signs = signs.to(stage.weight.device)
            pick = (self._places(level, channels, whole), signs, self._places(level, outs, every))
            size = channels.bit_count() * outs.bit_count() * stage.weight.numel() // (stage.site.units * stage.outputs)
            self._room -= size * stage.weight.element_size()
            select = partial(stage.select, *pick)
            kept = cache(select) if self._room >= 0 else select
            self._weights[name] = kept, size * stage.result[0] * stage.result[1]
        weights, macs = self._weights[name]
        self.macs += macs
        return Product(
            mask,
            outs,
            self._places(level, channels, rows),
            weights,
            self._places(level, outs, parent.outs if parent else every),
            0 if parent is None else parent.depth + 1,
        )

    def _places(self, level: int, part: int, whole: int) -> Tensor | None:
        return None if part == whole else places(part, whole).to(self.stages[level].weight.device)

    def _branches(self, level: int, members: list[int], outs: int) -> list[Branch]:
        groups: dict[Cut, list[int]] = {}
        for index in members:
            groups.setdefault(self.variants[index][level], []).append(index)
        branches = []
        for cut, same in groups.items():
            shift = self._shift(level, cut, outs)
            if level + 1 == len(self.stages):
                branches.append(Branch(shift, None, same[0]))
            else:
                branches.append(Branch(shift, self._node(level + 1, same, outs), None))
        return branches

    def _shift(self, level: int, cut: Cut, outs: int) -> Tensor | None:
        if cut.constants is None:
            return None
        if (level, cut) not in self._shifts:
            stage = self.stages[level]
            self._shifts[level, cut] = stage.shift(values(cut, stage.weight), cut.border)
        shift = self._shifts[level, cut]
        chosen = self._places(level, outs, (1 << shift.shape[1]) - 1)
        return shift if chosen is None else shift.index_select(1, chosen)


def integer(mask: Tensor) -> int:
    """Bits of a boolean (channels,) mask, channel 0 lowest."""
    packed = np.packbits(mask.cpu().numpy(), bitorder="little")
    return int.from_bytes(packed.tobytes(), "little")


def values(cut: Cut, like: Tensor) -> Tensor:
    """The constants of a cut, (channels,), with the type and device of ``like``."""
    return torch.frombuffer(bytearray(cut.constants), dtype=torch.float64).to(like)


def bits(number: int) -> np.ndarray:
    """Places of the ones, lowest first."""
    octets = np.frombuffer(number.to_bytes((number.bit_length() + 7) // 8, "little"), dtype=np.uint8)
    return np.flatnonzero(np.unpackbits(octets, bitorder="little"))


def places(part: int, whole: int) -> Tensor:
    """Where the channels of ``part`` stand in the list of those of ``whole``."""
    return torch.from_numpy(np.searchsorted(bits(whole), bits(part)))


def walk(
    plan: Plan, model: nn.Sequential, x: Float[Tensor, "samples ..."]
) -> Float[Tensor, "variants classes samples"]:
    """Logits (variants, classes, samples) of all variants of the plan for inputs ``x`` (samples, ...)."""
    first = plan.stages[0]
    z = forward(model[: first.site.start], x, {})
    z = z.permute(2, 1, 3, 0).contiguous() if z.dim() == 4 else z.T.contiguous()[None, :, None]
    logits = z.new_empty(len(plan.variants), plan.stages[-1].outputs, len(x))
    _visit(plan, plan.root, first.pool(z).clamp_min_(0), logits)
    return logits


def _visit(plan: Plan, node: Node, h: Tensor, logits: Tensor) -> None:
    """Everything behind a site, given its map after ReLU and pooling."""
    bias = plan.stages[node.level].bias.view(1, -1, 1, 1)
    for product in node.products:
        _multiply(plan, node.level, product, h, bias, logits)


def _multiply(
    plan: Plan, level: int, product: Product, h: Tensor, base: Tensor, logits: Tensor, own: bool = False
) -> None:
    """One product with all that is made from it. With ``own`` nobody else needs ``base``, which may be overwritten."""
    stage = plan.stages[level]
    part = h if product.ins is None else h.index_select(1, product.ins)
    if product.base is not None:
        base = base.index_select(1, product.base)
        own = base.shape[3] > 1  # a new tensor, unless it is the bias
    z = stage.product(part, product.weights(), base, inplace=own)
    del base, part
    following = plan.stages[level + 1] if level + 1 < len(plan.stages) else None
    pooled = None
    for branch in product.branches:
        shift = branch.shift
        if following is None:
            logits[branch.leaf] = z[0, :, 0] if shift is None else z[0, :, 0] + shift[0, :, 0]
            continue
        if shift is not None and (following.averages or shift.shape[0] * shift.shape[2] > 1):
            p = following.pool(z + shift)
        else:
            pooled = following.pool(z) if pooled is None else pooled
            p = pooled if shift is None else pooled + shift
        p = p.clamp_min(0) if p is pooled or p is z else p.clamp_min_(0)
        _visit(plan, branch.node, p, logits)
    del pooled
    for child in product.children:
        _multiply(plan, level, child, h, z, logits, own=child is product.children[-1])


def sample_bytes(plan: Plan) -> int:
    """About how much memory one sample takes in ``walk`` and in the losses after it."""
    numbers = 4 * len(plan.variants) * plan.stages[-1].outputs
    for stage in plan.stages:
        copies = 2 + (stage.weight.shape[1] if stage.conv else 0)
        numbers += copies * stage.site.units * math.prod(stage.size) + 3 * stage.outputs * math.prod(stage.result)
    return numbers * plan.stages[0].weight.element_size()
