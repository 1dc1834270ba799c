"""One root for every error of pulsed.

An error says what is wrong, which object it is about, the bad value and the legal ones. It has a stable
``code`` and survives the wire: :meth:`PulsedError.to_info` on one side, :func:`from_info` on the other.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec


class ErrorInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error as data: what crosses a process or the wire, and what the store keeps."""

    code: str
    message: str
    subject: str = ""
    value: str = ""
    legal: str = ""


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
        return "; ".join(parts)

    def to_info(self) -> ErrorInfo:
        """Return this error as data."""
        return ErrorInfo(self.code, self.message, self.subject, self.value, self.legal)


_BY_CODE[PulsedError.code] = PulsedError


def from_info(info: ErrorInfo) -> PulsedError:
    """Return the exception that ``info`` describes; an unknown code gives a plain :class:`PulsedError`."""
    cls = _BY_CODE.get(info.code, PulsedError)
    error = cls.__new__(cls)
    PulsedError.__init__(error, info.message, subject=info.subject, value=info.value, legal=info.legal)
    return error


class ConfigError(PulsedError):
    """A device description or a calibration set that cannot be used."""

    code = "config"


class InvalidValueError(PulsedError):
    """A value of a request outside what is legal: shots, a frequency, an option."""

    code = "invalid_value"


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


class NotAllowedError(PulsedError):
    """The key's role has no right to do this."""

    code = "not_allowed"


class NotFoundError(PulsedError):
    """A job, calibration set or backend that does not exist."""

    code = "not_found"


class ConflictError(PulsedError):
    """Somebody else has changed it in the meantime: ``value`` names what, nothing was written."""

    code = "conflict"


class KeyFileError(PulsedError):
    """A key file that is missing, unreadable or open to others."""

    code = "key_file"


class ConnectionFailedError(PulsedError):
    """No answer from the daemon within the deadline."""

    code = "connection"


class IllegalStepError(PulsedError):
    """A step that the table of a state machine does not have. Nothing was changed."""

    code = "illegal_step"


class JobFailedError(PulsedError):
    """A job that ended in an error of no more special kind."""

    code = "job_failed"


class JobTimeoutError(PulsedError):
    """The caller's time is over; the job goes on."""

    code = "job_timeout"


class JobCancelledError(PulsedError):
    """The job was cancelled and has no result."""

    code = "job_cancelled"


class WorkerDiedError(PulsedError):
    """A worker process ended in the middle of its work."""

    code = "worker_died"


class InstrumentError(PulsedError):
    """Something an instrument did or did not do. ``subject`` is ``"instrument NAME"``."""

    code = "instrument"


class InstrumentUnreachableError(InstrumentError):
    """No connection, or the connection broke."""

    code = "instrument_unreachable"


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


class InstrumentDataError(InstrumentError):
    """What came is no answer to what was asked, or another amount of data."""

    code = "instrument_data"


class InstrumentOverheatedError(InstrumentError):
    """The instrument is too hot and has switched its outputs off."""

    code = "instrument_overheated"


class InstrumentReferenceLostError(InstrumentError):
    """The instrument has lost its reference clock."""

    code = "instrument_reference_lost"


class InstrumentTriggerMissedError(InstrumentError):
    """The instrument missed a trigger: it still waits while the leader has played."""

    code = "instrument_trigger_missed"


class InstrumentOverrangeError(InstrumentError):
    """An input was beyond full scale where points were to be classified."""

    code = "instrument_overrange"


class InstrumentMemoryLostError(InstrumentError):
    """The instrument lost its memory (a reboot, a reset): what was uploaded has to be sent again."""

    code = "instrument_memory_lost"
