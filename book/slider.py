"""What the slider on the page of elimination-compensation needs: a small network, its ranking, its shifts, some digits.

The network is trained here, in seconds, on scikit-learn's digits; ranking and shifts are the library's.
"""

import json
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from prunebook.weights import CRITERIA, Calibration

SHOWN, HIDDEN, TRAINED, DIGITS = 60, 20, 1200, 5


def network(x: torch.Tensor, y: torch.Tensor) -> nn.Sequential:
    """A classifier of 8 by 8 images with one hidden layer, its weights rounded as the page will have them."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(64, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 10))
        optimizer = torch.optim.Adam(model.parameters(), 0.01)
        for _ in range(300):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.tensor(rounded(parameter.numpy())))
    return model.eval()


def rounded(values: np.ndarray) -> np.ndarray:
    return np.round(values.astype(float), DIGITS)


def payload() -> dict:
    """Layers with weights, biases, rank of each weight over the network (0 is removed first) and its shift; digits."""
    digits = load_digits()
    x, y = torch.tensor(digits.images.reshape(-1, 64) / 16, dtype=torch.float32), torch.tensor(digits.target)
    model = network(x[:TRAINED], y[:TRAINED])
    calibration = Calibration(model, x[:TRAINED])
    scores = CRITERIA["elimination-compensation"](calibration)
    order = np.concatenate([score.numpy().ravel() for score in scores.values()]).argsort(kind="stable").argsort()
    layers, start = [], 0
    for name, score in scores.items():
        layer, moments = dict(model.named_modules())[name], calibration.statistics[name]
        arrays = {"weights": layer.weight.detach().numpy(), "bias": layer.bias.detach().numpy()}
        arrays["shift"] = moments.shift.numpy()
        ranks = order[start : start + score.numel()].reshape(score.shape)
        layers.append({key: rounded(values).tolist() for key, values in arrays.items()} | {"rank": ranks.tolist()})
        start += score.numel()
    shown = slice(TRAINED, TRAINED + SHOWN)
    images = digits.images.reshape(-1, 64)[shown].astype(int)
    return {"layers": layers, "images": images.tolist(), "labels": digits.target[shown].tolist()}


def block() -> str:
    """Where the slider comes to stand; without a script, a sentence."""
    return (
        '```{raw} html\n<div class="pb-slider" role="group" aria-label="Prune a small network"><p>Here a script '
        "lets you prune a small network yourself.</p></div>\n```"
    )


def write(folder: Path) -> None:
    """The data as a script, which a page can load from a file as from a server."""
    text = json.dumps(payload(), separators=(",", ":"))
    (folder / "slider-data.js").write_text(f"window.pbSlider = {text};\n", encoding="utf-8")
