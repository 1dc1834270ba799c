"""Errors of the pulse language: each is a :class:`PulsedError` and, for old programs, a ``QiskitError``."""

from __future__ import annotations

from qiskit.exceptions import QiskitError

from pulsed.model.errors import PulsedError


class PulseError(PulsedError, QiskitError):  # type: ignore[misc]
    """A pulse program, or a part of one, that is not legal."""

    code = "pulse"

    def __init__(self, *message: str, subject: str = "", value: object = "", legal: object = "") -> None:
        PulsedError.__init__(self, " ".join(message), subject=subject, value=value, legal=legal)


class BackendNotSet(PulseError):  # noqa: N818 - the name is qiskit.pulse's
    """The builder has no backend, and this call needs one."""

    code = "pulse_backend_not_set"


class NoActiveBuilder(PulseError):  # noqa: N818 - the name is qiskit.pulse's
    """A builder function was called outside of ``with pulse.build()``."""

    code = "pulse_no_active_builder"


class UnassignedDurationError(PulseError):
    """A duration is still a parameter where an integer number of dt is needed."""

    code = "pulse_unassigned_duration"


class UnassignedParameterError(PulseError):
    """A parameter has no value where a number is needed."""

    code = "pulse_unassigned_parameter"


class UnassignedReferenceError(PulseError):
    """A reference has no subroutine assigned to it."""

    code = "pulse_unassigned_reference"


class SerialisationError(PulseError):
    """Bytes that are no pulse program, or a program that cannot be written as bytes."""

    code = "pulse_serialisation"


class NoQiskitPulseError(PulseError):
    """The installed Qiskit has no ``qiskit.pulse`` to convert from or to."""

    code = "pulse_no_qiskit_pulse"
