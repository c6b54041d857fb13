"""Layers of a chain as functions: in evaluation mode whatever mode they are in, so that no pass leaves a trace."""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from prunebook.errors import InputError
from prunebook.networks.evaluating import evaluating, unwrapped, why_unfit

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
IDLE = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout)  # in evaluation mode


class MapBiasConv2d(nn.Conv2d):
    """A convolution with one more bias for each position, ``bias_map`` (out_channels, height, width)."""

    bias_map: nn.Parameter

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + self.bias_map


def as_chain(model: nn.Module) -> nn.Sequential:
    """The same layers in one plain ``nn.Sequential``: nested ones are flattened, and what was compiled is undone.

    Raises InputError for a model that is no ``nn.Sequential``, or has a forward pass of its own.
    """
    return nn.Sequential(*leaves(model).values())


def leaves(model: nn.Module, name: str = "") -> dict[str, nn.Module]:
    """The layers of a chain by their names in the model, in order."""
    model = unwrapped(model) if isinstance(model, nn.Module) else model
    if not isinstance(model, nn.Sequential):
        if not name:
            reason = why_unfit(model) if isinstance(model, nn.Module) else ""
            raise InputError(f"{type(model).__name__} is not a chain of layers: give an nn.Sequential{reason}")
        return {name: model}
    if type(model).forward is not nn.Sequential.forward or "forward" in vars(model):
        raise InputError(
            f"{type(model).__name__} has a forward pass of its own, which is not that of its layers in a row: put what "
            "it does into the data, and give nn.Sequential(*model)"
        )
    parts = [leaves(layer, f"{name}.{key}" if name else key) for key, layer in model._modules.items()]
    return {key: layer for part in parts for key, layer in part.items()}


def check_chain(model: nn.Module, x: Float[Tensor, "samples ..."]) -> Tensor:
    """Outputs for the first two samples. Raises InputError where the model's are not those of its layers in a row."""
    x = x[:2]
    with evaluating(model), torch.no_grad():
        try:
            whole, parts = unwrapped(model)(x), forward(model, x, {})
        except Exception as error:
            problem = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(f"the model cannot read inputs of shape {tuple(x.shape)}: {problem}") from error
    far = torch.finfo(parts.dtype).eps ** 0.5 * parts.abs().max()
    if whole.shape != parts.shape or not bool((whole - parts).abs().max() <= far):
        raise InputError(
            "the model's outputs are not those of its layers in a row, or not finite: take off hooks that change what "
            "passes, and check weights and inputs"
        )
    return whole


def forward(
    model: nn.Module,
    x: Float[Tensor, "samples ..."],
    at: Mapping[int, Callable[[Tensor], Tensor]],
    *,
    batch_statistics: bool = False,
) -> Tensor:
    """Outputs of the chain, in evaluation mode, where the output of layer ``i`` is replaced by ``at[i](output)``.

    Hooks are run only for a layer that has some in front of its pass.
    With ``batch_statistics`` batch norm uses the mean and variance of this batch, without touching its running ones.
    """
    for index, layer in enumerate(as_chain(model)):
        if isinstance(layer, NORMS):
            own = batch_statistics or layer.running_mean is None
            mean, var = (None, None) if own else (layer.running_mean, layer.running_var)
            x = F.batch_norm(x, mean, var, layer.weight, layer.bias, training=own, eps=layer.eps)
        elif not isinstance(layer, IDLE):
            # A hook before the pass may make the weights: masks of torch.nn.utils.prune, the shape of a lazy layer.
            x = layer(x) if layer._forward_pre_hooks else layer.forward(x)
        if index in at:
            x = at[index](x)
    return x
