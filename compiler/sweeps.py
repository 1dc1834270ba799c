"""A program with unbound parameters and many bindings: lowered once, with what each binding changes as data.

Phases, frequencies and amplitudes of events are linear in the unbound parameters of the rows before them, so lowering
gives, beside the events, one coefficient per event, field and distinct expression.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from pulsed import old_names
from pulsed.compiler.channel_map import ChannelMap
from pulsed.compiler.expressions import Values, evaluate
from pulsed.compiler.instruction_table import (
    PLAY,
    SET_FREQUENCY,
    SET_PHASE,
    SHIFT_FREQUENCY,
    SHIFT_PHASE,
    UnboundParameter,
)
from pulsed.compiler.program import FIELDS, PARAMETER
from pulsed.model.errors import LoweringError

__getattr__ = old_names(__name__)

_PHASE, _FREQUENCY, _AMPLITUDE = (FIELDS.index(name) for name in ("phase", "frequency", "amplitude"))


@dataclass(frozen=True)
class LoweredSweep:
    """PARAMETER rows for the events of one lowered schedule, and the values: float64 (bindings, columns)."""

    parameters: npt.NDArray[np.void]
    bindings: npt.NDArray[np.float64]


@njit(cache=True)
def _gains(rows, weight, lines, dt, state, phase, frequency):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Write how phase and frequency of each play grow when each row's value grows by its weight."""
    played = 0
    for i in range(rows.shape[0]):
        r, kind = rows[i].row, rows[i].kind
        if kind == SHIFT_PHASE:
            state[r, 0] += weight[i]
        elif kind == SET_PHASE:
            state[r, 0] = weight[i]
        elif kind in (SHIFT_FREQUENCY, SET_FREQUENCY):
            hop = weight[i] - (state[r, 2] if kind == SET_FREQUENCY else 0.0)
            state[r, 1] += 2 * np.pi * hop * rows[i].time * dt
            state[r, 2] += hop
        elif kind == PLAY:
            phase[played] = state[r, 0] + state[r, 1] + weight[i] + 2 * np.pi * state[r, 2] * lines[r].lag
            frequency[played] = state[r, 2]
            played += 1


def sweep(
    rows: npt.NDArray[np.void],
    unbound: Sequence[UnboundParameter],
    values: Values,
    channel_map: ChannelMap,
    events: npt.NDArray[np.void],
) -> LoweredSweep:
    """Return what the bindings ``values`` change in ``events``, which ``rows`` lower to.

    Raises :class:`LoweringError` when a binding takes an amplitude beyond full scale or a frequency out of its band.
    """
    columns: dict[tuple[str, str, float], list[UnboundParameter]] = {}
    for item in unbound:
        columns.setdefault((str(item.expression), item.field, item.offset), []).append(item)
    plays = np.flatnonzero(rows["kind"] == PLAY)
    # Events are sorted by slot, in order of time within: see lowering.lower.
    order = np.argsort(rows["row"][plays], kind="stable")
    played = plays[order]
    found, bindings = [], []
    for column, items in enumerate(columns.values()):
        weight = np.zeros(len(rows))
        for item in items:
            weight[item.row] += item.factor
        bindings.append(evaluate(items[0].expression, values) + items[0].offset)
        if items[0].field == "amplitude":
            found.append(_rows(_AMPLITUDE, column, weight[played]))
            continue
        phase, frequency = np.zeros(len(order)), np.zeros(len(order))
        lines = channel_map.table
        _gains(rows, weight, lines, float(channel_map.device.dt), np.zeros((len(lines), 3)), phase, frequency)
        found += [_rows(_PHASE, column, phase[order]), _rows(_FREQUENCY, column, frequency[order])]
    result = LoweredSweep(np.concatenate(found), np.stack(bindings, axis=1))
    _check(result, rows[played], events, channel_map)
    return result


def _rows(field: int, column: int, coefficients: npt.NDArray[np.float64]) -> npt.NDArray[np.void]:
    events = np.flatnonzero(coefficients)
    rows = np.zeros(len(events), dtype=PARAMETER)
    rows["event"], rows["field"], rows["parameter"] = events, field, column
    rows["coefficient"] = coefficients[events]
    return rows


def _check(
    found: LoweredSweep, plays: npt.NDArray[np.void], events: npt.NDArray[np.void], channel_map: ChannelMap
) -> None:
    """Check the extremes of amplitude and frequency over all bindings: event i is row i of ``plays``."""
    changed = found.parameters[np.isin(found.parameters["field"], (_AMPLITUDE, _FREQUENCY))]
    if not len(changed):
        return
    bandwidth = channel_map.table["bandwidth"][plays["row"]]
    limits = {_AMPLITUDE: (events["amplitude"], 1 + 1e-9), _FREQUENCY: (events["frequency"], bandwidth)}
    for field, (base, limit) in limits.items():
        rows = changed[changed["field"] == field]
        for event in np.unique(rows["event"]):
            mine = rows[rows["event"] == event]
            reached = base[event] + found.bindings[:, mine["parameter"]] @ mine["coefficient"]
            worst = int(np.argmax(np.abs(reached)))
            top = float(np.broadcast_to(limit, len(plays))[event])
            if abs(reached[worst]) > top:
                line = channel_map.lines[plays[event]["row"]]
                raise LoweringError(
                    f"binding {worst} takes the {FIELDS[field]} beyond its limit",
                    subject=f"channel {line.slot.channel} at {plays[event]['time']} dt",
                    value=f"{reached[worst]:.6g}",
                    legal=f"at most {top:.6g}",
                )
