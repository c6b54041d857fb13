"""What holds by arithmetic about replacing a unit by its mean, measured in double precision."""

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import max_pool2d


def facts(seed: int) -> pd.DataFrame:
    """Differences that are zero in theory, and one that is not.

    - "regression": the least-squares constant for what a removed input contributed, minus weight times mean input.
    - "next layer": the constant unit that keeps the next layer's pre-activations nearest in the mean square, over the
      unit's mean, minus 1; a 1x1 convolution reads the unit.
    - "after pooling": the same where max-pooling lies between.
    - "cells of table 2" and "3": products of the factors that the paper's tables list, minus the 1440 they state.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    x, w = normal(400) + 1.5, float(normal(1))
    ones = torch.ones(400, 1, dtype=torch.float64)
    best = torch.linalg.lstsq(ones, w * x[:, None]).solution[0, 0]
    maps, taps = normal(60, 1, 8, 8).relu(), normal(5)

    def nearest(read: Tensor) -> float:
        response = read.flatten()[:, None] * taps
        return float((response * taps).sum() / (taps.square().sum() * response.shape[0]))

    rows = {
        "regression": float(best) - w * float(x.mean()),
        "next layer": nearest(maps) / float(maps.mean()) - 1,
        "after pooling": nearest(max_pool2d(maps, 2)) / float(maps.mean()) - 1,
        "cells of table 2": 6 * 8 * 3 * 5 - 1440,
        "cells of table 3": 4 * 3 * 2 * 2 * 4 - 1440,
    }
    return pd.DataFrame({"name": rows.keys(), "value": [abs(float(value)) for value in rows.values()]})
