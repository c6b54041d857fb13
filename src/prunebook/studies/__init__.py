"""The studies by name. Each turns (configuration, seed) into tidy tables.

This list, with every configuration in it, loads neither PyTorch nor what measures.
"""

from prunebook.studies.coreset_bounds import presets as last_layer_studies
from prunebook.studies.elimination_compensation import mnist, pde
from prunebook.studies.head_to_head import presets
from prunebook.studies.mean_replacement import presets as mean_replacement_studies

STUDIES = {
    study.name: study
    for study in (
        last_layer_studies.LENET,
        last_layer_studies.VGG,
        mean_replacement_studies.TRAINING,
        mean_replacement_studies.TUNING,
        mean_replacement_studies.PICTURES,
        mnist.STUDY,
        pde.STUDY,
        presets.STUDY,
    )
}
