"""Two transmons with a tunable coupler: static ZZ, a CZ by a flux pulse, the line's distortion."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pulsed.model.calibration import load_calibration
from pulsed.model.errors import ConfigError
from pulsed.pulse.library import GaussianSquare
from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.chip.chip_file import load_chip
from pulsed.simulator.dynamics.hamiltonian import bare_parameters, moved, zz_rate
from pulsed.simulator.dynamics.lines import distort
from pulsed.simulator.dynamics.pulses import PulseMapCache
from pulsed.simulator.dynamics.sequence import BURST, IntegrationKernel, LineSettings, PulseSequence, Window
from pulsed.simulator.engine.engine import Engine
from pulsed.simulator.engine.gates import Burst, Gates

CHIP = Path(__file__).parents[4] / "configs" / "chips" / "coupler2.toml"
LO, READOUT = 4.10e9, 6.95e9
CZ_FREQUENCY, CZ_LENGTH, CZ_RISE = 4.39084130868e9, 99, 31.73552342


@pytest.fixture(scope="module")
def chip() -> Chip:
    """The chip with a flux line that does not distort."""
    whole = load_chip(CHIP)
    return replace(whole, wires=tuple(replace(w, distortion=()) for w in whole.wires))


def rise_and_fall() -> np.ndarray:
    """Sine-squared edges around a plateau, (samples,) at their middles, from 0 to 1."""
    t = np.arange(CZ_LENGTH) + 0.5
    return np.sin(math.pi / 2 * np.clip(np.minimum(t, CZ_LENGTH - t) / CZ_RISE, 0, 1)) ** 2


def cz_waveform(chip: Chip) -> np.ndarray:
    """The amplitudes that take the coupler along the wanted frequencies."""
    coupler = chip.couplings[0].coupler
    amplitudes = np.linspace(0, 0.9, 200_001)
    wanted = (CZ_FREQUENCY - coupler.frequency) * rise_and_fall()
    return np.interp(-wanted, -coupler.shift(amplitudes), amplitudes)


def sequence(chip: Chip, rows, windows=()) -> PulseSequence:
    """Envelopes: 0 the CZ, 1 a Gaussian that integrates to one sample, 2 readout."""
    lines = tuple(LineSettings(w.name, READOUT if w.reads else 0.0 if w.flux is not None else LO) for w in chip.wires)
    gauss = np.exp(-0.5 * ((np.arange(80) - 39.5) / 16) ** 2)
    envelopes = (cz_waveform(chip).astype(complex), gauss / gauss.sum() + 0j, np.ones(800, complex))
    return PulseSequence(lines, np.array(rows, BURST), envelopes, (b"cz", b"gauss", b"ro"), windows, 1_000_000)


def exact_cz(levels: int) -> np.ndarray:
    """The CZ by eigendecompositions of the bare three-body Hamiltonian of the design, dressed at idle: (4, 4)."""
    f, alpha, g, direct = (4190.0, 5140.0, 4000.0), (-220.0, -90.0, -210.0), 90.0, 7.5
    one = np.diag(np.sqrt(np.arange(1, levels)), 1)
    eye = np.eye(levels)
    a, c, b = (np.kron(np.kron(*x[:2]), x[2]) for x in ((one, eye, eye), (eye, one, eye), (eye, eye, one)))
    numbers = np.indices((levels,) * 3).reshape(3, -1).astype(float)

    def hamiltonian(coupler: float) -> np.ndarray:
        at = (f[0], coupler, f[2])
        h = np.diag(sum(w * n + 0.5 * x * n * (n - 1) for w, x, n in zip(at, alpha, numbers, strict=True)))
        return h + g * (a.T @ c + c.T @ a + b.T @ c + c.T @ b) + direct * (a.T @ b + b.T @ a)

    states = np.linalg.eigh(hamiltonian(5140.0))[1]
    kept = [int(np.ravel_multi_index(label, (levels,) * 3)) for label in ((0, 0, 0), (0, 0, 1), (1, 0, 0), (1, 0, 1))]
    states = np.array(
        [states[:, np.argmax(np.abs(states[k]))] * np.sign(states[k, np.argmax(np.abs(states[k]))]) for k in kept]
    )
    middles = np.concatenate([[-0.5], np.arange(CZ_LENGTH) + 0.5, [CZ_LENGTH + 0.5]])
    shape = np.interp((np.arange(4 * CZ_LENGTH) + 0.5) / 4, middles, [0, *rise_and_fall(), 0])
    u = np.eye(levels**3, dtype=complex)
    for x in shape:
        e, v = np.linalg.eigh(hamiltonian(5140.0 + (CZ_FREQUENCY * 1e-6 - 5140.0) * x))
        u = (v * np.exp(-0.5e-3j * math.pi * e)) @ (v.T @ u)
    return states @ u @ states.T


def cz_step(chip: Chip, gain: float = 1.0) -> np.ndarray:
    """The propagator of the CZ on 00, 01, 10, 11 in the frame at the LO. ``gain``: of the AWG's correction, on I."""
    flux = next(i for i, w in enumerate(chip.wires) if w.flux is not None)
    played = sequence(chip, [(flux, 0, 0, 1.0, 0.0, 0.0)])
    played = replace(played, lines=tuple(replace(x, correction=(gain, 0.3, 0.2, 0.5)) for x in played.lines))
    (pulse,) = PulseMapCache(chip).find(played, LO, tail=0)
    assert pulse.qubits == (0, 1)
    return pulse.map.unitary[np.ix_([0, 1, 3, 4], [0, 1, 3, 4])]


def phase_and_leakage(u: np.ndarray) -> tuple[float, float, float]:
    """The conditional phase less pi, the leakage out of 11, the swap 01 to 10."""
    phase = np.angle(-u[3, 3] * u[0, 0] / (u[1, 1] * u[2, 2]))
    return float(phase), float(1 - np.linalg.norm(u[:, 3]) ** 2), float(abs(u[1, 2]) ** 2)


def test_static_zz_of_the_design(chip):
    """The chip's dressed values belong to the bare ones of the design sheet, at which ZZ is 0.2 kHz."""
    f, alpha, j = bare_parameters(chip, 0, 1, (4, 4))
    assert f == pytest.approx((4.19e9, 4.00e9), abs=10)
    assert alpha == pytest.approx((-220e6, -210e6), abs=10)
    assert j == 7.5e6
    assert zz_rate(chip, 0, 1) == pytest.approx(204, abs=2)
    assert zz_rate(chip, 1, 0) == pytest.approx(204, abs=2)
    assert chip.exchange(chip.couplings[0]) < 0.5e6


def test_cz_against_exact_diagonalisation(chip):
    """Sine-squared edges of 32 ns to 4.391 GHz, 99 ns: our propagator against eigh of the bare problem, to 1e-5.

    The figures of the design (leakage 3.4e-7, swap 4.9e-6) are those of a pulse near this one: same size.
    """
    ours, wanted = cz_step(chip), exact_cz(4)
    turn = np.exp(2j * math.pi * LO * 1e-9 * CZ_LENGTH * np.array([0, 1, 1, 2]))
    wanted = turn[:, None] * wanted / wanted[0, 0]
    np.testing.assert_allclose(np.abs(ours), np.abs(wanted), atol=1e-5)
    np.testing.assert_allclose(ours / ours[0, 0], wanted, atol=1e-5)
    phase, leakage, swap = phase_and_leakage(ours)
    assert abs(phase) < 5e-3
    assert leakage < 1e-6
    assert 2e-6 < swap < 8e-6


def test_step_response_of_the_flux_line():
    """1 + sum a exp(-t/tau), and linear: the response to a pulse is the difference of two steps."""
    line = ((-0.03, 40e-9), (0.01, 5e-9))
    t = np.arange(200)
    step = 1 - 0.03 * np.exp(-t / 40) + 0.01 * np.exp(-t / 5)
    np.testing.assert_allclose(distort(np.ones(200), line), step, atol=1e-12)
    late = np.concatenate([np.zeros(50), step[:-50]])
    np.testing.assert_allclose(distort((t < 50).astype(float), line), step - late, atol=1e-12)


def test_distortion_and_gain_of_the_flux_line_spoil_the_gate(chip):
    distorted = cz_step(load_chip(CHIP))
    phase, leakage, _ = phase_and_leakage(distorted)
    assert abs(phase) > 0.02
    assert leakage > 1e-5
    weak = tuple(replace(w, gain=0.98) if w.flux is not None else w for w in chip.wires)
    spoilt = cz_step(replace(chip, wires=weak))
    assert abs(phase_and_leakage(spoilt)[0]) > 0.1
    np.testing.assert_allclose(cz_step(chip, 0.98), spoilt, atol=1e-9)


def test_a_conditional_flip_through_the_engine(chip):
    """Q1 between two pi/2 pulses around the CZ, the second one's phase scanned: the fringe turns by pi with Q0 in 1."""
    q0, q1 = chip.qubits
    flux, ro = 2, 3
    fringes = []
    for flip in (False, True):
        points = []
        phases = np.arange(6) * math.pi / 3
        for phase in phases:
            half = 0.25e9 / q1.drive_rate / abs(_response(q1.frequency))
            rows = [
                (1, 100, 1, half, 0.0, q1.frequency - LO),
                (flux, 190, 0, 1.0, 0.0, 0.0),
                (1, 300, 1, half, phase, q1.frequency - LO),
                (ro, 400, 2, 0.14, 0.0, q1.readout_frequency - READOUT),
            ]
            if flip:
                full = 0.5e9 / q0.drive_rate / abs(_response(q0.frequency))
                rows.append((0, 0, 1, full, 0.0, q0.frequency - LO))
            kernel = IntegrationKernel(q1.readout_frequency - READOUT, np.full(800, 1 / 800, complex))
            window = Window(400 + chip.amplifier.delay, 800, (kernel,))
            found = Engine(chip).predict(sequence(chip, rows, (window,)))
            assert found.qubits == (1,)
            points.append(found.populations[1])
        fringes.append(np.dot(points, np.exp(1j * phases)) / 3)
    assert abs(fringes[0]) > 0.45
    assert abs(fringes[1]) > 0.45
    assert abs(np.angle(-fringes[1] / fringes[0])) < 0.1


def _response(frequency: float) -> float:
    """What hold and a 350 MHz line leave of a tone."""
    offset = frequency - LO
    return np.sinc(offset * 1e-9) / math.hypot(1, offset / 350e6)


def test_truth_names_the_coupler_and_flux_lines_are_no_readout(chip):
    truth = Engine(chip).truth()
    assert truth["couplings"][0]["coupler"]["frequency"] == 5.14e9
    assert [w.reads for w in chip.wires] == [False, False, False, True]
    engine = Engine(chip)
    engine.warm_up()


def test_coupler_frequency_against_flux(chip):
    """At its idle, at its maximum, and half a flux quantum away from it."""
    coupler = chip.couplings[0].coupler
    assert coupler.shift(np.zeros(1))[0] == pytest.approx(0, abs=1)
    top = -math.acos(((coupler.frequency - coupler.anharmonicity) / (coupler.maximum - coupler.anharmonicity)) ** 2)
    at_top = np.array([top / (math.pi * coupler.flux)])
    assert coupler.frequency + coupler.shift(at_top)[0] == pytest.approx(coupler.maximum, abs=1)
    # cos is 1/2 a third of a flux quantum beyond: f = (f_max + E_c)/sqrt 2 - E_c
    third = at_top + 1 / (3 * coupler.flux)
    wanted = (coupler.maximum - coupler.anharmonicity) / math.sqrt(2) + coupler.anharmonicity
    assert coupler.frequency + coupler.shift(third)[0] == pytest.approx(wanted, abs=1)


@pytest.mark.parametrize(
    ("old", "new", "subject"),
    [
        ("flux = 0\n", "flux = 3\n", "wires.2.flux"),
        ("[[-0.01, 30e-9]]", "[[-0.01, 1e-3]]", "wires.2.distortion"),
        ("bias_quantum = 2e-3", "bias_quantum = 0.0", "wires.2.bias_quantum"),
        ("frequency = 5.14e9", "frequency = 7.14e9", "couplings.0.coupler"),
        ("g = [90e6, 90e6]", "g = [90e6]", "couplings.0.coupler.g"),
    ],
)
def test_bad_couplers_are_named(tmp_path, old, new, subject):
    text = CHIP.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "chip.toml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_chip(path)
    assert caught.value.subject == subject


def exact_dressed(coupler: float) -> list[float]:
    """Dressed f01 of both qubits (Hz) with the coupler at a frequency (MHz), by eigh of the bare three-body problem."""
    f, alpha, levels = (4190.0, coupler, 4000.0), (-220.0, -90.0, -210.0), 4
    one, eye = np.diag(np.sqrt(np.arange(1, levels)), 1), np.eye(levels)
    a, c, b = (np.kron(np.kron(*x[:2]), x[2]) for x in ((one, eye, eye), (eye, one, eye), (eye, eye, one)))
    numbers = np.indices((levels,) * 3).reshape(3, -1).astype(float)
    h = np.diag(sum(w * n + 0.5 * x * n * (n - 1) for w, x, n in zip(f, alpha, numbers, strict=True)))
    h += 90.0 * (a.T @ c + c.T @ a + b.T @ c + c.T @ b) + 7.5 * (a.T @ b + b.T @ a)
    energies, states = np.linalg.eigh(h)
    labels = [int(np.ravel_multi_index(label, (levels,) * 3)) for label in ((1, 0, 0), (0, 0, 1))]
    return [1e6 * (energies[np.argmax(np.abs(states[k]))] - energies[0]) for k in labels]


@pytest.mark.parametrize("quanta", [0.03, -0.1, -0.2])
def test_direct_current_moves_the_coupler_and_what_its_qubits_are_dressed_by(chip, quanta):
    """Against exact diagonalisation; the coupler keeps three levels here and four there: 1 kHz."""
    there = moved(chip, 0, quanta)
    coupler = there.couplings[0].coupler
    wanted = chip.couplings[0].coupler.shift(np.array([quanta / chip.couplings[0].coupler.flux]))[0]
    assert coupler.frequency - chip.couplings[0].coupler.frequency == pytest.approx(wanted, abs=1)
    found = [q.frequency for q in there.qubits]
    assert found == pytest.approx(exact_dressed(coupler.frequency * 1e-6), abs=1e3)
    assert abs(found[0] - chip.qubits[0].frequency) > 100e3
    # and what was moved is found again by inverting the dressing
    assert bare_parameters(there, 0, 1, (4, 4))[0] == pytest.approx((4.19e9, 4.00e9), abs=10)


def test_pulses_go_the_other_way_on_the_other_flank_of_the_coupler(chip):
    coupler = chip.couplings[0].coupler
    idle = math.acos(((coupler.frequency - coupler.anharmonicity) / (coupler.maximum - coupler.anharmonicity)) ** 2)
    mirrored = coupler.moved(-2 * idle / math.pi)
    assert mirrored.frequency == pytest.approx(coupler.frequency, abs=1)
    amplitudes = np.linspace(-0.3, 0.3, 7)
    np.testing.assert_allclose(mirrored.shift(amplitudes), coupler.shift(-amplitudes), atol=1)
    assert coupler.moved(1.0).frequency == pytest.approx(coupler.frequency, abs=1)


def test_the_engine_follows_the_bias_source_and_the_offset_of_the_awg(chip):
    wire, engine = chip.wire("f0"), Engine(chip)
    kernel = IntegrationKernel(chip.qubits[0].readout_frequency - READOUT, np.full(800, 1 / 800, complex))
    window = Window(100 + chip.amplifier.delay, 800, (kernel,))
    played = sequence(chip, [(3, 100, 2, 0.14, 0.0, 0.0)], (window,))

    def frequency(on=True, **settings):
        lines = tuple(replace(x, on=on, **settings) if x.name == "f0" else x for x in played.lines)
        engine.predict(replace(played, lines=lines))
        return engine.truth()["qubits"][0]["f01"]

    idle = chip.qubits[0].frequency
    assert frequency() == frequency(bias=wire.idle_bias) == idle
    away = frequency(bias=wire.idle_bias + 0.03 * wire.bias_quantum)
    assert away == pytest.approx(moved(chip, 0, 0.03).qubits[0].frequency, abs=1)
    assert abs(away - idle) > 50e3
    offset = (0.03 / chip.couplings[0].coupler.flux, 0.2)
    assert frequency(bias=wire.idle_bias, offset=offset) == pytest.approx(away, abs=1)
    assert frequency(on=False, bias=wire.idle_bias, offset=offset) == idle
    assert frequency(bias=0.0) == pytest.approx(moved(chip, 0, -wire.idle_bias / wire.bias_quantum).qubits[0].frequency)
    assert engine.chip.couplings[0].coupler.frequency > 5.8e9


def test_the_shipped_cz_behind_the_line_that_distorts():
    """What coupler2 is calibrated with: the coherent error of its CZ is small against the 1.5e-3 of decoherence."""
    chip = load_chip(CHIP)
    values = load_calibration(CHIP.parents[1] / "calibrations" / "coupler2.json")
    duration, amplitude, sigma, width, rz0, rz1, error = (
        values.number(f"Q0-Q1.cz.{name}")
        for name in ("duration", "amplitude", "sigma", "width", "rz_control", "rz_target", "error")
    )
    shape = amplitude * GaussianSquare(round(duration), 1.0, sigma=sigma, width=width).envelope()
    lines = tuple(LineSettings(w.name, READOUT if w.reads else 0.0 if w.flux is not None else LO) for w in chip.wires)
    u = Gates(chip, lines).unitary([Burst(None, 0, shape, flux=0)], (0, 1), round(duration))
    made = np.exp(-0.5j * (rz0 * np.array([1, 1, -1, -1]) + rz1 * np.array([1, -1, 1, -1])))[:, None] * u
    overlap = abs(np.trace(np.diag([1, 1, 1, -1]) @ made)) ** 2
    kept = np.trace(made.conj().T @ made).real
    assert 1 - (overlap + kept) / 20 < 1e-4
    assert values.number("f0.bias") == chip.wire("f0").idle_bias
    assert 1e-3 < error < 3e-3
