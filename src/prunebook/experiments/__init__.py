"""The studies by name. Each turns (configuration, seed) into tidy tables."""

from prunebook.experiments import (
    ec_mnist,
    ec_pde,
    head_to_head_studies,
    last_layer_studies,
    mean_replacement_studies,
)

STUDIES = {
    study.name: study
    for study in (
        last_layer_studies.LENET,
        last_layer_studies.VGG,
        mean_replacement_studies.TRAINING,
        mean_replacement_studies.TUNING,
        mean_replacement_studies.PICTURES,
        ec_mnist.STUDY,
        ec_pde.STUDY,
        head_to_head_studies.STUDY,
    )
}
