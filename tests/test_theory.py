"""The relations between the papers, on small networks in float64, and when each method is exact."""

import itertools
import math

import pytest
import torch
from scipy import stats
from torch import nn
from torch.autograd.functional import hessian
from torch.func import functional_call, jacrev, vmap

from prunebook import coresets, units, weights
from prunebook.errors import InputError
from prunebook.networks.mlp import mlp
from prunebook.studies import theory

close = torch.testing.assert_close
FINE = {"rtol": 1e-10, "atol": 1e-13}
seeds = pytest.mark.parametrize("seed", [1, 2, 3])


class Small:
    """A ReLU network 5-7-6-3, its middle layer, and what is needed to prune that."""

    def __init__(self, seed, activation="relu"):
        generator = torch.Generator().manual_seed(seed)
        self.x = torch.randn(80, 5, generator=generator, dtype=torch.float64)
        self.net = mlp((5, 7, 6, 3), activation, seed=seed).double().requires_grad_(False)
        for p in self.net.parameters():
            p.mul_(2)
        self.refresh()

    def refresh(self):
        self.a = self.net[:2](self.x)
        self.z, self.y = self.net[2](self.a), self.net(self.x)
        self.W, self.b = self.net[2].weight, self.net[2].bias
        self.J = theory.jacobian(self.net[3:], self.z)
        self.D = self.J.square().sum(1)
        self.evidence = weights.Calibration(self.net, self.x)
        self.layer = self.evidence.statistics["2"]
        self.terms = self.a[:, None] * self.W
        return self

    @property
    def covariance(self):
        """Cov(D_i, a_j)"""
        return self.D.T @ self.a / len(self.x) - torch.outer(self.D.mean(0), self.a.mean(0))

    def without_unit(self, way, unit=0, **options):
        """E|y' - y|^2 after the column of a unit is removed from the middle layer."""
        cut = {"2": ~(torch.arange(7) == unit).expand(6, 7)}
        return weights.true_change(self.evidence, cut, weights.COMPENSATIONS[way](self.evidence, cut, **options))


@seeds
def test_jacobian_is_that_of_torch(seed):
    s = Small(seed)
    close(s.J, vmap(jacrev(s.net[3:]))(s.z), **FINE)
    close(s.D.mean(0), s.layer.d, **FINE)


@seeds
def test_mean_replacement_is_least_squares_on_the_next_preactivation(seed):
    s = Small(seed)
    gone = torch.arange(7) == 2
    lost = s.a[:, 2, None] * s.W[:, 2]
    ones = torch.ones(80, 1, dtype=torch.float64)
    fitted = torch.linalg.lstsq(ones, lost).solution[0]
    close(theory.best_shift(lost), fitted, **FINE)
    close(units.fold(s.net, {"dense1": gone}, {"dense1": s.a.mean(0)})[2].bias - s.b, fitted, **FINE)
    cut = {"2": ~gone.expand(6, 7)}
    close(weights.COMPENSATIONS["mean"](s.evidence, cut)["2"].bias, fitted, **FINE)
    close(theory.left_over(lost, fitted), lost.var(0, correction=0).sum(), **FINE)
    close(theory.left_over(lost, fitted + 0.1), lost.var(0, correction=0).sum() + 6 * 0.01, **FINE)


@seeds
def test_signed_scores_are_covariances(seed):
    s = Small(seed)
    labels = torch.arange(80) % 3
    a = s.a.clone().requires_grad_()
    (g,) = torch.autograd.grad(nn.functional.cross_entropy(s.net[2:](a), labels, reduction="sum"), a)
    seen = units.unit_statistics(s.net, s.x, labels)["dense1"]
    mrs, rs = (units.SCORES[name](seen) for name in ("mrs", "rs"))
    close(mrs, s.a.mean(0) * g.mean(0) - (s.a * g).mean(0), **FINE)
    close(mrs - rs, s.a.mean(0) * g.mean(0), **FINE)


@seeds
def test_the_best_shift_is_least_squares_on_the_outputs(seed):
    """All biases of the layer together: stack the rows of J over samples and outputs, and fit."""
    s = Small(seed)
    lost = s.a @ torch.where(torch.rand(6, 7) < 0.5, s.W, 0.0).T
    changes = (s.J @ lost[..., None])[..., 0].flatten()
    found = theory.best_shift(lost, s.J)
    fitted = torch.linalg.lstsq(s.J.flatten(0, 1), changes, driver="gelsd").solution
    close(found, fitted, rtol=1e-8, atol=1e-10)
    close(theory.left_over(lost, found, s.J), (changes - s.J.flatten(0, 1) @ fitted).square().sum() / 80, **FINE)


@seeds
def test_the_best_shift_is_the_librarys_joint_one(seed):
    s = Small(seed)
    kept = s.W.abs() > s.W.abs().median()
    found = theory.best_shift(s.a @ torch.where(kept, 0.0, s.W).T, s.J)
    joint = weights.COMPENSATIONS["joint"](s.evidence, {"2": kept})["2"].bias
    change = {"2": weights.Change(None, found)}
    best = weights.linearised_change(s.evidence, {"2": kept}, {"2": weights.Change(None, joint)})
    assert weights.linearised_change(s.evidence, {"2": kept}, change) == pytest.approx(best, rel=1e-10)


@seeds
def test_elimination_compensation_is_mean_replacement_weighted_by_the_jacobian(seed):
    s = Small(seed)
    for i, j in itertools.product(range(6), range(7)):
        if s.layer.dead[i]:
            continue
        lost, Ji = s.W[i, j] * s.a[:, [j]], s.J[:, :, [i]]
        shift = theory.best_shift(lost, Ji)
        close(shift[0], (s.D[:, i] @ lost[:, 0]) / s.D[:, i].sum(), **FINE)
        close(shift[0], s.layer.shift[i, j], **FINE)
        close(theory.left_over(lost, shift, Ji), s.layer.residual[i, j], **FINE)


@seeds
def test_the_two_shifts_differ_by_a_covariance(seed):
    s = Small(seed)
    heard = ~s.layer.dead
    gap = s.layer.shift - s.W * s.layer.mean
    loud = s.D.mean(0)[:, None]
    close(gap[heard], (s.W * s.covariance / loud)[heard], **FINE)
    assert gap.abs().max() > 1e-2  # or there would be nothing to see
    i, j = divmod(int(gap.abs().argmax()), 7)
    lost, Ji = s.W[i, j] * s.a[:, [j]], s.J[:, :, [i]]
    plain, tilted = s.W[i, j] * s.layer.mean[[j]], s.layer.shift[i, [j]]
    extra = theory.left_over(lost, plain, Ji) - theory.left_over(lost, tilted, Ji)
    close(extra, (s.W.square() * s.covariance.square() / loud)[i, j], **FINE)


@seeds
def test_with_a_constant_jacobian_the_two_shifts_are_the_same(seed):
    s = Small(seed)
    J = torch.randn(8, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).expand(80, 8, 6)
    lost = s.terms[:, :, 0]
    close(theory.best_shift(lost, J), lost.mean(0), **FINE)
    linear = Small(seed, "prelu")
    for place in (1, 3):
        linear.net[place].weight.fill_(1)
    linear.refresh()
    close(linear.layer.shift, linear.W * linear.layer.mean, **FINE)
    close(linear.J, linear.net[4].weight.expand(80, 3, 6), **FINE)
    # What the first-order error says is then true of any removal.
    kept = {"2": linear.W.abs() > linear.W.abs().median()}
    moved = weights.COMPENSATIONS["elimination"](linear.evidence, kept)
    true = weights.true_change(linear.evidence, kept, moved)
    assert true == pytest.approx(weights.linearised_change(linear.evidence, kept, moved), rel=1e-10)
    assert true > 1e-4


@seeds
def test_elimination_compensation_is_the_surgeon_on_a_weight_and_its_bias(seed):
    s = Small(seed)
    for i, j in ((0, 0), (2, 5), (5, 6)):
        if s.layer.dead[i]:
            continue
        here = torch.zeros(6, 7, dtype=torch.bool)
        here[i, j] = True

        def distance(pair, here=here):
            changed = {"2.weight": torch.where(here, pair[0], s.W), "2.bias": torch.where(here.any(1), pair[1], s.b)}
            return (functional_call(s.net, changed, (s.x,)) - s.y).square().sum(1).mean() / 2

        pair = torch.stack([s.W[i, j], s.b[i]])
        H = hessian(distance, pair)
        close(H[0, 0], s.layer.second[i, j], **FINE)
        close(H[0, 1], s.layer.cross[i, j], **FINE)
        change, cost = theory.surgeon(H, pair, 0)
        close(change, torch.stack([-s.W[i, j], s.layer.shift[i, j]]), **FINE)
        close(2 * cost, s.layer.residual[i, j], **FINE)


def test_surgeon_is_the_textbook_formula():
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(5, 5, generator=generator, dtype=torch.float64)
    H, w = root @ root.T, torch.randn(5, generator=generator, dtype=torch.float64)
    inverse = torch.linalg.inv(H)
    for q in range(5):
        change, cost = theory.surgeon(H, w, q)
        close(change, -w[q] * inverse[:, q] / inverse[q, q], **FINE)
        close(cost, w[q] ** 2 / (2 * inverse[q, q]), **FINE)
    # Two inputs that are one: removing either costs nothing, and the other takes its weight.
    change, cost = theory.surgeon(torch.ones(2, 2).double(), torch.tensor([3.0, 4.0]).double(), 0)
    close(change, torch.tensor([-3.0, 3.0]).double(), **FINE)
    assert cost.abs() < 1e-14


@seeds
def test_more_freedom_leaves_less(seed):
    s = Small(seed)
    i = int(s.layer.d.argmax())
    unit = torch.arange(6) == i
    inputs = torch.cat([s.a, torch.ones(80, 1).double()], 1)
    row = torch.einsum("n,nj,nk->jk", s.D[:, i], inputs, inputs) / 80
    for j in range(7):
        lost = torch.where(unit, s.W[i, j] * s.a[:, [j]], 0.0)
        at = torch.where(unit, s.layer.shift[i, j], 0.0)
        plain, beside = theory.left_over(lost, 0 * at, s.J), theory.left_over(lost, at, s.J)
        together = theory.left_over(lost, theory.best_shift(lost, s.J), s.J)
        rowwise = 2 * theory.surgeon(row, torch.cat([s.W[i], s.b[[i]]]), j)[1]
        close(plain, weights.CRITERIA["obd"](s.evidence)["2"][i, j], **FINE)
        slack = 1e-12 * plain
        assert together <= beside + slack
        assert rowwise <= beside + slack
        assert beside <= plain + slack


def test_all_outcomes_are_those_of_the_multinomial():
    p = torch.tensor([0.5, 0.2, 0.3, 0.0], dtype=torch.float64)
    counts, chances = theory.enumerated(p, 4)
    assert len(counts) == math.comb(7, 4)
    assert counts.sum(1).eq(4).all()
    assert len({tuple(row) for row in counts.tolist()}) == len(counts)
    expected = stats.multinomial(4, p.numpy()).pmf(counts.numpy())
    close(chances, torch.from_numpy(expected), **FINE)
    close(chances @ counts.double(), 4 * p, **FINE)


def listed(terms, p, m, shifted=False):
    """Mean and mean square of what all outcomes of m draws lose, over outcomes and samples."""
    counts, chances = theory.enumerated(p, m)
    missing = torch.einsum("duj,oj->dou", terms, 1 - counts / (m * p))
    if shifted:
        missing = missing - missing.mean(0)
    return torch.einsum("o,dou->du", chances, missing), (chances * missing.square().sum(2).mean(0)).sum()


@seeds
@pytest.mark.parametrize("shifted", [False, True])
def test_drawn_units_are_unbiased_with_the_variance_of_the_formula(seed, shifted):
    terms = Small(seed).terms[:, :, :4]
    p = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    for m in (1, 3, 5):
        mean, square = listed(terms, p, m, shifted)
        assert mean.abs().max() < 1e-13
        close(theory.reweighting_error(terms, p, m, shifted=shifted), square, **FINE)
    assert theory.reweighting_error(terms, p, 1) > theory.reweighting_error(terms, p, 1, shifted=True) * 1.01


@seeds
def test_the_formula_is_the_librarys(seed):
    s = Small(seed)
    p = coresets.neuron_sensitivities(s.W, s.net[0].weight, s.net[0].bias, coresets.query_radius(s.x)).probabilities
    close(theory.reweighting_error(s.terms, p, 12), coresets.neuron_variance(s.W, s.a, p, 12).sum(1).mean(), **FINE)
    sensitive = coresets.sensitivities(s.W, s.a)
    for output, sign in itertools.product(range(6), range(2)):
        part = s.a[:, None] * coresets.sensitivity.parts(s.W)[sign, [output]]
        close(
            theory.reweighting_error(part, sensitive.probabilities[sign, output], 12),
            coresets.variance(s.W, sensitive, s.a, 12)[sign, :, output].mean(),
            **FINE,
        )
    # Ten equal parts of each unit make the same error.
    parts = theory.reweighting_error(s.terms.repeat(1, 1, 10) / 10, p.repeat(10) / 10, 12)
    close(parts, theory.reweighting_error(s.terms, p, 12), **FINE)


def test_measured_error_of_draws_is_the_formula_and_falls_with_the_root():
    s = Small(1)
    p = theory.best_probabilities(s.terms)
    for m in (4, 64):
        r = coresets.sample_neurons(p, m, 4000, 0)
        each = torch.einsum("duj,oj->dou", s.terms, 1 - r).square().sum(2).mean(0)
        expected = theory.reweighting_error(s.terms, p, m)
        assert abs(each.mean() - expected) < 5 * each.std() / 4000**0.5
        close(expected.sqrt(), theory.reweighting_error(s.terms, p, 1).sqrt() / m**0.5, **FINE)


@seeds
@pytest.mark.parametrize("shifted", [False, True])
def test_no_probabilities_do_better_than_the_best(seed, shifted):
    terms = Small(seed).terms
    best = theory.best_probabilities(terms, shifted=shifted)
    close(best.sum(), torch.tensor(1.0).double(), **FINE)
    least = theory.reweighting_error(terms, best, 1, shifted=shifted)
    v = terms - terms.mean(0) if shifted else terms
    sizes = v.square().sum(1).mean(0).sqrt()
    close(least, sizes.sum() ** 2 - v.sum(2).square().sum(1).mean(), **FINE)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(20):
        other = best * (0.1 * torch.randn(7, generator=generator, dtype=torch.float64)).exp()
        assert theory.reweighting_error(terms, other / other.sum(), 1, shifted=shifted) >= least * (1 - 1e-12)


@seeds
def test_a_shift_is_unbiased_over_data_and_draws_over_draws(seed):
    s = Small(seed)
    missed = s.terms[:, :, 3:].sum(2)
    left = missed - theory.best_shift(missed)
    assert left.mean(0).abs().max() < 1e-14
    assert left.abs().max() > 0.01  # not so at each sample
    mean, square = listed(s.terms[:, :, :4], torch.full((4,), 0.25).double(), 3)
    assert mean.abs().max() < 1e-13  # at each sample
    assert square > 1e-4


WAYS = {"none": {}, "mean": {}, "elimination": {}, "obs": {"damping": 1e-12}}


def exact(s):
    """The ways after which the outputs are as they were, to nine digits."""
    scale = float(s.y.var(0, correction=0).sum())
    return {way for way, options in WAYS.items() if s.without_unit(way, **options) < 1e-18 * scale}


@seeds
def test_bias_shifts_are_exact_for_a_constant_unit(seed):
    s = Small(seed)
    assert exact(s) == set()
    s.net[0].weight[0], s.net[0].bias[0] = 0, 1
    assert exact(s.refresh()) == {"mean", "elimination", "obs"}


@seeds
def test_a_twin_is_for_the_row_and_not_for_the_bias(seed):
    s = Small(seed)
    s.net[0].weight[0], s.net[0].bias[0] = s.net[0].weight[1], s.net[0].bias[1]
    assert exact(s.refresh()) == {"obs"}
    assert s.without_unit("mean") > 1e-6


@seeds
def test_only_the_weighted_mean_is_exact_where_a_unit_varies_unheard(seed):
    s = Small(seed)
    # Input 0 is a switch; unit 1 passes it on and turns off unit 0 of the next layer, the only reader of unit 0,
    # which varies only where the switch is on.
    s.x[:, 0] = (s.x[:, 0] > 0).double()
    s.x[:, 1] = s.x[:, 1].abs() * s.x[:, 0]
    first, second = s.net[0], s.net[2]
    first.weight[:2], first.bias[:2] = 0, 0
    first.bias[0], first.weight[0, 1], first.weight[1, 0] = 1, 0.5, 1
    second.weight[:, 0], second.weight[0, 0], second.weight[0, 1], second.bias[0] = 0, 1, -100, 1
    assert exact(s.refresh()) == {"elimination"}
    assert s.a[:, 0].var() > 1e-3


@seeds
def test_draws_are_exact_for_proportional_units(seed):
    s = Small(seed)
    p = coresets.neuron_sensitivities(s.W, s.net[0].weight, s.net[0].bias, coresets.query_radius(s.x)).probabilities
    assert theory.reweighting_error(s.terms, p, 1) > 1e-3
    size = torch.linspace(0.5, 2, 7, dtype=torch.float64)
    first, second = s.net[0], s.net[2]
    first.weight[:], first.bias[:] = size[:, None] * first.weight[0], size * first.bias[0]
    second.weight[:] = second.weight[:, [0]] * size.flip(0)
    s.refresh()
    p = coresets.neuron_sensitivities(s.W, first.weight, first.bias, coresets.query_radius(s.x)).probabilities
    r = coresets.sample_neurons(p, 2, 20, 0)
    sampled = s.net[2:](s.a * r[:, None])
    close(sampled, s.y.expand_as(sampled), **FINE)
    assert theory.reweighting_error(s.terms, p, 1) < 1e-12
    assert s.a.var() > 1e-3


def test_residual():
    assert theory.residual(torch.tensor([1.0, 2.5]), torch.tensor([1.0, 2.0])) == 0.25
    assert theory.residual(0.5, 0.0) == 0.5
    assert theory.residual(1 + 1e-12, 1.0) == pytest.approx(1e-12, rel=1e-3)
    with pytest.raises(InputError, match="shapes"):
        theory.residual(torch.zeros(2), torch.zeros(3))


def test_bad_input():
    lost, J = torch.zeros(4, 2), torch.zeros(4, 3, 3)
    for call in (lambda: theory.best_shift(lost, J), lambda: theory.left_over(lost, lost[0], J)):
        with pytest.raises(InputError, match="do not go with a Jacobian"):
            call()
    with pytest.raises(InputError, match="parameter 2 of 2"):
        theory.surgeon(torch.eye(2), torch.ones(2), 2)
    with pytest.raises(InputError, match="outcomes"):
        theory.enumerated(torch.full((40,), 1 / 40).double(), 20)
    with pytest.raises(InputError, match="0 draws"):
        theory.enumerated(torch.ones(1).double(), 0)
    with pytest.raises(InputError, match="never drawn"):
        theory.reweighting_error(torch.ones(2, 1, 2).double(), torch.tensor([1.0, 0.0]).double(), 3)
