"""Errors of the provider: each is a :class:`PulsedError` and the error that users of Qiskit expect."""

from __future__ import annotations

from qiskit.circuit.exceptions import CircuitError as QiskitCircuitError
from qiskit.exceptions import QiskitError
from qiskit.providers.exceptions import (
    JobError,
    JobTimeoutError,
    QiskitBackendNotFoundError,
)

from pulsed.model.errors import (
    CircuitError,
    ErrorInfo,
    InvalidValueError,
    JobFailedError,
    NotFoundError,
    PulsedError,
)
from pulsed.model.errors import JobTimeoutError as PulsedTimeoutError


class BackendNotFoundError(NotFoundError, QiskitBackendNotFoundError):  # type: ignore[misc]
    """No backend of this name; ``legal`` lists the ones there are."""


class UnsupportedCircuitError(CircuitError, QiskitCircuitError):  # type: ignore[misc]
    """A circuit or schedule that this backend cannot run."""


class RunInputError(CircuitError, TypeError):
    """Something that is neither a circuit nor a schedule, nor a list of them."""


class OptionValueError(InvalidValueError, ValueError):
    """An option of a run outside its bounds."""


class UnknownOptionError(InvalidValueError, AttributeError):
    """A field that the options do not have."""


class ChannelNotFoundError(NotFoundError, QiskitError, IndexError):  # type: ignore[misc]
    """A channel of a qubit or of a pair that is not there."""


class StaleCalibrationError(PulsedError, QiskitError):  # type: ignore[misc]
    """A calibration set that is not in force any more: ``value`` is its id, ``legal`` that of the one that is."""

    code = "stale_calibration"


class OfflineError(PulsedError, NotImplementedError):
    """An offline backend has no rack to ask or to run on."""

    code = "offline"


class PulsedJobError(JobFailedError, JobError):  # type: ignore[misc]
    """A job that failed, or a step a job cannot take. ``code`` is the daemon's."""

    @classmethod
    def from_error(cls, job_id: str, error: PulsedError | ErrorInfo) -> PulsedJobError:
        """Return the error of job ``job_id`` that says what ``error`` says, with its code."""
        info = error.to_info() if isinstance(error, PulsedError) else error
        job = f"job {job_id}"
        subject = f"{job}: {info.subject}" if info.subject not in ("", job) else job
        result = cls(info.message, subject=subject, value=info.value, legal=info.legal)
        result.code = info.code  # type: ignore[misc]
        return result


class PulsedJobTimeoutError(PulsedTimeoutError, JobTimeoutError):  # type: ignore[misc]
    """A job that did not end within the time the caller gave; it goes on."""
