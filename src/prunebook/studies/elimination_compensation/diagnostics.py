"""Questions to the criterion itself: is the first order enough, and is its order stable?"""

from collections.abc import Callable

import pandas as pd
import torch
from scipy.stats import spearmanr
from torch import Tensor

from prunebook.weights import COMPENSATIONS, CRITERIA, Calibration, linearised_change, select, true_change


def linearisation(
    calibration: Calibration, probe: Calibration, scores: dict[str, Tensor], ratios: tuple[float, ...]
) -> pd.DataFrame:
    """First-order and true output change of one mask under three compensations, on the samples of ``probe``."""
    rows = []
    for ratio in ratios:
        masks = select(scores, ratio)
        for name in ("none", "elimination", "joint"):
            changes = COMPENSATIONS[name](calibration, masks)
            predicted = float(linearised_change(probe, masks, changes))
            true = float(true_change(probe, masks, changes))
            rows.append({"compensation": name, "ratio": ratio, "predicted": predicted, "true": true})
    return pd.DataFrame(rows)


def stability(calibration_of: Callable[[Tensor], Calibration], count: int, seed: int) -> pd.DataFrame:
    """Rank correlation, and overlap of the lower half, between rankings from two halves of the ``count`` samples."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    halves = [calibration_of(half) for half in order.tensor_split(2)]
    rows = []
    for name in ("elimination-compensation", "gradient-magnitude"):
        one, two = (torch.cat([score.flatten() for score in CRITERIA[name](half).values()]).cpu() for half in halves)
        lower = [score.argsort(stable=True)[: len(score) // 2] for score in (one, two)]
        overlap = torch.isin(*lower).double().mean().item()
        rows.append({"ranking": name, "spearman": float(spearmanr(one, two)[0]), "overlap": overlap})
    return pd.DataFrame(rows)
