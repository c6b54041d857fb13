"""The same measurements along training on any folder of pictures, for networks made for ImageNet."""

from dataclasses import replace

from torch.nn.functional import interpolate

from prunebook.data import images
from prunebook.errors import DataError
from prunebook.paths import named_folder
from prunebook.studies.mean_replacement import run as protocol
from prunebook.studies.mean_replacement.config import OnPictures

run = protocol.run


def prepare(config: OnPictures, data, device):
    """The pictures, and the configuration under the name of what was really loaded.

    Where no folder is named, or the one that the environment names has no pictures, small digits stand in, enlarged.
    A folder that ``data`` names must have pictures.
    """
    protocol.check(config)
    named = named_folder(data)
    try:
        if named is None:
            raise DataError("no folder of pictures is named")
        found = images.load("imagefolder", data=named[0], device=device, dev=0, limit=config.limit, size=config.size)
    except DataError as error:
        if data is not None:
            raise
        found = _digits(config, device, str(error))
    return replace(config, dataset=found.name), found


def _digits(config: OnPictures, device, reason: str):
    found = images.load("digits", device=device, dev=0)

    def enlarged(part):
        x = interpolate(part.x, size=(config.size, config.size)).expand(-1, 3, -1, -1).contiguous()
        return replace(part, x=x)

    notice = (
        f"A folder of pictures was asked for but is not here ({reason}), so scikit-learn's small digits, enlarged, "
        "stand in for it: no number from it is a measurement on ImageNet."
    )
    return replace(
        found, requested="imagefolder", train=enlarged(found.train), test=enlarged(found.test), notice=notice
    )
