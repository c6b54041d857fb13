"""The studies by name. Each turns (configuration, seed) into tidy tables."""

from prunebook.experiments import compensation

STUDIES = {study.name: study for study in compensation.STUDIES}
