"""A sequence, worked out before its shots: which qubits share a state, with which pulses, and what is read when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pulsed.model.errors import InvalidValueError
from pulsed.simulator.chip import Chip
from pulsed.simulator.clusters import union
from pulsed.simulator.measurement import Measurement
from pulsed.simulator.pulses import Pulses
from pulsed.simulator.readings import Readings
from pulsed.simulator.sequence import Line, Sequence
from pulsed.simulator.step import Pulse


@dataclass(frozen=True)
class Plan:
    """What a sequence plays.

    Attributes:
        clusters: qubits that share a state.
        pulses: of each cluster; none yet where it depends on a shot's bits what is played.
        ends: of each cluster, the middle of the last pulse on each qubit that is driven; where shots part, when the
            last one of all has ended.
        measurements: the readouts in order of time.

    """

    clusters: list[tuple[int, ...]]
    pulses: list[list[Pulse]]
    ends: list[dict[int, float]]
    measurements: list[Measurement]


def plan(chip: Chip, sequence: Sequence, reference: float, pulses: Pulses, readings: Readings) -> Plan:
    """Return what a sequence plays, in the frame at ``reference`` (Hz).

    Pulses that wait for bits are not worked out here, because some of them exclude each other.

    Raises:
        InvalidValueError: it does not fit its period.
        SimulationLimitError: more transmons are coupled at once than one pulse may.

    """
    measurements = [Measurement(r.start, r.stop, r.response) for r in readings.find(sequence)]
    found: list[Pulse] = []
    if sequence.conditions is None:
        found = pulses.find(sequence, reference)
        reached = [(p.qubits, p.stop) for p in found]
    else:
        reached = pulses.reached(sequence, reference)
    end = max([stop for _, stop in reached] + [m.stop for m in measurements], default=0)
    if end > sequence.period:
        raise InvalidValueError(
            "the sequence is longer than its repetition period",
            subject="period",
            value=f"{sequence.period} ns",
            legal=f">= {end} ns",
        )
    clusters = _clusters(chip, {qubits for qubits, _ in reached}, measurements)
    own = [found if len(clusters) == 1 else [p for p in found if p.qubits[0] in c] for c in clusters]
    if sequence.conditions is None:
        ends = [_ends(qubits, mine) for qubits, mine in zip(clusters, own, strict=True)]
    else:
        driven = {q for qubits, _ in reached for q in qubits}
        ends = [dict.fromkeys(driven & set(c), float(end)) for c in clusters]
    return Plan(clusters, own, ends, measurements)


def reference_of(chip: Chip, lines: Iterable[Line]) -> float:
    """Return the frame: the LO of the first drive line, in which held samples are constant."""
    for line in lines:
        if chip.wire(line.name).qubit is not None:
            return line.lo_frequency
    return chip.qubits[0].frequency


def _clusters(chip: Chip, together: set[tuple[int, ...]], measurements: list[Measurement]) -> list[tuple[int, ...]]:
    """Return which qubits share a state: those that a pulse joins, and coupled ones that are both driven.

    A driven qubit beside one that nothing drives is left alone: the neighbour stays in its thermal state,
    whose ZZ is part of the dressed frequency but for the percent of shots in which it is excited.
    """
    driven = sorted({q for qubits in together for q in qubits})
    links = [(qubits[0], q) for qubits in sorted(together) for q in qubits]
    links += [c.qubits for c in chip.couplings if set(c.qubits) <= set(driven)]
    active = sorted({*driven, *(q for m in measurements for q in m.response.measured)})
    return [tuple(int(str(q)) for q in members) for members in union(active, links)]


def _ends(qubits: tuple[int, ...], pulses: list[Pulse]) -> dict[int, float]:
    """Return the middle of the last pulse on each qubit; ``pulses`` are by the middle of their time."""
    found: dict[int, float] = {}
    for pulse in reversed(pulses):
        for q in pulse.qubits:
            found.setdefault(q, 0.5 * (pulse.start + pulse.stop))
        if len(found) == len(qubits):
            break
    return found
