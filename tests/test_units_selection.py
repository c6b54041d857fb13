"""How many units go, and which."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebook.errors import InputError
from prunebook.networks.convnets import convnet
from prunebook.units import layer_set, mask_lowest, number_to_prune

AMOUNTS = (0.01, 0.05, 0.1, 0.2, 0.5, 1)
COUNTS = {
    "small": {
        "firstconv": (0, 1, 3, 6, 16, 1),
        "midconv": (0, 3, 6, 12, 32, 1),
        "lastconv": (1, 6, 12, 25, 64, 1),
        "firstdense": (5, 25, 51, 102, 256, 1),
    },
    "medium": {
        "firstconv": (0, 3, 6, 12, 32, 1),
        "midconv": (1, 6, 12, 25, 64, 1),
        "lastconv": (2, 12, 25, 51, 128, 1),
        "firstdense": (10, 51, 102, 204, 512, 1),
    },
    "vgg11": {
        "firstconv": (0, 3, 6, 12, 32, 1),
        "midconv": (2, 12, 25, 51, 128, 1),
        "lastconv": (5, 25, 51, 102, 256, 1),
        "firstdense": (5, 25, 51, 102, 256, 1),
    },
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_of_the_paper(name):
    with torch.device("meta"):
        model = convnet(name)
    for layers, expected in COUNTS[name].items():
        (site,) = layer_set(model, layers)
        assert tuple(number_to_prune(site.units, amount) for amount in AMOUNTS) == expected


@given(st.integers(1, 5000), st.integers(0, 1000))
@settings(deadline=None)
def test_count_is_the_floor_of_the_decimal_fraction(units, thousandths):
    assert number_to_prune(units, thousandths / 1000) == units * thousandths // 1000


def test_count_by_hand():
    assert 100 * 0.29 < 29  # what the tolerance is for
    assert number_to_prune(100, 0.29) == 29
    assert (number_to_prune(20, 0.05), number_to_prune(30, 0.1), number_to_prune(20, 0.0499)) == (1, 3, 0)
    assert (number_to_prune(7, 1), number_to_prune(7, 1.0), number_to_prune(7, 0), number_to_prune(7, 7)) == (
        1,
        7,
        0,
        7,
    )
    for amount, message in [
        (8, "cannot prune 8 of 7"),
        (-1, "cannot prune -1"),
        (1.5, "not in"),
        (-0.1, "not in"),
        (float("nan"), "not in"),
        (True, "no amount"),
    ]:
        with pytest.raises(InputError, match=message):
            number_to_prune(7, amount)


def test_of_equal_scores_the_higher_index_goes_first():
    score = torch.tensor([1.0, 0.0, 2.0, -0.0, 0.0, 1.0])
    gone = [mask_lowest(score, k).nonzero()[:, 0].tolist() for k in range(7)]
    assert gone == [[], [4], [3, 4], [1, 3, 4], [1, 3, 4, 5], [0, 1, 3, 4, 5], [0, 1, 2, 3, 4, 5]]
    assert mask_lowest(torch.zeros(1000), 300).nonzero()[:, 0].tolist() == list(range(700, 1000))


@given(st.lists(st.lists(st.integers(-3, 3), min_size=7, max_size=7), min_size=1, max_size=4), st.integers(0, 7))
@settings(deadline=None)
def test_lowest_against_sorting(rows, k):
    expected = []
    for row in rows:
        gone = sorted(range(7), key=lambda u: (row[u], -u))[:k]
        expected.append([u in gone for u in range(7)])
    masks = mask_lowest(torch.tensor(rows, dtype=torch.float64)[:, None], k)
    assert masks[:, 0].tolist() == expected


def test_lowest_refuses():
    with pytest.raises(InputError, match="NaN"):
        mask_lowest(torch.tensor([1.0, float("nan")]), 1)
    for k in (-1, 3):
        with pytest.raises(InputError, match=f"cannot prune {k} of 2"):
            mask_lowest(torch.zeros(2), k)
    assert mask_lowest(torch.tensor([float("inf"), -float("inf"), 0.0]), 2).tolist() == [False, True, True]
