"""What a sequencer does in a shot: the rows of one program as steps in order of time.

The maker's oscillator turns the other way than ours: an output has Re(z exp(+2 pi i LO t)), where a Program means
Re(z exp(-2 pi i LO t)). Envelopes are therefore conjugated and phases negated; frequencies above the LO are positive in
both. What a sequencer integrates is the conjugate of what a Program asks for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from pulsed.drivers.instruments.qblox.contents import Draft
from pulsed.drivers.instruments.qblox.feedback import BitTurn, Choice, FeedbackError, FeedbackPlan, choose
from pulsed.drivers.instruments.qblox.q1asm import (
    FULL_GAIN,
    LEAD,
    MIN_WAIT,
    TURN,
    IntegralStep,
    Step,
    WaveformStep,
)
from pulsed.drivers.limits import real_phase
from pulsed.drivers.programs import Envelopes
from pulsed.model.errors import InstrumentLimitError

_QUARTERS = 4 * 10**9
"""Steps of phase in a turn: a quarter of a Hz for a ns."""
_ALIKE = 1e-6
"""Between the factors of two integrals whose bits have one threshold."""
EVENT = ("envelope", "time", "amplitude", "phase", "frequency", "condition")
Event: TypeAlias = tuple[int, int, float, float, float, int]
"""These fields of a row of a playback."""
ROW = ("kernel", "time", "length", "frequency", "feedback", "angle", "threshold")
Row: TypeAlias = tuple[int, int, int, int, float, int, float, float]
"""The number of a row of a recording, and these fields."""


@dataclass
class Shot:
    """One entry in the making."""

    entry: int
    steps: list[Step] = field(default_factory=list)
    found: list[tuple[complex, float]] = field(default_factory=list)
    """Of each integral, what its weights were divided by, and the oscillator's phase less that of its row, turns."""
    choices: list[tuple[int, Choice]] = field(default_factory=list)
    """By place in ``steps``, where each has a pulse with the phase of no turn as yet."""
    turns: list[BitTurn] = field(default_factory=list)
    """What has turned the oscillator, on a bit or in all shots."""
    frequency: int | None = None
    phase: int = 0
    turned: int = 0
    """What the oscillator has run through at ``at``."""
    at: int = -LEAD
    busy: int = 0
    uncertain: bool = False
    """Whether the phase that the oscillator was left with depends on bits."""


def turned_back(scale: complex, found: float) -> complex:
    """Return the factor of an integral whose weights were divided by ``scale``, ``found`` turns ahead of its row."""
    return complex(scale * np.exp(-2j * np.pi * (found % 1.0)))


class ShotMaker:
    """Makes the shots of one sequencer, and what they need: waveforms and weights. ``name``: of it, for errors."""

    def __init__(
        self, draft: Draft, envelopes: Envelopes, feedback: FeedbackPlan, name: str, subject: str
    ) -> None:  # fmt: skip
        self.draft, self.envelopes, self.feedback, self.name, self.subject = draft, envelopes, feedback, name, subject
        self.waveforms: dict[int, int] = {}
        """Row of the envelope table → index of its I."""
        self.weights: dict[tuple[int, int, int], int] = {}
        """Kernel, length and zeros behind it → index."""
        self.scales: dict[tuple[int, int, int], complex] = {}
        """What the weights were divided by."""
        self.boundary: tuple[complex, float, float] | None = None
        """Factor, angle and threshold of the integrals that become bits."""

    def refuse(self, message: str, value: object, legal: object) -> InstrumentLimitError:
        """Return the error about a limit of this sequencer."""
        return InstrumentLimitError(
            f"{self.name}, channel {', '.join(self.draft.channels)}: {message}", subject=self.subject,
            value=str(value), legal=str(legal),
        )  # fmt: skip

    def shot(self, entry: int, played: Sequence[Event], rows: Sequence[Row], period: int) -> Shot:
        """Return what is done in a shot in order of time, and the factor of each integral."""
        order: list[tuple[int, int, int, Any]] = []
        for event in played:
            order.append((event[1], -1 if event[0] < 0 else 0, 0, event))
        order += [(row[2], 1, row[0], row) for row in rows]
        order.sort(key=lambda item: item[:2])
        shot, last = Shot(entry), -LEAD
        for time, kind, _, item in order:
            if kind < 0:
                shot.turns.append(BitTurn(item[5], time, round(-item[3] / (2 * np.pi) * TURN)))
                continue
            if time - last < MIN_WAIT:
                raise self.refuse(
                    f"at sample {time} something follows too closely", f"{time - last} ns", f"from {MIN_WAIT} ns"
                )
            last = time
            if kind == 0:
                self._play(shot, item)
            else:
                self._integrate(shot, item)
        if period - LEAD - last < MIN_WAIT:
            raise self.refuse(
                "the shot ends too early after its last event", f"{period} ns", f"from {last + LEAD + MIN_WAIT} ns"
            )
        return shot

    def _go_on(self, shot: Shot, time: int, frequency: float) -> int:
        """Take the oscillator to ``time``; return its new frequency in quarters of a Hz."""
        wanted = round(4 * frequency)
        if shot.frequency is None:
            shot.frequency = wanted
        shot.turned, shot.at = (shot.turned + shot.frequency * (time - shot.at)) % _QUARTERS, time
        return wanted

    def _change(self, shot: Shot, time: int, frequency: int, phase: int) -> None:
        """Set the oscillator; nothing may sound, and no window be open, while it changes."""
        if time < shot.busy and (frequency, phase) != (shot.frequency, shot.phase):
            raise self.refuse(
                f"at sample {time} the oscillator would change within a pulse or a window", f"sample {time}",
                f"from sample {shot.busy}",
            )  # fmt: skip
        shot.frequency, shot.phase = frequency, phase

    def _play(self, shot: Shot, event: Event) -> None:
        envelope, time, amplitude, angle, frequency, condition = event
        wanted = self._go_on(shot, time, frequency)
        turns = -angle / (2 * np.pi) + frequency * time * 1e-9 - shot.turned / _QUARTERS
        phase = round((turns % 1.0) * TURN) % TURN
        index = self.waveforms.setdefault(envelope, 2 * len(self.waveforms))
        gain = min(FULL_GAIN, round(amplitude * FULL_GAIN))
        comment = f"{self.draft.channels[0]} at {time}"
        phase = (phase + sum(turn.phase for turn in shot.turns if not turn.condition)) % TURN
        turned = [turn for turn in shot.turns if turn.condition]
        decided = bool(condition or turned)
        if decided:
            try:
                choice = choose(self.feedback, shot.entry, time, condition, turned, phase)
            except FeedbackError as error:
                program_ = f"at sample {time} of program {shot.entry}"
                raise self.refuse(f"{program_}: {error.message}", error.value, error.legal) from None
            shot.choices.append((len(shot.steps), choice))
        self._change(shot, time, wanted, phase)
        shot.uncertain = decided
        shot.steps.append(WaveformStep(time, index, index + 1, gain, phase, wanted, comment))
        shot.busy = max(shot.busy, time + int(self.envelopes.lengths[envelope]))

    def _integrate(self, shot: Shot, row: Row) -> None:
        number, kernel, time, length, frequency, told, angle, threshold = row
        wanted = self._go_on(shot, time, frequency)
        self._change(shot, time, wanted, shot.phase)
        padded = self.feedback.padded.get(number, 0)
        key = kernel, length, padded
        if key not in self.weights:
            self.weights[key] = len(self.weights)
            weights = np.full(length, 1 / length, complex) if kernel < 0 else self.envelopes.read(kernel)
            self.scales[key] = float(np.abs(weights).max()) * np.exp(1j * real_phase(weights))
        found = shot.turned / _QUARTERS + shot.phase / TURN - frequency * time * 1e-9
        factor = turned_back(self.scales[key], found)
        if told and self.feedback.addresses:
            self._tell(factor, angle, threshold)
        shot.found.append((self.scales[key], found))
        index, comment = self.weights[key], f"{self.draft.channels[-1]} at {time}"
        phase = shot.phase if shot.uncertain else None
        shot.steps.append(IntegralStep(time, 0, index, index, wanted, comment, phase))
        shot.uncertain = False
        shot.busy = max(shot.busy, time + length + padded)

    def _tell(self, factor: complex, angle: float, threshold: float) -> None:
        """Note what makes a bit of an integral: the settings of a sequencer hold one rule."""
        known = self.boundary = self.boundary or (factor, angle, threshold)
        if abs(known[0] - factor) > _ALIKE * abs(factor) or known[1:] != (angle, threshold):
            raise self.refuse(
                "its readouts become bits by different rules, such as phases or lengths", "2 rules",
                "one, where bits decide what is played",
            )  # fmt: skip
