"""Drive pulses of a sequence: which segments they make, and the cached propagator of each."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.chip.components import Qubit, Wire
from pulsed.simulator.dynamics.clusters import MOST_JOINT, Begins, Item, PulseSegment, Reach, reach, segments
from pulsed.simulator.dynamics.hamiltonian import LEVELS, TWO_PI_PER_NS, static
from pulsed.simulator.dynamics.hermitian import real_map
from pulsed.simulator.dynamics.lines import TAIL, distort, low_pass, mixed, settling
from pulsed.simulator.dynamics.pair_propagators import propagate
from pulsed.simulator.dynamics.propagators import propagate_one
from pulsed.simulator.dynamics.pulse_account import accounted
from pulsed.simulator.dynamics.pulse_map import PlacedPulse, PulseMap, joint_map
from pulsed.simulator.dynamics.sequence import LineSettings, PulseSequence
from pulsed.simulator.dynamics.superoperators import dissipator, jump_operators
from pulsed.simulator.dynamics.three_body import propagate_many
from pulsed.simulator.dynamics.trajectories import SimulationLimitError

Complex = NDArray[np.complex128]

CACHE_BYTES = 64 << 20
"""Bound of the propagator cache; a transmon's entry is 2 kB, a pair's 110 kB, one of three 4.5 MB or more."""

STRIDE = 8
"""Samples per step of the dissipation integral under a pulse of two or three; a transmon's pulse takes every sample."""

FLUX_STEPS = 4
"""Steps per sample of a flux pulse."""


@dataclass(frozen=True)
class _BurstKind:
    """What a burst is, apart from its start and phase; ``reach`` is None where it drives no qubit."""

    line: LineSettings
    wire: Wire
    envelope: Complex
    amplitude: float
    frequency: float
    key: tuple[object, ...]
    reach: Reach | None


@dataclass(frozen=True)
class _BurstTable:
    """The bursts of a sequence, column by column; ``which`` of the kinds each is."""

    kinds: list[_BurstKind]
    which: list[int]
    starts: list[int]
    phases: list[float]

    @cached_property
    def of(self) -> list[_BurstKind]:
        """Each burst's kind."""
        return [self.kinds[k] for k in self.which]

    def items(self) -> tuple[list[Item], list[Item]]:
        """Return what the bursts act on, and what crosstalk adds."""
        items: list[Item] = []
        felt: list[Item] = []
        for index, (part, start) in enumerate(zip(self.of, self.starts, strict=True)):
            if part.reach is not None:
                end = start + len(part.envelope)
                items.append((start, end, part.reach.main, index))
                felt += [(start, end, (q,), index) for q in part.reach.crosstalk]
        return items, felt


class PulseMapCache:
    """Turns bursts into pulses; keeps their propagators by content."""

    def __init__(self, chip: Chip, cache_bytes: int = CACHE_BYTES) -> None:
        self._maps: OrderedDict[tuple[object, ...], PulseMap] = OrderedDict()
        self._bytes = 0
        self._limit = cache_bytes
        self._reach: dict[tuple[object, ...], Reach] = {}
        self._versions: dict[Qubit | Wire, int] = {}
        self.take(chip)

    def take(self, chip: Chip) -> None:
        """Go on with the chip as it is now. Propagators stay good wherever their qubits and lines have not changed."""
        self.chip = chip
        self._reach.clear()  # depends on all qubits that could feel a burst, and on the couplings
        if len(self._versions) > 100_000:
            self._versions.clear()
            self._maps.clear()
            self._bytes = 0
        # Numbers instead of the values themselves: keys are hashed for every burst.
        self._qubit = [self._versions.setdefault(q, len(self._versions)) for q in chip.qubits]
        self._wire = {w.name: self._versions.setdefault(w, len(self._versions)) for w in chip.wires}
        crosstalk = np.array(chip.crosstalk)
        self._gain = crosstalk * np.array([q.drive_rate for q in chip.qubits])
        self._jumps: dict[tuple[int, ...], NDArray[np.float64]] = {}
        self._dissipators: dict[int, NDArray[np.float64]] = {}

    def find(
        self, sequence: PulseSequence, reference: float, tail: int = TAIL, begins: Begins | None = None
    ) -> list[PlacedPulse]:
        """Return the pulses of a sequence, by the middle of their time.

        Args:
            sequence: what the instruments play.
            reference: frequency of the frame (Hz).
            tail: samples that the last burst on a qubit may ring on.
            begins: when what is not in the sequence may begin to act on each qubit, which ends the ringing there.

        """
        parts = self._parts(sequence, reference)
        alone = None if begins else self._alone(parts, reference, tail)
        if alone is not None:
            return alone
        items, felt = parts.items()
        known: dict[tuple[int, int, tuple[int, ...]], PulseMap] = {}
        found = []
        joined = segments(items, felt, tail, begins)
        acting = {item[3] for item in (*items, *felt)}
        accounted(len(acting.intersection(i for s in joined for i in s.bursts)), len(acting), "drive pulses")
        for segment in joined:
            first = segment.bursts[0]
            length = len(parts.of[first].envelope)
            whole = len(segment.bursts) == 1 and (segment.start, segment.end - length) == (parts.starts[first],) * 2
            short = (id(parts.of[first]), segment.tail, segment.qubits)
            pulse_map = known.get(short) if whole else None
            if pulse_map is None:
                _check_size(segment, self.chip)
                segment.bursts.sort(key=lambda i: (parts.starts[i], parts.of[i].line.name))
                first = segment.bursts[0]
                pulse_map = self._map_of(parts, segment, reference)
                if whole:
                    known[short] = pulse_map
            stop = segment.end + segment.tail
            found.append(PlacedPulse(segment.qubits, segment.start, stop, parts.phases[first], pulse_map))
        return found

    def reached(self, sequence: PulseSequence, reference: float) -> list[tuple[tuple[int, ...], int, int]]:
        """Return what each burst of a sequence acts on by itself, and when that begins and has ended."""
        items, felt = self._parts(sequence, reference).items()
        return [(qubits, start, end + TAIL) for start, end, qubits, _ in (*items, *felt)]

    def _alone(self, parts: _BurstTable, reference: float, tail: int) -> list[PlacedPulse] | None:
        """Return the pulses if each burst is one: on a transmon each, none overlapping, without crosstalk. Else None.

        What :func:`segments` does for any bursts is done for all of these at once.
        """
        reaches = [part.reach for part in parts.kinds if part.reach is not None]
        if not reaches or any(len(found.main) > 1 or found.crosstalk for found in reaches):
            return None
        driving = np.array([part.reach is not None for part in parts.kinds])
        kind = np.where(driving, np.cumsum(driving) - 1, -1)[parts.which]
        bursts = np.flatnonzero(kind >= 0)
        kind = kind[bursts]
        lengths = np.array([len(part.envelope) for part in parts.kinds if part.reach is not None])
        qubits = np.array([found.main[0] for found in reaches])
        start = np.array(parts.starts)[bursts]
        end = start + lengths[kind]
        by_qubit = np.lexsort((start, qubits[kind]))
        same = np.diff(qubits[kind][by_qubit]) == 0
        room = np.where(same, start[by_qubit][1:] - end[by_qubit][:-1], tail)
        if room.min(initial=0) < 0:
            return None
        tails = np.full(len(bursts), tail)
        tails[by_qubit[:-1]] = np.minimum(room, tail)
        _, first, which = np.unique(kind * (tail + 1) + tails, return_index=True, return_inverse=True)
        maps = []
        for number in first.tolist():
            q = (int(qubits[kind[number]]),)
            segment = PulseSegment(int(start[number]), int(end[number]), q, [int(bursts[number])], int(tails[number]))
            maps.append(self._map_of(parts, segment, reference))
        places = [(int(q),) for q in qubits]
        sorted_ = np.lexsort((qubits[kind], start, start + end + tails))
        kinds, stops, phases = kind[sorted_].tolist(), (end + tails)[sorted_].tolist(), np.array(parts.phases)[bursts]
        each = map(places.__getitem__, kinds), map(maps.__getitem__, which[sorted_].tolist())
        columns = zip(each[0], start[sorted_].tolist(), stops, phases[sorted_].tolist(), each[1], strict=True)
        return list(map(PlacedPulse._make, columns))

    def _parts(self, sequence: PulseSequence, reference: float) -> _BurstTable:
        """Return what each burst is, where it starts and its phase in the frame at ``reference``."""
        bursts = sequence.bursts
        fields = np.stack([bursts[f].astype(float) for f in ("line", "envelope", "amplitude", "frequency")], axis=1)
        flux = np.array([self.chip.wire(line.name).flux is not None for line in sequence.lines])[bursts["line"]]
        fields[flux, 2] *= np.cos(bursts["phase"][flux])  # real samples, and no carrier
        rows = fields.view(f"V{fields.itemsize * fields.shape[1]}").ravel().tolist()
        index = {row: k for k, row in enumerate(dict.fromkeys(rows))}
        which = list(map(index.__getitem__, rows))
        kinds = []
        for line, envelope, amplitude, carrier in map(np.frombuffer, index):
            kinds.append(self._part(sequence, int(line), int(envelope), float(amplitude), float(carrier)))
        los = np.array([line.lo_frequency for line in sequence.lines])
        frequency = bursts["frequency"] + los[bursts["line"]] - reference
        phases = bursts["phase"] - 2 * np.pi * np.fmod(frequency * 1e-9 * bursts["start"], 1.0)
        phases[flux] = 0.0
        return _BurstTable(kinds, which, bursts["start"].tolist(), phases.tolist())

    def _part(self, sequence: PulseSequence, row: int, index: int, amplitude: float, frequency: float) -> _BurstKind:
        line, envelope = sequence.lines[row], sequence.envelopes[index]
        wire = self.chip.wire(line.name)
        key = (line, self._wire[line.name], sequence.keys[index], amplitude, frequency)
        if wire.flux is not None and line.on:
            pair = tuple(sorted(self.chip.couplings[wire.flux].qubits))
            samples = np.concatenate([envelope.real, np.zeros(settling(wire.distortion))]).astype(complex)
            return _BurstKind(line, wire, samples, amplitude, 0.0, key, Reach(pair, ()))
        if wire.qubit is None or not line.on:
            return _BurstKind(line, wire, envelope, amplitude, frequency, key, None)
        found = self._reach.get(key)
        if found is None:
            rates = np.abs(self._gain[:, wire.qubit])
            found = reach(self.chip, wire.qubit, envelope * amplitude, line.lo_frequency + frequency, rates)
            if len(self._reach) > 20_000:
                self._reach.clear()
            self._reach[key] = found
        return _BurstKind(line, wire, envelope, amplitude, frequency, key, found)

    def _map_of(self, parts: _BurstTable, segment: PulseSegment, reference: float) -> PulseMap:
        """Return the map of a segment, from the cache if its content was seen before."""
        phases = [parts.phases[i] for i in segment.bursts]
        content: list[object] = [segment.qubits, segment.tail, segment.end - segment.start, reference]
        content += [self._qubit[q] for q in segment.qubits]
        for i, phase in zip(segment.bursts, phases, strict=True):
            relative = round((phase - phases[0]) % (2 * math.pi), 9) % round(2 * math.pi, 9)
            content.append((parts.of[i].key, parts.starts[i] - segment.start, relative))
        key = tuple(content)
        pulse_map = self._maps.get(key)
        if pulse_map is not None:
            self._maps.move_to_end(key)
            return pulse_map
        drives = self._drives(parts, segment, reference)
        if any(parts.of[i].wire.flux is not None for i in segment.bursts):
            drives = np.column_stack([drives, self._coupler_shift(parts, segment)])
        levels = tuple(LEVELS + self._is_control(parts, segment, q) for q in segment.qubits)
        pulse_map = self._maps[key] = self.pulse_map(segment.qubits, levels, drives, reference)
        self._bytes += pulse_map.nbytes
        while self._bytes > self._limit and len(self._maps) > 1:
            self._bytes -= self._maps.popitem(last=False)[1].nbytes
        return pulse_map

    def _is_control(self, parts: _BurstTable, segment: PulseSegment, qubit: int) -> bool:
        """Return whether a tone for a partner leaves this qubit's line."""
        others = [self.chip.qubits[q].frequency for q in segment.qubits if q != qubit]
        for part in (parts.of[i] for i in segment.bursts):
            if part.wire.qubit == qubit:
                carrier = part.line.lo_frequency + part.frequency
                own = abs(carrier - self.chip.qubits[qubit].frequency)
                if any(abs(carrier - other) < own for other in others):
                    return True
        return False

    def _drives(self, parts: _BurstTable, segment: PulseSegment, reference: float) -> Complex:
        """Return (samples, sites) drives in rad/ns in the frame at ``reference``, the first burst's phase left out."""
        length = segment.end + segment.tail - segment.start
        drives = np.zeros((length, len(segment.qubits)), complex)
        for i in segment.bursts:
            part = parts.of[i]
            if part.wire.qubit is None:  # a flux line
                continue
            direct = mixed(part.wire, part.line.correction, part.line.offset)[0]
            n = np.arange(len(part.envelope))
            samples = part.amplitude * direct * part.envelope * np.exp(-2e-9j * np.pi * part.frequency * n)
            first = parts.starts[i] - segment.start
            room = length - first - len(samples)
            field = low_pass(samples, part.wire.bandwidth, part.frequency, min(TAIL, room) if room >= 0 else TAIL)
            field = field * np.exp(1j * (parts.phases[i] - parts.phases[segment.bursts[0]]))
            split = part.line.lo_frequency - reference
            if split:
                field = field * np.exp(-2e-9j * np.pi * split * (np.arange(len(field)) + 0.5))
            field = field[max(0, -first) : length - first]
            first = max(0, first)
            for site, q in enumerate(segment.qubits):
                gain = self._gain[q, part.wire.qubit] * TWO_PI_PER_NS
                drives[first : first + len(field), site] += gain * field
        return drives

    def _coupler_shift(self, parts: _BurstTable, segment: PulseSegment) -> NDArray[np.float64]:
        """Return (samples,) shift of the coupler of a segment's pair in rad/ns."""
        total = np.zeros(segment.end + segment.tail - segment.start)
        bursts = [i for i in segment.bursts if parts.of[i].wire.flux is not None]
        wire = parts.of[bursts[0]].wire
        for i in bursts:
            part = parts.of[i]
            first = parts.starts[i] - segment.start
            gain = part.amplitude * part.line.correction[0] * part.wire.gain
            total[first : first + len(part.envelope)] += gain * part.envelope.real
        coupling = self.chip.couplings[wire.flux or 0]
        assert coupling.coupler is not None  # the chip was checked
        return coupling.coupler.shift(distort(total, wire.distortion)) * TWO_PI_PER_NS

    def pulse_map(
        self, qubits: tuple[int, ...], levels: tuple[int, ...], drives: Complex, reference: float
    ) -> PulseMap:
        """Propagate one to three transmons under ``drives`` (samples, sites), rad/ns in the frame at ``reference``.

        A pair with a coupler may have a third drive: the coupler's distance from its idle frequency.
        """
        system = static(self.chip, qubits, levels, reference)
        excitations = system.numbers.sum(axis=0)[system.keep]
        if len(qubits) == 1:
            drive = np.ascontiguousarray(drives)
            one, moment, real = propagate_one(system.energies, system.lowering, drive, self._dissipator(qubits[0]))
            return PulseMap(real, one, moment, excitations)
        jumps = self._jump_operators(qubits, system.levels)
        if len(qubits) > 2:
            kept, moments, generator = propagate_many(system, drives, jumps, STRIDE)
            return PulseMap(joint_map(kept, generator), kept, moments, excitations)
        stride, fine = STRIDE, 1
        if drives.shape[1] > len(qubits):
            # Held samples have images near the coupler's distance from the qubits; the line's filter joins them.
            fine, stride = FLUX_STEPS, STRIDE * FLUX_STEPS
            drives = np.column_stack([np.repeat(drives[:, :-1], fine, axis=0), _joined(drives[:, -1], fine)])
        drives = np.pad(drives, ((0, 0), (0, len(system.lowering) - drives.shape[1])))
        unitary, moments, generator = propagate(
            system.energies / fine,
            system.lowering,
            system.numbers,
            np.ascontiguousarray(drives) / fine,
            jumps / math.sqrt(fine),
            system.keep,
            stride,
        )
        moments = moments[: len(qubits)] / fine
        kept = np.ascontiguousarray(unitary[np.ix_(system.keep, system.keep)])
        return PulseMap(joint_map(kept, generator), kept, moments, excitations)

    def _dissipator(self, qubit: int) -> NDArray[np.float64]:
        """Return the (9, 9) generator of a transmon's dissipation on its coefficients, 1/ns."""
        found = self._dissipators.get(qubit)
        if found is None:
            found = self._dissipators[qubit] = real_map(dissipator(jump_operators(self.chip.qubits[qubit], LEVELS)))
        return found

    def _jump_operators(self, qubits: tuple[int, ...], levels: tuple[int, ...]) -> NDArray[np.float64]:
        key = (*qubits, -1, *levels)
        found = self._jumps.get(key)
        if found is None:
            parts = []
            for site, q in enumerate(qubits):
                for op in jump_operators(self.chip.qubits[q], levels[site]):
                    full = np.eye(1)
                    for other, size in enumerate(levels):
                        full = np.kron(full, op if other == site else np.eye(size))
                    parts.append(full)
            found = self._jumps[key] = np.array(parts)
        return found


def _check_size(segment: PulseSegment, chip: Chip) -> None:
    qubits = segment.qubits
    tuned = any(c.coupler is not None and set(c.qubits) <= set(qubits) for c in chip.couplings)
    most = 2 if tuned else MOST_JOINT
    if len(qubits) > most:
        raise SimulationLimitError(
            f"pulses that couple more than {most} transmons{' by a tunable coupler' if tuned else ''} overlap",
            subject=f"qubits {', '.join(map(str, qubits))}",
            value=f"{len(qubits)} transmons from {segment.start} to {segment.end} ns",
            legal=f"at most {most} at once: barriers or delays that keep them apart",
        )


def _joined(samples: Complex, fine: int) -> Complex:
    """Return (n * fine,) samples with straight lines from the middle of one to the middle of the next."""
    count = len(samples)
    middles = np.concatenate([[-0.5], np.arange(count) + 0.5, [count + 0.5]])
    values = np.concatenate([[0.0], samples.real, [0.0]])
    return np.asarray(np.interp((np.arange(count * fine) + 0.5) / fine, middles, values), dtype=np.complex128)
