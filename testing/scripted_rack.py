"""A rack that follows a script, for tests of the daemon: it can hold, lose an instrument, or end its process.

The script is a directory named by ``PULSED_TEST_SCRIPT``. A file in it is an instruction (``unreachable``, ``several``,
``impostor``, ``lose``, ``lose_once``, ``narrow``, ``die``, ``die_once``, ``hold``, ``hold_after_first``, ``rebooted``,
``unlocked``); what was done is appended to the files ``connects``, ``looks``, ``started``, ``played``, ``safe`` and
``closed``.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pulsed.compiler.program import Chunk
from pulsed.daemon import logs
from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import (
    InstrumentLimitError,
    InstrumentMemoryLostError,
    InstrumentReferenceLostError,
    InstrumentTimeoutError,
    InstrumentUnreachableError,
    PulsedError,
    WrongInstrumentError,
    combined,
)
from pulsed.model.job import RunOptions
from pulsed.model.payload import Part, PartWriter
from pulsed.model.result import ProgramResult, pack_bits


class ScriptedRack:
    """Every bit is the parity of its shot, counted from the start of the job; at level 1 0 is -0.5 and 1 is 0.5."""

    def __init__(self, device: DeviceDescription) -> None:
        self.device = device
        self.script = Path(os.environ["PULSED_TEST_SCRIPT"])
        self.identities: dict[str, str] = {}

    def _told(self, name: str, *, once: bool = False) -> bool:
        path = self.script / name
        if not path.exists():
            return False
        if once:
            path.unlink()
        return True

    def _write(self, name: str, line: str) -> None:
        with (self.script / name).open("a") as file:
            file.write(line + "\n")

    def own(self, holder: str, deadline: float) -> None:
        """Have no instruments that others could want."""

    def connect(self, deadline: float) -> None:
        """Connect, unless told otherwise."""
        self._write("connects", str(os.getpid()))
        if self._told("unreachable"):
            raise InstrumentUnreachableError("nothing answers", subject="instrument awg2")
        if self._told("several"):
            unreachable = InstrumentUnreachableError("nothing answers", subject="instrument awg2")
            late = InstrumentTimeoutError("no answer within the deadline", subject="instrument sgs1", value="*IDN?")
            raise combined([unreachable, late])
        if self._told("impostor"):
            raise WrongInstrumentError("is another one", subject="instrument awg1", value="X", legal="AWG8-0001")
        self.identities = {name: f"test,{name},0,0" for name in self.device.instruments}

    reconnect = connect

    def validate(self, chunk: Chunk) -> None:
        """Refuse more shots than 999 in a chunk, when told so."""
        self._write("validated", f"{os.getpid()} {chunk.head.first_program} {chunk.head.first_shot}")
        if self._told("narrow") and chunk.head.settings.shots > 999:
            raise InstrumentLimitError(
                "too many shots", subject="instrument awg1", value=chunk.head.settings.shots, legal="at most 999"
            )

    def health_check(self, deadline: float) -> dict[str, PulsedError]:
        """Find nothing, unless told otherwise."""
        self._write("looks", str(os.getpid()))
        problems: dict[str, PulsedError] = {}
        if self._told("rebooted", once=True):
            problems["sgs1"] = InstrumentMemoryLostError("was switched off and on", subject="instrument sgs1")
        if self._told("unlocked"):
            problems["sgs2"] = InstrumentReferenceLostError("has lost its reference", subject="instrument sgs2")
        return problems

    def front_panel(self, name: str, settings: Mapping[str, float], reading: str, deadline: float) -> dict[str, str]:
        """Write what was set, and answer with it."""
        self._write("settings", f"{name} {json.dumps(dict(settings))} {reading}")
        return {reading or "SOUR:POW?": "1"}

    def play(
        self, chunk: Chunk, progress: Callable[[str, float], None], deadline: float
    ) -> tuple[list[ProgramResult], list[Part], dict[str, float]]:
        """Return the bits, unless told otherwise; writes process, first program, first shot and programs."""
        head = chunk.unrolled().head
        self._write("started", f"{os.getpid()} {head.first_program} {head.first_shot} {len(head.programs)}")
        progress("upload", 1.0)
        if self._told("lose") or self._told("lose_once", once=True):
            raise InstrumentUnreachableError("the connection broke", subject="instrument awg2")
        if self._told("die") or self._told("die_once", once=True):
            os.kill(os.getpid(), signal.SIGKILL)
        while self._told("hold") or (self._told("hold_after_first") and (self.script / "played").exists()):
            time.sleep(0.01)
            progress("play", 0.5)
        settings = head.settings
        writer, results = PartWriter(), []
        for program in head.programs:
            shots = np.arange(head.first_shot, head.first_shot + settings.shots)
            bits = np.repeat((shots % 2 == 1)[:, None], program.memory_slots, axis=1)
            iq = (bits - 0.5).astype(np.complex64)
            averaged = settings.meas_level == 1 and settings.meas_return == "avg"
            at_level_1 = settings.meas_level == 1
            results.append(
                ProgramResult(
                    program.name, settings.shots, 1 if at_level_1 else 2,
                    "avg" if averaged else "single", program.memory_slots, program.creg_sizes, program.metadata,
                    bits=None if at_level_1 else writer.add(pack_bits(bits)),
                    iq=writer.add(iq.mean(axis=0) if averaged else iq) if at_level_1 else None,
                )
            )  # fmt: skip
        progress("play", 1.0)
        self._write("played", f"{os.getpid()} {head.first_program} {head.first_shot} {len(head.programs)}")
        return results, writer.parts, {"play": 0.0}

    def safe_state(self, deadline: float | None = None) -> None:
        """Write that it was called."""
        self._write("safe", str(os.getpid()))

    def close(self) -> None:
        """Write that it was called."""
        self._write("closed", str(os.getpid()))


BEGUN = "in the middle of it"
"""What a :class:`BadCompiler` says before it takes an hour."""


class BadCompiler:
    """Does what the number of shots says: 11 takes an hour, 12 more memory than there is, 13 ends the process.

    14 takes an hour and does not let itself be interrupted. What takes an hour writes :data:`BEGUN` to the log first: a
    job's state says so before the worker has begun.
    """

    def __init__(self, device: DeviceDescription, calibration: CalibrationSet) -> None:
        pass

    def compile(
        self, programs: Sequence[Any], options: RunOptions, gates: Any = None, bindings: Any = None
    ) -> list[Chunk]:
        """Compile to nothing, unless told otherwise."""
        if options.shots == 11:
            logs.get("compile").info(BEGUN)
            time.sleep(3600)
        end = time.monotonic() + 3600
        while options.shots == 14 and time.monotonic() < end:
            with contextlib.suppress(BaseException):
                logs.get("compile").info(BEGUN)
                time.sleep(3600)
        if options.shots == 12:
            np.ones(2**31)
        if options.shots == 13:
            os.kill(os.getpid(), signal.SIGKILL)
        return []
