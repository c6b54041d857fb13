"""Coresets: pruning by sensitivity, the guarantees that come with it, and what they promise about labels.

The modules hold more: labels, corenet, deviations, tightness.
"""

from prunebook.coresets.certify import Certificate, certify
from prunebook.coresets.held_out import KeptLabels
from prunebook.coresets.neuron_bounds import NeuronSensitivity, neuron_sensitivities, query_radius
from prunebook.coresets.sampling import (
    draws_for,
    expected_kept,
    neuron_variance,
    sample_neurons,
    sample_weights,
    variance,
)
from prunebook.coresets.sensitivity import Sensitivity, mass, sensitivities
from prunebook.coresets.weight_bounds import epsilon_for, samples_for

__all__ = [
    "Certificate",
    "KeptLabels",
    "NeuronSensitivity",
    "Sensitivity",
    "certify",
    "draws_for",
    "epsilon_for",
    "expected_kept",
    "mass",
    "neuron_sensitivities",
    "neuron_variance",
    "query_radius",
    "sample_neurons",
    "sample_weights",
    "samples_for",
    "sensitivities",
    "variance",
]
