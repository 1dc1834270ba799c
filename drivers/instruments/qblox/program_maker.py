"""The program of one sequencer, its waveforms and its weights, made of the rows of a chunk.

Programs whose values lie on a line are one loop over points; all others follow each other as they are.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from pulsed.drivers.instruments.qblox.contents import Column, SequencerDraft, SequencerPlan, Trigger
from pulsed.drivers.instruments.qblox.feedback import (
    Choice,
    FeedbackError,
    FeedbackPlan,
    Sent,
    predicates,
    resets,
)
from pulsed.drivers.instruments.qblox.growth import growths, slope
from pulsed.drivers.instruments.qblox.modules import (
    BINS,
    RF_SWITCHES,
    WAVEFORM_SAMPLES,
    WAVEFORMS,
    WEIGHT_SAMPLES,
    WEIGHTS,
)
from pulsed.drivers.instruments.qblox.q1asm import instructions, program
from pulsed.drivers.instruments.qblox.shot_maker import Shot, ShotMaker, turned_back
from pulsed.drivers.instruments.qblox.steps import (
    LEAD,
    MIN_WAIT,
    ChoiceStep,
    Predicate,
    ResetStep,
    SequencerEntry,
    WaveformStep,
)
from pulsed.drivers.programs import Envelopes, Recording, Rows
from pulsed.drivers.sweeps import SHORTEST, EntrySweep, find_sweeps
from pulsed.model.errors import InstrumentLimitError

Counters: TypeAlias = tuple[tuple[int, bool], ...]


@dataclass
class _Part:
    """One entry of the list, or several that are points of a sweep."""

    shot: Shot
    """The first one."""
    entry: SequencerEntry
    integrals: list[tuple[list[int], list[complex]]]
    """Of each of them: rows of the recording, and the factor of each."""


class ProgramMaker:
    """Makes the program of one sequencer."""

    def __init__(
        self, draft: SequencerDraft, number: int, entries: Rows, envelopes: Envelopes, recording: Recording | None,
        feedback: FeedbackPlan, name: str, subject: str,
    ) -> None:  # fmt: skip
        self.draft, self.number, self.envelopes = draft, number, envelopes
        self.recording, self.feedback = recording, feedback
        self._list: list[tuple[int, int]] = list(
            zip(entries["shots"].tolist(), entries["period"].tolist(), strict=True)
        )
        self._entries = entries
        self.maker = ShotMaker(draft, envelopes, recording, feedback, entries["period"], name, subject)

    def refuse(self, message: str, value: object, legal: object) -> InstrumentLimitError:
        """Return the error about a limit of this sequencer."""
        return self.maker.refuse(message, value, legal)

    def make(self) -> tuple[SequencerPlan, dict[int, Column]]:
        """Return the plan, and the column of each row of the recording."""
        numbers, events = self.draft.numbers, self.draft.events
        recorded = None if self.recording is None or not len(numbers) else self.recording.rows[numbers]
        tables = [rows for rows in (events, recorded) if rows is not None]
        parts = [part for sweep in find_sweeps(self._entries, *tables) for part in self._parts(sweep)]
        columns, bins = {}, 0
        for part in parts:
            for rows, factors in part.integrals:
                for place, (row, factor) in enumerate(zip(rows, factors, strict=True)):
                    columns[row] = Column((self.draft.slot, self.number), bins + place, len(rows), factor)
                bins += part.entry.shots * len(rows)
        try:
            counters = self._decide(parts)
        except FeedbackError as error:
            raise self.refuse(error.message, error.value, error.legal) from None
        marker = RF_SWITCHES if self.draft.model.rf and self.draft.output else 0
        text = program((part.entry for part in parts), marker)
        self._check(text, bins)
        return self._plan(text, bins, counters), columns

    # --- sweeps --------------------------------------------------------------------------------------------------

    def _parts(self, sweep: EntrySweep) -> list[_Part]:
        """Return a sweep as one part where a loop can make it, else as several."""
        first, count = sweep.first, sweep.count
        if count == 1:
            shot = self.maker.shot(first)
            factors = [turned_back(*one) for one in shot.found]
            return [_Part(shot, SequencerEntry(shot.steps, *self._list[first]), [(shot.rows, factors)])]
        part = self._swept(sweep)
        if part is not None:
            return [part]
        half = count // 2 if count >= 2 * SHORTEST else 1
        pieces = [EntrySweep(first, half), EntrySweep(first + half, count - half)]
        if half == 1:
            pieces = [EntrySweep(first + k, 1) for k in range(count)]
        return [part for piece in pieces for part in self._parts(piece)]

    def _swept(self, sweep: EntrySweep) -> _Part | None:
        """Return a sweep as a loop; None where its values, which are whole there, or its waits do not allow it."""
        first, count = sweep.first, sweep.count
        which = (0, 1, count // 2, count - 1)
        shots = [self.maker.shot(first + k) for k in which]
        growth = None if any(shot.choices for shot in shots) else growths([shot.steps for shot in shots], which)
        if growth is None:
            return None
        shots_, period = self._list[first]
        longer = self._list[first + 1][1] - period
        entry = SequencerEntry(shots[0].steps, shots_, period, count, growth, longer)
        try:
            program([entry])
        except ValueError:
            return None
        factors: list[list[complex]] = [[] for _ in range(count)]
        for own in zip(*(shot.found for shot in shots), strict=True):
            scale, found = own[0]
            step = slope([value for _, value in own], which, 1.0)
            for k in range(count):
                factors[k].append(turned_back(scale, found + k * step))
        # Rows are in order of entry, those of one entry in order of time.
        count_of = len(shots[0].rows)
        numbers = self.draft.numbers.tolist()
        at = numbers.index(shots[0].rows[0]) if count_of else 0
        rows = [numbers[at + k * count_of : at + (k + 1) * count_of] for k in range(count)]
        return _Part(shots[0], entry, list(zip(rows, factors, strict=True)))

    # --- decisions -----------------------------------------------------------------------------------------------

    def _decide(self, parts: list[_Part]) -> Counters:
        """Have pulses chosen by counters, and these set to 0 before; return which are asked, and whether inverted."""
        choices = [choice for part in parts for _, choice in part.shot.choices]
        if not choices:
            return ()
        inverted, asked = predicates(choices)
        of = iter(asked)
        for part in parts:
            shot, period, uses = part.shot, part.entry.period, dict[Sent, int]()
            for place, choice in shot.choices:
                step = shot.steps[place]
                assert isinstance(step, WaveformStep), "what is chosen is a pulse"
                shot.steps[place] = chosen = _choice_step(step, choice, next(of))
                for sent in choice.used:
                    uses[sent] = chosen.begin + chosen.duration
            if uses:
                self._check_room(shot, period)
                busy = [(step.begin, step.begin + step.duration) for step in shot.steps]
                frequency = shot.steps[0].frequency
                times = resets(uses, [*busy, (period - LEAD, period)])
                steps = sorted([*shot.steps, *(ResetStep(t, frequency) for t in times)], key=lambda step: step.begin)
                part.entry = replace(part.entry, steps=steps)
        return tuple((a, a in inverted) for a in sorted({a for choice in choices for a in choice.addresses}))

    def _check_room(self, shot: Shot, period: int) -> None:
        if len({step.frequency for step in shot.steps}) > 1:
            raise self.refuse(
                "its frequency changes where bits decide, and it is not known by how much the oscillator has turned",
                "2 frequencies", "one frequency in a program that waits for bits",
            )  # fmt: skip
        ends = [(0, False), *((step.begin + step.duration, isinstance(step, ChoiceStep)) for step in shot.steps)]
        begins = [*(step.begin for step in shot.steps), period - LEAD]
        for (end, chosen), begin in zip(ends, begins, strict=True):
            if begin < end or (chosen and 0 < begin - end < MIN_WAIT):
                raise self.refuse(
                    f"no time to choose what is played around sample {begin}", f"{begin - end} ns",
                    f"0 ns or from {MIN_WAIT} ns after what is chosen, which takes up to 16 ns",
                )  # fmt: skip

    # --- contents ------------------------------------------------------------------------------------------------

    def _check(self, text: str, bins: int) -> None:
        samples = 2 * int(self.envelopes.lengths[list(self.maker.waveforms)].sum()) if self.maker.waveforms else 0
        for what, value, limit in (
            ("instructions", instructions(text), self.draft.model.instructions),
            ("samples of waveforms", samples, WAVEFORM_SAMPLES),
            ("waveforms", 2 * len(self.maker.waveforms), WAVEFORMS),
            ("samples of weights", sum(length + zeros for _, length, zeros in self.maker.weights), WEIGHT_SAMPLES),
            ("weights", len(self.maker.weights), WEIGHTS),
            ("bins", bins, BINS),
        ):
            if value > limit:
                raise self.refuse(f"more {what} than it holds", f"{value} {what}", f"up to {limit}")

    def _plan(self, text: str, bins: int, counters: Counters) -> SequencerPlan:
        waveforms, weights = {}, {}
        for row in self.maker.waveforms:
            samples = np.conj(self.envelopes.read(row))
            waveforms[f"{row}i"], waveforms[f"{row}q"] = samples.real.copy(), samples.imag.copy()
        for key in self.maker.weights:
            kernel, length, zeros = key
            own = np.ones(length) if kernel < 0 else (self.envelopes.read(kernel) / self.maker.scales[key]).real
            weights[f"{kernel}_{length}_{zeros}"] = np.append(np.clip(own, -1, 1), np.zeros(zeros))
        draft, trigger = self.draft, self._trigger()
        connection = draft.model.connection(draft.output, draft.input)
        told = None if trigger is None else (trigger.address, trigger.rotation, trigger.threshold)
        settings = json.dumps([text, bins, connection, told, counters])
        digest = hashlib.blake2b(settings.encode(), digest_size=16)
        for name, data in (*waveforms.items(), *weights.items()):
            digest.update(name.encode() + data.tobytes())
        return SequencerPlan(
            draft.slot, self.number, tuple(draft.channels), connection, len(draft.numbers) > 0, waveforms, weights,
            bins, text, digest.hexdigest(), trigger, counters,
        )  # fmt: skip

    def _trigger(self) -> Trigger | None:
        """Return what makes triggers of its integrals: Re(conj(v) factor exp(-i angle)) > threshold."""
        if self.maker.boundary is None or self.recording is None:
            return None
        factor, angle, threshold = self.maker.boundary
        slot = int(self.recording.rows["slot"][self.draft.numbers[0]])
        rotation = float(np.rad2deg(angle - np.angle(factor)) % 360.0)
        return Trigger(self.feedback.addresses[slot], rotation, threshold / abs(factor))


def _choice_step(step: WaveformStep, choice: Choice, asked: dict[int | None, Predicate]) -> ChoiceStep:
    pulses = tuple((asked[phase], step._replace(phase=phase)) for phase in choice.phases)
    return ChoiceStep(step.time, pulses, asked.get(None))
