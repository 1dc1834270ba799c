"""Plan of a sequence: which qubits share a state, with which pulses, and what is read when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pulsed.model.errors import InvalidValueError
from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.dynamics.clusters import union
from pulsed.simulator.dynamics.lines import TAIL
from pulsed.simulator.dynamics.pulse_account import accounted
from pulsed.simulator.dynamics.pulse_map import PlacedPulse
from pulsed.simulator.dynamics.pulses import PulseMapCache
from pulsed.simulator.dynamics.sequence import LineSettings, PulseSequence
from pulsed.simulator.dynamics.trajectories import SimulationLimitError
from pulsed.simulator.readout.acquisition import RING_DOWN
from pulsed.simulator.readout.measurement import Measurement, Stretch, measurements_of
from pulsed.simulator.readout.readout_cache import ReadoutCache


@dataclass(frozen=True)
class SequencePlan:
    """What a sequence plays.

    Attributes:
        clusters: qubits that share a state.
        pulses: of each cluster; none yet where it depends on a shot's bits what is played.
        ends: of each cluster, the middle of the last pulse on each qubit that is driven; where shots part, when the
            last one of all has ended.
        measurements: the readouts in order of time.

    """

    clusters: list[tuple[int, ...]]
    pulses: list[list[PlacedPulse]]
    ends: list[dict[int, float]]
    measurements: list[Measurement]


def plan(
    chip: Chip, sequence: PulseSequence, reference: float, pulses: PulseMapCache, readouts: ReadoutCache
) -> SequencePlan:
    """Return what a sequence plays, in the frame at ``reference`` (Hz).

    Pulses that depend on bits are not computed here, because some of them exclude each other.

    Raises:
        InvalidValueError: it does not fit its period.
        SimulationLimitError: more transmons are coupled at once than one pulse may, or a pulse drives a qubit while it
            is measured.

    """
    measurements = measurements_in(sequence, readouts)
    _check_apart(chip, sequence, measurements)
    found: list[PlacedPulse] = []
    if sequence.conditions is None:
        found = pulses.find(sequence, reference)
        reached = [(p.qubits, p.start, p.stop) for p in found]
    else:
        reached = pulses.reached(sequence, reference)
    end = max([stop for _, _, stop in reached] + [m.stretch.stop for m in measurements], default=0)
    if end > sequence.period:
        raise InvalidValueError(
            "the sequence is longer than its repetition period",
            subject="period",
            value=f"{sequence.period} ns",
            legal=f">= {end} ns",
        )
    clusters = _clusters(chip, {qubits for qubits, _, _ in reached}, measurements)
    own = [found if len(clusters) == 1 else [p for p in found if p.qubits[0] in c] for c in clusters]
    accounted(sum(map(len, own)), len(found), "pulses of the clusters")
    if sequence.conditions is None:
        ends = [_ends(qubits, mine) for qubits, mine in zip(clusters, own, strict=True)]
    else:
        driven = {q for qubits, _, _ in reached for q in qubits}
        ends = [dict.fromkeys(driven & set(c), float(end)) for c in clusters]
    return SequencePlan(clusters, own, ends, measurements)


def measurements_in(sequence: PulseSequence, readouts: ReadoutCache) -> list[Measurement]:
    """Return the measurements of a sequence in order of time."""
    read = [
        measurements_of(Stretch(r.start, r.stop, r.response, r.choices, parts=r.parts), r.spans)
        for r in readouts.find(sequence)
    ]
    return sorted((m for found in read for m in found), key=lambda m: m.start)


def _check_apart(chip: Chip, sequence: PulseSequence, measurements: list[Measurement]) -> None:
    """Refuse (SimulationLimitError) a pulse on a qubit's own line while that qubit is measured."""
    bursts, driven = sequence.bursts, [chip.wire(line.name).qubit if line.on else None for line in sequence.lines]
    if not measurements or not any(q is not None for q in driven):
        return
    qubits = np.array([-1 if q is None else q for q in driven])[bursts["line"]]
    stops = bursts["start"] + np.array([len(e) for e in sequence.envelopes])[bursts["envelope"]]
    for measurement in measurements:
        # The ring-down after a tone does not count as readout.
        during = (bursts["start"] < measurement.stop - RING_DOWN) & (stops > measurement.start + TAIL)
        for burst in np.flatnonzero(during & np.isin(qubits, measurement.measured) & (bursts["amplitude"] != 0)):
            raise SimulationLimitError(
                "a pulse during its own readout is beyond the simulation "
                "(left alignment starts both at once: use align_sequential or a barrier)",
                subject=f"qubit {qubits[burst]}",
                value=f"a pulse from {bursts['start'][burst]} to {stops[burst]} ns",
                legal=f"until {measurement.start} ns, or from {measurement.stop} ns",
            )


def reference_of(chip: Chip, lines: Iterable[LineSettings]) -> float:
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
    links += [c.qubits for c in chip.couplings if chip.effects.idle_zz and set(c.qubits) <= set(driven)]
    active = sorted({*driven, *(q for m in measurements for q in m.measured)})
    return [tuple(int(str(q)) for q in members) for members in union(active, links)]


def _ends(qubits: tuple[int, ...], pulses: list[PlacedPulse]) -> dict[int, float]:
    """Return the middle of the last pulse on each qubit; ``pulses`` are by the middle of their time."""
    found: dict[int, float] = {}
    for pulse in reversed(pulses):
        for q in pulse.qubits:
            found.setdefault(q, 0.5 * (pulse.start + pulse.stop))
        if len(found) == len(qubits):
            break
    return found
