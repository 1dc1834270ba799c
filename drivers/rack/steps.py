"""The steps that a chunk takes on the instruments: validate, prepare, play; each takes what the one before returned."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from pulsed.compiler.program import Chunk
from pulsed.drivers.contract import Digitizer, Fetched, Generator, Handle, StartsAndWaits, after, remaining
from pulsed.drivers.programs import InstrumentPrograms
from pulsed.drivers.rack.assembly import Recorded, check_discriminators
from pulsed.drivers.rack.connections import Connections
from pulsed.drivers.rack.feedback import check_feedback
from pulsed.drivers.rack.safety import check_safety
from pulsed.drivers.rack.settings import FixedSettings, configuration, fixed_settings
from pulsed.drivers.scpi.io_coroutines import InTurn
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import (
    InstrumentLimitError,
    InstrumentMemoryLostError,
    InstrumentOverrangeError,
    InstrumentTriggerMissedError,
    PulsedError,
    combined,
)

ProgressCallback = Callable[[str, float], None]
"""Called with a stage (``"upload"``, ``"play"``, ``"fetch"``) and how much of it is done, 0 to 1."""

_STRAGGLE_SECONDS = 1.0
"""A follower that is not done so long after the leader has missed a trigger."""


@dataclass(frozen=True)
class ValidatedChunk:
    """A chunk that every instrument can play."""

    chunk: Chunk
    programs: InstrumentPrograms
    settings: FixedSettings

    def seconds(self, device: DeviceDescription) -> float:
        """Return how long the shots take."""
        seconds = 0.0
        for port in device.ports.values():
            if port.instrument in self.programs.playbacks:
                entries = self.programs.playbacks[port.instrument].entries
                shots = entries["shots"].astype(float) * entries["bindings"]
                seconds = max(seconds, float(shots @ entries["period"] / float(port.clock)))
        return seconds


@dataclass(frozen=True)
class PreparedChunk:
    """A chunk that is uploaded and armed; ``handles`` by instrument."""

    validated: ValidatedChunk
    handles: Mapping[str, Handle]


@dataclass(frozen=True)
class Watch:
    """What accompanies a chunk on its way: until when it may take, who is told of it, the seconds of each stage."""

    deadline: float
    report: ProgressCallback
    times: dict[str, float]

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the time of what is done inside to that of ``stage``."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.times[stage] = self.times.get(stage, 0.0) + time.perf_counter() - began


def validate(connections: Connections, chunk: Chunk, programs: InstrumentPrograms) -> ValidatedChunk:
    """Check every limit of every instrument; speaks to none of them.

    Raises the error of the instrument that refuses; when several do, it has the error of each as its ``causes``.
    """
    errors: list[PulsedError] = []

    def check(test: Callable[..., object], *args: object) -> None:
        try:
            test(*args)
        except PulsedError as error:
            errors.append(error)

    settings = fixed_settings(connections, chunk)
    players: Mapping[str, Any] = connections.players
    for name, work in programs.work.items():
        check(_check_blocks, chunk, players[name])
        check(players[name].validate, work)
    for recording in programs.recordings.values():
        check(check_discriminators, chunk, recording)
    latencies = {name: connections.generators[name].capabilities.feedback_latency for name in programs.playbacks}
    check(check_feedback, chunk, connections.device, programs.playbacks, programs.recordings, latencies)
    for driver, wanted in settings:
        check(driver.validate, wanted)
    errors.extend(check_safety(chunk, connections.device, programs.playbacks))
    if errors:
        raise combined(errors)
    return ValidatedChunk(chunk, programs, settings)


def _check_blocks(chunk: Chunk, driver: Generator | Digitizer) -> None:
    can = driver.capabilities
    for program in chunk.programs:
        branches = not can.branching and any(block.branch is not None for block in program.blocks)
        late = not can.late_parameters and program.bindings is not None
        if branches or late:
            raise InstrumentLimitError(
                f"cannot {'branch on a measured bit' if branches else 'bind parameters'}",
                subject=f"instrument {driver.name}",
                value=f"program {program.name}",
                legal="programs without",
            )


def prepare(connections: Connections, validated: ValidatedChunk, watch: Watch, verify: bool = False) -> PreparedChunk:
    """Configure, upload and arm. An instrument that lost its memory is connected again first.

    ``verify``: read back which tables the instruments hold.
    """
    try:
        handles = _upload(connections, validated, watch, verify)
        _arm(connections, handles, watch)
    except InstrumentMemoryLostError:
        # It rebooted since the last chunk: nothing that was sent is there, settings included.
        connections.connect(watch.deadline)
        handles = _upload(connections, validated, watch, verify)
        _arm(connections, handles, watch)
    return PreparedChunk(validated, handles)


def _upload(connections: Connections, validated: ValidatedChunk, watch: Watch, verify: bool) -> dict[str, Handle]:
    """Configure and upload, side by side."""
    programs, deadline = validated.programs, watch.deadline
    players: Mapping[str, Any] = connections.players  # each takes what its kind is given
    watch.report("upload", 0.0)
    with watch.timed("upload"):
        connections.gather(configuration(connections, validated.settings, programs, deadline))
        uploads: dict[str, Callable[[], Handle]] = {
            name: partial(players[name].upload, work, deadline) for name, work in programs.work.items()
        }
        handles = connections.gather(uploads)
        if verify:
            connections.gather({n: partial(players[n].verify, handles[n], deadline) for n in handles})
    watch.report("upload", 1.0)
    return handles


def _arm(connections: Connections, handles: Mapping[str, Handle], watch: Watch) -> None:
    """Arm all side by side: a leader triggers nobody before it is started, when all have armed."""
    players = connections.players
    with watch.timed("arm"):
        connections.gather({n: partial(players[n].arm, handles[n], watch.deadline) for n in handles})


def play(connections: Connections, prepared: PreparedChunk, watch: Watch) -> Recorded:
    """Start the leaders, wait until all have played, and return what each digitizer recorded."""
    with watch.timed("play"):
        _run(connections, prepared, watch)
    with watch.timed("fetch"):
        return _fetch(connections, prepared, watch.deadline)


def _run(connections: Connections, prepared: PreparedChunk, watch: Watch) -> None:
    began, seconds = time.monotonic(), prepared.validated.seconds(connections.device)
    players, waiting = connections.players, list(prepared.handles)
    leaders = connections.leaders(waiting)
    waits: dict[str, Callable[[], bool]] = {n: partial(players[n].wait_done, watch.deadline) for n in waiting}
    # Followers are waited for from the beginning on, a leader as soon as it has started: with what it is started with.
    first: dict[str, Callable[[], bool]] = {n: waits[n] for n in waits if n not in leaders}
    for name in leaders:
        leader: object = players[name]
        if isinstance(leader, StartsAndWaits):
            first[name] = partial(leader.start_and_wait, watch.deadline)
        else:
            first[name] = InTurn(partial(players[name].start, watch.deadline), waits[name])
    done, patience = connections.gather(first), 0.0
    while waiting := [name for name in waiting if not done[name]]:
        if leaders and not set(waiting) & set(leaders):
            patience = patience or after(_STRAGGLE_SECONDS)
            if not remaining(patience):
                raise InstrumentTriggerMissedError(
                    "still waits for triggers when the leader has played", subject=f"instrument {waiting[0]}"
                )
        watch.report("play", min(1.0, (time.monotonic() - began) / seconds))
        done = connections.gather({name: waits[name] for name in waiting})
    watch.report("play", 1.0)


def _fetch(connections: Connections, prepared: PreparedChunk, deadline: float) -> Recorded:
    """Return the data of each digitizer, once all that was set for the chunk has said that it was well."""
    chunk, recordings = prepared.validated.chunk, prepared.validated.programs.recordings
    tasks: dict[str, Callable[[], Any]] = {
        driver.name: partial(driver.status, deadline) for driver, _ in prepared.validated.settings
    }
    for name in recordings:
        tasks[name] = partial(connections.digitizers[name].fetch, prepared.handles[name], deadline)
    done = connections.gather(tasks)
    recorded = [(recording, cast("Fetched", done[name])) for name, recording in recordings.items()]
    for name, (_, data) in zip(recordings, recorded, strict=True):
        if chunk.settings.meas_level == 2 and any(data.overrange):
            raise InstrumentOverrangeError(
                f"the input was beyond full scale in {_at(chunk, data.overrange.index(True))}, "
                "so its points cannot be classified",
                subject=f"instrument {name}",
                legal="a weaker readout, or meas_level 0 or 1, which report overrange in the result",
            )
    return recorded


def _at(chunk: Chunk, place: int) -> str:
    """Return what is at a place of the list, which has one per binding."""
    program, binding = [(program, k) for program in chunk.programs for k in range(program.count)][place]
    return f"program {program.name}" + (f" with binding {binding}" if program.count > 1 else "")
