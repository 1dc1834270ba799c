"""One root for every error of pulsed.

An error says what is wrong, which object it is about, the bad value and the legal ones. It has a stable
``code`` and survives the wire: :meth:`PulsedError.to_info` on one side, :func:`from_info` on the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import msgspec


class ErrorCause(msgspec.Struct, frozen=True, omit_defaults=True):
    """The error of one of several objects that failed at once, as data."""

    code: str
    message: str
    subject: str = ""
    value: str = ""
    legal: str = ""


class ErrorInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error as data: what crosses a process or the wire, and what the store keeps."""

    code: str
    message: str
    subject: str = ""
    value: str = ""
    legal: str = ""
    causes: tuple[ErrorCause, ...] = ()
    """When several objects failed at once: the error of each, this one's own first."""


_BY_CODE: dict[str, type[PulsedError]] = {}


class PulsedError(Exception):
    """Root of all errors.

    Args:
        message: one sentence, what is wrong and, where there is something to do, what to do.
        subject: the object the error is about (``"instrument awg1"``, ``"qubits.0.drive"``).
        value: the bad value.
        legal: the legal values, in words.

    """

    code: ClassVar[str] = "pulsed"
    causes: tuple[PulsedError, ...] = ()
    """When several objects failed at once: the error of each, this one's own first; see :func:`combined`."""

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        other = _BY_CODE.setdefault(cls.code, cls)
        if other is not cls and "code" in cls.__dict__:
            raise TypeError(f"error code {cls.code!r} of {cls.__name__} belongs to {other.__name__}")

    def __init__(self, message: str, *, subject: str = "", value: object = "", legal: object = "") -> None:
        self.message = message
        self.subject = subject
        self.value = value if isinstance(value, str) else repr(value)
        self.legal = legal if isinstance(legal, str) else repr(legal)
        super().__init__(message)

    def __str__(self) -> str:
        parts = [f"{self.subject}: {self.message}" if self.subject else self.message]
        if self.value:
            parts.append(f"got {self.value}")
        if self.legal:
            parts.append(f"legal: {self.legal}")
        others = " | ".join(map(str, self.causes[1:]))
        return "; ".join(parts) + (f" (also affected: {others})" if others else "")

    def to_info(self) -> ErrorInfo:
        """Return this error as data."""
        causes = tuple(ErrorCause(e.code, e.message, e.subject, e.value, e.legal) for e in self.causes)
        return ErrorInfo(self.code, self.message, self.subject, self.value, self.legal, causes)


_BY_CODE[PulsedError.code] = PulsedError


def from_info(info: ErrorInfo | ErrorCause) -> PulsedError:
    """Return the exception that ``info`` describes; an unknown code gives a plain :class:`PulsedError`."""
    cls = _BY_CODE.get(info.code, PulsedError)
    error = cls.__new__(cls)
    PulsedError.__init__(error, info.message, subject=info.subject, value=info.value, legal=info.legal)
    if isinstance(info, ErrorInfo) and info.causes:
        error.causes = tuple(from_info(cause) for cause in info.causes)
    return error


def combined(errors: Sequence[PulsedError]) -> PulsedError:
    """Return one error for all of ``errors``, at least one: of the first's kind, with all of them as ``causes``."""
    causes = [cause for error in errors for cause in error.causes or (error,)]
    if len(causes) == 1:
        return causes[0]
    error = from_info(causes[0].to_info())
    error.causes = tuple(causes)
    return error


class ConfigError(PulsedError):
    """A device description or a calibration set that cannot be used."""

    code = "config"


class InvalidValueError(PulsedError):
    """A value of a request outside what is legal: shots, a frequency, an option."""

    code = "invalid_value"


class RackTimeError(InvalidValueError):
    """A job that would take too long on the rack without confirmation, or longer than any job may."""

    code = "rack_time"


class QuotaError(InvalidValueError):
    """A job that would take its user above a quota of the rack: ``subject`` names it, with ``value`` and ``legal``."""

    code = "quota"


class ResultSizeError(InvalidValueError):
    """A job that would bring back more bytes than a result may have."""

    code = "result_size"


class CircuitError(PulsedError):
    """A circuit that this backend cannot run: too many qubits, an unknown gate, an uncoupled pair."""

    code = "circuit"


class LoweringError(PulsedError):
    """A schedule that does not fit the rack: off-grid time, over-full-scale amplitude, too long."""

    code = "lowering"


class IncompatibleError(PulsedError):
    """Bytes of a version that this side does not read, such as QPY below 13."""

    code = "incompatible"


class ProtocolError(PulsedError):
    """A message on the wire that does not follow the protocol."""

    code = "protocol"


class BusyError(PulsedError):
    """The daemon has too much to take in at this moment. Nothing was accepted; the same may be sent again."""

    code = "busy"


class QueueClosedError(PulsedError):
    """The queue takes no jobs: an operator drains or has locked it; ``message`` says who and why."""

    code = "queue_closed"


class InterlockError(PulsedError):
    """An interlock keeps the rack from playing: it has tripped, was not read yet, or cannot be armed again."""

    code = "interlock"


class NotAllowedError(PulsedError):
    """The key's role has no right to do this."""

    code = "not_allowed"


class NotFoundError(PulsedError):
    """A job, calibration set or backend that does not exist."""

    code = "not_found"


class ConflictError(PulsedError):
    """Somebody else has changed it in the meantime: ``value`` names what, nothing was written."""

    code = "conflict"


class SessionEndedError(PulsedError):
    """A session that takes no more jobs: it was closed, or it has ended; ``value`` says how."""

    code = "session_ended"


class MissingPackageError(PulsedError):
    """Something needs a package that is not installed: ``value`` is its name, ``legal`` how to install it."""

    code = "missing_package"


class KeyFileError(PulsedError):
    """A key file that is missing, cannot be read, or can be read by others."""

    code = "key_file"


class ConnectionFailedError(PulsedError):
    """No answer from the daemon within the deadline."""

    code = "connection"


class IllegalStepError(PulsedError):
    """A step that the table of a state machine does not have. Nothing was changed."""

    code = "illegal_step"


class JobFailedError(PulsedError):
    """A job that ended in an error without a class of its own."""

    code = "job_failed"


class JobTimeoutError(PulsedError):
    """The caller's timeout has passed; the job goes on."""

    code = "job_timeout"


class JobCancelledError(PulsedError):
    """The job was cancelled and has no result."""

    code = "job_cancelled"


class StoreError(PulsedError):
    """The database refused or cannot be reached: disk full, file not writable, locked for too long."""

    code = "store"


class StoreFullError(StoreError):
    """There is too little room on the disk of the store."""

    code = "store_full"


class StoreLockedError(StoreError):
    """Another process keeps the database from being written."""

    code = "store_locked"


class WorkerDiedError(PulsedError):
    """A worker process ended in the middle of its work."""

    code = "worker_died"


class InstrumentError(PulsedError):
    """Something an instrument did or did not do. ``subject`` is ``"instrument NAME"``."""

    code = "instrument"


class InstrumentUnreachableError(InstrumentError):
    """No connection, or the connection broke."""

    code = "instrument_unreachable"


class InstrumentTakenError(InstrumentError):
    """Another daemon on this machine has the instrument; ``value`` says which."""

    code = "instrument_taken"


class InstrumentTimeoutError(InstrumentError):
    """No answer within the deadline."""

    code = "instrument_timeout"


class WrongInstrumentError(InstrumentError):
    """``*IDN?`` names another instrument than the configuration."""

    code = "wrong_instrument"


class InstrumentRefusedError(InstrumentError):
    """The instrument put an error into its queue; ``value`` is that entry."""

    code = "instrument_refused"


class InstrumentLimitError(InstrumentError):
    """A program beyond what the instrument can hold or play, found before anything was sent."""

    code = "instrument_limit"


class SafetyLimitError(InstrumentLimitError):
    """More than the lab allows at a port or of an oscillator (``safety``, ``max_power``). Nothing was sent."""

    code = "safety_limit"


class InstrumentDataError(InstrumentError):
    """The instrument sent something other than was asked, or another amount of data."""

    code = "instrument_data"


class InstrumentChangedError(InstrumentError):
    """A setting of the instrument is not as it was left: ``value`` is what it answers, ``legal`` what was set."""

    code = "instrument_changed"


class InstrumentOverheatedError(InstrumentError):
    """The instrument is too hot and has switched its outputs off."""

    code = "instrument_overheated"


class InstrumentReferenceLostError(InstrumentError):
    """The instrument has lost its reference clock."""

    code = "instrument_reference_lost"


class OutputsNotConfirmedError(InstrumentError):
    """The daemon has ended, and no instrument, or not every one, has confirmed that its outputs are off."""

    code = "outputs_not_confirmed"


class InstrumentTriggerMissedError(InstrumentError):
    """The instrument missed a trigger: it still waits while the leader has played."""

    code = "instrument_trigger_missed"


class InstrumentOverrangeError(InstrumentError):
    """An input was beyond full scale where points were to be classified."""

    code = "instrument_overrange"


class InstrumentMemoryLostError(InstrumentError):
    """The instrument lost its memory (a reboot, a reset): what was uploaded has to be sent again."""

    code = "instrument_memory_lost"
