"""A daemon and its rack within the test's process: the real compiler before the simulated chip, nothing between.

For authors of calibration routines: it is a :class:`pulsed.calibration.executor.Connection`, starts in no time, and a
test may ask its ``engine`` for the truth. What an AWG could not play is refused as its driver refuses it. The daemon,
the drivers and the instruments themselves are left out, so that what it cannot show is what they do wrong.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np

import pulsed.configs
from pulsed.compiler.compile import Compiler
from pulsed.compiler.program import Chunk
from pulsed.drivers.contract import Fetched
from pulsed.drivers.instruments.virtual.awg8 import AwgDriver
from pulsed.drivers.limits import check_playback
from pulsed.drivers.programs import InstrumentPrograms, Recording
from pulsed.drivers.rack.assembly import assemble_results, program_result
from pulsed.drivers.rack.partition import partition_chunk
from pulsed.drivers.rack.spectrum import measure_spectrum
from pulsed.model.calibration import (
    CalibrationSet,
    LogEntry,
    PastValue,
    RunRecord,
    design_sheet,
    load_calibration,
)
from pulsed.model.device import DeviceDescription, load_device
from pulsed.model.errors import ConflictError, NotFoundError
from pulsed.model.job import JobInfo, JobRequest, JobState, Spectrum
from pulsed.model.payload import Part, PartWriter
from pulsed.model.result import JobResult, ProgramResult
from pulsed.pulse.serialize import loads
from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.chip.chip_file import load_chip
from pulsed.simulator.dynamics.sequence import BURST, IntegrationKernel, LineSettings, Mode, PulseSequence, Window
from pulsed.simulator.engine.engine import Engine
from pulsed.testing.ideal_rack import NAME, ideal_calibration, ideal_chip
from pulsed.testing.simulated_analyser import SimulatedAnalyser

_MODES: dict[str, Mode] = {"integrate": "integrated", "raw": "raw", "average": "averaged"}
_OWNER = "tester"


@dataclass
class _Job:
    info: JobInfo
    result: JobResult
    parts: Sequence[Part]


class SimulatedLab:
    """One rack, one chip, one operator.

    Args:
        device: the rack.
        chip: what is wired to it.
        calibration: the active set; None for the design sheet.
        seed: of the chip's noise.

    """

    def __init__(
        self, device: DeviceDescription, chip: Chip, calibration: CalibrationSet | None = None, seed: int = 0
    ) -> None:
        self._device = device
        self.engine = Engine(chip, seed)
        self._seed = seed
        self.played: list[JobRequest] = []
        """Every job, in order."""
        self.rack_seconds = 0.0
        """Time that the pulses have taken on the rack."""
        start = design_sheet(device) if calibration is None else calibration
        self._sets = {start.calibration_id: start}
        self._log = [LogEntry(start.calibration_id, time.time())]
        self._tags: dict[str, str] = {}
        self._runs: list[RunRecord] = []
        self._jobs: dict[str, _Job] = {}
        self._compilers: dict[str, Compiler] = {}

    @classmethod
    def sim5(cls, *, calibrated: bool = True, seed: int = 0) -> SimulatedLab:
        """Return the default rack and chip, calibrated or with nothing but the design sheet."""
        return cls._shipped("sim5", calibrated, seed)

    @classmethod
    def coupler2(cls, *, calibrated: bool = True, seed: int = 0) -> SimulatedLab:
        """Return the rack with a tunable coupler, calibrated or with nothing but the design sheet."""
        return cls._shipped("coupler2", calibrated, seed)

    @classmethod
    def ideal5(cls, *, seed: int = 0) -> SimulatedLab:
        """Return the default rack with a chip without noise, and what is calibrated for it."""
        device = load_device(Path(pulsed.configs.__file__).parent / "sim5.toml")
        return cls(device.model_copy(update={"name": NAME}), ideal_chip(), ideal_calibration(), seed)

    @classmethod
    def _shipped(cls, name: str, calibrated: bool, seed: int) -> SimulatedLab:
        folder = Path(pulsed.configs.__file__).parent
        known = load_calibration(folder / "calibrations" / f"{name}.json") if calibrated else None
        return cls(load_device(folder / f"{name}.toml"), load_chip(folder / "chips" / f"{name}.toml"), known, seed)

    # --- jobs --------------------------------------------------------------------------------------------------

    def device(self) -> DeviceDescription:
        """Return the rack."""
        return self._device

    def submit(self, request: JobRequest, parts: Sequence[Part]) -> JobInfo:
        """Play a job of schedules at once."""
        now = time.time()
        calibration_id = request.options.calibration_id or self._log[-1].calibration_id
        calibration = self.calibration(calibration_id)
        compiler = self._compilers.get(calibration_id)
        if compiler is None:
            compiler = self._compilers[calibration_id] = Compiler(self._device, calibration)
        chunks = compiler.compile([loads(bytes(part)) for part in parts], request.options)
        self.played.append(request)
        results: list[ProgramResult] = []
        arrays: list[Part] = []
        for number, chunk in enumerate(chunks):
            assert chunk.head.first_shot == 0, "a program of more shots than a chunk holds"
            found, new = self._play(chunk.unrolled(), number)
            results += [_moved(result, len(arrays)) for result in found]
            arrays += new
        instruments = {name: f"simulated,{name},0,0" for name in self._device.instruments}
        result = JobResult(request.job_id, self._device.name, "0", calibration_id, tuple(results), {}, instruments)
        info = JobInfo(
            request.job_id, self._device.name, JobState.DONE, _OWNER, now, options=request.options,
            calibration_id=calibration_id,
        )  # fmt: skip
        self._jobs[request.job_id] = _Job(info, result, arrays)
        return info

    def finished(self, job_id: str, timeout: float | None = None) -> tuple[JobInfo, JobResult, Sequence[Part]]:
        """Return what :meth:`submit` played."""
        job = self._jobs[job_id]
        return job.info, job.result, job.parts

    def cancel(self, job_id: str) -> bool:
        """Return False: every job has ended."""
        return False

    def _play(self, chunk: Chunk, number: int) -> tuple[list[ProgramResult], list[Part]]:
        shares = partition_chunk(chunk, self._device)
        for instrument, playback in shares.playbacks.items():
            check_playback(playback, AwgDriver.capabilities, f"instrument {instrument}")
        lines = self._lines(chunk)
        if chunk.settings.spectrum is not None:
            return self._measure_spectrum(chunk, shares, lines, chunk.settings.spectrum, number)
        ((_, recording),) = shares.recordings.items()
        arrays: list[Any] = []
        over: list[bool] = []
        for entry in range(len(chunk.programs)):
            sequence = self._sequence(chunk, shares, recording, lines, entry)
            shots = chunk.settings.shots
            stream = (len(self.played), number, entry)
            outcome = self.engine.play(sequence, shots, stream, _MODES[recording.mode])
            data = {"integrate": outcome.integrated, "raw": outcome.raw, "average": outcome.averaged}[recording.mode]
            arrays.append(data)
            over.append(outcome.overrange)
            self.rack_seconds += shots * sequence.period * 1e-9
        scale = float(self.engine.chip.amplifier.full_scale)
        fetched = Fetched(recording.mode, tuple(arrays), "full scale", tuple(over), scale)
        return assemble_results(chunk, [(recording, fetched)])

    def _measure_spectrum(
        self, chunk: Chunk, shares: InstrumentPrograms, lines: tuple[LineSettings, ...], wanted: Spectrum, number: int
    ) -> tuple[list[ProgramResult], list[Part]]:
        """Show each program to the analyser."""
        (line,) = (line for line in lines if line.name == wanted.port)
        wire, full_scale = self.engine.chip.wire(wanted.port), self._device.ports[wanted.port].full_scale
        writer, results = PartWriter(), []
        for entry, program in enumerate(chunk.programs):
            played = self._sequence(chunk, shares, None, lines, entry)
            noise = np.random.default_rng((self._seed, len(self.played), number, entry))
            analyser = cast(Any, SimulatedAnalyser(line, wire, full_scale, played, noise))
            seen = writer.add(measure_spectrum(analyser, wanted, 0.0))
            results.append(program_result(chunk, program, overrange=False, spectrum=seen))
        return results, writer.parts

    def _lines(self, chunk: Chunk) -> tuple[LineSettings, ...]:
        lines = []
        for name, port in self._device.ports.items():
            if port.direction == "output":
                settings = chunk.settings.ports[name]
                # A flux line has no oscillator; no current is given, so that its coupler idles where it should.
                lo = 0.0 if port.lo is None else chunk.settings.los[port.lo][0]
                lines.append(LineSettings(name, lo, True, settings.correction, settings.offset))
        return tuple(lines)

    def _sequence(
        self,
        chunk: Chunk,
        shares: InstrumentPrograms,
        recording: Recording | None,
        lines: tuple[LineSettings, ...],
        entry: int,
    ) -> PulseSequence:
        names = [line.name for line in lines]
        bursts = [np.empty(0, BURST)]
        for instrument, playback in shares.playbacks.items():
            events = playback.events[playback.events["entry"] == entry]
            of_pair = {p.pair: (n, p) for n, p in self._device.ports.items() if p.instrument == instrument}
            rows = np.empty(len(events), BURST)
            for row, event in zip(rows, events, strict=True):
                name, port = of_pair[int(event["pair"])]
                # A port's delay is what lines it up with the others: cables are left out here, and so is the delay.
                lag = 2 * np.pi * event["frequency"] * float(port.delay / port.clock)
                row["line"], row["start"] = names.index(name), event["time"] - port.delay
                row["phase"] = event["phase"] - lag
                for field in ("envelope", "amplitude", "frequency"):
                    row[field] = event[field]
            bursts.append(rows)
        everything = np.concatenate(bursts)
        used, everything["envelope"] = np.unique(everything["envelope"], return_inverse=True)
        envelopes = tuple(chunk.envelope(int(row)) for row in used)
        keys = tuple(chunk.head.keys[int(row)] for row in used)
        if recording is None:
            return PulseSequence(lines, everything, envelopes, keys, (), 0)
        period = int(recording.entries["period"][entry])
        return PulseSequence(lines, everything, envelopes, keys, _windows(chunk, recording, entry), period)

    # --- the store ---------------------------------------------------------------------------------------------

    def calibration(
        self, calibration_id: str | None = None, *, time: float | None = None, tag: str | None = None
    ) -> CalibrationSet:
        """Return a set, by default the active one."""
        if tag is not None:
            calibration_id = self._tags.get(tag, tag)
        elif time is not None:
            calibration_id = next((e.calibration_id for e in reversed(self._log) if e.since <= time), "none")
        try:
            return self._sets[calibration_id or self._log[-1].calibration_id]
        except KeyError:
            raise NotFoundError("no such calibration set", value=calibration_id) from None

    def put_calibration(self, calibration: CalibrationSet) -> str:
        """Keep a candidate."""
        self._sets[calibration.calibration_id] = calibration
        return calibration.calibration_id

    def commit_calibration(self, calibration_id: str, expected: str, why: str) -> None:
        """Make a candidate active if ``expected`` is still."""
        now = self._log[-1].calibration_id
        if expected != now:
            changed = ", ".join(self._sets[expected].changed(self._sets[now]))
            raise ConflictError("another set is active", subject=now, value=changed, legal=expected)
        changes = self._sets[now].changed(self.calibration(calibration_id))
        self._log.append(LogEntry(calibration_id, time.time(), _OWNER, why, changes))

    def calibration_log(self, limit: int = 100, name: str | None = None) -> list[LogEntry]:
        """Return what became active, the newest first."""
        found = [entry for entry in reversed(self._log) if name is None or name in entry.changed]
        return found[:limit]

    def tag_calibration(self, calibration_id: str, tag: str) -> None:
        """Name a set."""
        self._tags[tag] = calibration_id

    def put_run(self, run: RunRecord) -> None:
        """Keep the record of a run, in place of an older one with its id."""
        known = next((number for number, old in enumerate(self._runs) if old.run_id == run.run_id), len(self._runs))
        self._runs[known : known + 1] = [run]

    def runs(self, routine: str | None = None, target: str | None = None, limit: int = 100) -> list[RunRecord]:
        """Return the newest records first."""
        found = [r for r in reversed(self._runs) if routine in (None, r.routine) and target in (None, r.target)]
        return found[:limit]

    def value_history(self, name: str, limit: int = 100) -> list[PastValue]:
        """Return what a value has been, the newest first."""
        found: list[PastValue] = []
        for entry in self._log:
            value = self._sets[entry.calibration_id].values.get(name)
            if value is not None and (not found or found[-1].value != value):
                found.append(PastValue(entry.since, value, entry.calibration_id))
        return found[::-1][:limit]


def _windows(chunk: Chunk, recording: Recording, entry: int) -> tuple[Window, ...]:
    rows = recording.entry(entry)
    windows = []
    for number in np.unique(rows["window"]):
        own = rows[rows["window"] == number]
        length = int(own["length"][0])
        boxcar = np.full(length, 1 / length, complex)
        kernels = tuple(
            IntegrationKernel(
                float(row["frequency"]), chunk.envelope(int(row["kernel"])) if row["kernel"] >= 0 else boxcar
            )
            for row in own
        )
        windows.append(Window(int(own["time"][0]), length, kernels))
    return tuple(windows)


def _moved(result: ProgramResult, parts: int) -> ProgramResult:
    """Return ``result`` with its arrays counted from ``parts`` more."""
    moved = {
        name: msgspec.structs.replace(ref, part=ref.part + parts)
        for name in ("bits", "levels", "iq", "records", "spectrum")
        if (ref := getattr(result, name)) is not None
    }
    return msgspec.structs.replace(result, **moved)
