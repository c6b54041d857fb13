"""Units pruned in one call, of chains and of networks of any other form."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from prunebook.errors import InputError
from prunebook.networks.evaluating import as_written
from prunebook.units import removal
from prunebook.units.folding import check_plain
from prunebook.units.graph import pruning as graph
from prunebook.units.layers import unit_layers
from prunebook.units.removal import PrunedUnits
from prunebook.units.scores import CONVENTIONS, SCORES


@as_written()
def prune_units(
    model: nn.Module,
    data: Any,
    ratio: float | int | Mapping[str, float | int] = 0.4,
    *,
    score: str | Callable[[Any], Tensor] = "abs_mrs",
    replacement: str = "mean",
    layers: Sequence[str] | None = None,
    scope: str = "layer",
    round_to: int = 1,
    border: str = "exact",
    loss: Callable[[Any, Any], Tensor] | None = None,
    forward: Callable[[nn.Module, Any], Any] | None = None,
    targets: Callable[[Any], Any] | None = None,
    seed: int = 0,
) -> PrunedUnits:
    """A smaller copy of a network without its least important units, each replaced by what it gave on average.

    Units are hidden channels that can go one by one: with residual streams, concatenation and depthwise convolutions,
    a unit is a channel of several layers. What replaces it is measured where each layer reads it, and goes into that
    layer's bias (Evci et al., 2019). The outputs are those of a network whose layers read the replacement as it runs.
    The network given stays as it is.

    A chain, as `unit_layers` describes it, is pruned as in the chapter on mean replacement: units are named conv1,
    dense1 and so on, and replaced after their ReLU. All other networks, and the options that chains lack, go by
    `prunebook.units.graph`: units are named by the first layer that makes them, and need the package torch-pruning.

    Parameters
    ----------
    model : nn.Module
        Any network. Left alone and named are layers that are called twice, share parameters, are masked or run without
        gradients, outputs, and units that meet in a layer norm or in attention.
    data : DataLoader, TensorDataset or list of batches
        Inputs with their classes, a thousand or so; all forms that `Batches` takes. The scores "norm", "rand",
        "variance" and "fluctuation" need inputs only.
    ratio : float, int or mapping of str to either
        Share of the units, rounded down, or a whole number of them; a mapping gives it by name, and leaves the others
        alone.
    score : str or callable
        "abs_mrs" and the others in `SCORES`; for networks that are no chain also "variance" of what is read (VBP) and
        "fluctuation", its product with squared weights (FLAP). Or a function of one layer's statistics: of
        `UnitStatistics` in a chain, else of `GroupStatistics`.
    replacement : {"mean", "zero"}
        What removed units gave: their mean over the data, or nothing.
    layers : sequence of str, optional
        Names of units to prune; all by default.
    scope : {"layer", "global", "isomorphic"}
        Which units the ratio is of, and compared with each other: those of each layer, all, or those of layers of the
        same kinds. Between layers, scores count relative to the mean of their layer.
    round_to : int
        What is left of a layer is a multiple of this, if need be by pruning less.
    border : {"exact", "response-mean", "all-taps"}
        For chains: what a mean does where a convolution pads with zeros; see `fold`. Always exact for other networks.
    loss : callable, optional
        ``loss(outputs, targets)``, a mean over the batch, for scores that need gradients; cross-entropy by default.
    forward, targets : callable, optional
        ``forward(model, batch)`` and ``targets(batch)``, for batches of other forms; see `Batches`.
    seed : int
        For the score "rand".

    Returns
    -------
    PrunedUnits
        The smaller network, what was removed, and what was left alone and why; printed, a short report.

    Raises
    ------
    InputError
        For data that do not fit the network, unknown names, and networks of which no unit can go. Also if the smaller
        network's outputs differ from those of the network that reads the replacements by more than rounding.

    Examples
    --------
    >>> import torch
    >>> from prunebook.units import prune_units
    >>> chain = torch.nn.Sequential(torch.nn.Linear(4, 10), torch.nn.ReLU(), torch.nn.Linear(10, 3))
    >>> data = torch.utils.data.TensorDataset(torch.randn(50, 4), torch.arange(50) % 3)
    >>> smaller = prune_units(chain, data, ratio=0.4)
    >>> print(smaller)
    dense1: 4 of 10 units removed (40.0%)
    left alone: layer 2 (gives the outputs)
    >>> smaller.model[0]
    Linear(in_features=4, out_features=6, bias=True)
    """
    shared = {"score": score, "replacement": replacement, "layers": layers, "seed": seed}
    plain = scope == "layer" and round_to == 1 and loss is forward is targets is None
    if plain and (callable(score) or score in SCORES | CONVENTIONS) and _is_chain(model):
        return removal.prune_chain(model, data, ratio, border=border, **shared)
    if border != "exact":
        raise InputError(f"border {border!r} is for chains pruned layer by layer: leave it out")
    return graph.prune_graph(
        model, data, ratio, scope=scope, round_to=round_to, loss=loss, forward=forward, targets=targets, **shared
    )


def _is_chain(model: nn.Module) -> bool:
    """Whether every layer is of those that chains are made of, each with its own weights."""
    try:
        unit_layers(model)
        check_plain(model)
    except InputError:
        return False
    return True
