"""The blocks with which an AWG8 is given a sweep: a sequence with terms, and the values of each entry of the list."""

from __future__ import annotations

import numpy as np

from pulsed.simulator.instruments.awg8_tables import EVENT, FIELDS, OSCILLATORS, TERM, TURN
from pulsed.simulator.instruments.scpi import ScpiError
from pulsed.simulator.instruments.virtual_instrument import require

NO_TERMS = np.empty(0, TERM)


def read_sweep(block: bytearray) -> tuple[np.ndarray, np.ndarray]:
    """Return events and terms of a block of ``SEQuence:SWEep``; ScpiError for what cannot be."""
    counts = np.frombuffer(block, "<u4", 2).tolist() if len(block) >= 8 else (0, 0)
    size = 8 + counts[0] * EVENT.itemsize + counts[1] * TERM.itemsize
    if len(block) != size:
        raise ScpiError(-161, f"{len(block)} bytes, {size} for what is announced")
    events = np.frombuffer(block, EVENT, counts[0], 8)
    terms = np.frombuffer(block, TERM, counts[1], 8 + events.nbytes)
    require([(-222, terms["event"] < len(events), f"event 0 to {len(events) - 1}")], "term")
    own = events[terms["event"]]
    plays = (own["oscillator"] < OSCILLATORS) & (own["waveform"] != TURN)
    require(
        [
            (-222, np.isin(terms["field"], list(FIELDS)), "field 1 (amplitude), 2 (phase) or 3 (frequency)"),
            (-222, np.isfinite(terms["coefficient"]), "a finite coefficient"),
            (-222, plays, "an event that plays a waveform"),
        ],
        "term",
    )
    return events, terms


def read_values(block: bytearray, entries: int) -> np.ndarray:
    """Return the values of a block of ``LIST:VALues``, float64 (entries, columns); ScpiError for what cannot be."""
    columns = int.from_bytes(block[:4], "little")
    size = 8 + 8 * columns * entries
    if not columns or len(block) != size:
        raise ScpiError(-161, f"{len(block)} bytes, {size} for {columns} values of each of {entries} entries")
    values = np.frombuffer(block, "<f8", columns * entries, 8).reshape(entries, columns)
    require([(-222, np.isfinite(values).all(axis=1), "finite values")], "entry")
    return values


def without_values(events: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """Return events with zeros where values decide: these are in range or not when the list is armed.

    ScpiError (-222) for a number there that is not finite.
    """
    if not len(terms):
        return events
    found = events.copy()
    for number, name in FIELDS.items():
        require([(-222, np.isfinite(found[name]), f"a finite {name}")], "event")
        found[name][terms["event"][terms["field"] == number]] = 0.0
    return found
