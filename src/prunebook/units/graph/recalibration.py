"""Batch norm measured anew: what is done about a pruned network where nothing is folded, and after."""

from typing import Any

import torch
from torch import nn

from prunebook.data.batches import Batches
from prunebook.errors import InputError
from prunebook.networks.evaluating import as_written, evaluating, private_copy
from prunebook.units.graph.dependencies import NORMS


@as_written()
def recalibrate(model: nn.Module, data: Any, *, forward: Any = None) -> nn.Module:
    """A copy of a network whose batch norms have the mean and variance of the data that reach them.

    After pruning with the replacement "zero" this is the usual repair, and a baseline for mean replacement. All else
    runs in evaluation mode. Statistics are averages over batches, each with the same weight.

    Parameters
    ----------
    model : nn.Module
        With at least one batch norm that keeps running statistics. It stays as it is.
    data : DataLoader, TensorDataset or list of batches
        Inputs, in batches of more than one sample; all forms that `Batches` takes.
    forward : callable, optional
        ``forward(model, batch)``, for batches of other forms.

    Returns
    -------
    nn.Module
        In the mode of the one given.

    Raises
    ------
    InputError
        There is no such batch norm, or the data do not fit the model.

    Examples
    --------
    >>> import torch
    >>> from prunebook.units.graph import recalibrate
    >>> net = torch.nn.Sequential(torch.nn.BatchNorm1d(1))
    >>> recalibrate(net, torch.full((8, 1), 3.0))[0].running_mean
    tensor([3.])
    """
    copy = private_copy(model)
    norms = [module for module in copy.modules() if isinstance(module, NORMS) and module.running_mean is not None]
    if not norms:
        raise InputError("the network has no batch norm with running statistics: there is nothing to measure anew")
    batches, momenta = Batches(data, copy, forward=forward), [norm.momentum for norm in norms]
    with evaluating(copy), torch.no_grad():
        for norm in norms:
            norm.reset_running_stats()
            norm.train()
            norm.momentum = None  # an average of all batches
        for x, _ in batches:
            batches.call(copy, x)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return copy
