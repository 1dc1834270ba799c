"""Whole shots: signs, decay, reset, collapse, clusters, seeds."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import expm

from pulsed.model.errors import ConfigError, InvalidValueError
from pulsed.pulse.library import Drag
from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.chip.chip_file import load_chip
from pulsed.simulator.dynamics.clusters import segments
from pulsed.simulator.dynamics.hamiltonian import zz_rate
from pulsed.simulator.dynamics.lines import gain, ideal_correction
from pulsed.simulator.dynamics.sequence import BURST, IntegrationKernel, LineSettings, PulseSequence, Window
from pulsed.simulator.engine.engine import Engine
from pulsed.simulator.engine.gates import Burst, Gates, rotation
from pulsed.simulator.engine.tuneup import Tuneup

CHIP = Path(__file__).parents[4] / "configs" / "chips" / "sim5.toml"
DRIVE, READOUT = 5.10e9, 7.11e9


@pytest.fixture(scope="module")
def chip() -> Chip:
    return load_chip(CHIP)


@pytest.fixture(scope="module")
def tuned(chip):
    """The chip with x and sx of every qubit: {(gate, qubit): envelope}."""
    tuneup = Tuneup(chip)
    gates = {}
    for q in range(len(chip.qubits)):
        tuneup.rotations(q)
        for name in ("x", "sx"):
            amplitude, beta, angle = (tuneup.values[f"Q{q}.{name}.{k}"].value for k in ("amplitude", "beta", "angle"))
            gates[name, q] = Drag(32, amplitude, 8.0, beta, angle=angle).envelope()
    return gates


def lines(chip: Chip) -> tuple[LineSettings, ...]:
    return tuple(
        LineSettings(w.name, READOUT if w.qubit is None else DRIVE, True, *ideal_correction(w)) for w in chip.wires
    )


class Shot:
    """A sequence being written: pulses on qubits with frame phases, then a readout of all of ``measured``."""

    def __init__(self, chip: Chip, settings: tuple[LineSettings, ...] | None = None) -> None:
        self.chip, self.lines = chip, settings or lines(chip)
        self.rows: list[tuple[float, ...]] = []
        self.envelopes: list[np.ndarray] = []
        self.windows: list[Window] = []

    def play(self, q: int, start: int, envelope, phase: float = 0.0, detuning: float = 0.0):
        offset = self.chip.qubits[q].frequency + detuning - DRIVE
        self.rows.append((q, start, len(self.envelopes), 1.0, phase, offset))
        self.envelopes.append(np.asarray(envelope, complex))
        return self

    def read(self, start: int, measured=(0,), amplitude: float = 0.14, length: int = 800):
        ro = next(i for i, w in enumerate(self.chip.wires) if w.qubit is None)
        kernels = []
        for q in measured:
            offset = self.chip.qubits[q].readout_frequency - READOUT
            self.rows.append((ro, start, len(self.envelopes), amplitude, 0.0, offset))
            self.envelopes.append(np.ones(length, complex))
            kernels.append(IntegrationKernel(offset, np.full(length, 1 / length, complex)))
        self.windows.append(Window(start + self.chip.amplifier.delay, length, tuple(kernels)))
        return self

    def sequence(self, period: int = 1_000_000) -> PulseSequence:
        keys = tuple(e.tobytes() for e in self.envelopes)
        rows = np.array(self.rows, BURST)
        return PulseSequence(self.lines, rows, tuple(self.envelopes), keys, tuple(self.windows), period)


def excited(engine: Engine, shot: Shot, period: int = 1_000_000) -> np.ndarray:
    """P(1) of each measured qubit before the last readout."""
    p = engine.predict(shot.sequence(period))
    axes = range(p.populations.ndim)
    return np.array([p.populations.sum(axis=tuple(a for a in axes if a != k))[1] for k in axes])


def test_gates_of_the_tune_up_do_what_they_say(chip, tuned):
    """x flips, sx sx = x, all five at once as well as one by one (classical crosstalk is below what matters)."""
    engine = Engine(chip)
    for q in range(5):
        one = excited(engine, Shot(chip).play(q, 0, tuned["x", q]).read(40, range(5)))
        two = excited(engine, Shot(chip).play(q, 0, tuned["sx", q]).play(q, 32, tuned["sx", q]).read(72, range(5)))
        assert one[q] > 0.975
        assert one[q] == pytest.approx(two[q], abs=2e-3)
    shot = Shot(chip)
    for q in range(5):
        shot.play(q, 0, tuned["x", q])
    assert (excited(engine, shot.read(40, range(5))) > 0.97).all()


@pytest.mark.parametrize("start", [0, 1, 137, 5003])
def test_a_gate_is_the_same_at_any_time(chip, tuned, start):
    """The carrier is continuous: sx, a wait of any length, sx in the same frame makes one flip."""
    engine = Engine(chip)
    shot = Shot(chip).play(1, start, tuned["sx", 1]).play(1, start + 32 + 211, tuned["sx", 1]).read(start + 280, (1,))
    assert excited(engine, shot)[0] > 0.96


@pytest.mark.parametrize("sign", [1, -1])
def test_signs_of_detuning_and_virtual_z(chip, tuned, sign):
    """Ramsey with a detuned carrier, with a detuned qubit, and with a virtual z.

    A pulse at carrier f + d is one at f with phase -2 pi d t (its phase is absolute at the shot's start), so the phase
    2 pi d t restores it. A qubit above its frame by d gains exp(-2 pi i d t) on 1, which is rz(-2 pi d t); rz(l) lowers
    the phase of what follows by l. So sx, rz(l), sx gives P1 = (1 + cos(l - 2 pi d t))/2.
    """
    engine = Engine(chip)
    wait, detuning = 250, sign * 1e6
    angle = 2 * math.pi * detuning * wait * 1e-9
    kept = Shot(chip).play(0, 0, tuned["sx", 0]).play(0, wait, tuned["sx", 0], angle, detuning).read(320)
    lost = Shot(chip).play(0, 0, tuned["sx", 0]).play(0, wait, tuned["sx", 0], -angle, detuning).read(320)
    assert excited(engine, kept)[0] > 0.96
    assert excited(engine, lost)[0] < 0.06
    shifted = tuple(replace(q, frequency=q.frequency + (detuning if i == 0 else 0)) for i, q in enumerate(chip.qubits))
    moved = Engine(replace(chip, qubits=shifted))
    for virtual in (angle / 2, -angle / 2):
        shot = Shot(chip).play(0, 0, tuned["sx", 0]).play(0, wait, tuned["sx", 0], -virtual).read(320)
        wanted = (1 + math.cos(virtual - angle)) / 2
        assert excited(moved, shot)[0] == pytest.approx(wanted, abs=0.04)


def test_phase_quadrature_is_y(chip, tuned):
    """H = W/2 (Re d X + Im d Y): sx, then a pulse of angle pi/2 (which is ry), leaves a superposition."""
    gates = Gates(chip, lines(chip))
    f = chip.qubits[0].frequency
    turned = gates.unitary([Burst(0, 0, tuned["sx", 0] * 1j, f)], (0,), 32)
    half = math.sqrt(0.5)
    ry = np.array([[half, -half], [half, half]])
    assert abs(np.trace(ry.conj().T @ turned)) / 2 == pytest.approx(1, abs=1e-6)
    assert abs(np.trace(rotation(math.pi / 2).conj().T @ turned)) / 2 < 0.8


def test_relaxation_and_thermal_population(chip, tuned):
    """After x, the ladder's rate equations by scipy: down and up rates with 1/T1 = down + up, n times faster from n."""
    engine = Engine(chip)
    q = chip.qubits[3]
    down, up = (1 - q.thermal) / q.t1, q.thermal / q.t1
    rates = np.array([[-up, down, 0], [up, -down - 2 * up, 2 * down], [0, 2 * up, -2 * down]])
    for wait in (1_000, 30_000, 90_000):
        sequence = Shot(chip).play(3, 0, tuned["x", 3]).read(32 + wait, (3,)).sequence(3_000_000)
        thermal = engine.predict(sequence).initial[3]
        flipped = np.array([thermal[1], thermal[0], thermal[2]])
        wanted = expm(rates * wait * 1e-9) @ flipped
        assert engine.predict(sequence).populations == pytest.approx(wanted, abs=1e-3)
    assert excited(engine, Shot(chip).read(0, range(5))) == pytest.approx([x.thermal for x in chip.qubits], abs=6e-4)


def test_ramsey_and_echo_decay(chip, tuned):
    """T2* and T2echo as the chip file has them: contrast 1/e at T2* for Ramsey, exp(-t/T2e) with a flip between."""
    engine = Engine(chip)
    q = chip.qubits[0]
    contrast = 1 - 2 * q.thermal
    t = round(q.t2_star * 1e9)
    ramsey = Shot(chip).play(0, 0, tuned["sx", 0]).play(0, t, tuned["sx", 0]).read(t + 40)
    assert 2 * excited(engine, ramsey)[0] - 1 == pytest.approx(contrast * math.exp(-1), abs=0.03)
    echo = Shot(chip).play(0, 0, tuned["sx", 0]).play(0, t // 2, tuned["x", 0]).play(0, t, tuned["sx", 0])
    wanted = contrast * math.exp(-t * 1e-9 / q.t2_echo)
    assert 1 - 2 * excited(engine, echo.read(t + 40))[0] == pytest.approx(wanted, abs=0.03)


def test_zz_shows_in_a_ramsey_of_the_neighbour(chip, tuned):
    """With Q1 in 1, Q0 runs faster by zz: its fringe moves by 2 pi zz t, with the sign of a detuning."""
    engine = Engine(chip)
    t = 4000
    zz = zz_rate(chip, 0, 1)
    got = []
    for flip in (False, True):
        shot = Shot(chip)
        if flip:
            shot.play(1, 0, tuned["x", 1])
        shot.play(0, 32, tuned["sx", 0]).play(0, 32 + t, tuned["sx", 0], -math.pi / 2).read(t + 80, (0,))
        got.append(excited(engine, shot)[0])
    contrast = 1 - 2 * chip.qubits[0].thermal
    moved = math.sin(2 * math.pi * zz * t * 1e-9) / 2 * contrast * 0.93
    assert got[0] == pytest.approx(0.5, abs=0.02)
    assert got[1] - got[0] == pytest.approx(moved, abs=0.05)


def test_zz_with_a_neighbour_that_turns_slowly_is_that_of_a_flip_in_the_middle(chip, tuned):
    """A π pulse of 4 µs on Q1 leaves it in 1 for half of them, as one of 32 ns in their middle does."""
    engine, x, length = Engine(chip), tuned["x", 1], 4000
    slow = np.full(length, x.sum() / length)

    def fringe(start: int, envelope) -> float:
        shot = Shot(chip).play(0, 0, tuned["sx", 0]).play(1, 32 + start, envelope)
        shot.play(0, 32 + length, tuned["sx", 0], -math.pi / 2).read(length + 80, (0,))
        return excited(engine, shot)[0]

    middle, turned = (length - len(x)) // 2, fringe(0, slow)
    assert turned == pytest.approx(fringe(middle, x), abs=0.01)
    for flip in (0, length - len(x)):
        assert abs(turned - fringe(flip, x)) > 0.1


def test_passive_reset_follows_from_the_period(chip, tuned):
    """x in every shot: with a period of T1 the next shot starts with what is left; the fixed point in closed form."""
    engine = Engine(chip)
    q = chip.qubits[0]
    period = round(q.t1 * 1e9)
    shot = Shot(chip).play(0, 0, tuned["x", 0]).read(40)
    start = engine.predict(shot.sequence(period)).initial[0, 1]
    left = math.exp(-1)
    # p' = th + (1 - p - th) e^-1, the fixed point of a flip and a decay
    wanted = (q.thermal * (1 - left) + left) / (1 + left)
    assert start == pytest.approx(wanted, abs=0.01)
    assert engine.predict(shot.sequence(2_000_000)).initial[0, 1] == pytest.approx(q.thermal, abs=1e-3)
    with pytest.raises(InvalidValueError, match="period"):
        engine.predict(shot.sequence(500))


def discriminate(values: np.ndarray, ground: np.ndarray, one: np.ndarray) -> np.ndarray:
    zero, other = np.median(ground.real) + 1j * np.median(ground.imag), np.median(one.real) + 1j * np.median(one.imag)
    return np.abs(values - other) < np.abs(values - zero)


def test_measurement_in_mid_circuit_collapses(chip, tuned):
    """sx, read, read: both results agree; sx, sx without a readout between would flip, with one it does not."""
    engine = Engine(chip, 21)
    shots = 4000
    ground = engine.play(Shot(chip).read(0).sequence(), shots, (0,), "integrated").integrated[:, 0]
    flipped = Shot(chip).play(0, 0, tuned["x", 0]).read(40)
    one = engine.play(flipped.sequence(), shots, (1,), "integrated").integrated[:, 0]
    shot = Shot(chip).play(0, 0, tuned["sx", 0]).read(40).play(0, 2000, tuned["sx", 0]).read(2040).read(4000)
    values = engine.play(shot.sequence(), shots, (2,), "integrated").integrated
    first, second, third = (discriminate(values[:, k], ground, one) for k in range(3))
    assert np.mean(first) == pytest.approx(0.5, abs=0.03), "seed 21"
    assert np.mean(second) == pytest.approx(0.5, abs=0.03), "seed 21"
    assert np.mean(first == second) == pytest.approx(0.5, abs=0.03), "seed 21"
    assert np.mean(second == third) > 0.93, "seed 21"


def test_same_seed_same_shots(chip, tuned):
    shot = Shot(chip).play(0, 0, tuned["sx", 0]).read(40, (0, 1)).sequence()
    first = Engine(chip, 4).play(shot, 500, (7, 1), "integrated").integrated
    engine = Engine(chip, 4)
    engine.play(shot, 33, (9,), "integrated")
    again = engine.play(shot, 500, (7, 1), "integrated").integrated
    np.testing.assert_array_equal(first, again)
    for other in (Engine(chip, 5).play(shot, 500, (7, 1), "integrated"), engine.play(shot, 500, (7, 2), "integrated")):
        assert np.mean(other.integrated == first) < 0.01


def test_outputs_off_leave_the_thermal_state(chip, tuned):
    dark = tuple(replace(line, on=False) if line.name.startswith("d") else line for line in lines(chip))
    shot = Shot(chip, dark)
    for q in range(5):
        shot.play(q, 0, tuned["x", q])
    assert excited(Engine(chip), shot.read(40, range(5))) == pytest.approx([q.thermal for q in chip.qubits], abs=6e-4)


def test_crosstalk_drives_the_neighbour_at_its_own_frequency(chip):
    """A tone on Q0's line at Q1's frequency turns Q1 at crosstalk times the rate of its own line."""
    engine = Engine(replace(chip, couplings=()))
    rate = abs(chip.crosstalk[1][0]) * chip.qubits[1].drive_rate * abs(gain(350e6, chip.qubits[1].frequency - DRIVE))
    duration = round(0.5 / rate * 1e9)
    detuning = chip.qubits[1].frequency - chip.qubits[0].frequency
    shot = Shot(chip).play(0, 0, np.ones(duration), 0.0, detuning).read(duration + 40, (0, 1))
    assert excited(engine, shot)[1] > 0.95


def test_an_unknown_line_is_named(chip):
    shot = Shot(chip, (LineSettings("d9", DRIVE),)).play(0, 0, np.ones(16))
    with pytest.raises(ConfigError, match="d9"):
        Engine(chip).predict(shot.sequence())


def test_propagators_are_kept_within_bounds(chip):
    engine = Engine(chip)
    engine._pulse_maps._limit = 50_000
    for k in range(60):
        engine.predict(Shot(chip).play(0, 0, 0.01 * k * np.ones(16)).read(40).sequence())
    pulses = engine._pulse_maps
    assert pulses._bytes == sum(s.nbytes for s in pulses._maps.values())
    assert pulses._bytes <= 50_000


def test_crosstalk_is_cut_at_the_segments_it_reaches_into():
    items = [(100, 132, (0, 1), 0), (150, 170, (1,), 1)]
    felt = [(0, 200, (1,), 2), (180, 240, (1,), 3), (110, 120, (0,), 2)]
    found = segments(items, felt, 4)
    assert [(s.start, s.end + s.tail, s.qubits, sorted(s.bursts)) for s in found] == [
        (0, 100, (1,), [2]),
        (100, 136, (0, 1), [0, 2]),
        (136, 150, (1,), [2]),
        (150, 174, (1,), [1, 2]),
        (174, 240, (1,), [2, 3]),
    ]


def test_a_tone_cut_in_pieces_is_the_tone(chip, tuned):
    """Crosstalk on an idle neighbour in one piece, and cut by a zero pulse of the neighbour's own: the same turn."""
    engine = Engine(replace(chip, couplings=()))
    detuning = chip.qubits[1].frequency - chip.qubits[0].frequency
    seen = []
    for cut in (False, True):
        shot = Shot(chip).play(0, 0, 0.8 * np.ones(200), 0.0, detuning)
        if cut:
            shot.play(1, 77, np.zeros(16))
        seen.append(excited(engine, shot.read(240, (0, 1)))[1])
    assert 0.1 < seen[0] < 0.9
    assert seen[0] == pytest.approx(seen[1], abs=1e-5)


def test_import_is_light():
    code = (
        "import sys; import pulsed.simulator.engine.engine; "
        "bad = {'qutip', 'matplotlib', 'pandas', 'qiskit', 'scipy.optimize', 'scipy.linalg'} & set(sys.modules); "
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_warm_up_leaves_nothing_to_compile_and_changes_no_shot(chip, tuned):
    shot = Shot(chip).play(0, 0, tuned["sx", 0]).read(40, (0, 1)).sequence()
    cold = Engine(chip, 4).play(shot, 100, (7,), "integrated").integrated
    engine = Engine(chip, 4)
    engine.warm_up()
    np.testing.assert_array_equal(engine.play(shot, 100, (7,), "integrated").integrated, cold)
    code = (
        "from pathlib import Path; from pulsed.simulator.chip import chip_file; "
        "from pulsed.simulator.engine import engine; "
        "from pulsed.simulator.dynamics import hermitian, lines, pair_propagators, propagators, sectors; "
        "from pulsed.simulator.readout import records, response; "
        f"engine.Engine(chip_file.load_chip(Path({str(CHIP)!r}))).warm_up(); "
        "kernels = [hermitian.follow, hermitian.shift, hermitian.scale_elements, hermitian.mix_populations, "
        "hermitian.elements, hermitian.coefficients, pair_propagators._nodes, pair_propagators._pictures, "
        "sectors.run, propagators.propagate_one, propagators.wait_and_pulse, response._respond, records._sums, "
        "records._follow_jumps, lines._low_pass]; "
        "missing = [k.__name__ for k in kernels if len(k.signatures) != 1]; assert not missing, missing"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
