"""What each sequencer of a Cluster does in a chunk: waveforms, weights, bins and a program, every limit checked.

The maker's oscillator turns the other way than ours: an output has Re(z exp(+2 pi i LO t)), where a Program means
Re(z exp(-2 pi i LO t)). Envelopes are therefore conjugated and phases negated; frequencies above the LO are positive in
both. What a sequencer integrates is the conjugate of what a Program asks for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pulsed.drivers.instruments.qblox.modules import (
    BINS,
    RF_SWITCHES,
    SEQUENCERS,
    WAVEFORM_SAMPLES,
    WAVEFORMS,
    WEIGHT_SAMPLES,
    WEIGHTS,
    ModuleModel,
    slot_of,
)
from pulsed.drivers.instruments.qblox.q1asm import (
    FULL_GAIN,
    LEAD,
    MIN_WAIT,
    TURN,
    IntegralStep,
    SequencerEntry,
    Step,
    WaveformStep,
    instructions,
    program,
)
from pulsed.drivers.limits import real_phase
from pulsed.drivers.programs import Envelopes, Playback, PlayerWork, Recording, Rows, Transceived
from pulsed.model.errors import InstrumentLimitError

_QUARTERS = 4 * 10**9
"""Steps of phase in a turn: a quarter of a Hz for a ns."""
ACQUISITION = "shots"
Place: TypeAlias = tuple[int, int]
"""Slot and sequencer."""


@dataclass(frozen=True)
class SequencerPlan:
    """What one sequencer holds."""

    slot: int
    number: int
    channels: tuple[str, ...]
    connection: str
    """As the maker writes it."""
    records: bool
    waveforms: dict[str, npt.NDArray[np.float64]]
    """In order of their indices."""
    weights: dict[str, npt.NDArray[np.float64]]
    bins: int
    text: str
    name: str
    """Hash of all of it."""

    @property
    def place(self) -> Place:
        """Slot and sequencer."""
        return self.slot, self.number

    @property
    def title(self) -> str:
        """What it is called in errors."""
        return f"module {self.slot}, sequencer {self.number}, channel {', '.join(self.channels)}"

    def sequence(self) -> dict[str, Any]:
        """Return it as the maker's driver takes it."""

        def table(arrays: Mapping[str, npt.NDArray[np.float64]]) -> dict[str, Any]:
            return {name: {"data": data.tolist(), "index": index} for index, (name, data) in enumerate(arrays.items())}

        acquisitions = {ACQUISITION: {"num_bins": self.bins, "index": 0}} if self.bins else {}
        return {
            "waveforms": table(self.waveforms), "weights": table(self.weights), "acquisitions": acquisitions,
            "program": self.text,
        }  # fmt: skip


@dataclass(frozen=True)
class Column:
    """Where the integrals of one row of a recording are: every ``stride``-th bin of a sequencer from ``first`` on."""

    place: Place
    first: int
    stride: int
    factor: complex
    """What the conjugate of what was integrated is multiplied with."""


@dataclass(frozen=True)
class ClusterPlan:
    """What all sequencers hold, and where in their bins the rows of each entry are."""

    sequencers: tuple[SequencerPlan, ...]
    columns: tuple[tuple[Column, ...], ...]
    """By entry, then by row of the recording."""

    @property
    def name(self) -> str:
        """Hash of all of it."""
        return hashlib.blake2b("".join(one.name for one in self.sequencers).encode(), digest_size=16).hexdigest()


@dataclass
class _Draft:
    """A sequencer in the making."""

    slot: int
    model: ModuleModel
    output: int = 0
    input: int = 0
    channels: list[str] = field(default_factory=list)
    events: list[Rows] = field(default_factory=list)
    rows: list[tuple[int, np.void]] = field(default_factory=list)
    """Number within the recording, and row."""


def make_plan(work: PlayerWork, modules: Mapping[int, ModuleModel], subject: str) -> ClusterPlan:
    """Return the plan of ``work``. Raises :class:`InstrumentLimitError` that names module, sequencer, value, limit."""
    playback = work.playback if isinstance(work, Transceived) else work if isinstance(work, Playback) else None
    recording = work.recording if isinstance(work, Transceived) else work if isinstance(work, Recording) else None
    drafts = _drafts(playback, recording, modules)
    entries = (playback or recording).entries  # type: ignore[union-attr] # one of them is there
    envelopes = (playback or recording).envelopes  # type: ignore[union-attr]
    sequencers: list[SequencerPlan] = []
    columns: dict[int, Column] = {}
    used: dict[int, int] = {}
    for draft in drafts:
        number = used[draft.slot] = used.get(draft.slot, -1) + 1
        if number >= SEQUENCERS:
            raise InstrumentLimitError(
                f"module {draft.slot} ({draft.model.name}) has no sequencer left for channel {draft.channels[0]}",
                subject=subject, value=f"{number + 1} channels", legal=f"up to {SEQUENCERS} at once",
            )  # fmt: skip
        name = f"module {draft.slot} ({draft.model.name}), sequencer {number}"
        maker = _ProgramMaker(draft, number, envelopes, recording, name, subject)
        plan, found = maker.make(entries)
        sequencers.append(plan)
        columns |= found
    per_entry: list[list[Column]] = [[] for _ in range(len(entries))]
    if recording is not None:
        for row, entry in enumerate(recording.rows["entry"].tolist()):
            per_entry[entry].append(columns[row])
    return ClusterPlan(tuple(sequencers), tuple(tuple(one) for one in per_entry))


def _drafts(playback: Playback | None, recording: Recording | None, modules: Mapping[int, ModuleModel]) -> list[_Draft]:
    """Return the sequencers that are needed: one for each channel, which also integrates where it can."""
    drafts: dict[tuple[int, str], _Draft] = {}
    if playback is not None:
        for slot in np.unique(playback.events["slot"]).tolist():
            events = playback.events[playback.events["slot"] == slot]
            module, pair = slot_of(int(events["pair"][0]))
            channel = playback.channels[slot]
            drafts[module, channel] = _Draft(module, modules[module], pair, 0, [channel], [events])
    for slot in [] if recording is None else np.unique(recording.rows["slot"]).tolist():
        assert recording is not None
        numbers = np.flatnonzero(recording.rows["slot"] == slot)
        rows = recording.rows[numbers]
        module, pair = slot_of(recording.pairs[slot])
        channel = recording.channels[slot]
        partner = drafts.get((module, f"m{channel[1:]}"))
        if partner is None or _too_close(partner.events[0], rows):
            partner = drafts[module, channel] = _Draft(module, modules[module])
        partner.input = pair
        partner.channels.append(channel)
        partner.rows += list(zip(numbers.tolist(), rows, strict=True))
    return sorted(drafts.values(), key=lambda draft: draft.slot)


def _too_close(events: Rows, rows: Rows) -> bool:
    """Whether something is played and integrated so close together that one sequencer cannot do both."""
    place = np.concatenate([events["entry"], rows["entry"]]).astype(np.int64)
    time = np.concatenate([events["time"], rows["time"]])
    order = np.lexsort((time, place))
    same = np.diff(place[order]) == 0
    return bool((same & (np.diff(time[order]) < MIN_WAIT)).any())


class _ProgramMaker:
    """Makes the program of one sequencer."""

    def __init__(
        self, draft: _Draft, number: int, envelopes: Envelopes, recording: Recording | None, name: str, subject: str
    ) -> None:
        self.draft, self.number, self.envelopes = draft, number, envelopes
        self.recording, self.name, self.subject = recording, name, subject
        self.waveforms: dict[int, int] = {}
        """Row of the envelope table → index of its I."""
        self.weights: dict[tuple[int, int], int] = {}
        """Kernel and length → index."""
        self.scales: dict[tuple[int, int], complex] = {}
        """What the weights were divided by."""

    def refuse(self, message: str, value: object, legal: object) -> InstrumentLimitError:
        """Return the error about a limit of this sequencer."""
        return InstrumentLimitError(
            f"{self.name}, channel {', '.join(self.draft.channels)}: {message}", subject=self.subject,
            value=str(value), legal=str(legal),
        )  # fmt: skip

    def make(self, entries: Rows) -> tuple[SequencerPlan, dict[int, Column]]:
        """Return the plan, and the column of each row of the recording."""
        events = np.concatenate(self.draft.events) if self.draft.events else None
        steps, columns, bins = [], {}, 0
        rows: dict[int, list[tuple[int, np.void]]] = {}
        for number, row in self.draft.rows:
            rows.setdefault(int(row["entry"]), []).append((number, row))
        for entry, (_, shots, period, _) in enumerate(entries.tolist()):
            own = rows.get(entry, [])
            played = [] if events is None else events[events["entry"] == entry]
            made, factors = self._entry(played, own, period)
            for place, ((number, _), factor) in enumerate(zip(own, factors, strict=True)):
                columns[number] = Column((self.draft.slot, self.number), bins + place, len(own), factor)
            bins += shots * len(own)
            steps.append(SequencerEntry(made, shots, period))
        text = program(steps, RF_SWITCHES if self.draft.model.rf and self.draft.output else 0)
        self._check(text, bins)
        return self._plan(text, bins), columns

    def _entry(
        self, played: Iterable[np.void], rows: list[tuple[int, np.void]], period: int
    ) -> tuple[list[Step], list[complex]]:
        """Return what is done in a shot in order of time, and the factor of each integral."""
        order: list[tuple[int, int, Any]] = [(int(event["time"]), 0, event) for event in played]
        order += [(int(row["time"]), 1, row) for _, row in rows]
        order.sort(key=lambda item: item[:2])
        steps: list[Step] = []
        factors: list[complex] = []
        busy, frequency, phase = 0, None, 0
        turned, at = 0, -LEAD  # what the oscillator has run through, and when
        last = -LEAD
        for time, kind, item in order:
            if time - last < MIN_WAIT:
                raise self.refuse(
                    f"at sample {time} something follows too closely", f"{time - last} ns", f"from {MIN_WAIT} ns"
                )
            wanted = round(4 * float(item["frequency"]))
            if frequency is None:
                frequency = wanted
            turned, at, last = (turned + frequency * (time - at)) % _QUARTERS, time, time
            offset = self._offset(item, turned, time) if kind == 0 else phase
            if time < busy and (wanted, offset) != (frequency, phase):
                raise self.refuse(
                    f"at sample {time} the oscillator would change within a pulse or a window", f"sample {time}",
                    f"from sample {busy}",
                )  # fmt: skip
            frequency, phase = wanted, offset
            if kind == 0:
                index = self.waveforms.setdefault(int(item["envelope"]), 2 * len(self.waveforms))
                gain = min(FULL_GAIN, round(float(item["amplitude"]) * FULL_GAIN))
                comment = f"{self.draft.channels[0]} at {time}"
                steps.append(WaveformStep(time, index, index + 1, gain, phase, frequency, comment))
                busy = max(busy, time + int(self.envelopes.lengths[int(item["envelope"])]))
            else:
                weights, factor = self._integral(item, turned, phase, time)
                steps.append(IntegralStep(time, 0, weights, weights, frequency, f"{self.draft.channels[-1]} at {time}"))
                factors.append(factor)
                busy = max(busy, time + int(item["length"]))
        if period - LEAD - last < MIN_WAIT:
            raise self.refuse(
                "the shot ends too early after its last event", f"{period} ns", f"from {last + LEAD + MIN_WAIT} ns"
            )
        return steps, factors

    @staticmethod
    def _offset(event: np.void, turned: int, time: int) -> int:
        """Return the oscillator's offset that gives an event its phase, for what the oscillator has run through."""
        turns = -float(event["phase"]) / (2 * np.pi) + float(event["frequency"]) * time * 1e-9
        return round(((turns - turned / _QUARTERS) % 1.0) * TURN) % TURN

    def _integral(self, row: np.void, turned: int, phase: int, time: int) -> tuple[int, complex]:
        """Return the index of a row's weights, and the factor that makes its integral that of the Program."""
        key = int(row["kernel"]), int(row["length"])
        if key not in self.weights:
            self.weights[key] = len(self.weights)
            kernel = np.full(key[1], 1 / key[1], complex) if key[0] < 0 else self.envelopes.read(key[0])
            self.scales[key] = float(np.abs(kernel).max()) * np.exp(1j * real_phase(kernel))
        found = turned / _QUARTERS + phase / TURN - float(row["frequency"]) * time * 1e-9
        return self.weights[key], complex(self.scales[key] * np.exp(-2j * np.pi * (found % 1.0)))

    def _check(self, text: str, bins: int) -> None:
        samples = 2 * int(self.envelopes.lengths[list(self.waveforms)].sum()) if self.waveforms else 0
        for what, value, limit in (
            ("instructions", instructions(text), self.draft.model.instructions),
            ("samples of waveforms", samples, WAVEFORM_SAMPLES),
            ("waveforms", 2 * len(self.waveforms), WAVEFORMS),
            ("samples of weights", sum(length for _, length in self.weights), WEIGHT_SAMPLES),
            ("weights", len(self.weights), WEIGHTS),
            ("bins", bins, BINS),
        ):
            if value > limit:
                raise self.refuse(f"more {what} than it holds", f"{value} {what}", f"up to {limit}")

    def _plan(self, text: str, bins: int) -> SequencerPlan:
        waveforms, weights = {}, {}
        for row in self.waveforms:
            samples = np.conj(self.envelopes.read(row))
            waveforms[f"{row}i"], waveforms[f"{row}q"] = samples.real.copy(), samples.imag.copy()
        for key in self.weights:
            kernel = np.ones(key[1]) if key[0] < 0 else (self.envelopes.read(key[0]) / self.scales[key]).real
            weights[f"{key[0]}_{key[1]}"] = np.clip(kernel, -1, 1)
        draft = self.draft
        connection = draft.model.connection(draft.output, draft.input)
        digest = hashlib.blake2b(json.dumps([text, bins, connection]).encode(), digest_size=16)
        for name, data in (*waveforms.items(), *weights.items()):
            digest.update(name.encode() + data.tobytes())
        return SequencerPlan(
            draft.slot, self.number, tuple(draft.channels), connection, bool(draft.rows), waveforms, weights, bins,
            text, digest.hexdigest(),
        )  # fmt: skip
