"""The Qiskit view of a rack: provider, backend, target, job."""

from pulsed.provider.backend import PulsedBackend
from pulsed.provider.job import PulsedJob
from pulsed.provider.options import PulsedOptions
from pulsed.provider.provider import PulsedProvider

__all__ = ["PulsedBackend", "PulsedJob", "PulsedOptions", "PulsedProvider"]
