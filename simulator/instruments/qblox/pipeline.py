"""The real-time part of a sequencer: its time, its oscillator, and what is set and waits for a latch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pulsed.simulator.instruments.qblox.shots import Counted, Integral, PlayedBurst, ProgramError

MIN_WAIT, MAX_WAIT = 4, 65535
QUARTERS = 4 * 10**9
"""Steps of the oscillator's phase in a turn: a quarter of a Hz for a ns."""
TURN = 10**9
WORD = 1 << 32
SETTERS = {"set_freq", "set_ph", "set_ph_delta", "set_awg_gain", "set_mrk", "reset_ph"}


def signed(value: int) -> int:
    """Return the number that a register's word stands for."""
    value %= WORD
    return value - WORD if value >= WORD // 2 else value


@dataclass
class _Parameters:
    """What is set and becomes effective with the next latch."""

    frequency: int = 0
    phase: int | None = 0
    """None: it depends on a condition."""
    gain: tuple[int, int] = (32767, 32767)
    marker: int = 0
    reset: bool = False


@dataclass
class Pipeline:
    """One way that a run can go. ``lengths``: samples of the waveforms by index, ``weights``: of the weights."""

    lengths: Mapping[int, int]
    weights: Mapping[int, int]
    integration: int
    """Samples of an unweighed integral."""
    time: int = 0
    origin: int | None = None
    """When the shot began."""
    known: dict[Counted, bool] = field(default_factory=dict)
    """Whether a trigger has come, on this way."""
    next: _Parameters = field(default_factory=_Parameters)
    now: _Parameters = field(default_factory=_Parameters)
    zero: int = 0
    offset: int = 0
    """The phase of the oscillator at ``zero``."""
    busy: int = 0
    """Until when a waveform sounds."""
    window: int = 0
    """Until when a window is open."""

    def way(self, known: Mapping[Counted, bool]) -> Pipeline:
        """Return a copy for one more answer."""
        return replace(self, known={**self.known, **known}, next=replace(self.next), now=replace(self.now))

    def shift(self, time: int) -> None:
        """Let time pass in which whole turns of a loop were counted."""
        for name in ("time", "zero", "busy", "window"):
            setattr(self, name, getattr(self, name) + time)
        if self.origin is not None:
            self.origin += time

    @property
    def since(self) -> int:
        """The time since the shot's start."""
        if self.origin is None:
            raise ProgramError("nothing has reset the phase, so this is in no shot")
        return self.time - self.origin

    def wait(self, duration: int) -> None:
        """Let time pass."""
        if not MIN_WAIT <= duration <= MAX_WAIT:
            raise ProgramError(f"waits {duration} ns, legal {MIN_WAIT} to {MAX_WAIT}")
        self.time += duration

    def set(self, name: str, values: list[int]) -> None:
        """Set something for the next latch."""
        following = self.next
        if name == "set_freq":
            following.frequency = signed(values[0])
            if abs(following.frequency) > 2 * 10**9:
                raise ProgramError("beyond 500 MHz")
        elif name == "set_ph":
            if not 0 <= values[0] <= TURN:
                raise ProgramError("beyond a turn")
            following.phase = values[0] % TURN
        elif name == "set_ph_delta":
            following.phase = None if following.phase is None else (following.phase + values[0]) % TURN
        elif name == "set_awg_gain":
            gain = signed(values[0]), signed(values[1])
            if not all(-32768 <= one <= 32767 for one in gain):
                raise ProgramError("beyond 16 bits")
            following.gain = gain
        elif name == "set_mrk":
            following.marker = values[0]
        else:
            following.reset, following.phase = True, 0

    def latch(self) -> bool:
        """Make effective what was set; return whether a shot begins."""
        now, following = self.now, self.next
        changed = (now.frequency, now.phase) != (following.frequency, following.phase)
        if following.reset or changed:
            if self.time < self.busy or self.time < self.window:
                raise ProgramError("the oscillator changes while a waveform sounds or a window is open")
            self.offset = 0 if following.reset else self.turned()
            self.zero = self.time
        began = following.reset
        if began:
            self.origin = self.time
        self.now = replace(following, reset=False)
        self.next = replace(self.now)
        return began

    def skip(self, wait: int, forgets: bool) -> None:
        """Wait instead of an instruction; ``forgets``: what was set of the oscillator is dropped."""
        if forgets:
            self.next.frequency, self.next.phase, self.next.reset = self.now.frequency, self.now.phase, False
        self.wait(wait)

    def turned(self) -> int:
        """Return the phase that the oscillator has run through, without what was set."""
        return (self.offset + self.now.frequency * (self.time - self.zero)) % QUARTERS

    def phase(self) -> int:
        """Return the phase of the oscillator."""
        if self.now.phase is None:
            raise ProgramError("the phase depends on a condition, which is not emulated")
        return (self.turned() + self.now.phase * (QUARTERS // TURN)) % QUARTERS

    def play(self, i: int, q: int) -> PlayedBurst:
        """Return the burst of two waveforms."""
        for index in (i, q):
            if index not in self.lengths:
                raise ProgramError(f"there is no waveform {index}")
        if self.time < self.busy:
            raise ProgramError("a waveform begins while another one sounds, which this emulation does not cut")
        self.latch()
        self.busy = self.time + max(self.lengths[i], self.lengths[q])
        condition = tuple(sorted(self.known.items()))
        return PlayedBurst(self.since, i, q, self.now.gain, self.phase(), self.now.frequency, condition)

    def acquire(self, acquisition: int, bin_: int, weights: tuple[int, int] | None) -> Integral:
        """Return the integral of a window that opens now."""
        for weight in weights or ():
            if weight not in self.weights:
                raise ProgramError(f"there are no weights {weight}")
        length = self.integration if weights is None else max(self.weights[weight] for weight in weights)
        if self.time < self.window:
            raise ProgramError("a window begins while another one is open")
        self.latch()
        self.window = self.time + length
        return Integral(self.since, acquisition, bin_, weights, self.phase(), self.now.frequency)


def joined(ways: Sequence[Pipeline]) -> Pipeline | None:
    """Return several ways as one where they have become alike again, else None."""
    first = ways[0]
    for other in ways[1:]:
        alike = (other.time, other.now.frequency, other.next.frequency, other.next.gain, other.turned())
        if alike != (first.time, first.now.frequency, first.next.frequency, first.next.gain, first.turned()):
            return None
    one = first.way({})
    one.known = {}
    one.busy, one.window = max(way.busy for way in ways), max(way.window for way in ways)
    # Where nothing sounds, nobody hears which phase the oscillator has.
    sounding = [way for way in ways if max(way.busy, way.window) > way.time] or ways
    for parameters, of in ((one.now, [way.now for way in sounding]), (one.next, [way.next for way in ways])):
        phases = {each.phase for each in of}
        parameters.phase = phases.pop() if len(phases) == 1 else None
    return one
