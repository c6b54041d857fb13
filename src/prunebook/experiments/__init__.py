"""The studies by name. Each turns (configuration, seed) into tidy tables."""

from prunebook.experiments import ec_mnist, ec_pde, last_layer_studies

STUDIES = {
    study.name: study
    for study in (ec_mnist.STUDY, ec_pde.STUDY, last_layer_studies.LENET, last_layer_studies.VGG)
}
