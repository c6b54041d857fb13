"""One pruned variant by a plain forward pass over the whole network, its units replaced on the way.

This is for batch norm with the statistics of the batch, which no two variants share.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from prunebook.units.ablation.plan import Cut, bits, values
from prunebook.units.ablation.stages import Stage
from prunebook.units.forward import forward


def masked_logits(
    model: nn.Sequential, stages: Sequence[Stage], cuts: Sequence[Cut], x: Float[Tensor, "samples ..."]
) -> Float[Tensor, "samples classes"]:
    """Logits (samples, classes) with the cut of each site in place and batch norm over the samples of ``x``.

    ``stages`` must hold the consumers' own weights, without batch norm folded in.
    """
    edits: dict[int, Callable[[Tensor], Tensor]] = {}
    for stage, cut in zip(stages, cuts, strict=True):
        if not cut.mask:
            continue
        pruned = torch.from_numpy(bits(cut.mask)).to(x.device)
        constants = stage.bias.new_zeros(stage.site.units)
        if cut.constants is not None and cut.border == "exact":
            constants = values(cut, stage.weight)
        elif cut.constants is not None:
            shift = stage.shift(values(cut, stage.weight), cut.border)[0]
            edits[stage.site.consumer] = lambda z, shift=shift: z + shift
        edits[stage.site.index] = _overwriting(pruned, constants[pruned])
    return forward(model, x, edits, batch_statistics=True)


def _overwriting(units: Tensor, constants: Tensor) -> Callable[[Tensor], Tensor]:
    def edit(a: Tensor) -> Tensor:
        a[:, units] = constants.view(-1, *[1] * (a.dim() - 2))
        return a

    return edit
