"""What happens when the leader starts: the tables of all armed instruments become sequences for the chip.

The chip's time runs on the followers' clock: its sample 0 is sample 0 of the followers and sample 24 of the leader,
because a trigger takes 24 samples. When the leader plays something earlier than that, time begins at the leader's
sample 0 instead. Each instrument's oscillators have phase 0 at its own sample 0, so an event of an instrument whose
sample 0 is the chip's sample s, e^{i phase} e^{-2 pi i f (t - s)}, has phase + 2 pi f s on the chip's clock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

import numpy as np

from pulsed.model.errors import InvalidValueError
from pulsed.simulator.report import Report
from pulsed.simulator.scpi import ScpiError
from pulsed.simulator.sequence import BURST, Bit, Line, Mode, Outcome, Prediction, Sequence, Turn, Window
from pulsed.simulator.virtual_awg import OSCILLATORS, PAIRS, TURN, EventTable, VirtualAwg, Waveform, marks
from pulsed.simulator.virtual_digitizer import MODES, RecordTable, VirtualDigitizer, Weights
from pulsed.simulator.virtual_gs200 import VirtualGs200
from pulsed.simulator.virtual_instrument import ListPlayer, State
from pulsed.simulator.virtual_sgs100a import VirtualSgs100a

TRIGGER_LATENCY = 24
"""Samples from a shot of the leader to the same shot of its followers."""
RATE = 1e9
"""Samples per second of every AWG and digitizer here."""


class Physics(Protocol):
    """What is behind the cables; :class:`pulsed.simulator.engine.Engine`."""

    seed: int

    def play(self, sequence: Sequence, shots: int, stream: tuple[int, ...], mode: Mode) -> Outcome:
        """Play a sequence."""

    def predict(self, sequence: Sequence) -> Prediction:
        """Return the truth about a sequence."""

    def truth(self) -> dict[str, object]:
        """Return the true values of the chip."""

    def set_drift(self, changes: dict[str, object]) -> dict[str, object]:
        """Change what drifts; return it as it is now."""


@dataclass(frozen=True)
class Output:
    """The cable from one pair of an AWG to one line of the chip: through a mixer, or from I past a bias tee."""

    line: str
    awg: VirtualAwg
    pair: int
    lo: VirtualSgs100a | None
    bias: VirtualGs200 | None = None

    def setting(self) -> Line:
        """Return the line as the instruments are set now."""
        output = self.awg.outputs[self.pair - 1]
        if self.lo is None:
            bias = None if self.bias is None else self.bias.current
            return Line(self.line, 0.0, output.on, output.correction, output.offset, bias)
        return Line(self.line, self.lo.frequency, output.on and self.lo.on, output.correction, output.offset)


@dataclass
class Run:
    """One run: what the instruments held when it started."""

    number: int
    leader: ListPlayer
    members: tuple[ListPlayer, ...]
    entries: np.ndarray
    lines: tuple[Line, ...]
    awgs: tuple[AwgPart, ...]
    digitizer: DigitizerPart | None
    left: set[ListPlayer] = field(default_factory=set)
    reports: list[Report | None] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def sequence(self, entry: int) -> Sequence:
        """Return what the chip is given in one entry of the list."""
        parts = [part for part in self.awgs if part.awg not in self.left]
        reader = self.digitizer
        first = [part.first(entry) for part in parts if part.awg is self.leader]
        if reader and reader.digitizer is self.leader:
            first.append(reader.first(entry))
        begin = 0 if min(first, default=TRIGGER_LATENCY) < TRIGGER_LATENCY else TRIGGER_LATENCY
        bursts = [np.empty(0, BURST)]
        envelopes: list[np.ndarray] = []
        keys: list[bytes] = []
        for part in parts:
            found, waveforms = part.bursts(entry, self._shift(part.awg, begin), len(envelopes))
            bursts.append(found)
            envelopes += [part.envelope(waveform) for waveform in waveforms]
            keys += [waveform.key for waveform in waveforms]
        windows: tuple[Window, ...] = ()
        if reader:
            windows = reader.tables[entry].acquisition(reader.kernels, self._shift(reader.digitizer, begin))
        period = int(self.entries[entry]["period"])
        plain = Sequence(self.lines, np.concatenate(bursts), tuple(envelopes), tuple(keys), windows, period)
        if not any(part.tables[entry].conditional for part in parts):
            return plain
        return self._branching(plain, parts, entry, begin)

    def _shift(self, player: ListPlayer, begin: int) -> int:
        """Return the sample of the chip's clock, which begins at ``begin``, that is an instrument's sample 0."""
        return (0 if player is self.leader else TRIGGER_LATENCY) - begin

    def _branching(self, plain: Sequence, parts: list[AwgPart], entry: int, begin: int) -> Sequence:
        """Return a sequence with what waits for a bit of the digitizer; ScpiError (-221) for a bit that is not there.

        A bit holds until its number is sent again.
        """
        sent: list[tuple[int, int, Bit]] = []
        if self.digitizer:
            shift = self._shift(self.digitizer.digitizer, begin)
            sent = [(n, at + shift, bit) for n, at, bit in self.digitizer.tables[entry].sent()]
        conditions, turns, first = [], [], 0
        for part in parts:
            resolve = partial(_condition, part.awg, entry, sent)
            shift = self._shift(part.awg, begin)
            events, every = part.played(entry), part.tables[entry].events
            for c, t in every[every["condition"] != 0][["condition", "time"]].tolist():
                resolve(c, t + shift)  # markers, and what is on no cable, wait for their bits too
            conditions += [resolve(int(c), int(t) + shift) for c, t in events[["condition", "time"]].tolist()]
            for turn in part.turns(entry):
                same = (events["pair"] == turn["pair"]) & (events["oscillator"] == turn["oscillator"])
                bursts = first + np.flatnonzero(same & (events["time"] >= turn["time"]))
                condition = resolve(int(turn["condition"]), int(turn["time"]) + shift)
                if condition:
                    turns.append(Turn(condition, bursts, float(turn["phase"])))
            first += len(events)
        bits = tuple(bit for _, _, bit in sent)
        return replace(plain, bits=bits, conditions=np.array(conditions, np.int64), turns=tuple(turns))

    def marks(self, entry: int) -> list[tuple[VirtualAwg, int, int, int, int, int]]:
        """Return AWG, pair, marker, start, stop and condition of each time that a marker is up in an entry of the list.

        Times are samples of the followers' clock, on which the leader begins at -24.
        """
        found = []
        for part in self.awgs:
            shift = self._shift(part.awg, TRIGGER_LATENCY)
            events = part.tables[entry].events
            for pair in range(1, PAIRS + 1):
                mine = events[(events["pair"] == pair) & (events["oscillator"] >= OSCILLATORS)]
                found += [(part.awg, pair, n, a + shift, b + shift, c) for n, a, b, c in marks(mine)]
        return found

    def check_feedback(self) -> None:
        """Refuse (-221) an event that waits for a bit which nobody sends in time."""
        for entry in range(len(self.entries)):
            if any(part.tables[entry].conditional for part in self.awgs):
                self.sequence(entry)


@dataclass
class AwgPart:
    """What one AWG does in a run. ``line_of_pair`` is the index of each pair's line, -1 for a pair without cable."""

    awg: VirtualAwg
    tables: list[EventTable]
    waveforms: Mapping[int, Waveform]
    line_of_pair: np.ndarray
    _envelopes: dict[bytes, np.ndarray] = field(default_factory=dict)

    def first(self, entry: int) -> int:
        """Return the earliest time of an event, samples of this AWG; the trigger latency when there is none."""
        return int(self.tables[entry].events["time"].min(initial=TRIGGER_LATENCY))

    def envelope(self, waveform: Waveform) -> np.ndarray:
        """Return a waveform in full scales; converted once in a run."""
        found = self._envelopes.get(waveform.key)
        if found is None:
            found = self._envelopes[waveform.key] = waveform.envelope()
        return found

    def played(self, entry: int) -> np.ndarray:
        """Return the events that play a waveform on a cable: no markers, no turns."""
        events = self.tables[entry].events
        plays = (events["oscillator"] < OSCILLATORS) & (events["waveform"] != TURN)
        found: np.ndarray = events[plays & (self.line_of_pair[events["pair"]] >= 0)]
        return found

    def turns(self, entry: int) -> np.ndarray:
        """Return the events that turn an oscillator from their time on."""
        events = self.tables[entry].events
        found: np.ndarray = events[(events["oscillator"] < OSCILLATORS) & (events["waveform"] == TURN)]
        return found

    def bursts(self, entry: int, shift: int, offset: int) -> tuple[np.ndarray, list[Waveform]]:
        """Return the events on the chip's clock, and the waveforms that they count from ``offset``."""
        events = self.played(entry)
        numbers, index = np.unique(events["waveform"], return_inverse=True)
        bursts = np.empty(len(events), BURST)
        bursts["line"] = self.line_of_pair[events["pair"]]
        bursts["start"] = events["time"] + shift
        bursts["envelope"] = index + offset
        bursts["amplitude"] = events["amplitude"]
        bursts["phase"] = events["phase"] + 2 * np.pi * events["frequency"] * (shift / RATE)
        bursts["frequency"] = events["frequency"]
        for turn in self.turns(entry):
            if not turn["condition"]:
                same = (events["pair"] == turn["pair"]) & (events["oscillator"] == turn["oscillator"])
                bursts["phase"][same & (events["time"] >= turn["time"])] += turn["phase"]
        return bursts, [self.waveforms[number] for number in numbers.tolist()]


@dataclass(frozen=True)
class DigitizerPart:
    """What the digitizer does in a run."""

    digitizer: VirtualDigitizer
    tables: list[RecordTable]
    kernels: Mapping[int, Weights]
    mode: Mode

    def first(self, entry: int) -> int:
        """Return the start of the first window; the trigger latency when there is none."""
        return int(self.tables[entry].records["start"].min(initial=TRIGGER_LATENCY))


class Conductor:
    """Starts runs and hands their data out. The chip is worked out in one thread beside the instruments.

    Args:
        physics: the chip.
        post: calls a function with arguments in the thread of the instruments, soon.
        real_time: a shot takes its period, instead of as long as the computation takes.

    """

    def __init__(self, physics: Physics, post: Callable[..., object], real_time: bool = False) -> None:
        self.physics = physics
        self.outputs: tuple[Output, ...] = ()
        self.followers: dict[ListPlayer, tuple[ListPlayer, ...]] = {}
        self.last: Run | None = None
        self._post = post
        self._real_time = real_time
        self._runs: dict[ListPlayer, Run] = {}
        self._count = 0
        self._thread = ThreadPoolExecutor(1, "physics")

    def submit(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        """Call a function in the thread of the chip, after what is there already."""
        return self._thread.submit(function, *args)

    def start(self, leader: ListPlayer) -> None:
        """Start a run: the leader, and each follower that is armed and waits for a trigger."""
        triggers = not isinstance(leader, VirtualAwg) or leader.trigger_output
        ready = [f for f in self.followers.get(leader, ()) if f.state is State.ARMED and f.external] if triggers else []
        for follower in ready:
            _check_alike(leader, follower)
        members = (leader, *ready)
        digitizers = [_digitizer_part(player) for player in members if isinstance(player, VirtualDigitizer)]
        run = Run(
            number=self._count,
            leader=leader,
            members=members,
            entries=leader.list,
            lines=tuple(output.setting() for output in self.outputs),
            awgs=tuple(self._awg_part(player) for player in members if isinstance(player, VirtualAwg)),
            digitizer=digitizers[0] if digitizers else None,
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
        if player is run.leader or isinstance(player, VirtualDigitizer):
            run.stop.set()

    def seed(self, seed: int) -> None:
        """Seed all random streams; the next run is number 0. InvalidValueError while a run is on."""
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
        """Return how each entry of the last run was worked out. Call it through :meth:`submit`."""
        return [] if self.last is None else self.last.reports

    def close(self) -> None:
        """End the run that is on without waiting for what the chip's thread is at."""
        self._post = _nowhere
        for run in self._runs.values():
            run.stop.set()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _awg_part(self, awg: VirtualAwg) -> AwgPart:
        line_of_pair = np.full(len(awg.outputs) + 1, -1)
        for index, output in enumerate(self.outputs):
            if output.awg is awg:
                line_of_pair[output.pair] = index
        tables = [awg.sequences[table] for table in awg.list["table"].tolist()]
        return AwgPart(awg, tables, dict(awg.waveforms), line_of_pair)

    def _work(self, run: Run) -> None:
        due = time.monotonic()
        for entry, (_, shots, period) in enumerate(run.entries.tolist()):
            outcome = None
            if run.digitizer and not run.stop.is_set():
                stream = (run.number, entry)
                outcome = self.physics.play(run.sequence(entry), shots, stream, run.digitizer.mode)
                run.reports.append(outcome.report)
            if self._real_time:
                due += shots * period / RATE
                run.stop.wait(max(0.0, due - time.monotonic()))
            if run.stop.is_set():
                return
            if outcome is not None:
                self._post(self._deliver, run, entry, outcome)

    def _deliver(self, run: Run, entry: int, outcome: Outcome) -> None:
        part = run.digitizer
        if part and part.digitizer not in run.left:
            part.digitizer.deliver(part.tables[entry], outcome)

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


def _digitizer_part(digitizer: VirtualDigitizer) -> DigitizerPart:
    tables = [digitizer.tables[table] for table in digitizer.list["table"].tolist()]
    return DigitizerPart(digitizer, tables, dict(digitizer.kernels), MODES[digitizer.mode])


def _condition(awg: VirtualAwg, entry: int, sent: list[tuple[int, int, Bit]], condition: int, time: int) -> int:
    """Return a condition of :class:`Sequence` for one of an event at ``time`` of the chip's clock."""
    if not condition:
        return 0
    there = [(at, index) for index, (number, at, _) in enumerate(sent) if number == abs(condition)]
    good = [(at, index) for at, index in there if at <= time]
    if not good:
        name = f"{awg.identity.model} {awg.identity.serial}, entry {entry}"
        late = f"is there from {min(there)[0] - time} samples after its event" if there else "is sent by no record"
        raise ScpiError(-221, f"{name}: bit {abs(condition)} {late}")
    index = max(good)[1] + 1
    return index if condition > 0 else -index


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
