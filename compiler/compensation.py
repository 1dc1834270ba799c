"""Lowered programs with the events that cancel their crosstalk."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import numpy.typing as npt
from numba import njit

from pulsed.compiler.crosstalk import SWITCH, Compensation
from pulsed.compiler.lowering import Lowered
from pulsed.compiler.program import FIELDS, PARAMETER, Block
from pulsed.compiler.sweeps import LoweredSweep
from pulsed.model.errors import LoweringError

_AMPLITUDE, _PHASE, _FREQUENCY = (FIELDS.index(name) for name in ("amplitude", "phase", "frequency"))
_EVER = np.iinfo(np.int64).max


@njit(cache=True)
def _allot(starts, stops, count):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return which of ``count`` oscillators plays each of what starts in this order, -1 where all of them are busy."""
    free, found = np.full(count, np.iinfo(np.int64).min), np.empty(starts.shape[0], np.int64)
    for i in range(starts.shape[0]):
        found[i] = -1
        for k in range(count):
            if free[k] <= starts[i]:
                free[k], found[i] = stops[i], k
                break
    return found


def compensate(
    lowered: Lowered, how: Compensation, lengths: npt.NDArray[np.int64], sweep: LoweredSweep | None = None
) -> tuple[Lowered, LoweredSweep | None]:
    """Return ``lowered`` with what cancels its crosstalk, and what a sweep changes in that.

    ``lengths``: samples of each envelope. Raises :class:`LoweringError` for what no port has full scale or oscillators
    for.
    """
    events = lowered.events
    block = np.searchsorted([b.events[1] for b in lowered.blocks], np.arange(len(events)), side="right")
    source = how.source[events["slot"]]
    driven = np.flatnonzero(source >= 0)
    pieces, origins, gains = [events.copy()], [np.arange(len(events))], [np.ones(len(events), complex)]
    gains[0][driven] = np.diag(how.factors)[source[driven]]
    lags = [np.zeros(len(events))]
    for number in range(len(how.ports)):
        origin = driven[(source[driven] != number) & (how.factors[number, source[driven]] != 0)]
        if not len(origin):
            continue
        added, came = events[origin], source[origin]
        added["time"] += how.delay[number] - how.delay[came]
        added["slot"] = _slots(added, events["slot"][origin], how, number, lengths, bool(lowered.blocks))
        pieces.append(added)
        origins.append(origin)
        gains.append(how.factors[number, came])
        lags.append(how.lag[number] - how.lag[came])
    everything, origin = np.concatenate(pieces), np.concatenate(origins)
    gain, lag = np.concatenate(gains), np.concatenate(lags)
    # A turn has no frequency, and turns what cancels as much as what is cancelled.
    plays = everything["envelope"] >= 0
    turned = everything["phase"] + np.angle(gain) + 2 * np.pi * everything["frequency"] * lag
    everything["phase"] = np.where(plays, turned % (2 * np.pi), everything["phase"])
    everything["amplitude"] *= np.abs(gain)
    order = np.lexsort((plays, everything["time"], everything["slot"], block[origin]))
    everything = everything[order]
    if sweep is not None:
        sweep = _carried(sweep, origin, np.abs(gain), lag, order)
    _check_scale(everything, sweep, how)
    blocks = _counted(lowered.blocks, block[origin][order])
    return replace(lowered, events=everything, blocks=blocks), sweep


def _slots(
    added: npt.NDArray[np.void], of: npt.NDArray[np.uint16], how: Compensation, number: int,
    lengths: npt.NDArray[np.int64], branching: bool,
) -> npt.NDArray[np.uint16]:  # fmt: skip
    """Return the slots of one port that play ``added``, each an event of slot ``of``.

    Where bits decide what is played, or turn an oscillator for the rest of the shot, what comes from one slot stays
    together in one for the whole shot.
    """
    name = how.ports[number]
    spare = np.array(how.spare[name], np.uint16)
    if how.upconverted[number]:
        return np.full(len(added), spare[0])
    if branching:
        _, group = np.unique(of, return_inverse=True)
        starts, stops = np.zeros(group.max() + 1, np.int64), np.full(group.max() + 1, _EVER)
    else:
        order = np.argsort(added["time"], kind="stable")
        group = np.empty(len(added), np.int64)
        group[order] = np.arange(len(added))
        starts = added["time"][order]
        stops = starts + lengths[added["envelope"][order]]
    found = _allot(starts, stops, len(spare))
    if (late := np.flatnonzero(found < 0)).size:
        raise LoweringError(
            "more tones at once than the port has oscillators, those that cancel crosstalk included",
            subject=f"port {name} at sample {int(starts[late[0]])}", value=f"more than {len(spare)} of them",
            legal=f'fewer pulses at once, or settings={{"{SWITCH}": 0}}',
        )  # fmt: skip
    return np.asarray(spare[found[group]])


def _carried(
    sweep: LoweredSweep, origin: npt.NDArray[np.int64], size: npt.NDArray[np.float64], lag: npt.NDArray[np.float64],
    order: npt.NDArray[np.int64],
) -> LoweredSweep:  # fmt: skip
    """Return what a sweep changes in events that were made of ``origin``, times ``size``, and then put in ``order``."""
    known = np.sort(sweep.parameters, order="event", kind="stable")
    first, last = (np.searchsorted(known["event"], origin, side=side) for side in ("left", "right"))
    event = np.repeat(np.arange(len(origin)), last - first)
    within = np.arange(len(event)) - np.repeat(np.cumsum(last - first) - (last - first), last - first)
    rows: npt.NDArray[np.void] = known[np.repeat(first, last - first) + within]
    rows["coefficient"] *= np.where(rows["field"] == _AMPLITUDE, size[event], 1.0)
    hops = (rows["field"] == _FREQUENCY) & (lag[event] != 0)
    late = rows[hops]
    late["field"], late["coefficient"] = _PHASE, late["coefficient"] * 2 * np.pi * lag[event][hops]
    place = np.argsort(order)
    rows["event"], late["event"] = place[event], place[event[hops]]
    return LoweredSweep(np.concatenate([rows, late]).astype(PARAMETER), sweep.bindings)


def _check_scale(events: npt.NDArray[np.void], sweep: LoweredSweep | None, how: Compensation) -> None:
    most = events["amplitude"].copy()
    if sweep is not None:
        rows = sweep.parameters[sweep.parameters["field"] == _AMPLITUDE]
        for event in np.unique(rows["event"]).tolist():
            mine = rows[rows["event"] == event]
            reached = events["amplitude"][event] + sweep.bindings[:, mine["parameter"]] @ mine["coefficient"]
            most[event] = np.abs(reached).max()
    worst = int(np.argmax(most)) if len(most) else -1
    if worst >= 0 and most[worst] > 1 + 1e-9 and how.source[events["slot"][worst]] >= 0:
        slot = how.slots[events["slot"][worst]]
        raise LoweringError(
            "the pulse goes beyond full scale when crosstalk is compensated",
            subject=f"channel {slot.channel} at sample {events['time'][worst]}",
            value=f"amplitude {most[worst]:.6g}", legal="0 to 1",
        )  # fmt: skip


def _counted(blocks: tuple[Block, ...], which: npt.NDArray[np.int64]) -> tuple[Block, ...]:
    """Return the blocks with the rows of theirs, ``which`` of them each event belongs to in ascending order."""
    bounds = [tuple(np.searchsorted(which, [n, n + 1]).tolist()) for n in range(len(blocks))]
    return tuple(msgspec.structs.replace(block, events=span) for block, span in zip(blocks, bounds, strict=True))
