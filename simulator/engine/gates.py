"""Unitaries and errors of gates in the frames of the qubits, from the engine's own propagators."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.dynamics.hamiltonian import LEVELS, TWO_PI_PER_NS
from pulsed.simulator.dynamics.lines import gain
from pulsed.simulator.dynamics.pulse_map import PlacedPulse
from pulsed.simulator.dynamics.pulses import PulseMapCache
from pulsed.simulator.dynamics.sequence import BURST, LineSettings, PulseSequence
from pulsed.simulator.dynamics.state import DensityMatrix, table
from pulsed.simulator.engine.exact import ExactCluster
from pulsed.simulator.engine.free_evolution import FreeEvolution

Complex = NDArray[np.complex128]


@dataclass(frozen=True)
class Burst:
    """A waveform on a qubit's line at a radio frequency (Hz); ``envelope`` in full scales, amplitude included.

    Or, with no qubit, on the flux line of the coupler of coupling ``flux``, without a carrier.
    """

    qubit: int | None
    start: int
    envelope: Complex
    frequency: float = 0.0
    flux: int | None = None

    def at(self, start: int) -> Burst:
        """Return the same burst at another time (samples)."""
        return replace(self, start=start)


def rotation(theta: float) -> Complex:
    """Return Rx(theta)."""
    c, s = math.cos(theta / 2), math.sin(theta / 2)
    return np.array([[c, -1j * s], [-1j * s, c]])


class Gates:
    """Unitaries and errors of bursts on one chip with its lines set as ``lines``."""

    def __init__(self, chip: Chip, lines: tuple[LineSettings, ...]) -> None:
        self.chip = chip
        self.lines = lines
        self._pulses = PulseMapCache(chip)
        drive = next(line for line in lines if chip.wire(line.name).qubit is not None)
        self.reference = drive.lo_frequency
        self._free = FreeEvolution(chip, self.reference)

    def response(self, qubit: int, frequency: float) -> complex:
        """Return the drive (Hz, complex) that a full-scale tone at ``frequency`` on a qubit's own line makes there."""
        wire = next(w for w in self.chip.wires if w.qubit == qubit)
        return self.chip.qubits[qubit].drive_rate * gain(wire.bandwidth, frequency - self.reference)

    def rows(self, bursts: Sequence[Burst]) -> tuple[list[tuple[float, ...]], list[Complex]]:
        """Return bursts as rows of BURST, and their envelopes."""
        rows: list[tuple[float, ...]] = []
        envelopes: list[Complex] = []
        for burst in bursts:
            wires = [self.chip.wire(line.name) for line in self.lines]
            line = next(i for i, w in enumerate(wires) if (w.qubit, w.flux) == (burst.qubit, burst.flux))
            offset = burst.frequency - self.lines[line].lo_frequency
            rows.append((line, burst.start, len(envelopes), 1.0, 0.0, offset))
            envelopes.append(np.asarray(burst.envelope, dtype=complex))
        return rows, envelopes

    def sequence(self, bursts: Sequence[Burst]) -> PulseSequence:
        """Return bursts as a sequence without readout."""
        rows, envelopes = self.rows(bursts)
        keys = tuple(e.tobytes() for e in envelopes)
        return PulseSequence(self.lines, np.array(rows, BURST), tuple(envelopes), keys, (), 10**9)

    def unitary(self, bursts: Sequence[Burst], qubits: tuple[int, ...], end: int) -> Complex:
        """Return the (2^k, 2^k) block of the propagator from 0 to ``end``, in the qubits' frames, no decoherence.

        The first of ``qubits`` is the slow index.
        """
        pulses, order = self._find(bursts, qubits)
        count = len(order)
        numbers = np.indices((LEVELS,) * count).reshape(count, -1)
        single = {q: self._energies(q)[numbers[i]] for i, q in enumerate(order)}
        joint = {p: z[numbers[order.index(p[0])], numbers[order.index(p[1])]] for p, z in self._pairs(order)}
        u = np.eye(LEVELS**count, dtype=complex)
        clock: dict[int | tuple[int, ...], float] = dict.fromkeys([*order, *joint], 0.0)

        def wait(what: int | tuple[int, ...], until: float) -> None:
            energies = joint[what] if isinstance(what, tuple) else single[what]
            u[:] = np.exp(-1j * energies * (until - clock[what]))[:, None] * u
            clock[what] = until

        for pulse in pulses:
            for pair in joint:
                if set(pair) <= set(pulse.qubits):
                    wait(pair, pulse.start)
                elif set(pair) & set(pulse.qubits):
                    wait(pair, 0.5 * (pulse.start + pulse.stop))
            for q in pulse.qubits:
                wait(q, pulse.start)
            turn = np.exp(1j * pulse.phase * pulse.map.excitations)
            step = turn[:, None] * pulse.map.unitary * turn.conj()[None, :]
            rows = table(count, tuple(order.index(q) for q in pulse.qubits))
            u[rows] = np.matmul(step, u[rows])
            clock.update(dict.fromkeys(pulse.qubits, float(pulse.stop)))
            clock.update({pair: float(pulse.stop) for pair in joint if set(pair) <= set(pulse.qubits)})
        for what in list(clock):
            wait(what, float(end))
        frames = sum(self._frame(q) * numbers[i] for i, q in enumerate(order))
        u = np.exp(1j * frames * end)[:, None] * u
        kept = _computational(order, qubits)
        block: Complex = u[np.ix_(kept, kept)]
        return block

    def error(self, bursts: Sequence[Burst], qubits: tuple[int, ...], end: int, wanted: Complex) -> float:
        """Return the average gate infidelity to ``wanted``, decoherence and quasi-static detuning included.

        F = (d F_e + 1 - L) / (d + 1), F_e the entanglement fidelity on the computational levels, L the leakage, from
        the images of all matrix units; detunings at +-sigma of each qubit stand for their distribution.
        """
        d = len(wanted)
        sigma = np.array([q.detuning_sigma for q in self.chip.qubits])
        errors = []
        for signs in ((1, 1), (1, -1)) if d == 4 else ((1,),):
            shift = np.zeros(len(sigma))
            shift[list(qubits)] = sigma[list(qubits)] * np.array(signs)
            errors += [self._infidelity(bursts, qubits, end, wanted, s * shift) for s in (1.0, -1.0)]
        return float(np.mean(errors))

    def _infidelity(
        self,
        bursts: Sequence[Burst],
        qubits: tuple[int, ...],
        end: int,
        wanted: Complex,
        detunings: NDArray[np.float64],
    ) -> float:
        pulses, order = self._find(bursts, qubits)
        kept = _computational(order, qubits)
        d, size = len(wanted), LEVELS ** len(order)
        ground = np.tile(np.eye(LEVELS)[0], (len(self.chip.qubits), 1))
        cluster = ExactCluster(self._free, order, ground, np.tile(detunings, (d * d, 1)))
        units = np.zeros((d, d, size, size), complex)
        for i in range(d):
            for j in range(d):
                units[i, j, kept[i], kept[j]] = 1
        # A state is Hermitian: of the units (i, j) and (j, i) one place holds the sum, one i times the difference.
        flipped = units.transpose(1, 0, 2, 3)
        lower = np.tril(np.ones((d, d), dtype=bool), -1)[..., None, None]
        states = np.where(lower, 1j * (units - flipped), units + flipped)
        cluster.state = DensityMatrix.of(states.reshape(d * d, size, size))
        for pulse in pulses:
            cluster.play(pulse)
        cluster.wait(end)
        numbers = np.indices((LEVELS,) * len(order)).reshape(len(order), -1)
        frames = np.exp(1j * end * sum(self._frame(q) * numbers[i] for i, q in enumerate(order)))
        images = cluster.density.rho * frames[:, None] * frames.conj()[None, :]
        images = images[:, kept][:, :, kept].reshape(d, d, d, d)
        row, column = np.indices((d, d))
        low, high = np.minimum(row, column), np.maximum(row, column)
        sign = np.sign(column - row)[..., None, None]
        images = 0.5 * (images[low, high] + 1j * sign * images[high, low])
        fidelity = np.einsum("ai,ijab,bj->", wanted.conj(), images, wanted).real / d**2
        retained = np.einsum("iiaa->", images).real / d
        return float(1 - (d * fidelity + retained) / (d + 1))

    def _find(self, bursts: Sequence[Burst], qubits: tuple[int, ...]) -> tuple[list[PlacedPulse], tuple[int, ...]]:
        """Return the pulses on ``qubits``, and these with the neighbours that a pulse drives along, sorted.

        The line's ringing is folded in, so that pulses end with their bursts. What other qubits feel is left out.
        """
        found = self._pulses.find(self.sequence(bursts), self.reference, tail=0)
        mine = [p for p in found if set(p.qubits) & set(qubits)]
        return mine, tuple(sorted({*qubits, *(q for p in mine for q in p.qubits)}))

    def _pairs(self, order: tuple[int, ...]) -> list[tuple[tuple[int, ...], NDArray[np.float64]]]:
        return [(pair, table) for pair, table in self._free.zz.items() if set(pair) <= set(order)]

    def _energies(self, q: int) -> NDArray[np.float64]:
        qubit, n = self.chip.qubits[q], np.arange(LEVELS)
        energy = (qubit.frequency - self.reference) * n + 0.5 * qubit.anharmonicity * n * (n - 1)
        return energy * TWO_PI_PER_NS

    def _frame(self, q: int) -> float:
        return (self.chip.qubits[q].frequency - self.reference) * TWO_PI_PER_NS


def _computational(order: tuple[int, ...], qubits: tuple[int, ...]) -> list[int]:
    """Return the indices of the computational states in the order of ``qubits``, all others of ``order`` in 0."""
    out = []
    for bits in np.ndindex((2,) * len(qubits)):
        level = dict(zip(qubits, bits, strict=True))
        out.append(int(np.ravel_multi_index([level.get(q, 0) for q in order], (LEVELS,) * len(order))))
    return out
