"""The protocol of pruning with guarantees on a small made-up task: tables, invariants, brute force."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from prunebook import coresets
from prunebook.data.images import DataSet, Split, Standardisation
from prunebook.studies import STUDIES
from prunebook.studies.coreset_bounds import guarantees, network, recovery, run, stress
from prunebook.studies.coreset_bounds.config import OnLenet
from prunebook.weights import number_to_prune

CONFIG = OnLenet(
    widths=(8, 20, 12, 4),
    epochs=12,
    batch_size=25,
    shares=(0.2, 0.5, 1.0),
    ratios=(0.25, 0.5, 0.75),
    draws=4,
    points=60,
    tune_ratios=(0.5,),
    tune_epochs=2,
    gate_strengths=(1e-3, 0.05),
    alphas=(0.1, 1.0, 1e9),
)


def points(n, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 8, generator=generator)
    return x, (x[:, :4] + 0.3 * torch.randn(n, 4, generator=generator)).argmax(dim=1)


@pytest.fixture(scope="module")
def task():
    parts = [Split(*points(count, seed)) for seed, count in enumerate((400, 90, 50))]
    return DataSet("made-up", "made-up", "test", tuple("abcd"), *parts, {}, Standardisation((0.0,), (1.0,)))


@pytest.fixture(scope="module")
def tables(task):
    return run.measure(CONFIG, 1, task, lambda line: None)


@pytest.fixture(scope="module")
def ready(task):
    model = network.train(CONFIG, 1, task)
    return guarantees.make_ready(network.take_apart(model, task, CONFIG, 1), CONFIG)


def test_all_tables_are_there_and_the_seed_decides_them(task, tables):
    assert set(tables) == set(run.__doc__.split()) & set(tables)
    again = run.measure(CONFIG, 1, task, lambda line: None)
    for name, table in tables.items():
        pd.testing.assert_frame_equal(table, again[name])
    other = run.measure(CONFIG, 2, task, lambda line: None)
    assert not tables["sparsity_first"].equals(other["sparsity_first"])


def test_the_anatomy_is_the_network(task):
    model = network.train(CONFIG, 1, task)
    net = network.take_apart(model, task, CONFIG, 1)
    with torch.no_grad():
        direct = model.double()(task.dev.x.double())
    assert torch.allclose(net.hidden @ net.w_out.T + net.b_out, direct, atol=1e-5)
    assert torch.allclose(net.logits, direct, atol=1e-5)
    masses = net.mass
    assert torch.allclose(masses[0] - masses[1] + net.b_out, net.logits, atol=1e-10)
    assert net.radius >= float((net.queries.square().sum(dim=1) + 1).sqrt().min())


def test_dropout_is_off_when_the_network_is_looked_at(task):
    config = replace(CONFIG, dropout=0.5)
    model = network.train(config, 1, task)
    net = network.take_apart(model, task, config, 1)
    with torch.no_grad():
        direct = model(task.dev.x)
    assert torch.allclose(net.logits.float(), direct, atol=1e-4)


def test_observed_errors_are_those_of_a_loop(ready):
    net = ready.net
    sampled = guarantees.draw(ready, "weights", torch.tensor(40.0), (1, 2))
    seen = guarantees.unit_statistics(net, sampled, 0.2, "weights")
    errors, right, beyond = [], [], []
    for weight in sampled:
        for x, z, label in zip(net.hidden, net.logits, net.labels, strict=True):
            new = weight @ x + net.b_out
            absolute = net.w_out.abs() @ x
            errors.append(((new - z).abs() / absolute).tolist())
            right.append(int(new.argmax() == label))
            beyond.append(((new - z).abs() / absolute > 0.2).tolist())
    assert seen["observed"] == pytest.approx(np.mean(errors), rel=1e-9)
    assert seen["observed_max"] == pytest.approx(np.max(errors), rel=1e-9)
    assert seen["accuracy"] == pytest.approx(np.mean(right))
    assert seen["exceeded"] == pytest.approx(np.mean(beyond))
    per_draw = np.array(beyond).reshape(len(sampled), -1).any(axis=1)
    assert seen["failed"] == pytest.approx(per_draw.mean())


def test_nothing_changes_where_nothing_is_pruned(ready):
    seen = guarantees.unit_statistics(ready.net, ready.net.w_out[None], 0.1, "neurons")
    assert seen["error"] == 0
    assert seen["labels_kept"] == 1
    assert seen["below"] == int(ready.net.correct.sum())


def test_a_two_sided_error_at_its_limit_keeps_the_labels_it_promises(ready):
    net = ready.net
    bound = 0.3 * torch.rand(2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    safe = guarantees.two_sided_consistent(net.logits, net.mass, bound, net.labels)
    assert 0 < safe.sum() < len(safe)
    slack = (bound[:, None] * net.mass).sum(dim=0)
    # The worst that the bound allows: the label's logit down, every other one up.
    sign = torch.ones_like(slack).scatter(1, net.labels[:, None], -1)
    worst = (net.logits + sign * slack).argmax(dim=1)
    assert (worst[safe] == net.labels[safe]).all()
    assert (worst[~safe] != net.labels[~safe]).all()


def test_the_draws_found_leave_what_was_asked_for(ready):
    q = ready.weights.probabilities
    wanted = ((q > 0).sum(dim=2).double() * 0.5).round().clamp(min=1)
    m = guarantees.draws_for(q, wanted)
    assert (coresets.expected_kept(q, m) >= wanted - 1e-9).all()
    fewer = (m - 1).clamp(min=1)
    assert ((coresets.expected_kept(q, fewer) < wanted) | (m == 1)).all()


def test_ratios_are_reached_and_masks_survive_fine_tuning(tables):
    rows = tables["recovery"]
    assert np.allclose(rows.query("method == 'magnitude'")["sparsity"], rows.query("method == 'magnitude'")["ratio"])
    pairs = rows[rows["method"] != "dense"].groupby(["method", "ratio", "sparsity"])["tuned"].nunique()
    assert (pairs.loc["magnitude", 0.5] == 3).all()
    certain = tables["sparsity_first"].query("way == 'deterministic'")
    assert (certain["sparsity"] - certain["ratio"]).abs().max() < 0.1  # each class and sign is rounded on its own


def test_no_label_changes_below_its_tolerance_and_each_does_above(tables):
    values = tables["identities"].set_index("name")["value"]
    assert values["labels changed just below half the gap"] == 0
    assert values["labels changed just above half the gap"] == 1
    assert values["softmax shift"] < 1e-14
    assert (tables["epsilon_first"]["broken"] == 0).all()
    assert (tables["epsilon_first"]["below"] > 0).any()


def test_layer_errors_add_up_to_a_bound_on_what_is_seen(tables):
    layers = tables["layers"]
    assert (layers["bound"] >= layers["observed"]).all()
    sums = layers.groupby("ratio")["at_output"].sum()
    assert np.allclose(sums, layers.groupby("ratio")["bound"].first())


def test_scaling_keeps_labels_and_the_bound_for_weights(tables):
    scaling = tables["scaling"]
    stated = scaling.query("bound == 'stated'").sort_values("alpha")
    assert (stated["labels_changed"] == 0).all()
    assert stated["samples"].is_monotonic_decreasing
    for bound in ("weights", "hoeffding"):
        assert scaling.loc[scaling["bound"] == bound, "samples"].nunique() == 1
    assert stated["failed"].iloc[-1] == 1  # a single unit stands for all


def test_points_fill_the_ball(ready):
    ball = stress.ball_points(ready.net, 4000, "ball", 1)
    radius = ball.norm(dim=1) / ready.net.radius
    assert radius.max() <= 1
    # Uniform in volume: the share within r is r^D.
    assert (radius < 0.95).double().mean() == pytest.approx(0.95 ** ball.shape[1], abs=0.03)
    assert ball.mean().abs() < 0.05 * ready.net.radius
    assert (stress.ball_points(ready.net, 100, "orthant", 1) >= 0).all()


def test_gates_close_under_pressure_and_stay_open_without(task):
    model = network.train(CONFIG, 1, task)
    gates = recovery.train_gates(model, task, (0.0, 10.0), 1, epochs=40, batch=50)
    assert (gates[0] > 0).double().mean() > 0.5
    assert (gates[1] == 0).all()


@pytest.mark.parametrize("name", ["cb-lenet", "cb-vgg"])
def test_the_slack_of_the_floor_changes_no_count_that_a_study_asks_for(name):
    """Results were measured with ``int(ratio * n)`` in one table and with a slack of 1e-9 in another."""
    assert number_to_prune(0.29, 100, how="floor") == 29 > int(0.29 * 100)
    for configs in STUDIES[name].presets.values():
        for config in configs:
            sizes = [a * b for a, b in itertools.pairwise(config.widths)]
            for ratio, size in itertools.product(config.ratios, sizes):
                assert number_to_prune(ratio, size, how="floor") == int(ratio * size)


def test_centred_errors_do_not_see_a_constant():
    z = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    found = recovery.errors(z + 3.0, z)
    assert found["error"] == pytest.approx(3.0, rel=1e-5)
    assert found["centred_error"] < 1e-5
