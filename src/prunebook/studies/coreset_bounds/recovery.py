"""Heuristics, and what fine-tuning gives back: accuracies, and errors against the network before pruning."""

import copy
from dataclasses import dataclass, replace

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn

from prunebook.coresets.sampling import keep_largest
from prunebook.data.images import DataSet
from prunebook.studies.checks import require_none
from prunebook.studies.coreset_bounds.guarantees import Prepared, draw, wanted
from prunebook.studies.coreset_bounds.network import Anatomy, without_lowest
from prunebook.training import gates
from prunebook.training.on_images import recipe_of
from prunebook.training.sgd import Trainer, outputs
from prunebook.weights import number_to_prune


@dataclass(frozen=True)
class Candidate:
    """A pruned last layer; ``ratio`` is the one asked for, or the one reached where none can be asked for."""

    method: str
    ratio: float
    weight: Float[Tensor, "classes n"]

    @property
    def sparsity(self) -> float:
        """Share of units, or of weights, that are gone."""
        alive = self.weight != 0
        if self.method in ("gates", "neurons"):
            alive = alive.any(dim=0)
        return 1 - float(alive.double().mean())


def candidates(ready: Prepared, task: DataSet, model: nn.Sequential, seed: int) -> list[Candidate]:
    """The last layer pruned by magnitude, by sensitivity, by gates and by sampling units, and at random."""
    net, config = ready.net, ready.config
    weight, found = net.w_out, []
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(weight.numel(), generator=generator).to(weight.device)
    for number, ratio in enumerate(config.ratios):
        count = number_to_prune(ratio, weight.numel(), how="floor")
        for method, score in (("magnitude", weight.abs().flatten()), ("random", noise)):
            found.append(Candidate(method, ratio, without_lowest(weight, score, count)))
        fewer, _, m_units = wanted(ready, ratio)
        certain = keep_largest(weight, ready.weights, fewer)
        found.append(Candidate("deterministic", ratio, weight * certain))
        found.append(Candidate("neurons", ratio, draw(ready, "neurons", m_units, (seed, 12, number))[0]))
    trained = train_gates(model, task, config.gate_strengths, seed)
    pruned = [Candidate("gates", 0.0, weight * gate.double()) for gate in trained]
    return found + [replace(candidate, ratio=candidate.sparsity) for candidate in pruned]


def train_gates(
    model: nn.Sequential, task: DataSet, strengths, seed: int, *, epochs: int = 2, batch: int = 100, rate: float = 0.05
) -> Float[Tensor, "strengths n"]:
    """Gates of test time, one for each unit of the last hidden layer, for every strength of the penalty side by side.

    The network is fixed; the penalty is the strength times the expected number of open gates. Log alpha is clamped as
    in the authors' code.
    """
    last = model[-1]
    hidden, y = outputs(model[:-1], task.train.x), task.train.y
    device, shape = hidden.device, (len(strengths), hidden.shape[1])
    generator = torch.Generator(device).manual_seed(seed)
    log_alpha = gates.initial_log_alpha(torch.empty(shape, device=device), generator=generator).requires_grad_()
    strength = torch.tensor(strengths, device=device)
    optimiser = torch.optim.Adam([log_alpha], lr=rate)
    for _ in range(epochs):
        for index in torch.randperm(len(y), generator=generator, device=device).split(batch):
            gate = gates.sample_gate(log_alpha, gates.uniform_noise(log_alpha.detach(), generator))
            logits = nn.functional.linear(hidden[index] * gate[:, None], last.weight.detach(), last.bias.detach())
            targets = y[index].repeat(len(strengths))
            # A sum over strengths: each has a gradient of its own, as if it were alone.
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), targets) * len(strengths)
            cost = (strength * gates.active_probability(log_alpha).sum(dim=1)).sum()
            optimiser.zero_grad()
            (loss + cost).backward()
            optimiser.step()
            with torch.no_grad():
                log_alpha.clamp_(*gates.CLAMP)
    return gates.fixed_gate(log_alpha.detach())


def after_pruning(ready: Prepared, found: list[Candidate]) -> pd.DataFrame:
    """Accuracy on the held-out points right after pruning, and the errors of the logits."""
    net = ready.net
    stacked = torch.stack([candidate.weight for candidate in found])
    logits = (stacked @ net.hidden.T).transpose(1, 2) + net.b_out
    return pd.DataFrame(_row(net, c, "none", z) for c, z in zip(found, logits, strict=True))


def _row(net: Anatomy, candidate: Candidate, tuned: str, logits: Tensor) -> dict:
    return {
        "method": candidate.method,
        "ratio": candidate.ratio,
        "sparsity": candidate.sparsity,
        "tuned": tuned,
        "accuracy": float((logits.argmax(dim=1) == net.labels).double().mean()),
        **errors(logits, net.logits),
    }


def errors(logits: Tensor, reference: Tensor) -> dict[str, float]:
    """Mean absolute difference per logit: raw, and without each point's mean logit, which softmax does not see."""
    raw = logits.double() - reference.double()
    centred = raw - raw.mean(dim=1, keepdim=True)
    return {"error": float(raw.abs().mean()), "centred_error": float(centred.abs().mean())}


def fine_tuned(ready: Prepared, task: DataSet, model: nn.Sequential, found: list[Candidate], seed: int) -> pd.DataFrame:
    """The same after fine-tuning with what was pruned held at zero: the last layer alone, and all layers.

    The method "dense" is the control: the network itself, fine-tuned without having been pruned. Errors are always
    against the logits of the network before pruning. All see the same minibatches.
    """
    net, config = ready.net, ready.config
    steps = config.tune_epochs * -(-len(task.train) // config.batch_size)
    recipe = recipe_of(config, steps, learning_rate=config.tune_rate)
    hidden, hidden_dev = (outputs(model[:-1], x) for x in (task.train.x, task.dev.x))
    rows = []
    for candidate in [Candidate("dense", 0.0, net.w_out), *found]:
        for tuned in ("last layer", "all layers"):
            whole = copy.deepcopy(model)
            with torch.no_grad():
                whole[-1].weight.copy_(candidate.weight)
            part, x, x_dev = whole, task.train.x, task.dev.x
            if tuned == "last layer":
                part, x, x_dev = nn.Sequential(whole[-1]), hidden, hidden_dev
            mask = (candidate.weight != 0).to(whole[-1].weight.dtype)
            name = f"{len(part) - 1}.weight"
            Trainer(part, x, task.train.y, recipe, seed=seed, masks={name: mask}).advance()
            require_none({"pruned weights that came back": int((whole[-1].weight[mask == 0] != 0).sum())})
            rows.append(_row(net, candidate, tuned, outputs(part, x_dev)))
    return pd.DataFrame(rows)


def chosen_for_tuning(found: list[Candidate], ratios) -> list[Candidate]:
    """Those at the ratios to fine-tune; of the gates, the ones that came nearest to each, once."""
    asked = [c for c in found if c.method not in ("gates", "random") and any(abs(c.ratio - r) < 1e-9 for r in ratios)]
    gates = [c for c in found if c.method == "gates" and c.sparsity > 0]
    nearest = {id(c): c for c in (min(gates, key=lambda c: abs(c.sparsity - r)) for r in ratios if gates)}
    return [*asked, *nearest.values()]
