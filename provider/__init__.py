"""The Qiskit view of a rack: provider, backend, target, job, primitives."""

from typing import TYPE_CHECKING, Any

from pulsed.provider.backend import PulsedBackend
from pulsed.provider.job import PulsedJob
from pulsed.provider.options import PulsedOptions
from pulsed.provider.provider import PulsedProvider
from pulsed.provider.session import Batch, Session
from pulsed.provider.submitted_job import as_completed

if TYPE_CHECKING:
    from pulsed.provider.primitives import PulsedEstimator, PulsedSampler

__all__ = [
    "Batch", "PulsedBackend", "PulsedEstimator", "PulsedJob", "PulsedOptions", "PulsedProvider", "PulsedSampler",
    "Session", "as_completed",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name in ("PulsedEstimator", "PulsedSampler"):  # not needed to connect
        from pulsed.provider import primitives

        return getattr(primitives, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
