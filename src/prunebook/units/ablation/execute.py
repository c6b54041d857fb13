"""The products of a plan, walked depth first, so that few maps are alive at a time."""

import math

from jaxtyping import Float
from torch import Tensor, nn

from prunebook.units.ablation.plan import Node, Plan, Product
from prunebook.units.forward import forward


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
    z = stage.product(part, product.weights.get(), base, inplace=own)
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
