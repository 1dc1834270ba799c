"""Gates: randomized benchmarking at the coherence limit, and the shipped calibration set of sim5."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from qiskit.circuit.library import ECRGate

from pulsed.model.calibration import CalibrationSet, load_calibration
from pulsed.pulse.library import Drag, GaussianSquare
from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.chip.chip_file import load_chip
from pulsed.simulator.dynamics.lines import ideal_correction
from pulsed.simulator.dynamics.sequence import BURST, LineSettings, PulseSequence
from pulsed.simulator.engine.engine import Engine
from pulsed.simulator.engine.gates import Burst, Gates, rotation
from pulsed.simulator.engine.steady_state import InitialPopulations
from pulsed.simulator.engine.tuneup import Tuneup

CONFIGS = Path(__file__).parents[4] / "configs"
PAIRS = [(0, 1), (2, 1), (2, 3), (4, 3)]


@pytest.fixture(scope="module")
def chip() -> Chip:
    return load_chip(CONFIGS / "chips" / "sim5.toml")


@pytest.fixture(scope="module")
def shipped() -> CalibrationSet:
    return load_calibration(CONFIGS / "calibrations" / "sim5.json")


def gates_of(chip: Chip) -> Gates:
    return Gates(
        chip,
        tuple(
            LineSettings(w.name, 7.11e9 if w.qubit is None else 5.1e9, True, *ideal_correction(w)) for w in chip.wires
        ),
    )


def cliffords() -> list[np.ndarray]:
    """The 24 one-qubit Cliffords, as rotations of the Bloch sphere: signed permutations of determinant 1."""
    out = []
    for p in ((0, 1, 2), (1, 2, 0), (2, 0, 1), (0, 2, 1), (2, 1, 0), (1, 0, 2)):
        for signs in np.ndindex(2, 2, 2):
            m = np.zeros((3, 3))
            m[range(3), p] = 1 - 2 * np.array(signs)
            if np.linalg.det(m) > 0:
                out.append(m)
    return out


def zsxzsxz(m: np.ndarray) -> tuple[float, float, float]:
    """Angles (a, b, c) of rz(a), sx, rz(b), sx, rz(c), in this order, that make a rotation."""

    def rz(t):
        return np.array([[math.cos(t), -math.sin(t), 0], [math.sin(t), math.cos(t), 0], [0, 0, 1]])

    sx = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
    for a in np.arange(4) * math.pi / 2:
        for b in np.arange(4) * math.pi / 2:
            for c in np.arange(4) * math.pi / 2:
                if np.allclose(rz(c) @ sx @ rz(b) @ sx @ rz(a), m):
                    return a, b, c
    raise AssertionError(m)


@pytest.mark.parametrize(("t1", "t2", "wanted"), [(80e-6, 90e-6, 3.70e-4), (30e-6, 20e-6, 1.420e-3)])
def test_randomized_benchmarking_reaches_the_coherence_limit(chip, t1, t2, wanted):
    """Each Clifford is two sx of 32 ns: r = (3 - exp(-t/T1) - 2 exp(-t/T2))/6 for t = 64 ns, within 1 %.

    Exact survival (no shots), 8 sequences (seed 3) of 0, 150 and 300 Cliffords, fit of A p^m + 1/2.
    """
    seed, rng = 3, np.random.default_rng(3)
    limit = (3 - math.exp(-64e-9 / t1) - 2 * math.exp(-64e-9 / t2)) / 6
    assert limit == pytest.approx(wanted, rel=5e-3)
    qubit = replace(chip.qubits[0], t1=t1, t2_echo=t2, t2_star=t2, thermal=0.0)
    alone = replace(chip, qubits=(qubit, *chip.qubits[1:]), couplings=())
    tuneup = Tuneup(alone)
    tuneup.rotations(0)
    amplitude, beta, angle = (tuneup.values[f"Q0.sx.{k}"].value for k in ("amplitude", "beta", "angle"))
    envelope = Drag(32, amplitude, 8.0, beta, angle=angle).envelope()
    group = cliffords()
    angles = [zsxzsxz(m) for m in group]
    engine = Engine(alone)

    def survival(length: int) -> float:
        total, frame, start, rows = np.eye(3), 0.0, 0, []
        picks = list(rng.integers(24, size=length))
        for step in range(length + 1):
            if step == length:
                pick = next(i for i, m in enumerate(group) if np.allclose(m @ total, np.eye(3)))
            else:
                pick = picks[step]
            total = group[pick] @ total
            a, b, c = angles[pick]
            for turn in (a, b):
                frame -= turn
                rows.append((0, start, 0, 1.0, frame, qubit.frequency - 5.1e9))
                start += 32
            frame -= c
        sequence = PulseSequence(tuneup.lines, np.array(rows, BURST), (envelope.astype(complex),), (b"sx",), (), 10**8)
        plan = engine.model(5.1e9).plan(sequence)
        initial = np.tile(np.eye(3)[0], (5, 1))
        cluster = engine.model(5.1e9).cluster((0,), InitialPopulations(initial), np.zeros((1, 5)))
        for pulse in plan.pulses[0]:
            cluster.play(pulse)
        return float(cluster.state.populations((0,))[0, 0])

    lengths = np.array([0, 150, 300])
    means = np.array([np.mean([survival(int(m)) for _ in range(8)]) for m in lengths])
    slope = np.polyfit(lengths, np.log(means - 0.5), 1)[0]
    assert (1 - math.exp(slope)) / 2 == pytest.approx(limit, rel=0.01), f"seed {seed}"


def drag(shipped: CalibrationSet, chip: Chip, q: int, gate: str, start: int) -> Burst:
    amplitude, beta, angle, sigma = (
        shipped.number(f"Q{q}.{gate}.{k}") for k in ("amplitude", "beta", "angle", "sigma")
    )
    envelope = Drag(32, amplitude, sigma, beta, angle=angle).envelope()
    return Burst(q, start, envelope, chip.qubits[q].frequency)


def ecr(shipped: CalibrationSet, chip: Chip, control: int, target: int) -> tuple[list[Burst], int, np.ndarray]:
    """The schedule as the compiler plays it: bursts, length, and the virtual z's after it (control slow)."""
    name = f"Q{control}-Q{target}.ecr"
    half = round(shipped.number(f"{name}.duration"))
    sigma, width = shipped.number(f"{name}.sigma"), shipped.number(f"{name}.width")
    bursts = []
    for sign, start in ((1, 0), (-1, half + 32)):
        for q, part in ((control, name), (target, f"{name}.cancel")):
            amplitude, angle = sign * shipped.number(f"{part}.amplitude"), shipped.number(f"{part}.angle")
            envelope = GaussianSquare(half, amplitude, sigma, width, angle=angle).envelope()
            bursts.append(Burst(q, start, envelope, chip.qubits[target].frequency))
    bursts.append(drag(shipped, chip, control, "x", half))
    turns = [np.diag(np.exp(np.array([-0.5j, 0.5j]) * shipped.number(f"{name}.rz_{r}"))) for r in ("control", "target")]
    return bursts, 2 * half + 32, np.kron(*turns)


@pytest.mark.parametrize("q", range(5))
def test_shipped_rotations(chip, shipped, q):
    """Exactly Rx(pi) and Rx(pi/2) but for decoherence; the error in the file is that of the pulse in the file."""
    gates = gates_of(chip)
    qubit = chip.qubits[q]
    limit = (3 - math.exp(-32e-9 / qubit.t1) - 2 * math.exp(-32e-9 / qubit.t2_echo)) / 6
    for gate, theta in (("x", math.pi), ("sx", math.pi / 2)):
        bursts = [drag(shipped, chip, q, gate, 0)]
        u = gates.unitary(bursts, (q,), 32)
        assert abs(np.trace(rotation(theta).conj().T @ u)) / 2 == pytest.approx(1, abs=1e-5)
        error = gates.error(bursts, (q,), 32, rotation(theta))
        assert error == pytest.approx(shipped.number(f"Q{q}.{gate}.error"), rel=0.02)
        assert limit < error < 1.3 * limit


@pytest.mark.parametrize("pair", PAIRS)
def test_shipped_echoed_cross_resonance(chip, shipped, pair):
    """Qiskit's ECRGate on (control, target), virtual z's included, to 5e-4 coherent error, near the coherence limit."""
    control, target = pair
    gates = gates_of(chip)
    wanted = ECRGate().to_matrix().reshape(2, 2, 2, 2).transpose(1, 0, 3, 2).reshape(4, 4)
    bursts, length, z = ecr(shipped, chip, control, target)
    m = wanted.conj().T @ z @ gates.unitary(bursts, pair, length)
    fidelity = (abs(np.trace(m)) ** 2 + np.trace(m @ m.conj().T).real) / 20
    assert 1 - fidelity < (1.5e-3 if pair == (2, 1) else 5e-4)
    error = gates.error(bursts, pair, length, z.conj().T @ wanted)
    assert error == pytest.approx(shipped.number(f"Q{control}-Q{target}.ecr.error"), rel=0.02)
    t = length * 1e-9
    each = [1 / (6 * q.t1) + 1 / (3 * q.t2_echo) for q in (chip.qubits[control], chip.qubits[target])]
    limit = 1.2 * t * sum(each)
    assert 0.9 * limit < error < 1.5 * limit + (1e-3 if pair == (2, 1) else 0)
    width = round(shipped.number(f"Q{control}-Q{target}.ecr.duration"))
    assert width % 8 == 0


def test_shipped_readout(chip, shipped):
    """Five tones fit in full scale together, each holds three photons at most, errors are a few percent."""
    amplitudes = [shipped.number(f"Q{q}.readout.amplitude") for q in range(5)]
    assert sum(amplitudes) < 0.95
    for q in range(5):
        assert shipped.number(f"Q{q}.readout.error") < 0.03
        wrong = [shipped.number(f"Q{q}.readout.{p}") for p in ("p01", "p10")]
        assert shipped.number(f"Q{q}.readout.error") == pytest.approx(sum(wrong) / 2)
        assert shipped.number(f"Q{q}.f01") == chip.qubits[q].frequency


def test_a_near_neighbour_is_driven_along(chip):
    """Two transmons 24 MHz apart: x on one turns the pair, which its error shows; far apart it does not."""
    close = replace(chip, qubits=(replace(chip.qubits[0], frequency=4.904e9), *chip.qubits[1:]))
    errors = []
    for case in (chip, close):
        tuneup = Tuneup(case)
        tuneup.rotations(0)
        errors.append(float(tuneup.values["Q0.x.error"].value))
    assert errors[0] < 3e-4
    assert 3e-3 < errors[1] < 0.1
