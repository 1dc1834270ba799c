"""Pulses against formulas and against solvers that share no code with ours (qutip, scipy)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import qutip
from scipy.integrate import solve_ivp

from pulsed.pulse.library import Drag, GaussianSquare
from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.chip.chip_file import load_chip
from pulsed.simulator.chip.components import Coupling
from pulsed.simulator.dynamics.hamiltonian import TWO_PI_PER_NS, bare_pair, bare_parameters, dress, static, zz, zz_rate
from pulsed.simulator.dynamics.pair_propagators import propagate
from pulsed.simulator.dynamics.pulses import PulseMapCache
from pulsed.simulator.dynamics.superoperators import Idle, jump_operators, small_unitaries

CHIP = Path(__file__).parents[4] / "configs" / "chips" / "sim5.toml"
LO = 5.10e9


@pytest.fixture(scope="module")
def chip() -> Chip:
    return load_chip(CHIP)


def evolve(energies, lowering, drives):
    """U of one transmon without dissipation."""
    levels = len(energies)
    u, _, _ = propagate(
        np.asarray(energies, float),
        np.asarray(lowering, complex)[None],
        np.arange(levels, dtype=float)[None],
        np.asarray(drives, complex).reshape(-1, 1),
        np.zeros((0, levels, levels)),
        np.arange(levels),
        1,
    )
    return u


def test_detuned_rabi_formula():
    """Two levels, constant drive: P1 = W^2/(W^2+D^2) sin^2(sqrt(W^2+D^2) t/2). Exact: 1e-9 at 36 points."""
    lowering = np.array([[0, 1], [0, 0]])
    for rabi in (1e6, 12e6, 40e6):
        for detuning in (-30e6, -5e6, 0.0, 5e6, 90e6, 220e6):
            for samples in (16, 401):
                w, d = rabi * TWO_PI_PER_NS, detuning * TWO_PI_PER_NS
                got = abs(evolve([0, d], lowering, np.full(samples, w))[1, 0]) ** 2
                root = np.hypot(w, d)
                wanted = (w / root) ** 2 * np.sin(root * samples / 2) ** 2
                assert abs(got - wanted) < 1e-9, (rabi, detuning, samples)


def test_a_carrier_that_turns_needs_no_new_exponential(chip):
    """The plateau's shortcut R(p) U R(-p) against one exponential per sample (amplitudes made unequal by 1e-9)."""
    n = np.arange(300)
    drives = 0.1 * np.exp(-2j * np.pi * 0.22 * n)
    system = static(chip, (0, 1), (4, 3), LO)
    jitter = 1 + 1e-9 * (-1.0) ** n
    operators = np.zeros((0, 12, 12))
    results = []
    for shape in (drives, drives * jitter):
        both = np.stack([shape, 0.05 * shape], axis=1)
        arguments = (system.energies, system.lowering, system.numbers, both, operators, system.keep, 8)
        results.append(propagate(*arguments)[0])
    np.testing.assert_allclose(results[0], results[1], atol=1e-7)
    np.testing.assert_allclose(results[0] @ results[0].conj().T, np.eye(12), atol=1e-12)


def test_drag_pulse_against_the_liouvillian(chip):
    """Three levels, DRAG pi of 32 ns, T1 = 20 us, T2 = 15 us, frame at the LO; qutip's generator of each held sample.

    Not an adaptive solver: one that steps across the jumps between samples is off by 1e-6 on some processors.
    """
    qubit = replace(chip.qubits[0], t1=20e-6, t2_echo=15e-6, t2_star=15e-6)
    alone = replace(chip, qubits=(qubit,), couplings=(), crosstalk=((1 + 0j,),))
    detuning, alpha = (qubit.frequency - LO) * TWO_PI_PER_NS, qubit.anharmonicity * TWO_PI_PER_NS
    envelope = Drag(duration=32, amp=0.75, sigma=8.0, beta=0.2, angle=0.3).envelope()
    drives = 40e6 * TWO_PI_PER_NS * envelope * np.exp(-1j * detuning * np.arange(32))
    step = PulseMapCache(alone).pulse_map((0,), (3,), drives.reshape(-1, 1), LO)

    a = qutip.destroy(3)
    energy = detuning * a.dag() * a + 0.5 * alpha * a.dag() * a.dag() * a * a
    collapse = [qutip.Qobj(x) for x in jump_operators(qubit, 3)]
    samples = [
        qutip.liouvillian(energy + 0.5 * (drive * a.dag() + np.conj(drive) * a), collapse).expm() for drive in drives
    ]
    for ket in ([1, 0, 0], [0, 1, 0], [0.6, 0.8j, 0], [0.5, 0.5, np.sqrt(0.5)]):
        start = qutip.Qobj(np.array(ket, complex)).proj()
        state = qutip.operator_to_vector(start)
        for sample in samples:
            state = sample @ state
        wanted = qutip.vector_to_operator(state).full()
        got = (step.superoperator @ start.full().ravel()).reshape(3, 3)
        assert np.abs(got - wanted).max() < 1e-6, ket


def test_cross_resonance_pulse_against_an_adaptive_solver(chip):
    """CR tone of 300 ns on Q0 (4 levels) at Q1's frequency, against DOP853 in the bare basis."""
    f, alpha, j = bare_parameters(chip, 0, 1, (4, 3))
    bare = bare_pair((f[0] - LO, f[1] - LO), alpha, j, (4, 3))
    energies, states = dress(bare)
    bare = (bare - energies[0] * np.eye(12)) * TWO_PI_PER_NS
    envelope = GaussianSquare(duration=300, amp=0.8, sigma=16.0, width=236).envelope()
    offset = chip.qubits[1].frequency - LO
    drives = 40e6 * TWO_PI_PER_NS * envelope * np.exp(-2e-9j * np.pi * offset * np.arange(300))
    lower = np.kron(np.diag(np.sqrt([1.0, 2, 3]), 1), np.eye(3))
    u = np.eye(12, dtype=complex)
    for d in drives:
        h = bare + 0.5 * (d * lower.T + np.conj(d) * lower)
        found = solve_ivp(
            lambda _, y, h=h: (-1j * h @ y.reshape(12, 12)).ravel(),
            (0, 1), u.ravel(), method="DOP853", rtol=1e-10, atol=1e-12,
        )  # fmt: skip
        u = found.y[:, -1].reshape(12, 12)
    wanted = states.T @ u @ states
    system = static(chip, (0, 1), (4, 3), LO)
    both = np.stack([drives, np.zeros(300)], axis=1)
    operators = np.zeros((0, 12, 12))
    got = propagate(system.energies, system.lowering, system.numbers, both, operators, system.keep, 8)[0]
    assert np.abs(got - wanted).max() < 1e-6


def test_static_zz(chip):
    """E11 - E10 - E01 by qutip from bare values, and the perturbative formula to 0.1 %: 49.79 kHz on Q0-Q1."""
    for coupling in chip.couplings:
        a, b = coupling.qubits
        f, alpha, j = bare_parameters(chip, a, b, (4, 4))
        destroy = qutip.destroy(4)
        one, two = qutip.tensor(destroy, qutip.qeye(4)), qutip.tensor(qutip.qeye(4), destroy)
        h = j * (one.dag() * two + one * two.dag())
        for op, freq, anharm in ((one, f[0] - LO, alpha[0]), (two, f[1] - LO, alpha[1])):
            h += freq * op.dag() * op + 0.5 * anharm * op.dag() * op.dag() * op * op
        energies, states = h.eigenstates()

        def level(m, n, energies=energies, states=states):
            weight = [abs(s.full()[4 * m + n, 0]) for s in states]
            return energies[int(np.argmax(weight))]

        wanted = level(1, 1) - level(1, 0) - level(0, 1) + level(0, 0)
        q, p = chip.qubits[a], chip.qubits[b]
        delta = q.frequency - p.frequency
        formula = 2 * j**2 * (1 / (delta - p.anharmonicity) - 1 / (delta + q.anharmonicity))
        assert zz_rate(chip, a, b) == pytest.approx(wanted, abs=0.1)
        assert zz_rate(chip, a, b) == pytest.approx(formula, rel=1e-3)
    assert zz_rate(chip, 0, 1) == pytest.approx(49.79e3, abs=10)


def test_dressed_values_are_the_chips(chip):
    """With a neighbour in its ground state f01 and alpha are those of the chip file, whatever J."""
    for levels in ((4, 3), (3, 4), (4, 4)):
        e = static(chip, (2, 3), levels, LO).energies.reshape(levels) / TWO_PI_PER_NS
        for energy, q in ((e[:3, 0], 2), (e[0, :3], 3)):
            assert energy[1] + LO == pytest.approx(chip.qubits[q].frequency, abs=1)
            assert energy[2] - 2 * energy[1] == pytest.approx(chip.qubits[q].anharmonicity, abs=1)


def effective_zx(chip: Chip, rabi: float, levels: tuple[int, int]) -> float:
    """ZX (Hz) of a constant tone on the control at the target's frequency, in the block-diagonal frame of least action.

    H_eff = T D T^+, T the unitary part of the eigenvectors' blocks over the control's level (Magesan, Gambetta 2020).
    """
    system = static(chip, (0, 1), levels, chip.qubits[1].frequency)
    a = system.lowering[0]
    values, vectors = np.linalg.eigh(np.diag(system.energies) + 0.5 * rabi * TWO_PI_PER_NS * (a + a.conj().T))
    control = system.numbers[0]
    blocks = np.zeros_like(vectors)
    rest = list(range(len(values)))
    for k in range(levels[0]):
        rows = np.flatnonzero(control == k)
        mine = sorted(rest, key=lambda i: -np.sum(np.abs(vectors[rows, i]) ** 2))[: levels[1]]
        rest = [i for i in rest if i not in mine]
        blocks[np.ix_(rows, mine)] = vectors[np.ix_(rows, mine)]
    left, _, right = np.linalg.svd(blocks)
    t = left @ right
    h = t @ np.diag(values) @ t.conj().T
    return float((h[0, 1] - h[levels[1], levels[1] + 1]).real / TWO_PI_PER_NS)


def test_cross_resonance_is_linear_at_small_coupling(chip):
    """ZX = -(J W/D) a1/(a1 + D) for J = 0.5 MHz and a weak tone."""
    weak = replace(chip, couplings=(Coupling((0, 1), 0.5e6),))
    q = chip.qubits[0]
    delta = q.frequency - chip.qubits[1].frequency
    wanted = -(0.5e6 * 0.1e6 / delta) * q.anharmonicity / (q.anharmonicity + delta)
    assert effective_zx(weak, 0.1e6, (4, 3)) / wanted == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(("rabi", "wanted"), [(5, -0.1485), (20, -0.573), (40, -1.034), (60, -1.346)])
def test_cross_resonance_rates(chip, rabi, wanted):
    """The table of the design, which was made with three levels; four change the last by 0.5 %."""
    assert effective_zx(chip, rabi * 1e6, (3, 3)) / 1e6 == pytest.approx(wanted, abs=1.5e-3)
    assert effective_zx(chip, rabi * 1e6, (4, 3)) / 1e6 == pytest.approx(wanted, rel=6e-3)


def gaussian(duration, sigma, beta=0.0):
    """Lifted Gaussian (0 one sample before it starts) plus i beta times its exact derivative, at midpoints."""
    t = np.arange(duration) + 0.5 - duration / 2
    foot = np.exp(-((duration / 2 + 1) ** 2) / (2 * sigma**2))
    bell = np.exp(-(t**2) / (2 * sigma**2))
    return ((bell - foot) - 1j * beta * t / sigma**2 * bell) / (1 - foot)


def leakage(qubit, duration, sigma, beta):
    """P2 after a pi pulse (area calibrated on two levels) that starts in 0, frame at f01."""
    alpha = qubit.anharmonicity * TWO_PI_PER_NS
    envelope = gaussian(duration, sigma, beta)
    envelope = envelope * np.pi / envelope.real.sum()
    u = evolve([0, 0, alpha], np.diag(np.sqrt([1.0, 2.0]), 1), envelope)
    return abs(u[2, 0]) ** 2


@pytest.mark.parametrize(("duration", "sigma"), [(20, 5.0), (32, 8.0)])
def test_leakage_without_drag(chip, duration, sigma):
    """First order in the 1-2 drive: P2 = |int W/sqrt(2) sin(theta/2) exp(i alpha t) dt|^2 over the held samples."""
    qubit = chip.qubits[0]
    alpha = qubit.anharmonicity * TWO_PI_PER_NS
    w = gaussian(duration, sigma).real
    w = w * np.pi / w.sum()
    fine = 400
    t = (np.arange(duration * fine) + 0.5) / fine
    w = np.repeat(w, fine)
    theta = (np.cumsum(w) - w / 2) / fine
    wanted = abs(np.sum(w * np.sqrt(0.5) * np.sin(theta / 2) * np.exp(1j * alpha * t)) / fine) ** 2
    assert leakage(qubit, duration, sigma, 0.0) == pytest.approx(wanted, rel=0.03)


def test_drag_suppresses_leakage_at_half_the_first_order_beta(chip):
    """Minimum of P2 over beta, 32 ns, sigma 8 ns, held samples of 1 ns, against -1/(2 (2 pi alpha dt)) within 10 %."""
    qubit = chip.qubits[0]
    first = -1e9 / (2 * np.pi * qubit.anharmonicity)
    betas = np.linspace(0, first, 101)
    best = betas[np.argmin([leakage(qubit, 32, 8.0, b) for b in betas])]
    assert best == pytest.approx(first / 2, rel=0.1)


def test_idle_against_mesolve(chip):
    """Closed-form idle of three levels over 30 us with thermal excitation, in the frame at f01."""
    qubit = chip.qubits[3]
    idle = Idle(qubit, qubit.frequency)
    alpha = qubit.anharmonicity * TWO_PI_PER_NS
    start = qutip.Qobj(np.array([0.5, 0.5j, np.sqrt(0.5)])).proj()
    liouvillian = qutip.liouvillian(
        qutip.Qobj(np.diag([0, 0, alpha]).astype(complex)), [qutip.Qobj(x) for x in jump_operators(qubit, 3)]
    )
    wanted = qutip.vector_to_operator((30_000 * liouvillian).expm() * qutip.operator_to_vector(start)).full()
    got = (idle.superoperator(30_000, np.zeros(1))[0] @ start.full().ravel()).reshape(3, 3)
    np.testing.assert_allclose(got, wanted, atol=1e-9)


def test_quasi_static_detuning_to_first_order(chip):
    """U(d) = U exp(-2 pi i d G) against propagation with the energies shifted by d = 5 kHz."""
    envelope = Drag(duration=32, amp=0.75, sigma=8.0, beta=0.2).envelope()
    drives = (30e6 * TWO_PI_PER_NS * envelope).reshape(-1, 1)
    qubit = chip.qubits[0]
    shifted = replace(chip, qubits=(replace(qubit, frequency=qubit.frequency + 5e3), *chip.qubits[1:]))
    steps = [PulseMapCache(c).pulse_map((0,), (3,), drives, qubit.frequency) for c in (chip, shifted)]
    got = steps[0].unitary @ small_unitaries(steps[0].moments, np.array([[5e3]]))[0]
    np.testing.assert_allclose(got, steps[1].unitary, atol=2e-6)
    assert np.abs(steps[0].unitary - steps[1].unitary).max() > 3e-4


def test_zz_table_is_symmetric_in_the_qubits(chip):
    np.testing.assert_allclose(zz(chip, 1, 2), zz(chip, 2, 1).T, atol=1e-12)
