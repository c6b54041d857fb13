"""A network before and after pruning, side by side."""

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, NamedTuple

import pandas as pd
import torch
from scipy.stats import binomtest
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from prunebook.coresets.labels import correct
from prunebook.data.batches import Batches, class_labels
from prunebook.delivery.measuring import Measured, costs
from prunebook.delivery.plain import Result, plain
from prunebook.errors import InputError
from prunebook.networks.evaluating import as_written, evaluating

SIZES = (1, 64)
MASKS = (
    "zeros are stored and multiplied like any other number: masks make no network faster and no file smaller; they "
    "were made permanent here, and as long as they are not, each pass multiplies them in"
)


@dataclass(frozen=True)
class Report:
    """Two networks side by side; `str` is a table for a terminal, a notebook shows HTML.

    before, after: their costs, see `Measured`; distance: root mean square of the difference of their outputs, relative
    to that of the outputs before; largest: the largest difference, relative to the largest output before; notes: what
    to know about the numbers, a sentence each.
    """

    before: Measured
    after: Measured
    confidence: float
    distance: float
    largest: float
    notes: tuple[str, ...]

    @property
    def table(self) -> pd.DataFrame:
        """The report as text: a row for each quantity, columns before, after and change."""
        rows = {
            "parameters": self._counts("parameters"),
            "of these zero": (*(f"{m.zeros:,} ({m.zeros / max(m.parameters, 1):.1%})" for m in self._both), ""),
            "multiply-adds": self._counts("multiply_adds"),
            "file (bytes)": self._counts("file_bytes"),
        }
        for name in self.before.milliseconds:
            was, now = (m.milliseconds[name] for m in self._both)
            texts = [f"{t.median:.3g} [{t.low:.3g}, {t.high:.3g}]" for t in (was, now)]
            rows[f"ms, {name}"] = (*texts, _change(was.median, now.median))
        if self.before.points:
            was, now = (m.correct / m.points for m in self._both)
            low, high = zip(*(m.interval for m in self._both), strict=True)
            texts = [f"{share:.4f} [{a:.4f}, {b:.4f}]" for share, a, b in zip((was, now), low, high, strict=True)]
            rows["accuracy"] = (*texts, f"{now - was:+.4f}")
        rows["outputs' distance, r.m.s."] = ("", f"{self.distance:.3g}", "")
        rows["outputs' distance, largest"] = ("", f"{self.largest:.3g}", "")
        return pd.DataFrame.from_dict(rows, orient="index", columns=["before", "after", "change"])

    @property
    def _both(self) -> tuple[Measured, Measured]:
        return self.before, self.after

    def _counts(self, name: str) -> tuple[str, str, str]:
        was, now = (getattr(m, name) for m in self._both)
        return f"{was:,}", f"{now:,}", _change(was, now)

    def __str__(self) -> str:
        return "\n".join([self.table.to_string(), *self.notes])

    def _repr_html_(self) -> str:
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        return self.table.to_html(border=0, classes="pb-table") + notes


def _change(was: float | int, now: float | int) -> str:
    return f"{100 * (now - was) / was:+.1f} %" if was else ""


@as_written()
def report(
    before: nn.Module | Result,
    after: nn.Module | Result,
    data: Any,
    *,
    confidence: float | int = 0.95,
    forward: Callable[[nn.Module, Any], Any] | None = None,
    targets: Callable[[Any], Any] | None = None,
    seconds: float | int = 1.0,
) -> Report:
    """What pruning has changed: parameters, multiply-adds, file, latency, accuracy, outputs.

    Both networks stay as they are. Masks are made permanent on copies first; the zeros are counted, and counted as what
    they cost. Latency is measured with `torch.utils.benchmark`, the two networks in turns, on as many threads as
    PyTorch has; multiply-adds with `torch.utils.flop_counter`, which knows matrix products and convolutions.

    Parameters
    ----------
    before, after : nn.Module, Pruned or PrunedUnits
        On one device.
    data : any form that `Batches` takes
        Inputs, with class labels for accuracy. Take held-out data: accuracy on what training or pruning has seen says
        little.
    confidence : float
        Of the exact binomial intervals of accuracy (Clopper and Pearson), in (0, 1).
    forward, targets : callable, optional
        As in `Calibration`, for batches of other forms; latency and multiply-adds are then those of the first batch.
    seconds : float
        For the latency of each network at each size of batch.

    Returns
    -------
    Report
        The numbers; printed, a table.

    Raises
    ------
    InputError
        For data that do not fit, networks on two devices, and outputs of different shapes.

    Examples
    --------
    >>> import torch
    >>> import prunebook as pb
    >>> chain = torch.nn.Sequential(torch.nn.Linear(4, 10), torch.nn.ReLU(), torch.nn.Linear(10, 3))
    >>> data = torch.utils.data.TensorDataset(torch.randn(50, 4), torch.arange(50) % 3)
    >>> found = pb.report(chain, pb.prune_units(chain, data, ratio=0.4), data, seconds=0.1)
    >>> print(found.table.loc[["parameters", "multiply-adds"]])
                  before after   change
    parameters        83    51  -38.6 %
    multiply-adds     70    42  -40.0 %
    """
    for name, value, most in (("confidence", confidence, 1), ("seconds", seconds, 3600)):
        if not isinstance(value, Real) or isinstance(value, bool) or not 0 < value < most:
            raise InputError(f"{name} is {value!r}: give a number between 0 and {most}")
    models = [plain(before), plain(after)]
    places = {str(p.device) for model in models for p in model.parameters()}
    if len(places) > 1:
        raise InputError(f"the networks are on {' and '.join(sorted(places))}: bring them to one device")
    batches = Batches(data, models[0], forward=forward, targets=targets)
    with evaluating(models[0]), evaluating(models[1]), torch.no_grad():
        x, _ = batches.first()
        inputs = {"the first batch": x}
        if forward is None:
            inputs = {f"batch of {n}": torch.cat([x] * -(-n // len(x)))[:n].contiguous() for n in SIZES}
        seen = _compare(models, batches)
        both = costs(models, inputs, batches.call, float(seconds))
    if seen.correct is not None:
        found = [binomtest(count, seen.points).proportion_ci(float(confidence), "exact") for count in seen.correct]
        both = [
            replace(costs_, points=seen.points, correct=count, interval=(float(ci.low), float(ci.high)))
            for costs_, count, ci in zip(both, seen.correct, found, strict=True)
        ]
    where = "a GPU" if any("cuda" in place for place in places) else f"the CPU, threads: {both[0].threads}"
    notes = [
        *([MASKS] if both[1].zeros > both[0].zeros else []),
        seen.without or f"accuracy: {seen.points} samples, exact intervals at {confidence:g} confidence",
        f"ms: median and quartiles of a pass on {where}; multiply-adds: of {next(iter(inputs))}",
    ]
    return Report(*both, float(confidence), seen.distance, seen.largest, tuple(notes))


class _Seen(NamedTuple):
    distance: float
    largest: float
    points: int
    correct: list[int] | None
    without: str  # why there is no accuracy


def _compare(models: Sequence[nn.Module], batches: Batches) -> _Seen:
    """One pass of both networks over all data."""
    squares, largest, points = torch.zeros(2, dtype=torch.float64), [0.0, 0.0], 0
    right: list[int] | None = [0, 0]
    without = ""
    for x, y in batches:
        raw = [batches.call(model, x) for model in models]
        outputs = [[t for t in tree_leaves(r) if isinstance(t, Tensor) and t.is_floating_point()] for r in raw]
        forms = [[tuple(t.shape) for t in tensors] for tensors in outputs]
        if forms[0] != forms[1] or not forms[0]:
            raise InputError(f"outputs are {forms[0]} before and {forms[1]} after: compare networks for the same task")
        for was, now in zip(*outputs, strict=True):
            for place, values in enumerate((was, now.double() - was.double())):
                squares[place] += values.double().square().sum().cpu()
                largest[place] = max(largest[place], float(values.abs().max())) if values.numel() else largest[place]
        if right is not None:
            try:
                labels = _labels(raw[0], y)
                right = [count + int(correct(z, labels).sum()) for count, z in zip(right, raw, strict=True)]
                points += len(labels)
            except InputError as error:
                right, without = None, f"accuracy is left out: {error}"
    tiny = torch.finfo(torch.float64).tiny
    distance = float((squares[1] / squares[0].clamp(min=tiny)).sqrt())
    return _Seen(distance, largest[1] / max(largest[0], tiny), points, right, without)


def _labels(outputs: Any, y: Any) -> Tensor:
    if not isinstance(outputs, Tensor) or outputs.ndim != 2:
        raise InputError("the outputs are not one row of logits a sample")
    return class_labels(y, *outputs.shape).to(outputs.device)
