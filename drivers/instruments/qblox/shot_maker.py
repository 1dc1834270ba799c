"""What a sequencer does in a shot: the rows of one program as steps in order of time.

The maker's oscillator turns the other way than ours: an output has Re(z exp(+2 pi i LO t)), where a Program means
Re(z exp(-2 pi i LO t)). Envelopes are therefore conjugated and phases negated; frequencies above the LO are positive in
both. What a sequencer integrates is the conjugate of what a Program asks for.
"""

from __future__ import annotations

import cmath
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pulsed.drivers.instruments.qblox.contents import SequencerDraft
from pulsed.drivers.instruments.qblox.feedback import BitTurn, Choice, FeedbackError, FeedbackPlan, choose
from pulsed.drivers.instruments.qblox.steps import FULL_GAIN, LEAD, MIN_WAIT, TURN, IntegralStep, Step, WaveformStep
from pulsed.drivers.limits import real_phase
from pulsed.drivers.programs import PLAYED, RECORDED, Envelopes, Recording, Rows
from pulsed.model.errors import InstrumentLimitError

_QUARTERS = 4 * 10**9
"""Steps of phase in a turn: a quarter of a Hz for a ns."""
_ALIKE = 1e-6
"""Between the factors of two integrals whose bits have one threshold."""
_ENTRY = 1 << 44
"""More ns than a shot has."""
_PLAYED, _INTEGRATED = 0, 1


@dataclass
class Shot:
    """One entry."""

    entry: int
    steps: list[Step]
    rows: list[int]
    """Numbers of the rows of the recording that are integrated."""
    found: list[tuple[complex, float]]
    """Of each integral, what its weights were divided by, and the oscillator's phase less that of its row, turns."""
    choices: list[tuple[int, Choice]] = field(default_factory=list)
    """By place in ``steps``, where each has a pulse with the phase of no turn as yet."""


def turned_back(scale: complex, found: float) -> complex:
    """Return the factor of an integral whose weights were divided by ``scale``, ``found`` turns ahead of its row."""
    return scale * cmath.exp(-2j * cmath.pi * (found % 1.0))


class ShotMaker:
    """Makes the shots of one sequencer, and what they need: waveforms and weights.

    ``periods``: of each entry, ns. ``name``: of the sequencer, for errors.
    """

    def __init__(
        self, draft: SequencerDraft, envelopes: Envelopes, recording: Recording | None, feedback: FeedbackPlan,
        periods: npt.NDArray[np.int64], name: str, subject: str,
    ) -> None:  # fmt: skip
        self.draft, self.envelopes, self.recording, self.feedback = draft, envelopes, recording, feedback
        self.name, self.subject = name, subject
        self.waveforms: dict[int, int] = {}
        """Row of the envelope table → index of its I."""
        self.weights: dict[tuple[int, int, int], int] = {}
        """Kernel, length and zeros behind it → index."""
        self.scales: dict[tuple[int, int, int], complex] = {}
        """What the weights were divided by."""
        self.boundary: tuple[complex, float, float] | None = None
        """Factor, angle and threshold of the integrals that become bits."""
        self._bounds = [0] * (len(periods) + 1)
        self._turns: dict[int, list[BitTurn]] = {}
        self._deciding = False
        self._lay_out(periods)

    def refuse(self, message: str, value: object, legal: object) -> InstrumentLimitError:
        """Return the error about a limit of this sequencer."""
        return InstrumentLimitError(
            f"{self.name}, channel {', '.join(self.draft.channels)}: {message}", subject=self.subject,
            value=str(value), legal=str(legal),
        )  # fmt: skip

    # --- all entries at once -------------------------------------------------------------------------------------

    def _lay_out(self, periods: npt.NDArray[np.int64]) -> None:
        """Put what is played and integrated in order, and follow the oscillator through it."""
        events = np.empty(0, PLAYED) if self.draft.events is None else self.draft.events
        turn = events["envelope"] < 0
        for entry, time, phase, condition in zip(
            *(events[name][turn].tolist() for name in ("entry", "time", "phase", "condition")), strict=True
        ):
            units = round(-phase / (2 * np.pi) * TURN)
            self._turns.setdefault(entry, []).append(BitTurn(condition, time, units))
        events, numbers = events[~turn], self.draft.numbers
        rows = np.empty(0, RECORDED) if self.recording is None else self.recording.rows[numbers]
        self._deciding = bool(self._turns) or bool(events["condition"].any())
        both = {name: np.concatenate([events[name], rows[name]]) for name in ("entry", "time", "frequency")}
        kind = np.repeat([_PLAYED, _INTEGRATED], [len(events), len(rows)])
        order = np.lexsort((kind, both["time"], both["entry"]))
        entry, time, frequency = (both[name][order] for name in ("entry", "time", "frequency"))
        kind = kind[order]
        self._bounds = np.searchsorted(entry, np.arange(len(periods) + 1)).tolist()
        first = np.diff(entry, prepend=-1) != 0
        tuned = np.rint(4 * frequency).astype(np.int64)
        passed = np.where(first, time + LEAD, np.diff(time, prepend=0))
        self._check_gaps(passed, time, entry, first, periods)
        turned = np.cumsum(np.where(first, tuned, np.roll(tuned, 1)) * passed % _QUARTERS)
        began = np.maximum.accumulate(np.where(first, np.arange(len(first)), 0))
        turned = (turned - np.concatenate([[0], turned])[began]) % _QUARTERS
        angle = np.concatenate([events["phase"], np.zeros(len(rows))])[order]
        turns = -angle / (2 * np.pi) + frequency * time * 1e-9 - turned / _QUARTERS
        own = np.rint((turns % 1.0) * TURN).astype(np.int64) % TURN
        # A window is integrated with the phase of the pulse before it.
        last = np.maximum.accumulate(np.where(kind == _PLAYED, np.arange(len(kind)), -1))
        phase = np.where((last >= 0) & (last >= began), own[last], 0)
        self._check_changes(first, kind, time, tuned, phase, self._ends(events, rows, order, entry, time))
        self._kinds, self._times, self._tuned = kind.tolist(), time.tolist(), tuned.tolist()
        self._phases = phase.tolist()
        self._found = (turned / _QUARTERS + phase / TURN - frequency * time * 1e-9).tolist()
        where = order - np.where(kind == _PLAYED, 0, len(events))
        self._pulses = self._of_pulses(events)
        self._rows = self._of_rows(rows, numbers)
        self._at = where.tolist()

    def _check_gaps(
        self, passed: npt.NDArray[np.int64], time: npt.NDArray[np.int64], entry: npt.NDArray[np.int32],
        first: npt.NDArray[np.bool_], periods: npt.NDArray[np.int64],
    ) -> None:  # fmt: skip
        if (passed < MIN_WAIT).any():
            at = int(np.argmax(passed < MIN_WAIT))
            raise self.refuse(
                f"at sample {time[at]} something follows too closely", f"{passed[at]} ns", f"from {MIN_WAIT} ns"
            )
        last = np.append(first[1:], True)[: len(first)]
        ends = np.full(len(periods), -LEAD)
        ends[entry[last]] = time[last]
        if (periods - LEAD - ends < MIN_WAIT).any():
            at = int(np.argmax(periods - LEAD - ends < MIN_WAIT))
            legal = f"from {ends[at] + LEAD + MIN_WAIT} ns"
            raise self.refuse("the shot ends too early after its last event", f"{periods[at]} ns", legal)

    def _ends(
        self, events: Rows, rows: Rows, order: npt.NDArray[np.intp], entry: npt.NDArray[np.int32],
        time: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.int64]:  # fmt: skip
        """Return until when something sounds or is integrated of all that came before, by row."""
        padded = np.array([self.feedback.padded.get(number, 0) for number in self.draft.numbers.tolist()], np.int64)
        lengths = np.concatenate([self.envelopes.lengths[events["envelope"]], rows["length"] + padded])[order]
        ends = np.maximum.accumulate(time + lengths + entry.astype(np.int64) * _ENTRY)
        return np.concatenate([[0], ends[:-1]]) - entry.astype(np.int64) * _ENTRY if len(ends) else ends

    def _check_changes(
        self, first: npt.NDArray[np.bool_], kind: npt.NDArray[np.int64], time: npt.NDArray[np.int64],
        tuned: npt.NDArray[np.int64], phase: npt.NDArray[np.int64], busy: npt.NDArray[np.int64],
    ) -> None:  # fmt: skip
        """Nothing may sound, and no window be open, while the oscillator changes."""
        changes = ~first & ((tuned != np.roll(tuned, 1)) | (phase != np.roll(phase, 1))) & (time < busy)
        if changes.any():
            at = int(np.argmax(changes))
            raise self.refuse(
                f"at sample {time[at]} the oscillator would change within a pulse or a window", f"sample {time[at]}",
                f"from sample {busy[at]}",
            )  # fmt: skip

    def _of_pulses(self, events: Rows) -> list[tuple[int, int, int]]:
        """Return index of the waveform, gain and condition of each pulse."""
        for envelope in events["envelope"].tolist():
            if envelope not in self.waveforms:
                self.waveforms[envelope] = 2 * len(self.waveforms)
        gains = np.minimum(np.rint(events["amplitude"] * FULL_GAIN), FULL_GAIN).astype(np.int64)
        known = self.waveforms
        indices = [known[envelope] for envelope in events["envelope"].tolist()]
        return list(zip(indices, gains.tolist(), events["condition"].tolist(), strict=True))

    def _of_rows(self, rows: Rows, numbers: npt.NDArray[np.intp]) -> list[tuple[Any, ...]]:
        """Return number, index of the weights, scale and the rule of its bit of each integral."""
        found = []
        for number, kernel, length, told, angle, threshold in zip(
            numbers.tolist(), *(rows[name].tolist() for name in ("kernel", "length", "feedback", "angle", "threshold")),
            strict=True,
        ):  # fmt: skip
            key = kernel, length, self.feedback.padded.get(number, 0)
            if key not in self.weights:
                self.weights[key] = len(self.weights)
                weights = np.full(length, 1 / length, complex) if kernel < 0 else self.envelopes.read(kernel)
                self.scales[key] = complex(np.abs(weights).max() * np.exp(1j * real_phase(weights)))
            found.append((number, self.weights[key], self.scales[key], told, angle, threshold))
        return found

    # --- one entry -----------------------------------------------------------------------------------------------

    def shot(self, entry: int) -> Shot:
        """Return what is done in a shot in order of time. Raises :class:`InstrumentLimitError` for bits."""
        begin, end = self._bounds[entry], self._bounds[entry + 1]
        shot, played, recorded = Shot(entry, [], [], []), self.draft.channels[0], self.draft.channels[-1]
        uncertain = False
        for k in range(begin, end):
            time, frequency, phase = self._times[k], self._tuned[k], self._phases[k]
            if self._kinds[k] == _PLAYED:
                index, gain, condition = self._pulses[self._at[k]]
                if self._deciding:
                    phase, uncertain = self._decided(shot, time, condition, phase)
                shot.steps.append(WaveformStep(time, index, index + 1, gain, phase, frequency, played))
                continue
            number, index, scale, told, angle, threshold = self._rows[self._at[k]]
            if told and self.feedback.addresses:
                self._tell(turned_back(scale, self._found[k]), angle, threshold)
            shot.rows.append(number)
            shot.found.append((scale, self._found[k]))
            own = phase if uncertain else None
            shot.steps.append(IntegralStep(time, 0, index, index, frequency, recorded, own))
            uncertain = False
        return shot

    def _decided(self, shot: Shot, time: int, condition: int, phase: int) -> tuple[int, bool]:
        """Return the phase of a pulse after the turns that are no question, and whether there are questions."""
        before = [turn for turn in self._turns.get(shot.entry, ()) if turn.time <= time]
        phase = (phase + sum(turn.phase for turn in before if not turn.condition)) % TURN
        asked = [turn for turn in before if turn.condition]
        if not condition and not asked:
            return phase, False
        try:
            choice = choose(self.feedback, shot.entry, time, condition, asked, phase)
        except FeedbackError as error:
            program = f"at sample {time} of program {shot.entry}"
            raise self.refuse(f"{program}: {error.message}", error.value, error.legal) from None
        shot.choices.append((len(shot.steps), choice))
        return phase, True

    def _tell(self, factor: complex, angle: float, threshold: float) -> None:
        """Note what makes a bit of an integral: the settings of a sequencer hold one rule."""
        known = self.boundary = self.boundary or (factor, angle, threshold)
        if abs(known[0] - factor) > _ALIKE * abs(factor) or known[1:] != (angle, threshold):
            raise self.refuse(
                "its readouts become bits by different rules, such as phases or lengths", "2 rules",
                "one, where bits decide what is played",
            )  # fmt: skip
