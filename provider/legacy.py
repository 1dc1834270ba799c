"""Programs of ``qiskit.pulse`` (Qiskit 1.4) as ours. That package is never imported unless it made the program."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from pulsed.provider.errors import UnsupportedCircuitError

if TYPE_CHECKING:
    from pulsed.pulse.channels import Channel
    from pulsed.pulse.instructions import Instruction
    from pulsed.pulse.library import Pulse
    from pulsed.pulse.schedule import Schedule

_SAME_SAMPLES = 1e-12
"""Largest difference of a sample that is rounding: envelopes are at most 1 and computed in double precision."""


def is_qiskit_program(program: object) -> bool:
    """Return whether ``program`` is a Schedule or ScheduleBlock of ``qiskit.pulse``."""
    theirs = sys.modules.get("qiskit.pulse")
    return theirs is not None and isinstance(program, theirs.Schedule | theirs.ScheduleBlock)


def from_qiskit(program: Any) -> Schedule:
    """Return a Schedule or ScheduleBlock of ``qiskit.pulse`` as a :class:`pulsed.pulse.Schedule`.

    Raises :class:`UnsupportedCircuitError` for a parameter without a value and for an instruction that we do not have.
    """
    from pulsed.pulse.schedule import Schedule

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        if program.is_parameterized():
            names = ", ".join(sorted(parameter.name for parameter in program.parameters))
            raise UnsupportedCircuitError(
                "parameters without a value; bind them with assign_parameters", subject=f"schedule {program.name!r}",
                value=names,
            )  # fmt: skip
        package = sys.modules["qiskit.pulse"]
        if isinstance(program, package.ScheduleBlock):
            program = package.transforms.block_to_schedule(program)
        timed = [
            (time, instruction)
            for time, theirs in program.instructions
            for instruction in _instruction(theirs, f"schedule {program.name!r}")
        ]
        return Schedule(*timed, name=program.name, metadata=dict(program.metadata or {}))


def _channel(theirs: Any) -> Channel:
    from pulsed.pulse import channels

    ours: Channel = getattr(channels, type(theirs).__name__)(int(theirs.index))
    return ours


def _pulse(theirs: Any) -> Pulse:
    """Return our pulse of the same shape; where its samples differ, a waveform of theirs."""
    from pulsed.pulse import library

    waveform = theirs.get_waveform() if hasattr(theirs, "get_waveform") else theirs
    samples = np.asarray(waveform.samples)
    kind = getattr(library, getattr(theirs, "pulse_type", ""), None)
    if kind is not None:
        ours: Pulse = kind(**theirs.parameters, name=theirs.name)
        if np.allclose(ours.get_waveform().samples, samples, rtol=0.0, atol=_SAME_SAMPLES):
            return ours
    return library.Waveform(samples, name=theirs.name)


def _instruction(theirs: Any, subject: str) -> list[Instruction]:
    from pulsed.pulse import instructions as ours
    from pulsed.pulse.configuration import Discriminator, Kernel

    kind = type(theirs).__name__
    if kind == "Play":
        return [ours.Play(_pulse(theirs.pulse), _channel(theirs.channel), theirs.name)]  # type: ignore[arg-type]
    if kind == "Delay":
        return [ours.Delay(int(theirs.duration), _channel(theirs.channel), theirs.name)]
    if kind in ("SetFrequency", "ShiftFrequency", "SetPhase", "ShiftPhase"):
        return [getattr(ours, kind)(float(theirs.operands[0]), _channel(theirs.channel), theirs.name)]
    if kind == "Acquire":
        kernel, discriminator = theirs.kernel, theirs.discriminator
        return [
            ours.Acquire(
                int(theirs.duration),
                _channel(theirs.channel),  # type: ignore[arg-type]
                mem_slot=_channel(theirs.mem_slot) if theirs.mem_slot is not None else None,  # type: ignore[arg-type]
                reg_slot=_channel(theirs.reg_slot) if theirs.reg_slot is not None else None,  # type: ignore[arg-type]
                kernel=Kernel(kernel.name, **kernel.params) if kernel is not None else None,
                discriminator=(
                    Discriminator(discriminator.name, **discriminator.params) if discriminator is not None else None
                ),
                name=theirs.name,
            )
        ]
    if kind in ("RelativeBarrier", "TimeBlockade"):
        return []  # alignment only, and that is done
    raise UnsupportedCircuitError("an instruction that cannot be played", subject=subject, value=kind)
