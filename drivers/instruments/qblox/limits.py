"""What a Cluster cannot play or record, found before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pulsed.drivers.contract import Capabilities
from pulsed.drivers.instruments.qblox.modules import ModuleModel, slot_of
from pulsed.drivers.limits import check_playback, check_recording
from pulsed.drivers.programs import Playback, PlayerWork, Recording, Transceived
from pulsed.model.errors import InstrumentLimitError


def check_work(work: PlayerWork, can: Capabilities, modules: Mapping[int, ModuleModel], subject: str) -> None:
    """Check everything but what one sequencer holds. Raises :class:`InstrumentLimitError`."""
    playback = work.playback if isinstance(work, Transceived) else work if isinstance(work, Playback) else None
    recording = work.recording if isinstance(work, Transceived) else work if isinstance(work, Recording) else None
    for part in (playback, recording):
        if part is not None:
            _check_list(part, subject)
    if playback is not None:
        check_playback(playback, can, subject)
    if recording is not None:
        check_recording(recording, can, subject)
    outputs = {} if playback is None else playback.los
    inputs = {} if recording is None else recording.los
    _check_los(outputs, inputs, can, modules, subject)


def _check_list(work: Playback | Recording, subject: str) -> None:
    entries = work.entries
    if not len(entries):
        raise _refuse("there is nothing to do", "0 programs", "at least 1", subject)
    if (entries["shots"] < 1).any():
        at = int(np.argmax(entries["shots"] < 1))
        raise _refuse(f"shots of program {work.programs[at]}", entries["shots"][at], "from 1", subject)
    if (entries["period"] < entries["length"]).any():
        at = int(np.argmax(entries["period"] < entries["length"]))
        longest = f"up to {entries['period'][at]} samples"
        message = f"program {work.programs[at]} is longer than the time from shot to shot"
        raise _refuse(message, f"{entries['length'][at]} samples", longest, subject)


def _check_los(
    outputs: Mapping[int, float], inputs: Mapping[int, float], can: Capabilities, modules: Mapping[int, ModuleModel],
    subject: str,
) -> None:  # fmt: skip
    low, high = can.lo_frequency
    for pair, frequency in (*outputs.items(), *inputs.items()):
        slot, _ = slot_of(pair)
        name = f"module {slot} ({modules[slot].name})"
        if not modules[slot].rf:
            raise _refuse(f"{name} has no LO", f"pair {pair}", "an RF module", subject)
        if not low <= frequency <= high:
            raise _refuse(f"{name}: LO of pair {pair}", f"{frequency:g} Hz", f"{low:g} to {high:g} Hz", subject)
        if frequency != round(frequency):
            raise _refuse(f"{name}: LO of pair {pair}", f"{frequency!r} Hz", "whole Hz", subject)
        if pair in outputs and inputs.get(pair, frequency) != outputs[pair]:
            both = f"{outputs[pair]:g} and {inputs[pair]:g} Hz"
            raise _refuse(f"{name}: output and input share one LO", both, "one frequency", subject)


def _refuse(message: str, value: object, legal: object, subject: str) -> InstrumentLimitError:
    return InstrumentLimitError(message, subject=subject, value=str(value), legal=str(legal))
