"""The runner: takes a routine through many targets at once, and keeps what came of each, good or bad.

Generators of all targets advance in lockstep. What they ask for is merged schedule by schedule into multiplexed ones;
targets that disturb each other get different colours and go one colour after the other.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeGuard

import msgspec
import numpy as np
import numpy.typing as npt
import xarray

import pulsed
from pulsed import old_names
from pulsed.calibration.executor import Executor, Played, schedule_hash
from pulsed.calibration.results import data as files
from pulsed.calibration.routine import Measurement, MeasurementRequest, MeasurementResponse, Outcome, Routine, qubits_of
from pulsed.calibration.runner.analyses import Analysed, analyse_all, words
from pulsed.calibration.runner.live import Live
from pulsed.calibration.runner.result import RunResult, RunResults
from pulsed.calibration.runner.telling import Tell
from pulsed.calibration.schedules import memory_slots, together
from pulsed.model.calibration import RunKind, RunOutcome, RunRecord, Value
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import (
    CircuitError,
    ConfigError,
    InstrumentLimitError,
    InstrumentOverrangeError,
    InvalidValueError,
    LoweringError,
    NotFoundError,
    PulsedError,
)
from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.instructions import Acquire
from pulsed.pulse.schedule import Schedule

__getattr__ = old_names(__name__)

OnResult = Callable[[RunResult], None]
Complex = npt.NDArray[np.complex64]

_FULL = re.compile(r"Q\d+(-Q\d+)?\.")
"""How a name begins that has its subject: that of a qubit of a pair, or of the chip."""


@dataclass
class _Turn:
    """One target under way."""

    target: str
    generator: Measurement
    run_id: str
    started: float
    ask: MeasurementRequest | None = None
    data: xarray.Dataset | None = None
    error: BaseException | None = None
    hashes: list[str] = field(default_factory=list)
    answers: list[MeasurementResponse] = field(default_factory=list)
    instruments: dict[str, str] = field(default_factory=dict)
    under: dict[str, None] = field(default_factory=dict)
    """Ids of the sets that were played, in order."""
    verdict: Analysed = (None, "failed", "")

    def advance(self, answer: MeasurementResponse | None) -> None:
        """Let the routine go on to its next ask, to its end, or to its error."""
        self.ask = None
        try:
            self.ask = next(self.generator) if answer is None else self.generator.send(answer)
            self.hashes.append(schedule_hash(self.ask.schedules))
        except StopIteration as end:
            self.data = end.value
        except Exception as error:  # noqa: BLE001 - a routine is anybody's code: its failure is this target's alone
            self.error = error


def run(
    routine: Routine, targets: Sequence[str], executor: Executor, *, folder: Path, kind: RunKind = "calibrate",
    tell: OnResult | None = None, by: str = "", apart: bool = False, live: Tell | None = None,
) -> RunResults:  # fmt: skip
    """Measure ``targets`` and return what came of each; a failure of one leaves the others.

    Each run is a netCDF file in ``folder`` and a record at the daemon. Nothing is committed. ``tell`` is called with
    each target as it is finished. Ctrl-C keeps what has been measured, puts records that say so, and is raised again.
    An error of the rack is in what it returns, see :class:`RunResult`; one of keeping the files and records is raised
    when everything else of the same group is kept.

    Args:
        routine: with its parameters.
        targets: such as ``"Q0"``; see :meth:`Routine.targets`.
        executor: plays under the working set.
        folder: for the files.
        kind: ``"check"`` plays the routine's check and judges the values of the working set.
        tell: a callback.
        by: who runs it.
        apart: keep neighbours apart even when the routine does not disturb them.
        live: told of what there is several times on the way; see :class:`pulsed.calibration.runner.live.Live`.

    """
    folder, finished = folder.absolute(), dict[str, RunResult]()
    measure = routine.check if kind == "check" else routine.measure
    watch = live and Live(live, routine, kind, lambda target: _checked(routine, target, executor, measure))
    for group in colours(routine, targets, executor.device, apart=apart):
        turns = [_start(routine, target, executor, kind) for target in group]
        stopped: BaseException | None = None
        try:
            _lockstep(turns, executor, watch)
        except BaseException as error:  # noqa: BLE001 - it is raised again when what was measured is kept
            stopped = error
            for turn in turns:
                turn.error = turn.error or (None if turn.data is not None else error)
        _analyse(routine, turns, executor, kind)
        ended = [_finish(routine, turn, executor, folder, kind, by) for turn in turns]
        unkept = _keep(ended, executor)
        for done in ended:
            finished[done.record.target] = done
            if watch is not None:
                watch.ended(done)
            if tell is not None:
                tell(done)
        if (wrong := stopped or unkept) is not None:
            raise wrong
    return RunResults({target: finished[target] for target in targets})


def _start(routine: Routine, target: str, executor: Executor, kind: RunKind) -> _Turn:
    subject = target.replace("-", "")
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    measure = routine.check if kind == "check" else routine.measure
    generator = _checked(routine, target, executor, measure)
    return _Turn(target, generator, f"{stamp}-{routine.name}-{subject}-{uuid.uuid4().hex[:6]}", time.time())


def _checked(
    routine: Routine, target: str, executor: Executor, measure: Callable[[Executor, str], Measurement]
) -> Measurement:
    """Refuse a target without the values that the routine needs before anything is played."""
    control, _, other = target.partition("-")
    known = executor.calibration.values.keys()
    for name in routine.needs:
        side, _, rest = name.partition(".")
        full = {"control": f"{control}.{rest}", "target": f"{other}.{rest}"}.get(side, f"{target}.{name}")
        if full not in known:
            raise InvalidValueError("a value is missing that the routine needs", subject=target, value=full)
    return (yield from measure(executor, target))


def colours(
    routine: Routine, targets: Sequence[str], device: DeviceDescription, *, apart: bool = False
) -> list[list[str]]:
    """Return groups of targets that are measured at once, greedily, in the order given.

    Targets with a qubit in common never share a group, nor do the ports of one instrument's analyser. When the routine
    disturbs neighbours, no two targets of a group have coupled qubits; when it disturbs all, each is a group
    of its own.
    """
    coupled = {frozenset((pair.control, pair.target)) for pair in device.couplings}
    groups: list[list[str]] = []
    taken: list[set[int]] = []
    for target in dict.fromkeys(targets):
        own = set(qubits_of(target, device))
        close = set(own)
        if apart or routine.disturbs == "neighbours":
            close |= {q for pair in coupled if pair & own for q in pair}
        alone = routine.subject in ("port", "chip") or routine.disturbs == "all"
        for group, others in zip(groups, taken, strict=True):
            if not alone and not close & others:
                group.append(target)
                others.update(own)
                break
        else:
            groups.append([target])
            taken.append(own)
    return groups


def _lockstep(turns: Sequence[_Turn], executor: Executor, watch: Live | None) -> None:
    for turn in turns:
        turn.advance(None)
    while asking := [turn for turn in turns if turn.ask is not None]:
        for group in _alike(asking):
            _serve(group, executor, watch)


def _alike(turns: Sequence[_Turn]) -> list[list[_Turn]]:
    """Group those whose asks can be played as one: the same options, and acquisitions that fit one digitizer."""
    groups: dict[str, list[_Turn]] = {}
    for turn in turns:
        assert turn.ask is not None
        ask = turn.ask
        windows = [_windows(schedule) for schedule in ask.schedules]
        key = repr((ask.shots, ask.average, ask.level, sorted(ask.options.items()), sorted(ask.values.items()),
                    windows[0] if windows else ()))  # fmt: skip
        if ask.options.get("spectrum") is not None or any(w != windows[0] for w in windows[1:]):
            key = f"{key} {windows} {turn.target if ask.options.get('spectrum') is not None else ''}"
        groups.setdefault(key, []).append(turn)
    return list(groups.values())


def _windows(schedule: Schedule) -> tuple[tuple[int, int], ...]:
    """Return start, from the first, and length of each acquisition."""
    found = sorted((time, item.duration) for time, item in schedule.instructions if isinstance(item, Acquire))
    return tuple((time - found[0][0], duration) for time, duration in found)


_REFUSED = (LoweringError, CircuitError, InvalidValueError, InstrumentLimitError, InstrumentOverrangeError)
"""Errors of what was asked for, not of the rack: tones of several targets may exceed a full scale together."""


def _serve(group: Sequence[_Turn], executor: Executor, watch: Live | None) -> None:
    """Play what a group asks for as one, and let each go on with its share."""
    asks = [turn.ask for turn in group if turn.ask is not None]
    ask, alignment = asks[0], executor.device.timing.acquire_alignment
    rows = zip_longest(*(item.schedules for item in asks))
    merged = [together([schedule for schedule in row if schedule is not None], alignment) for row in rows]
    try:
        values = {name: Value(number, quality="set") for name, number in ask.values.items()}
        player = executor.propose(values) if values else executor
        options = dict(ask.options)
        if watch is not None:
            options["seen"] = lambda played: watch.grown(group, [_share(played, own) for own in asks])
        played = player.play(merged, ask.shots, average=ask.average, level=ask.level, **options)
    except PulsedError as error:
        if len(group) > 1 and isinstance(error, _REFUSED):
            for turn in group:  # one of them asks for what cannot be played: find out which
                _serve([turn], executor, watch)
            return
        for turn in group:
            turn.ask, turn.error = None, error
        return
    for turn, own in zip(group, asks, strict=True):
        answer = _share(played, own)
        turn.answers.append(answer)
        turn.instruments |= played.instruments
        turn.under[player.calibration.calibration_id] = None
        turn.advance(answer)


def _share(played: Played, ask: MeasurementRequest) -> MeasurementResponse:
    return MeasurementResponse.of(played, memory_slots(ask.schedules), slice(0, len(ask.schedules)))


def _analyse(routine: Routine, turns: Sequence[_Turn], executor: Executor, kind: RunKind) -> None:
    """Describe what was measured on each target, and analyse where that is all that was to be."""
    whole = []
    for turn in turns:
        data = turn.data if turn.error is None else _partial(routine, turn, executor)
        turn.data = None if data is None else _described(data, routine, turn, executor, kind)
        if turn.error is None and turn.data is not None:
            whole.append((turn, turn.data))
    verdicts = analyse_all(routine, kind, executor.calibration, [(data, turn.target) for turn, data in whole])
    for (turn, _), verdict in zip(whole, verdicts, strict=True):
        turn.verdict = verdict


def _finish(
    routine: Routine, turn: _Turn, executor: Executor, folder: Path, kind: RunKind, by: str
) -> RunResult:  # fmt: skip
    """Make the record of one target."""
    outcome, verdict, reason = turn.verdict
    data = turn.data
    if turn.error is not None:
        verdict = "stopped" if _of_rack(turn.error) or not isinstance(turn.error, Exception) else "failed"
        reason = "by hand" if isinstance(turn.error, KeyboardInterrupt) else words(turn.error)
    if data is not None:
        data = data.assign_attrs(outcome=verdict, reason=reason)
    record = RunRecord(
        run_id=turn.run_id, routine=routine.name, target=turn.target, kind=kind, outcome=_outcome(verdict),
        started=turn.started, ended=time.time(), reason=reason, before=executor.calibration.calibration_id,
        file=str(folder / f"{turn.run_id}.nc") if data is not None else "", values=_values(routine, turn, outcome),
        by=by,
    )  # fmt: skip
    return RunResult(record, outcome, data, turn.error if _of_rack(turn.error) else None, routine)


_TARGETS_OWN = (*_REFUSED, PulseError, NotFoundError, ConfigError)


def _of_rack(error: BaseException | None) -> TypeGuard[PulsedError]:
    """Whether an error is one of the rack, of the daemon or of the way there, whatever was asked for."""
    return isinstance(error, PulsedError) and not isinstance(error, _TARGETS_OWN)


def _keep(ended: Sequence[RunResult], executor: Executor) -> Exception | None:
    """Write all files, then put all records; return the first error of those that could not be kept."""
    wrong: list[Exception] = []
    for done in ended:
        if done.data is not None:
            try:
                files.save(done.data, Path(done.record.file))
            except OSError as error:
                wrong.append(error)
    for done in ended:
        try:
            executor.connection.put_run(done.record)
        except PulsedError as error:
            wrong.append(error)
    return wrong[0] if wrong else None


def _outcome(verdict: str) -> RunOutcome:
    found: RunOutcome = msgspec.convert(verdict, RunOutcome)
    return found


def _values(routine: Routine, turn: _Turn, outcome: Outcome | None) -> dict[str, Value]:
    if outcome is None or not outcome.good:
        return {}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {
        name if _FULL.match(name) else f"{turn.target}.{name}": Value(
            found.value, found.unit, found.stderr, now, routine.name, turn.run_id
        )
        for name, found in outcome.values.items()
    }


def _described(
    data: xarray.Dataset, routine: Routine, turn: _Turn, executor: Executor, kind: RunKind
) -> xarray.Dataset:
    return files.describe(
        data,
        routine=routine.name,
        target=turn.target,
        kind=kind,
        run_id=turn.run_id,
        parameters=routine.parameters.model_dump(mode="json"),
        calibration_id=executor.calibration.calibration_id,
        played_under=" ".join(turn.under),
        device=executor.device.name,
        schedule_hash=" ".join(turn.hashes),
        instruments=turn.instruments,
        started=datetime.fromtimestamp(turn.started, UTC).isoformat(timespec="seconds"),
        version=pulsed.__version__,
    )


def _partial(routine: Routine, turn: _Turn, executor: Executor) -> xarray.Dataset | None:
    """Return what a run that did not come to its end had measured, in the routine's own form when it has one."""
    try:
        own = routine.partial(executor, turn.target, turn.answers)
    except Exception:  # noqa: BLE001 - a routine is anybody's code, and the means are worth keeping without it
        own = None
    return _rest(turn) if own is None else own


def _rest(turn: _Turn) -> xarray.Dataset | None:
    """Return the means of a run that did not come to its end, by the number of the schedule."""
    kept = [answer.iq for answer in turn.answers if answer.iq is not None]
    if not kept:
        return None
    slots = max(iq.shape[-1] for iq in kept)

    def whole(one: Callable[[Complex], Complex]) -> Complex:
        rows = [one(iq if iq.ndim == 3 else iq[:, None]) for iq in kept]
        padded = [np.pad(row, ((0, 0), (0, slots - row.shape[1])), constant_values=np.nan) for row in rows]
        return np.concatenate(padded)

    means = whole(lambda iq: iq.mean(axis=1))
    errors = whole(lambda iq: (iq.real.std(axis=1) + 1j * iq.imag.std(axis=1)) / np.sqrt(iq.shape[1]))
    unit, parts = {"units": "full scale"}, {"i": means.real, "q": means.imag}
    if all(iq.ndim == 3 for iq in kept):
        parts |= {"i_error": errors.real, "q_error": errors.imag}
    variables = {name: (("schedule", "slot"), part, unit) for name, part in parts.items()}
    return xarray.Dataset(variables, {"schedule": np.arange(len(means)), "slot": np.arange(slots)})


def rerun(routine: Routine, path: Path | str) -> Outcome:
    """Analyse the file of a run again with ``routine``, whatever its parameters; see :func:`parameters_of`."""
    return routine.analyse(files.load(path))


def parameters_of(data: xarray.Dataset) -> Mapping[str, Any]:
    """Return the parameters that a run was measured with."""
    found: dict[str, Any] = json.loads(str(data.attrs.get("parameters", "{}")))
    return found
