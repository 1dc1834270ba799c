"""Errors of the provider: each is a :class:`PulsedError` and the error that users of Qiskit expect."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from qiskit.circuit.exceptions import CircuitError as QiskitCircuitError
from qiskit.exceptions import QiskitError
from qiskit.providers.exceptions import (
    JobError,
    JobTimeoutError,
    QiskitBackendNotFoundError,
)

from pulsed.model.errors import (
    BusyError,
    CircuitError,
    ConflictError,
    ConnectionFailedError,
    ErrorInfo,
    IllegalStepError,
    IncompatibleError,
    InterlockError,
    InvalidValueError,
    JobFailedError,
    KeyFileError,
    LoweringError,
    NotAllowedError,
    NotFoundError,
    ProtocolError,
    PulsedError,
    QueueClosedError,
    QuotaError,
    RackTimeError,
    ResultSizeError,
    SessionEndedError,
    StoreError,
    StoreFullError,
    StoreLockedError,
    WorkerDiedError,
    from_info,
)
from pulsed.model.errors import JobTimeoutError as PulsedTimeoutError


class BackendNotFoundError(NotFoundError, QiskitBackendNotFoundError):  # type: ignore[misc]
    """No backend of this name; ``legal`` lists the ones there are."""


class UnsupportedCircuitError(CircuitError, QiskitCircuitError):  # type: ignore[misc]
    """A circuit or schedule that this backend cannot run."""


class RunInputError(CircuitError, TypeError):
    """Something that is neither a circuit nor a schedule, nor a list of them."""


class OptionValueError(InvalidValueError, QiskitError, ValueError):  # type: ignore[misc]
    """An option of a run outside its bounds."""


class PubError(InvalidValueError, ValueError):
    """A PUB of a primitive that is none, or that does not fit its circuit or the rack."""


class AddedGateError(InvalidValueError, QiskitError, ValueError):  # type: ignore[misc]
    """A gate of the user's own that a backend does not take, or does not have."""


class UnknownOptionError(InvalidValueError, AttributeError):
    """A field that the options do not have."""


class ChannelNotFoundError(NotFoundError, QiskitError, IndexError):  # type: ignore[misc]
    """A qubit, or a channel of a qubit or of a pair, that the backend does not have."""


class PropertyNotFoundError(NotFoundError, QiskitError):  # type: ignore[misc]
    """A property that was never measured, or of a qubit or gate that the backend does not have."""


class NothingMeasuredError(NotFoundError, QiskitError):  # type: ignore[misc]
    """Counts, memory or data of a dry run, which plays nothing."""


class StaleCalibrationError(PulsedError, QiskitError):  # type: ignore[misc]
    """A calibration set that is no longer active: ``value`` is its id, ``legal`` that of the one that is."""

    code = "stale_calibration"


class SessionOpenError(PulsedError, QiskitError):  # type: ignore[misc]
    """A backend that has a session already: ``value`` is its id."""

    code = "session_open"


class SessionClosedError(SessionEndedError, QiskitError):  # type: ignore[misc]
    """A session that takes no more jobs."""


class DaemonConnectionError(ConnectionFailedError, QiskitError):  # type: ignore[misc]
    """No daemon answers, or none did before the deadline."""


class DaemonVersionError(IncompatibleError, QiskitError):  # type: ignore[misc]
    """The daemon is of a version that says what this one cannot read."""


class DaemonProtocolError(ProtocolError, QiskitError):  # type: ignore[misc]
    """The daemon speaks another protocol, or does not know what was asked of it."""


class ForbiddenError(NotAllowedError, QiskitError):  # type: ignore[misc]
    """The role of this key has no right to do this."""


class RunTimeError(RackTimeError, QiskitError, ValueError):  # type: ignore[misc]
    """A run that would take too long on the rack without confirmation, or longer than any may."""


class RunSizeError(ResultSizeError, QiskitError, ValueError):  # type: ignore[misc]
    """A run that would bring back more bytes than a result may have."""


class DaemonBusyError(BusyError, QiskitError):  # type: ignore[misc]
    """The daemon has too much to take in at this moment; the same may be sent again."""


class DaemonStoreError(StoreError, QiskitError):  # type: ignore[misc]
    """The daemon cannot read or write its store."""


class DaemonStoreFullError(StoreFullError, QiskitError):  # type: ignore[misc]
    """There is too little room on the disk of the daemon's store."""


class DaemonStoreLockedError(StoreLockedError, QiskitError):  # type: ignore[misc]
    """Another process keeps the daemon's database from being written."""


class RunQuotaError(QuotaError, QiskitError, ValueError):  # type: ignore[misc]
    """A run that would take its user above a quota of the rack."""


class RackQueueClosedError(QueueClosedError, QiskitError):  # type: ignore[misc]
    """The rack takes no jobs at present."""


class RackInterlockError(InterlockError, QiskitError):  # type: ignore[misc]
    """An interlock keeps the rack from playing."""


class DaemonWorkerError(WorkerDiedError, QiskitError):  # type: ignore[misc]
    """A process of the daemon's ended while it was asked."""


class ChangedMeanwhileError(ConflictError, QiskitError):  # type: ignore[misc]
    """Somebody else has changed it in the meantime; nothing was written."""


class StepError(IllegalStepError, QiskitError):  # type: ignore[misc]
    """A step that a job or session cannot take; nothing was changed."""


class LoweredRunError(LoweringError, QiskitError):  # type: ignore[misc]
    """A schedule that does not fit the rack."""


class NoSuchKeyError(KeyFileError, QiskitError):  # type: ignore[misc]
    """A key file that is missing, cannot be read, or can be read by others."""


class UnknownIdError(NotFoundError, QiskitError):  # type: ignore[misc]
    """A job, session or calibration set that the daemon does not have."""


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
        result.causes = from_info(info).causes
        return result


class PulsedJobTimeoutError(PulsedTimeoutError, JobTimeoutError):  # type: ignore[misc]
    """A job that did not end within the time the caller gave; it goes on, at the latest when the daemon is back."""

    @classmethod
    def from_error(cls, error: PulsedTimeoutError) -> PulsedJobTimeoutError:
        """Return ``error`` as one that users of Qiskit expect."""
        return cls(error.message, subject=error.subject, value=error.value, legal=error.legal)


_AS_QISKIT: dict[type[PulsedError], type[PulsedError]] = {
    ConnectionFailedError: DaemonConnectionError,
    IncompatibleError: DaemonVersionError,
    ProtocolError: DaemonProtocolError,
    NotAllowedError: ForbiddenError,
    KeyFileError: NoSuchKeyError,
    NotFoundError: UnknownIdError,
    SessionEndedError: SessionClosedError,
    InvalidValueError: OptionValueError,
    RackTimeError: RunTimeError,
    ResultSizeError: RunSizeError,
    BusyError: DaemonBusyError,
    StoreError: DaemonStoreError,
    StoreFullError: DaemonStoreFullError,
    StoreLockedError: DaemonStoreLockedError,
    QuotaError: RunQuotaError,
    QueueClosedError: RackQueueClosedError,
    InterlockError: RackInterlockError,
    WorkerDiedError: DaemonWorkerError,
    ConflictError: ChangedMeanwhileError,
    IllegalStepError: StepError,
    CircuitError: UnsupportedCircuitError,
    LoweringError: LoweredRunError,
}
"""What users of Qiskit expect in place of an error of the daemon or of the way there."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


def asks_daemon(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Have a function raise the errors of Qiskit that go with those of the daemon it asks; both are caught."""

    @functools.wraps(function)
    def asking(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return function(*args, **kwargs)
        except PulsedError as error:
            kind = _AS_QISKIT.get(type(error))
            if kind is None:
                raise
            same = kind(error.message, subject=error.subject, value=error.value, legal=error.legal)
            same.causes = error.causes
            raise same from error

    return asking
