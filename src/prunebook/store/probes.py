"""The tiny configurations of ``data/fingerprints/probes.yaml``, from which fingerprints are taken, and their data."""

from pathlib import Path

import numpy as np
import yaml

from prunebook.networks.convnets import POOL, Plan
from prunebook.paths import DATA
from prunebook.studies import STUDIES

# The first pads, the second steps over the image and pools with an overlap, as AlexNet does.
PLANS = {
    "probe-padded": Plan((5, POOL, 6, 7, POOL), (9,)),
    "probe-strided": Plan((6, POOL, 5), (7, 6), kernels=(5, 3), pool=(3, 2), first_stride=2),
}


def _configuration(study: str, fields: dict) -> object:
    kinds = {type(config).__name__: type(config) for configs in STUDIES[study].presets.values() for config in configs}
    kind = kinds[fields.pop("kind", next(iter(kinds)))]
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()})


PROBES: dict[str, dict[str, object]] = {
    study: {name: _configuration(study, dict(fields)) for name, fields in probes.items()}
    for study, probes in yaml.safe_load((DATA / "fingerprints" / "probes.yaml").read_text(encoding="utf-8")).items()
}


def write_pictures(folder: Path, classes: int = 3, count: int = 18, side: int = 20) -> Path:
    """A folder of noisy stripes, <folder>/{train,val}/<class>/<number>.png, the same on every machine."""
    from PIL import Image

    random = np.random.default_rng(1)
    wave = np.add.outer(np.arange(side), np.arange(side + 4))
    for part in ("train", "val"):
        for kind in range(classes):
            home = folder / part / f"stripes-{kind}"
            home.mkdir(parents=True)
            for number in range(count):
                stripes = (wave * (kind + 1) + random.integers(8)) % 8 * 20
                pixels = stripes[..., None] + random.integers(0, 100, (*wave.shape, 3))
                Image.fromarray(pixels.astype(np.uint8)).save(home / f"{number}.png")
    return folder
