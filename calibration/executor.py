"""The executor: plays schedules on the rack under a working set of values, and brings the data back as arrays."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from hashlib import blake2b
from typing import Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from pulsed.calibration.schedules import Blocks
from pulsed.model.calibration import CalibrationSet, LogEntry, PastValue, RunRecord, Value
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import InvalidValueError
from pulsed.model.job import CALIBRATION_TAG, JobInfo, JobRequest, RunOptions
from pulsed.model.payload import ArrayRef, Part, read_array
from pulsed.model.rack_time import least_seconds
from pulsed.model.result import JobResult, ProgramResult
from pulsed.pulse.schedule import Schedule
from pulsed.pulse.serialize import dumps

_LOOKS = 16
"""Jobs that schedules are played as when somebody looks on."""
Progress = Callable[[int, int], None]
"""Called with the schedules that have been played and those that were asked for."""


class Connection(Protocol):
    """What calibration asks of a daemon; :class:`pulsed.client.Client` has it."""

    def device(self) -> DeviceDescription: ...  # noqa: D102

    def calibration(  # noqa: D102
        self, calibration_id: str | None = None, *, time: float | None = None, tag: str | None = None
    ) -> CalibrationSet: ...

    def submit(self, request: JobRequest, parts: Sequence[Part]) -> JobInfo: ...  # noqa: D102
    def finished(  # noqa: D102
        self, job_id: str, timeout: float | None = None
    ) -> tuple[JobInfo, JobResult, Sequence[Part]]: ...
    def cancel(self, job_id: str) -> bool: ...  # noqa: D102
    def put_calibration(self, calibration: CalibrationSet) -> str: ...  # noqa: D102
    def commit_calibration(self, calibration_id: str, expected: str, why: str) -> None: ...  # noqa: D102
    def calibration_log(self, limit: int = 100, name: str | None = None) -> list[LogEntry]: ...  # noqa: D102
    def value_history(self, name: str, limit: int = 100) -> list[PastValue]: ...  # noqa: D102
    def put_run(self, run: RunRecord) -> None: ...  # noqa: D102
    def runs(  # noqa: D102
        self, routine: str | None = None, target: str | None = None, limit: int = 100
    ) -> list[RunRecord]: ...


@dataclass(frozen=True)
class Played:
    """What one call of the rack brought back; what its level does not have is None."""

    iq: npt.NDArray[np.complex64] | None
    """(schedules, shots, memory_slots), without the shots when averaged; a slot nothing was measured into is 0."""
    bits: npt.NDArray[np.uint8] | None
    """(schedules, shots, memory_slots): 0 or 1, and 2 where a discriminator knows three states."""
    records: npt.NDArray[np.complex64] | None
    """(schedules, shots, memory_slots, samples) or without the shots."""
    spectrum: npt.NDArray[np.float64] | None
    """(schedules, frequencies) in dBm."""
    overrange: npt.NDArray[np.bool_]
    """(schedules,): the digitizer clipped."""
    instruments: dict[str, str]
    """``*IDN?`` of each that took part."""


class Executor:
    """Plays schedules under ``calibration``, which need not be active.

    Args:
        connection: to the daemon, with an operator's key.
        calibration: the working set; None for the active one.
        progress: told of each job that has ended.
        timeout: seconds that one job may take, waiting in the queue included.

    """

    def __init__(
        self,
        connection: Connection,
        calibration: CalibrationSet | None = None,
        *,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> None:
        self.connection = connection
        self.device = connection.device()
        self.calibration = connection.calibration() if calibration is None else calibration
        self._progress = progress
        self._timeout = timeout
        self._stored = calibration is None

    @cached_property
    def blocks(self) -> Blocks:
        """Gates, measurements and preparations of the working set, as schedules."""
        return Blocks(self.device, self.calibration)

    def propose(self, values: Mapping[str, Value]) -> Executor:
        """Return an executor on a candidate: the working set with ``values`` over it. Nothing is committed."""
        created = datetime.now(UTC).isoformat(timespec="milliseconds")
        return self.on(self.calibration.with_values(values, created))

    def on(self, calibration: CalibrationSet) -> Executor:
        """Return an executor on another working set."""
        return Executor(self.connection, calibration, progress=self._progress, timeout=self._timeout)

    def play(
        self,
        schedules: Sequence[Schedule],
        shots: int,
        *,
        average: bool = False,
        level: int = 1,
        seen: Callable[[Played], None] | None = None,
        **options: Any,
    ) -> Played:
        """Play every schedule ``shots`` times and return the data.

        Args:
            schedules: of one memory layout: what each measures into slot k belongs together.
            shots: of each.
            average: over the shots.
            seen: told of what there is after each of several jobs that the schedules are then played as.
            level: 0 for records, 1 for IQ, 2 for bits with the IQ beside them.
            options: other fields of :class:`RunOptions`: ``settings``, ``spectrum``, ``rep_delay``.

        Raises:
            PulsedError: what the daemon answered. Ctrl-C while waiting cancels the job before it goes on.

        """
        if not schedules:
            raise InvalidValueError("nothing to play", subject="schedules", value=0, legal=">= 1")
        asked = RunOptions(
            shots=shots, meas_level=level, meas_return="avg" if average else "single", iq=level == 2,
            calibration_id=self._candidate(), **options,
        )  # fmt: skip
        if "confirm_rack_time" not in options and self._seconds(schedules, asked) > self.device.limits.rack_time:
            asked = msgspec.structs.replace(asked, confirm_rack_time=True)  # a routine knows what it asks for
        most, done = self.device.limits.max_circuits, 0
        if seen is not None:
            most = min(most, -(-len(schedules) // _LOOKS))
        programs: list[tuple[ProgramResult, Sequence[Part]]] = []
        instruments: dict[str, str] = {}
        for first in range(0, len(schedules), most):
            result, parts = self._run(schedules[first : first + most], asked)
            programs += [(program, parts) for program in result.programs]
            instruments |= result.instruments
            done = min(first + most, len(schedules))
            if self._progress is not None:
                self._progress(done, len(schedules))
            if seen is not None and done < len(schedules):
                seen(_played(programs, level, instruments))
        return _played(programs, level, instruments)

    def _seconds(self, schedules: Sequence[Schedule], options: RunOptions) -> float:
        length = float(sum(schedule.duration for schedule in schedules) * self.device.dt)
        return least_seconds(len(schedules), length, options, self.device.limits)

    def _candidate(self) -> str:
        if not self._stored:
            self.connection.put_calibration(self.calibration)
            self._stored = True
        return self.calibration.calibration_id

    def _run(self, schedules: Sequence[Schedule], options: RunOptions) -> tuple[JobResult, Sequence[Part]]:
        parts = [dumps(schedule) for schedule in schedules]
        request = JobRequest(
            str(uuid.uuid4()), ("schedule",) * len(parts), len(parts), options, name="calibration",
            tags=(CALIBRATION_TAG,),
        )  # fmt: skip
        self.connection.submit(request, parts)
        try:
            return self.connection.finished(request.job_id, self._timeout)[1:]
        except BaseException:
            self.connection.cancel(request.job_id)
            raise


def schedule_hash(schedules: Sequence[Schedule]) -> str:
    """Return a hash of what was played: equal for equal schedules, whatever they are called, 16 hexadecimal digits."""
    digest = blake2b(digest_size=8)
    for schedule in schedules:
        digest.update(dumps(Schedule.from_instructions(schedule.instructions, name="")))
    return digest.hexdigest()


def _played(
    programs: Sequence[tuple[ProgramResult, Sequence[Part]]], level: int, instruments: dict[str, str]
) -> Played:
    return Played(
        iq=_stacked(programs, "iq"),
        bits=_levels(programs) if level == 2 else None,
        records=_stacked(programs, "records"),
        spectrum=_stacked(programs, "spectrum"),
        overrange=np.array([program.overrange for program, _ in programs]),
        instruments=instruments,
    )


def _stacked(programs: Sequence[tuple[ProgramResult, Sequence[Part]]], name: str) -> Any:
    """Return the arrays of all programs as one, memory slots filled up with zeros; None when there are none."""
    refs: list[tuple[ArrayRef | None, Sequence[Part]]] = [(getattr(p, name, None), parts) for p, parts in programs]
    arrays = [read_array(ref, parts) for ref, parts in refs if ref is not None]
    if not arrays:
        return None
    shape = tuple(np.max([array.shape for array in arrays], axis=0))
    if all(array.shape == shape for array in arrays):
        return np.stack(arrays)
    result = np.zeros((len(arrays), *shape), arrays[0].dtype)
    for row, array in zip(result, arrays, strict=True):
        row[tuple(slice(length) for length in array.shape)] = array
    return result


def _levels(programs: Sequence[tuple[ProgramResult, Sequence[Part]]]) -> npt.NDArray[np.uint8]:
    """Return the classified states (schedules, shots, memory_slots)."""
    found: list[npt.NDArray[np.uint8]] = []
    for program, parts in programs:
        if program.levels is not None:
            found.append(read_array(program.levels, parts))
        elif program.bits is not None:
            packed = read_array(program.bits, parts)
            found.append(np.unpackbits(packed, axis=1, count=program.memory_slots, bitorder="little"))
    slots = max(array.shape[1] for array in found)
    return np.stack([np.pad(array, ((0, 0), (0, slots - array.shape[1]))) for array in found])
