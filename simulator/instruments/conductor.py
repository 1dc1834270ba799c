"""The conductor: starts leader and followers together, plays their run on the chip, and delivers the data."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol

import numpy as np

from pulsed.model.errors import InvalidValueError
from pulsed.simulator.dynamics.report import Report
from pulsed.simulator.dynamics.sequence import (
    AcquiredData,
    Mode,
    Prediction,
    PulseSequence,
    Window,
)
from pulsed.simulator.instruments.parts import RATE, Acquiring, PlayedPart, Playing
from pulsed.simulator.instruments.run import OutputCable, Run
from pulsed.simulator.instruments.scpi import ScpiError
from pulsed.simulator.instruments.virtual_instrument import ListPlayer, RunState


class Physics(Protocol):
    """What is behind the cables; :class:`pulsed.simulator.engine.engine.Engine`."""

    seed: int

    def play(self, sequence: PulseSequence, shots: int, stream: tuple[int, ...], mode: Mode) -> AcquiredData:
        """Play a sequence."""

    def predict(self, sequence: PulseSequence) -> Prediction:
        """Return the truth about a sequence."""

    def truth(self) -> dict[str, object]:
        """Return the true values of the chip."""

    def set_drift(self, changes: dict[str, object]) -> dict[str, object]:
        """Change what drifts; return it as it is now."""


class Conductor:
    """Starts runs and delivers their data. The chip is simulated in one thread beside the instruments.

    Args:
        physics: the chip.
        post: calls a function with arguments in the thread of the instruments, soon.
        real_time: a shot takes its period, instead of as long as the computation takes.

    Attributes:
        sections: of the chip, which each digitizer hears; the first where nothing is said.

    """

    def __init__(self, physics: Physics, post: Callable[..., object], real_time: bool = False) -> None:
        self.physics = physics
        self.outputs: tuple[OutputCable, ...] = ()
        self.followers: dict[ListPlayer, tuple[ListPlayer, ...]] = {}
        self.sections: dict[ListPlayer, int] = {}
        self.last: Run | None = None
        self._post = post
        self._real_time = real_time
        self._runs: dict[ListPlayer, Run] = {}
        self._count = 0
        self._thread = ThreadPoolExecutor(1, "physics")

    def submit(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        """Call a function in the thread of the chip, after what is queued."""
        return self._thread.submit(function, *args)

    def start(self, leader: ListPlayer) -> None:
        """Start a run: the leader, and each follower that is armed and waits for a trigger."""
        followers = self.followers.get(leader, ()) if leader.gives_triggers else ()
        ready = [f for f in followers if f.state is RunState.ARMED and f.external]
        for follower in ready:
            _check_alike(leader, follower)
        members = (leader, *ready)
        recording = [(player, player.recorded()) for player in members if isinstance(player, Acquiring)]
        recorded = {self.sections.get(player, 0): part for player, part in recording if part is not None}
        if len({part.mode for part in recorded.values()}) > 1:
            raise ScpiError(-221, "two digitizers of the run want to have data of different kinds")
        run = Run(
            number=self._count,
            leader=leader,
            members=members,
            entries=leader.list,
            lines=tuple(output.setting() for output in self.outputs),
            played=tuple(self._played(player) for player in members if isinstance(player, Playing)),
            recorded=recorded,
        )
        run.check_feedback()
        self._count += 1
        self.last = run
        for player in members:
            self._runs[player] = run
            player.step("trigger")
        self.submit(self._work, run).add_done_callback(partial(self._worked, run))

    def _worked(self, run: Run, done: Future[None]) -> None:
        if not done.cancelled():
            self._post(self._end, run, done.exception())

    def abort(self, player: ListPlayer) -> None:
        """Take an instrument out of its run; the run ends without its leader, or when nothing records any more."""
        run = self._runs.pop(player, None)
        if run is None:
            return
        run.left.add(player)
        if player is run.leader or (run.recorded and not run.reading):
            run.stop.set()

    def seed(self, seed: int) -> None:
        """Seed all random streams; the next run is number 0. InvalidValueError during a run."""
        if self._runs:
            raise InvalidValueError("the seed cannot change in a run", subject="seed", value=seed, legal="when idle")
        self.physics.seed = seed
        self._count = 0

    def predict(self) -> list[Prediction]:
        """Return the truth about each entry of the last run. Call it through :meth:`submit`."""
        if self.last is None:
            return []
        return [self.physics.predict(self.last.sequence(entry)) for entry in range(len(self.last.entries))]

    def reports(self) -> list[Report | None]:
        """Return how each entry of the last run was simulated. Call it through :meth:`submit`."""
        return [] if self.last is None else self.last.reports

    def close(self) -> None:
        """End the active run without waiting for the chip's thread."""
        self._post = _nowhere
        for run in self._runs.values():
            run.stop.set()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _played(self, player: Playing) -> PlayedPart:
        return player.played({cable.pair: line for line, cable in enumerate(self.outputs) if cable.awg is player})

    def _work(self, run: Run) -> None:
        due = time.monotonic()
        for entry, (_, shots, period) in enumerate(run.entries.tolist()):
            outcome = None
            if run.recorded and not run.stop.is_set():
                stream = (run.number, entry)
                sequence = run.sequence(entry)
                outcome = self.physics.play(sequence, shots, stream, next(iter(run.recorded.values())).mode)
                run.reports.append(outcome.report)
            if self._real_time:
                due += shots * period / RATE
                run.stop.wait(max(0.0, due - time.monotonic()))
            if run.stop.is_set():
                return
            if outcome is not None:
                self._post(self._deliver, run, entry, sequence.windows, outcome)

    def _deliver(self, run: Run, entry: int, windows: tuple[Window, ...], outcome: AcquiredData) -> None:
        for section, part in run.reading.items():
            part.deliver(entry, outcome if len(run.recorded) == 1 else outcome.of_section(section, windows))

    def _end(self, run: Run, error: BaseException | None) -> None:
        """Bring the instruments to DONE or FAULT. Followers whose leader has stopped go on waiting for triggers."""
        if error is None and run.leader in run.left:
            return
        for player in self._members_left(run):
            del self._runs[player]
            if error is None and player.faults.take("trigger"):
                continue  # It waits for one more.
            if error is None:
                player.step("finish")
            else:
                player.report(-200, str(error))
                player.step("fail")

    def _members_left(self, run: Run) -> Iterator[ListPlayer]:
        return (player for player in run.members if player not in run.left)


def _nowhere(function: Callable[..., object], *args: object) -> None:
    """Drop what comes after the end."""


def _check_alike(leader: ListPlayer, follower: ListPlayer) -> None:
    """Refuse (-221) a follower that would not be ready for each trigger of the leader's list."""
    name = f"{follower.identity.model} {follower.identity.serial}"
    tables, _, _ = zip(*follower.list.tolist(), strict=True)
    shots, periods = leader.list["shots"], leader.list["period"].tolist()
    if not np.array_equal(follower.list["shots"], shots):
        raise ScpiError(-221, f"{name}: its list has other entries or shots than this one")
    for entry, (table, period) in enumerate(zip(tables, periods, strict=True)):
        length = follower.table_length(table)
        if length is None or length > period:
            raise ScpiError(-221, f"{name}: entry {entry} has {length} samples, the period here is {period}")
