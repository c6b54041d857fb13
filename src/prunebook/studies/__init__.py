"""The studies by name. Each turns (configuration, seed) into tidy tables.

This list, with every configuration in it, loads neither PyTorch nor what measures.
"""

from prunebook.studies.coreset_bounds.presets import LENET, VGG
from prunebook.studies.elimination_compensation import mnist, pde
from prunebook.studies.head_to_head.presets import STUDY as HEAD_TO_HEAD
from prunebook.studies.mean_replacement.presets import PICTURES, TRAINING, TUNING
from prunebook.studies.moments.presets import STUDY as MOMENTS

_ALL = (LENET, VGG, TRAINING, TUNING, PICTURES, MOMENTS, mnist.STUDY, pde.STUDY, pde.CONVERGED, HEAD_TO_HEAD)
STUDIES = {study.name: study for study in _ALL}
