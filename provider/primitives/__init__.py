"""Qiskit's primitives V2 over a rack: a sweep is one job, and what is corrected is said."""

from pulsed.provider.primitives.estimator import PulsedEstimator
from pulsed.provider.primitives.job import PulsedPrimitiveJob
from pulsed.provider.primitives.options import (
    DecouplingOptions,
    EstimatorOptions,
    ResilienceOptions,
    SamplerOptions,
    TwirlingOptions,
)
from pulsed.provider.primitives.sampler import PulsedSampler

__all__ = [
    "DecouplingOptions",
    "EstimatorOptions",
    "PulsedEstimator",
    "PulsedPrimitiveJob",
    "PulsedSampler",
    "ResilienceOptions",
    "SamplerOptions",
    "TwirlingOptions",
]
