"""All tables of one training.

network      step, loss, test_loss, accuracy, test_accuracy: of the unpruned network on the two subsets
history      step, train_loss: mean over the steps since the last snapshot
penalties    step, score, set, amount, units, replacement, penalty, test_penalty, accuracy
followed     step, score, site, unit, energy, width: units that each score would prune, in one layer set
agreement    step, site, score, signal: signed over unsigned scores
constants    step, set, score, alpha, penalty, test_penalty (at the probe steps, as are the next ones)
single_units step, site, unit, replacement, score_*, penalty, test_penalty
conventions  as penalties, for other readings of the scores
borders      as penalties, with the border; only for networks that pad
batch_norm   step, score, set, amount, zero, mean, difference; only for networks with batch norm
facts        name, value: what holds by arithmetic
"""

import pandas as pd

from prunebook.data.tasks import load
from prunebook.errors import InputError
from prunebook.studies.mean_replacement import penalties, probes
from prunebook.studies.mean_replacement.config import AlongTraining
from prunebook.studies.mean_replacement.facts import facts
from prunebook.training.on_images import milestones, train_along


def check(config: AlongTraining) -> None:
    """Raises InputError for a configuration that cannot be carried out."""
    if config.every % config.snapshot_every:
        raise InputError(f"every={config.every} must be a multiple of snapshot_every={config.snapshot_every}")


def prepare(config: AlongTraining, data, device):
    """The images, all of the training part, and the configuration under the name of what was really loaded."""
    check(config)
    return load(config, data, device, dev=0, size=config.size)


def run(config: AlongTraining, seed: int, dataset, device, report) -> dict[str, pd.DataFrame]:
    """All tables of one seed. The seed decides initial weights, batches, subsets and random scores."""
    model, trajectory = train_along(
        config, dataset, seed, config.steps, report, batch_norm=config.batch_norm, init=config.init
    )
    data, network = penalties.subsets(dataset, config.samples, seed), []
    tables: dict[str, list[pd.DataFrame]] = {}

    def keep(name: str, table: pd.DataFrame) -> None:
        if len(table):
            tables.setdefault(name, []).append(table)

    measured = set(milestones(config.steps, config.every))
    for number, step in enumerate(trajectory.steps):
        trajectory.load(step, model)
        at = penalties.scored(model, data, config.scores, seed, step)
        keep("followed", penalties.followed_units(at, config.followed))
        keep("agreement", penalties.agreement(at))
        if step in measured:
            table, row = penalties.penalties(at, config.sets, config.amounts)
            network.append(row)
            keep("penalties", table)
            if config.batch_norm:
                keep("batch_norm", probes.batch_statistics(at, config.followed))
        if step in config.probe_steps:
            keep("constants", probes.constants(at, config.followed))
            keep("single_units", probes.single_units(at, config.followed[0]))
            keep("conventions", probes.conventions(at, config.sets, config.amounts, seed))
            keep("borders", probes.borders(at, config.sets, config.amounts))
        if number % max(1, len(trajectory.steps) // 10) == 0:
            report(f"measured step {step}/{config.steps}, loss {network[-1]['loss']:.3g}")
    found = {name: pd.concat(parts, ignore_index=True) for name, parts in tables.items()}
    found["facts"] = facts(seed)
    found["network"] = pd.DataFrame(network)
    found["history"] = pd.DataFrame(trajectory.history, columns=["step", "train_loss"])
    return found
