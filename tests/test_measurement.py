"""The measurement engine against a loop over copies of the network with hooks, and what it shares and leaves alone."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import prune

from prunebook.errors import InputError
from prunebook.networks.convnets import convnet
from prunebook.units import LAYER_SETS, Variant, layer_set, measure, unit_layers
from prunebook.units.ablation import measure as measurement
from prunebook.units.ablation import plan as sharing
from prunebook.units.ablation.stages import Stage
from prunebook.units.folding import BORDERS
from prunebook.units.forward import NORMS, forward

SHAPE = (3, 14, 14)


def draw(seed):
    return torch.Generator().manual_seed(seed)


def padded(norm=False):
    """'Same' convolutions, one behind another without a pool, a strided one, and an overlapping pool."""
    norms = (lambda n: [nn.BatchNorm2d(n)]) if norm else (lambda n: [])
    return nn.Sequential(
        nn.Conv2d(3, 5, 3, padding=1), *norms(5), nn.ReLU(), nn.MaxPool2d(2, 2),
        nn.Conv2d(5, 6, 3, padding=1, bias=not norm), *norms(6), nn.ReLU(),
        nn.Conv2d(6, 9, (5, 3), stride=(2, 3), padding=(2, 1)), *norms(9), nn.ReLU(), nn.MaxPool2d((3, 2), 1),
        nn.Flatten(), nn.Linear(9 * 4, 12), *([nn.BatchNorm1d(12)] if norm else []), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 4),
    )  # fmt: skip


NETS = {
    "tiny": lambda: convnet("tiny", shape=SHAPE, classes=4),
    "padded": padded,
    "norm": lambda: padded(norm=True),
    "dense": lambda: nn.Sequential(nn.Flatten(), nn.Linear(588, 7), nn.ReLU(), nn.Linear(7, 4)),
}


def network(name, dtype=torch.float64):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = NETS[name]()
        for module in model:
            for key, tensor in [*module.named_parameters(), *module.named_buffers()]:
                if "bias" in key or "mean" in key or (isinstance(module, NORMS) and tensor.dim()):
                    tensor.data.uniform_(0.5, 1.5) if key in ("weight", "running_var") else tensor.data.normal_()
    return model.to(dtype)


def data(n=23, dtype=torch.float64, seed=0):
    x, y = torch.randn(n, *SHAPE, generator=draw(seed)), torch.randint(0, 4, (n,), generator=draw(seed + 1))
    return x.to(dtype), y


def random_variants(model, dtype=torch.float64, borders=("exact",), sets=LAYER_SETS, rankings=2):
    """Nested masks of several rankings, as a study has them: none, one, some, most and all units of each layer."""
    generator, variants = draw(7), []
    constants = {s.name: torch.randn(s.units, generator=generator).to(dtype) for s in unit_layers(model)}
    for _ in range(rankings):
        order = {s.name: torch.randperm(s.units, generator=generator) for s in unit_layers(model)}
        for share in (0.0, 0.01, 0.3, 0.8, 1.0):
            for name in sets:
                pruned = {}
                for site in layer_set(model, name):
                    count = 1 if share == 0.01 else int(share * site.units)
                    pruned[site.name] = torch.zeros(site.units, dtype=torch.bool)
                    pruned[site.name][order[site.name][:count]] = True
                variants.append(Variant(pruned))
                variants += [Variant(pruned, constants, border) for border in borders]
    return variants


def straightforward(model, variant, x, batch_statistics=False):
    """Logits of a copy of the network with hooks; each definition of the border by a convolution of a constant map."""
    model = copy.deepcopy(model).eval()
    for layer in model:
        if isinstance(layer, NORMS) and batch_statistics:
            layer.train()
    maps, z = {}, x[:2]
    for index, layer in enumerate(copy.deepcopy(model).eval() if variant.border != "exact" else []):
        maps[index] = z.shape
        z = layer(z)
    for site in unit_layers(model):
        if site.name not in variant.pruned:
            continue
        mask, consumer = variant.pruned[site.name], model[site.consumer]
        value = torch.zeros(site.units, dtype=x.dtype)
        if variant.constants is not None:
            value = torch.where(mask, variant.constants[site.name].to(x.dtype), value)
        if variant.border != "exact" and isinstance(consumer, nn.Conv2d):
            image = value.view(1, -1, 1, 1).expand(1, -1, *maps[site.consumer][2:])
            if variant.border == "response-mean":
                shift = F.conv2d(image, consumer.weight, None, consumer.stride, consumer.padding).mean((2, 3))[0]
            else:
                shift = consumer.weight.sum((2, 3)) @ value
            consumer.register_forward_hook(lambda _, i, o, shift=shift: o + shift.view(1, -1, 1, 1))
            value = torch.zeros_like(value)

        def replace(_, __, output, mask=mask, value=value):
            shape = (1, -1) + (1,) * (output.dim() - 2)
            return torch.where(mask.view(shape), value.view(shape), output)

        model[site.index].register_forward_hook(replace)
    with torch.no_grad():
        return model(x)


def expected(model, variants, x, y, **options):
    logits = [straightforward(model, variant, x, **options).double() for variant in variants]
    loss = torch.stack([F.cross_entropy(z, y) for z in logits])
    return loss, torch.stack([(z.argmax(1) == y).sum() for z in logits])


def assert_close(found, wanted, rtol):
    torch.testing.assert_close(found, wanted, rtol=rtol, atol=0)


def sets_of(model):
    return ("all", "firstdense") if isinstance(model[0], nn.Flatten) else LAYER_SETS


@pytest.mark.parametrize("name", NETS)
def test_losses_are_those_of_a_loop_over_masked_copies(name):
    model, (x, y), (u, v) = network(name), data(), data(9, seed=5)
    options = {"borders": BORDERS, "rankings": 1} if name in ("padded", "norm") else {}
    variants = random_variants(model, sets=sets_of(model), **options)
    found = measure(model, variants, [(x, y), (u, v)])
    assert found.loss.shape == found.correct.shape == (len(variants), 2)
    for column, (inputs, classes) in enumerate([(x, y), (u, v)]):
        loss, correct = expected(model, variants, inputs, classes)
        assert_close(found.loss[:, column], loss, 1e-12)
        assert torch.equal(found.correct[:, column], correct)
        loss, correct = expected(model, [Variant({})], inputs, classes)
        assert_close(found.unpruned_loss[column], loss[0], 1e-12)
        assert found.unpruned_correct[column] == correct[0]


@pytest.mark.parametrize("statistics", [False, True])
@pytest.mark.parametrize("name", NETS)
def test_variants_at_random(name, statistics):
    model, (x, y), generator = network(name), data(), draw(11)
    variants = []
    for index in range(24):
        pruned, constants = {}, {}
        for site in unit_layers(model):
            if torch.rand((), generator=generator) < 0.7:
                share = torch.rand((), generator=generator)
                pruned[site.name] = torch.rand(site.units, generator=generator) < share
                constants[site.name] = torch.randn(site.units, generator=generator, dtype=torch.float64)
        variants.append(Variant(pruned, constants if index % 4 else None, BORDERS[index % 3]))
    found = measure(model, variants, [(x, y)], batch_statistics=statistics)
    loss, correct = expected(model, variants, x, y, batch_statistics=statistics)
    assert_close(found.loss[:, 0], loss, 1e-11)
    assert torch.equal(found.correct[:, 0], correct)
    assert len(set(loss.tolist())) > 12


@pytest.mark.parametrize("name", ["tiny", "padded", "norm"])
def test_float32_differs_by_rounding(name):
    model, (x, y) = network(name, torch.float32), data(40, torch.float32)
    variants = random_variants(model, torch.float32)
    loss, _ = expected(model, variants, x, y)
    assert_close(measure(model, variants, [(x, y)]).loss[:, 0], loss, 2e-6)


def test_borders_differ_where_the_padding_matters_and_only_there():
    for name, differ in (("tiny", False), ("padded", True)):
        model = network(name)
        variants = random_variants(model, borders=BORDERS, sets=("firstconv",))[-3:]
        loss = measure(model, variants, [data()]).loss[:, 0]
        assert (len(set(loss.tolist())) == 3) is differ
        assert measure(model, variants, [data()]).distinct == (4 if differ else 2)


def test_sites_that_have_nothing_in_common():
    model, (x, y) = network("padded"), data()
    masks = {s.name: torch.arange(s.units) % 2 == 0 for s in unit_layers(model)}
    constants = {name: torch.full(mask.shape, 0.7, dtype=torch.float64) for name, mask in masks.items()}
    names = list(masks)
    chosen = [names[:1], names[1:3], names[::2], names[-1:], [names[0], names[-1]]]
    variants = [Variant({n: masks[n] for n in group}, c) for group in chosen for c in (None, constants)]
    assert_close(measure(model, variants, [(x, y)]).loss[:, 0], expected(model, variants, x, y)[0], 1e-12)


def test_similar_masks_whose_branches_need_different_channels():
    model, (x, y) = network("tiny"), data()

    def variant(first, second):
        return Variant({"conv1": torch.arange(8) < first, "conv2": torch.isin(torch.arange(16), torch.tensor(second))})

    variants = [variant(1, [0]), variant(2, [1]), variant(3, [0, 2]), variant(4, [0, 1, 2]), variant(7, [5])]
    assert_close(measure(model, variants, [(x, y)]).loss[:, 0], expected(model, variants, x, y)[0], 1e-12)


def test_nothing_pruned_is_the_unpruned_network_bit_for_bit():
    model = network("padded", torch.float32)
    none = {s.name: torch.zeros(s.units, dtype=torch.bool) for s in unit_layers(model)}
    found = measure(model, [Variant({}), Variant(none), Variant(none, {})], [data(dtype=torch.float32)])
    assert found.distinct == 1
    assert (found.loss == found.unpruned_loss).all()


def test_batch_statistics_are_those_of_each_set_and_not_kept():
    model, (x, y) = network("norm"), data()
    before = copy.deepcopy(model.state_dict())
    variants = random_variants(model, borders=BORDERS, rankings=1)
    found = measure(model, variants, [(x, y)], batch_statistics=True)
    loss, correct = expected(model, variants, x, y, batch_statistics=True)
    assert_close(found.loss[:, 0], loss, 1e-12)
    assert torch.equal(found.correct[:, 0], correct)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert not torch.allclose(found.loss, measure(model, variants, [(x, y)]).loss)


def test_norm_without_statistics_needs_those_of_the_batch():
    model = network("norm")
    model[1] = nn.BatchNorm2d(5, track_running_stats=False).double()
    with pytest.raises(InputError, match="batch_statistics=True"):
        measure(model, [], [data()])
    assert measure(model, [], [data()], batch_statistics=True).distinct == 1


@pytest.fixture
def work(monkeypatch):
    """Multiply-accumulates of every product that is really made."""
    done, product = [], Stage.product

    def counted(self, h, weight, base, **options):
        done.append(weight.numel() * self.result[0] * self.result[1] * h.shape[3])
        return product(self, h, weight, base, **options)

    monkeypatch.setattr(Stage, "product", counted)
    return done


def test_equal_variants_are_measured_once(work):
    model, (x, y) = network("padded"), data()
    variants = random_variants(model)
    once = measure(model, variants, [(x, y)])
    total, calls = sum(work), len(work)
    assert total == once.macs * len(x)
    work.clear()
    clones = [
        Variant(
            {n: m.clone() for n, m in v.pruned.items()}, v.constants and {n: c.clone() for n, c in v.constants.items()}
        )
        for v in variants
    ]
    twice = measure(model, [*variants, *clones], [(x, y)])
    assert (sum(work), len(work)) == (total, calls)
    assert twice.distinct == once.distinct < len(variants)
    assert torch.equal(twice.loss, torch.cat([once.loss, once.loss]))


def test_constants_of_units_that_stay_do_not_matter():
    model = network("tiny")
    mask = torch.arange(8) < 3
    one, other = torch.ones(8), torch.where(mask, 1.0, torch.nan)
    pair = [Variant({"conv1": mask}, {"conv1": c}) for c in (one, other)]
    assert measure(model, pair, [data()]).distinct == 2
    zeros = [Variant({"conv1": mask}, {"conv1": (~mask).double()}), Variant({"conv1": mask})]
    assert measure(model, zeros, [data()]).distinct == 2


def test_work_of_nested_masks_is_that_of_their_differences(work):
    model, n = network("dense"), 23
    masks = [torch.arange(7) < count for count in (1, 2, 3)]
    constants = {"dense1": torch.ones(7, dtype=torch.float64)}
    variants = [Variant({"dense1": mask}, c) for mask in masks for c in (None, constants)]
    assert measure(model, variants, [data(n)]).macs == 4 * (7 + 1 + 1 + 1)
    # Pruning 6 of 7 is cheaper from the one that stays; pruning all costs nothing.
    work.clear()
    ends = [Variant({"dense1": torch.arange(7) < count}) for count in (6, 7)]
    assert measure(model, ends, [data(n)]).macs == 4 * (7 + 1 + 0)
    assert sum(work) == 4 * 8 * n


def test_channels_pruned_next_are_not_computed(work):
    model, n = network("tiny"), 5
    half = {s.name: torch.arange(s.units) < s.units // 2 for s in unit_layers(model)}
    found = measure(model, [Variant(half)], [data(n)])
    second, third, last = 8 * 16 * 9 * 9, 16 * 16, 16 * 4
    # conv2 from the whole one by its pruned inputs and kept outputs; then kept inputs and kept outputs.
    assert found.macs == second + third + last + second // 4 + third // 4 + last // 2
    assert sum(work) == found.macs * n


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_chunks_change_nothing_but_rounding(dtype, work):
    model, pair = network("padded", dtype), data(7, dtype=dtype)
    variants = random_variants(model, dtype, borders=("exact", "response-mean"), rankings=1)
    whole = measure(model, variants, [pair])
    calls = len(work)
    small = measure(model, variants, [pair], memory=1)
    assert len(work) - calls == 7 * calls  # one sample at a time
    assert_close(small.loss, whole.loss, 1e-12 if dtype is torch.float64 else 2e-6)
    if dtype is torch.float64:
        assert torch.equal(small.correct, whole.correct)


def test_a_chunk_without_room_is_halved(monkeypatch):
    model, pair = network("tiny"), data()
    variants, sizes, walk = random_variants(model), [], measurement.walk
    whole = measure(model, variants, [pair])

    def cramped(plan, model, x, limit=6):
        sizes.append(len(x))
        logits = walk(plan, model, x)
        if len(x) > limit:
            raise torch.OutOfMemoryError("no room")
        return logits

    monkeypatch.setattr(measurement, "walk", cramped)
    assert_close(measure(model, variants, [pair]).loss, whole.loss, 1e-12)
    assert sizes == [23, 12, 6, 6, 6, 5]
    monkeypatch.setattr(measurement, "walk", lambda *a: cramped(*a, limit=0))
    with pytest.raises(torch.OutOfMemoryError):
        measure(model, variants, [pair])


def peak_bytes(work):
    """The most that tensors made in ``work`` take at one time."""
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True, acc_events=True
    ) as seen:
        work()
    events = [e for e in seen.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = torch.tensor([e.nbytes() for e in sorted(events, key=lambda e: e.start_ns())]).cumsum(0)
    return int(held.max())


def test_maps_take_no_more_than_the_memory_given():
    model, (x, y) = convnet("small", seed=0), data(128, torch.float32)
    x = F.interpolate(x, size=(32, 32))
    variants = [v for v in random_variants(model, torch.float32, rankings=1) if v.constants is None]
    held = []
    for samples, memory in ((1, None), (128, 2**24), (128, 2**25)):
        pair = [(x[:samples], y[:samples])]
        held.append(peak_bytes(lambda pair=pair, memory=memory: measure(model, variants, pair, memory=memory)))
    weights, small, large = held
    assert small - weights < 2**24
    assert 2**24 < large - weights < 2**25


@pytest.mark.parametrize("limit", ["WEIGHTS", "LONGEST"])
def test_weights_not_kept_and_short_chains_give_the_same(monkeypatch, limit):
    model, pair = network("padded"), data()
    variants = random_variants(model)
    before = measure(model, variants, [pair])
    monkeypatch.setattr(sharing, limit, 0)
    after = measure(model, variants, [pair])
    assert_close(after.loss, before.loss, 1e-12)
    assert (after.macs > before.macs) is (limit == "LONGEST")


def test_the_network_and_the_world_stay_as_they_are():
    model, (x, y) = network("norm", torch.float32), data(dtype=torch.float32)
    model.train()
    model[3].eval()
    F.cross_entropy(model(x), y).backward()
    calls = []
    for layer in model:
        layer.register_forward_hook(lambda *_: calls.append(1))
    modes = [layer.training for layer in model]
    state, grads = copy.deepcopy(model.state_dict()), [p.grad.clone() for p in model.parameters()]
    versions = [tensor._version for tensor in model.state_dict(keep_vars=True).values()]
    inputs, random = x.clone(), torch.get_rng_state()
    variants = random_variants(model, torch.float32, borders=("exact", "all-taps"))
    masks = [copy.deepcopy(v.pruned) for v in variants]
    for statistics in (False, True):
        found = measure(model, variants, [(x, y)], batch_statistics=statistics)
        assert not found.loss.requires_grad
        assert not found.loss.is_inference()
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())
    assert versions == [tensor._version for tensor in model.state_dict(keep_vars=True).values()]
    assert all(torch.equal(g, p.grad) for g, p in zip(grads, model.parameters(), strict=True))
    assert modes == [layer.training for layer in model]
    assert torch.equal(x, inputs)
    assert all(torch.equal(m[n], v.pruned[n]) for m, v in zip(masks, variants, strict=True) for n in m)
    assert not calls
    assert torch.is_grad_enabled()


def test_products_are_in_full_precision_whatever_the_caller_has_set(monkeypatch):
    model, pair = network("tiny", torch.float32), data(dtype=torch.float32)
    backends = (
        torch.backends.cuda.matmul,
        torch.backends.cudnn.conv,
        torch.backends.mkldnn.matmul,
        torch.backends.mkldnn.conv,
    )
    before, during, walk = [backend.fp32_precision for backend in backends], [], measurement.walk
    loss = measure(model, [], [pair]).unpruned_loss

    def watched(*arguments):
        during.extend(backend.fp32_precision for backend in backends)
        return walk(*arguments)

    monkeypatch.setattr(measurement, "walk", watched)
    try:
        for backend in backends:
            backend.fp32_precision = "tf32"
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(measure(model, [], [pair]).unpruned_loss, loss)
        assert during == ["ieee"] * 4
        assert [backend.fp32_precision for backend in backends] == ["tf32"] * 4
    finally:
        for backend, precision in zip(backends, before, strict=True):
            backend.fp32_precision = precision


def test_precision_set_for_all_backends_at_once_still_is(monkeypatch):
    def precisions():
        return [backend.fp32_precision for backend in (torch.backends, torch.backends.mkldnn.matmul)]

    model, pair, before = network("tiny", torch.float32), data(dtype=torch.float32), precisions()
    try:
        for precision in ("tf32", "ieee"):
            torch.backends.fp32_precision = precision
            assert precisions() == [precision] * 2
            measure(model, [], [pair])
    finally:
        torch.backends.fp32_precision = "none"
    assert precisions() == before


def ones(n):
    return torch.ones(n, dtype=torch.bool)


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        (Variant({"conv9": ones(8)}), "no site 'conv9'.*conv1"),
        (Variant({"conv1": ones(7)}), r"\(7,\): give 8 booleans"),
        (Variant({"conv1": torch.ones(8)}), "give 8 booleans"),
        (Variant({"conv1": ones(8)}, {"conv2": torch.ones(16)}), "variant 1: .*no constants"),
        (Variant({"conv1": ones(8)}, {"conv1": torch.ones(9)}), r"constants of conv1.*\(9,\)"),
        (Variant({"conv1": ones(8)}, {"conv1": ones(8)}), "give 8 numbers"),
        (Variant({"conv1": ones(8)}, {"conv1": torch.full((8,), torch.nan)}), "conv1 are not finite"),
        (Variant({"conv1": ones(8)}, border="mirror"), "unknown border 'mirror'"),
    ],
)
def test_bad_variants_are_named_before_any_work(variant, message, monkeypatch):
    monkeypatch.setattr(measurement, "stages", None)
    with pytest.raises(InputError, match=message):
        measure(network("tiny"), [Variant({}), variant], [data()])


@pytest.mark.parametrize(
    ("evaluation", "message"),
    [
        ([], "no data"),
        ([data(dtype=torch.float32)], "float32"),
        ([(data()[0], data(22)[1])], "do not go with 23"),
        ([(data()[0], data()[1] + 1)], "from 0 to 3"),
        ([(data()[0], data()[1].double())], "as integers"),
    ],
)
def test_bad_data_are_named_before_any_work(evaluation, message, monkeypatch):
    monkeypatch.setattr(measurement, "stages", None)
    with pytest.raises(InputError, match=message):
        measure(network("tiny"), [], evaluation)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 12)], "end the chain in a dense layer"),
        (
            [nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3, dilation=2), nn.ReLU(), nn.Flatten(), nn.Linear(256, 4)],
            "dilation",
        ),
        ([nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Linear(12, 4)], "flatten first"),
        ([nn.Linear(14, 4), nn.ReLU(), nn.Flatten(), nn.Linear(168, 4)], "do not fit"),
        ([nn.Flatten(), nn.Linear(588, 4)], "no hidden layer"),
    ],
)  # fmt: skip
def test_chains_it_cannot_run_are_refused(layers, message):
    with pytest.raises(InputError, match=message):
        measure(nn.Sequential(*layers).double(), [], [data()])


def test_weights_that_are_made_at_each_pass_are_refused():
    model = network("tiny")
    prune.random_unstructured(model[0], "weight", 0.5)
    with pytest.raises(InputError, match="masked"):
        measure(model, [], [data()])


def test_a_plain_pass_takes_masked_weights_as_they_are_now():
    model, (x, _) = network("tiny"), data(3)
    prune.random_unstructured(model[0], "weight", 0.5)
    with torch.no_grad():
        model[0].weight_orig *= 2
        found = forward(model, x, {})
        assert torch.equal(found, model(x))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_as_on_the_processor():
    model, (x, y) = network("norm", torch.float32), data(60, torch.float32)
    variants = random_variants(model, torch.float32, borders=BORDERS)
    here = measure(model, variants, [(x, y)]).loss
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    try:
        there = measure(model.cuda(), variants, [(x.cuda(), y.cuda())]).loss
        assert torch.backends.cuda.matmul.fp32_precision == "tf32"
    finally:
        torch.backends.cuda.matmul.fp32_precision = "none"
    assert_close(there.cpu(), here, 2e-6)
