"""What each sequencer of a Cluster does in a chunk: one for each channel, every limit checked."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pulsed.drivers.instruments.qblox.contents import ClusterPlan, Column, SequencerDraft, SequencerPlan
from pulsed.drivers.instruments.qblox.feedback import FeedbackError, FeedbackPlan, plan_feedback
from pulsed.drivers.instruments.qblox.modules import SEQUENCERS, ModuleModel, slot_of
from pulsed.drivers.instruments.qblox.program_maker import ProgramMaker
from pulsed.drivers.instruments.qblox.steps import MIN_WAIT
from pulsed.drivers.programs import Playback, PlayerWork, Recording, Rows, Transceived
from pulsed.model.errors import InstrumentLimitError


def make_plan(work: PlayerWork, modules: Mapping[int, ModuleModel], subject: str) -> ClusterPlan:
    """Return the plan of ``work``. Raises :class:`InstrumentLimitError` that names module, sequencer, value, limit."""
    playback = work.playback if isinstance(work, Transceived) else work if isinstance(work, Playback) else None
    recording = work.recording if isinstance(work, Transceived) else work if isinstance(work, Recording) else None
    drafts = _drafts(playback, recording, modules)
    feedback = _feedback(playback, recording, subject)
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
        plan, found = ProgramMaker(draft, number, entries, envelopes, recording, feedback, name, subject).make()
        sequencers.append(plan)
        columns |= found
    per_entry: list[list[Column]] = [[] for _ in range(len(entries))]
    if recording is not None:
        for row, entry in enumerate(recording.rows["entry"].tolist()):
            per_entry[entry].append(columns[row])
    return ClusterPlan(tuple(sequencers), tuple(tuple(one) for one in per_entry))


def _feedback(playback: Playback | None, recording: Recording | None, subject: str) -> FeedbackPlan:
    try:
        return plan_feedback(playback, recording)
    except FeedbackError as error:
        raise InstrumentLimitError(
            error.message, subject=subject, value=str(error.value), legal=str(error.legal)
        ) from None


def _drafts(
    playback: Playback | None, recording: Recording | None, modules: Mapping[int, ModuleModel]
) -> list[SequencerDraft]:
    """Return the sequencers that are needed: one for each channel, which also integrates where it can."""
    drafts: dict[tuple[int, str], SequencerDraft] = {}
    if playback is not None:
        for slot in np.unique(playback.events["slot"]).tolist():
            events = playback.events[playback.events["slot"] == slot]
            module, pair = slot_of(int(events["pair"][0]))
            channel = playback.channels[slot]
            drafts[module, channel] = SequencerDraft(module, modules[module], pair, 0, [channel], events)
    for slot in [] if recording is None else np.unique(recording.rows["slot"]).tolist():
        assert recording is not None
        numbers = np.flatnonzero(recording.rows["slot"] == slot)
        module, pair = slot_of(recording.pairs[slot])
        channel = recording.channels[slot]
        partner = drafts.get((module, f"m{channel[1:]}"))
        if partner is None or partner.events is None or _too_close(partner.events, recording.rows[numbers]):
            partner = drafts[module, channel] = SequencerDraft(module, modules[module])
        partner.input = pair
        partner.channels.append(channel)
        partner.numbers = numbers
    return sorted(drafts.values(), key=lambda draft: draft.slot)


def _too_close(events: Rows, rows: Rows) -> bool:
    """Whether something is played and integrated so close together that one sequencer cannot do both."""
    events = events[events["envelope"] >= 0]
    place = np.concatenate([events["entry"], rows["entry"]]).astype(np.int64)
    time = np.concatenate([events["time"], rows["time"]])
    order = np.lexsort((time, place))
    same = np.diff(place[order]) == 0
    return bool((same & (np.diff(time[order]) < MIN_WAIT)).any())
