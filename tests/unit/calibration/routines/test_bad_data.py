"""What no value may come from, given to the analyses of routines as data of a sweep; and good data beside it."""

import re

import numpy as np
import pytest
import xarray

from pulsed.calibration.executor import Executor
from pulsed.calibration.fits import resonator
from pulsed.calibration.fits.resonators import response
from pulsed.calibration.routine import MeasurementResponse, Outcome, Proposal, find_routine
from pulsed.calibration.routines.phases import TURNS, waits_of
from pulsed.calibration.runner.runner import run
from pulsed.model.calibration import CalibrationSet, Value
from pulsed.pulse.instructions import Play, SetFrequency
from pulsed.testing.simulated_lab import SimulatedLab

SEED = 11
CLOUD = 0.25
"""Width of the clouds of 0 and 1 against their distance."""


def sweep(axes, population, shots, rng, suffix="", **attributes):
    """Return what ``data.sweep`` makes of shots whose population of 1 is given, 0 at 0 and 1 at 1 in the plane."""
    p = np.asarray(population, dtype=float)
    mean = rng.binomial(shots, p) / shots + rng.normal(size=p.shape) * CLOUD / np.sqrt(shots)
    flat, wide = np.full(p.shape, CLOUD / np.sqrt(shots)), np.sqrt((p * (1 - p) + CLOUD**2) / shots)
    data = xarray.Dataset({}, {name: (name, values) for name, values in axes.items()})
    data.attrs = {"discriminator": [0.0, 0.0, 1.0, 0.0], **attributes}
    columns = {"i": mean, "q": 0 * p, "i_error": wide, "q_error": flat, "iq_covariance": 0 * p}
    for name, values in columns.items():
        data[name + suffix] = (tuple(axes), values)
    return data


def in_force(**values):
    return CalibrationSet("test", {f"Q0.{name.replace('__', '.')}": Value(v, "") for name, v in values.items()}, "")


# --- records and levels --------------------------------------------------------------------------------------------


def record(z):
    return xarray.Dataset({"i": ("time", z.real), "q": ("time", z.imag)}, {"time": np.arange(z.size) - 200.0})


def noise(rng, *shape):
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


def test_a_record_with_a_pulse_gives_its_time_and_one_with_a_hole_none():
    routine, wrong = find_routine("time-of-flight")(), []
    for trial in range(200):
        rng = np.random.default_rng([SEED, 1, trial])
        late, size, rise = rng.integers(0, 150), 10 ** rng.uniform(-1.8, 0), rng.uniform(1, 60)
        behind = np.maximum(np.arange(600) - 200 - late, 0)
        leak = 0.05 * size * np.exp(2j * np.pi * (rng.uniform(0.03, 0.2) * np.arange(600) + rng.uniform()))
        z = size * (1 - np.exp(-behind / rise)) * np.exp(2j) + leak + 2e-3 * noise(rng, 600)
        outcome = routine.analyse(record(z))
        if not outcome.good or abs(outcome.values["delay"].value - late) > 4 + rise:
            wrong.append((trial, outcome.reason, outcome.values))
        z[rng.integers(600)] = np.nan
        assert "1 of 600 samples" in routine.analyse(record(z)).reason
    assert len(wrong) <= 1, f"seed {SEED}: {wrong}"


@pytest.mark.parametrize("period", [np.inf, 30, 60, 100, 250])
def test_a_tone_that_is_always_there_is_no_pulse(period):
    routine, taken = find_routine("time-of-flight")(), []
    for trial in range(50):
        rng = np.random.default_rng([SEED, 2, trial])
        z = 0.02 * np.exp(2j * np.pi * (np.arange(600) / period + rng.uniform())) + 1e-3 * noise(rng, 600)
        taken += [trial] if routine.analyse(record(z)).good else []
    assert not taken, f"seed {SEED}"


def test_levels_that_are_not_numbers_are_not_in_spec():
    places = {"setting": np.arange(8), "place": ["tone", "leakage", "image", "quiet"]}
    for hole in ((slice(None), slice(None)), (0, 1), (0, 2), (5, 3)):
        levels = np.tile([0.0, -70.0, -70.0, -90.0], (8, 1))
        levels[hole] = np.nan
        data = xarray.Dataset({"level": (("setting", "place"), levels)}, places, {"bound": -50.0})
        assert find_routine("mixer")().judge(data, in_force(), "d0") == ("bad data", "a level is not a number"), hole


# --- frequencies ---------------------------------------------------------------------------------------------------


def phases(rng, lines, routine, points, shots, span, turned=0.0, time=45e-6):
    """Return the data of Ramsey fringes of (detuning, weight) pairs with the waits of ``routine``, at 5 GHz."""
    waits = np.array(waits_of(span, points, 1e-9)) * 1e-9
    fringe = sum(w * np.cos(2 * np.pi * (turned - off) * waits + TURNS[:, None]) for off, w in lines)
    population = 0.5 + 0.48 * np.exp(-waits / time) * fringe
    if routine == "fine-frequency":
        return sweep({"turn": TURNS, "wait": waits}, population, shots, rng, f01=5e9)
    known = {"frame_wait": 5e9, "turned_wait": turned, "decay": 0}
    return sweep({"turn": TURNS, "wait": waits}, population, shots, rng, "_wait", **known)


def quick(routine):
    """Return what a check of a frequency measures."""
    p = {**find_routine(routine)().parameters.model_dump(), **find_routine(routine).quick}
    return p["points"], p["shots"], p["span"], p.get("fringes", 0.0) / p["span"]


@pytest.mark.parametrize("routine", ["ramsey", "fine-frequency"])
def test_a_check_of_the_frequency_is_not_fooled_by_whole_turns(routine):
    points, shots, span, turned = quick(routine)
    known, wrong = in_force(f01=5e9), []
    steps = [1 / (span / n) for n in range(2, points)]
    for trial, off in enumerate([0.0, 0.0, *steps, *(-2 * x for x in steps), 233.33e3, 250e3, 500e3, 1.4e6]):
        for again in range(4):
            rng = np.random.default_rng([SEED, 3, trial, again])
            data = phases(rng, [(off, 1.0)], routine, points, shots, span, turned)
            verdict, why = find_routine(routine)().judge(data, known, "Q0")
            wrong += [] if (verdict == "in spec") == (off == 0) else [(off, verdict, why)]
    assert not wrong, f"seed {SEED}: {wrong}"


@pytest.mark.parametrize("routine", ["ramsey", "fine-frequency"])
def test_the_frequency_is_found_where_it_is(routine):
    """60 detunings up to 1.4 MHz: the rms of pulls is 1 ± 0.09, and 0.65 to 1.35 is four of these away."""
    points, shots, span, turned = quick(routine)
    pulls = []
    for trial in range(60):
        rng = np.random.default_rng([SEED, 4, trial])
        off = rng.uniform(-1.4e6, 1.4e6)
        data = phases(rng, [(off, 1.0)], routine, points, shots, span, turned, time=rng.uniform(30e-6, 90e-6))
        outcome = find_routine(routine)().analyse(data)
        assert outcome.good, f"seed {SEED}, trial {trial}: {outcome.reason}"
        found = outcome.values["f01"]
        pulls.append((found.value - 5e9 - off) / found.stderr)
    assert 0.65 < np.sqrt(np.mean(np.square(pulls))) < 1.35, f"seed {SEED}: {np.round(pulls, 1)}"


@pytest.mark.parametrize("routine", ["ramsey", "fine-frequency"])
def test_noise_is_not_taken_for_fringes(routine):
    points, shots, span, turned = quick(routine)
    for trial in range(40):
        rng = np.random.default_rng([SEED, 5, trial])
        data = phases(rng, [(0.0, 0.0)], routine, points, shots, span, turned)
        assert not find_routine(routine)().analyse(data).good, f"seed {SEED}, trial {trial}"


def test_of_two_frequencies_the_stronger_one_counts():
    """A neighbour that is now up, now down: neither the other line nor anything between them is the frequency."""
    pulls, refused = [], 0
    for trial in range(60):
        rng = np.random.default_rng([SEED, 6, trial])
        off, gap = rng.uniform(-4e4, 4e4), rng.uniform(2e4, 1.5e5) * rng.choice([-1, 1])
        weight = rng.uniform(0.6, 0.8)
        data = phases(rng, [(off, weight), (off + gap, 1 - weight)], "ramsey", 41, 300, 60e-6, 1e5)
        outcome = find_routine("ramsey")().analyse(data)
        refused += not outcome.good
        if outcome.good:
            assert "two frequencies" in outcome.reason, f"seed {SEED}, trial {trial}"
            pulls.append((outcome.values["f01"].value - 5e9 - off) / outcome.values["f01"].stderr)
    assert refused <= 1, f"seed {SEED}: {refused}"
    assert np.abs(pulls).max() < 5, f"seed {SEED}: {np.round(pulls, 1)}"
    assert 0.65 < np.sqrt(np.mean(np.square(pulls))) < 1.35, f"seed {SEED}: {np.round(pulls, 1)}"


# --- two lines, and ripples of cables ------------------------------------------------------------------------------


def swept(rng, kind):
    """Return a sweep over 18 MHz with cables that ripple by 5 %: a notch or a peak alone, two of them, or none."""
    f = np.linspace(-9e6, 9e6, 91)
    size, at, kappa = (
        rng.uniform(0.06 if kind == "two" else 0.03, 0.1),
        rng.uniform(-6e6, -1e6),
        rng.uniform(0.7e6, 2.5e6),
    )
    amplitude = size * np.exp(1j * rng.uniform(-0.5, 0.5)) * (-1 if kind == "notch" else 1)
    through = 0.02 if kind == "peak" else 0.1
    first = (0.0, 0.0) if kind == "none" else (amplitude.real, amplitude.imag)
    z = response(0.0, f, at, kappa, rng.uniform(2e-8, 1e-7), *first, through, 0.0)
    if kind == "two":
        other = 0.5 * amplitude * np.exp(1j * rng.uniform(0, 6))
        z += response(0.0, f, at + rng.uniform(4e6, 7e6), kappa, 5e-8, other.real, other.imag, 0.0, 0.0)
    z *= 1 + 0.05 * np.cos(2 * np.pi * (f / rng.uniform(8e6, 40e6) + rng.uniform()))
    sigma = 10 ** rng.uniform(-3.3, -2.3)
    return f, z + sigma * noise(rng, 91), sigma, at


@pytest.mark.parametrize("kind", ["notch", "peak", "two", "none"])
def test_a_resonator_alone_is_found_and_nothing_else(kind):
    wrong = []
    for trial in range(60):
        f, z, sigma, at = swept(np.random.default_rng([SEED, 7, trial]), kind)
        fit = resonator(f, z, sigma, kind="notch")
        if fit.ok != (kind in ("notch", "peak")) or (fit.ok and abs(fit.values["frequency"] - at) > 6e5):
            wrong.append((trial, fit.reason, fit.values, at))
        if kind == "two" and not fit.ok:
            assert "two resonances" in fit.reason or "wider" in fit.reason, f"seed {SEED}, trial {trial}: {fit.reason}"
    assert len(wrong) <= 1, f"seed {SEED}: {wrong}"


def looked_at(routine, answers):
    """Return what a routine's measurement brings back when ``answers`` says what each of its sweeps shows."""
    executor = Executor(SimulatedLab.sim5())
    measurement = routine.measure(executor, "Q0")
    ask, strengths = next(measurement), []
    try:
        while True:
            played = [next(i for _, i in s.instructions if isinstance(i, Play)) for s in ask.schedules]
            tuned = [next(i for _, i in s.instructions if isinstance(i, SetFrequency)) for s in ask.schedules]
            strengths.append(float(np.abs(played[0].pulse.envelope()).sum()))
            points = answers(np.array([i.frequency for i in tuned]) - executor.calibration.number("Q0.f01"), strengths)
            iq = points[:, None] + 0.3 * noise(np.random.default_rng([SEED, 8, len(strengths)]), points.size, ask.shots)
            ask = measurement.send(
                MeasurementResponse(iq[:, :, None].astype(np.complex64), None, None, None, np.zeros(1, bool))
            )
    except StopIteration as end:
        return end.value, strengths


def test_a_qubit_is_not_chosen_among_two_lines_by_the_strength_of_the_pulse():
    """Of two lines the one drowns at a third of the strength: that does not make the other the qubit."""

    def two(f, strengths):
        weak = strengths[-1] < 0.5 * strengths[0]
        return np.exp(-((f / 4e6) ** 2)) * (0.03 if weak else 0.9) + 0.5 * np.exp(-(((f - 3e7) / 4e6) ** 2))

    routine = find_routine("qubit-spectroscopy")()
    data, strengths = looked_at(routine, two)
    assert len(strengths) == 2, f"seen twice at one strength: {strengths}"
    outcome = routine.analyse(data)
    assert not outcome.good
    assert "two resonances" in outcome.reason

    def first_look(f, strengths):
        return two(f, [1.0]) if len(strengths) == 1 else np.exp(-((f / 2e6) ** 2))

    data, strengths = looked_at(routine, first_look)
    assert len(strengths) == 3, "a look, another one, and the fine sweep"
    assert routine.analyse(data).good


# --- signs, and values that were not measured ----------------------------------------------------------------------


@pytest.mark.parametrize("sign", [1, -1])
def test_a_decay_from_the_wrong_side_is_refused(sign):
    """After a π pulse the population of 1 falls, and an echo ends where its last pulse takes it."""
    wrong = []
    for trial in range(60):
        rng = np.random.default_rng([SEED, 9, trial])
        waits = np.linspace(0, 3e-4, 31)
        fall = sign * rng.uniform(0.3, 0.48) * np.exp(-waits / rng.uniform(4e-5, 1.5e-4))
        t1 = sweep({"wait": waits}, 0.5 + fall, 500, rng)
        echo = sweep({"turn": np.array([0, np.pi]), "wait": waits}, np.stack([0.5 - fall, 0.5 + fall]), 500, rng)
        for routine, data in (("t1", t1), ("echo", echo)):
            outcome = find_routine(routine)().analyse(data)
            if outcome.good != (sign > 0) or (sign < 0 and "below its end" not in outcome.reason):
                wrong.append((routine, trial, outcome.reason))
    assert not wrong, f"seed {SEED}: {wrong}"


def test_rabi_gives_what_it_has_measured_or_chosen(tmp_path):
    executor = Executor(SimulatedLab.sim5(seed=SEED))
    few = find_routine("rabi")(points=15, shots=100)
    amplitudes = {"Q0.x.amplitude", "Q0.sx.amplitude"}
    assert run(few, ["Q0"], executor, folder=tmp_path)["Q0"].values.keys() == amplitudes, "the frame stays where it is"
    longer = find_routine("rabi")(points=15, shots=100, duration=40)
    shape = {f"Q0.{gate}.{name}" for gate in ("x", "sx") for name in ("duration", "sigma")}
    assert run(longer, ["Q0"], executor, folder=tmp_path)["Q0"].values.keys() == amplitudes | shape
    cold = executor.propose({"Q0.sx.beta": Value(0.0, "dt", quality="design")})
    found = run(few, ["Q0"], cold, folder=tmp_path)["Q0"].values
    assert found.keys() == {*amplitudes, "Q0.sx.beta"}


def test_a_cancellation_tone_is_judged_in_the_plane():
    found = {"ecr.cancel.amplitude": Proposal(0.05, "", 1e-4), "ecr.cancel.angle": Proposal(3.1, "rad", 1e-3)}

    class Told(find_routine("cr-cancel")):
        def analyse(self, data):
            return Outcome("good", "", found)

    def verdict(amplitude, angle):
        values = {"amplitude": amplitude, "angle": angle}
        known = {f"Q1-Q0.ecr.cancel.{name}": Value(value, "") for name, value in values.items()}
        return Told().judge(xarray.Dataset(), CalibrationSet("test", known, ""), "Q1-Q0")

    assert verdict(0.05, 3.1) == ("in spec", "")
    assert verdict(0.05, 3.1 - 2 * np.pi + 0.05)[0] == "in spec"
    assert verdict(0.05, 2.7)[0] == "out of spec"
    assert verdict(0.06, 3.1)[0] == "out of spec"


# --- clouds --------------------------------------------------------------------------------------------------------


def prepared(rng, one, apart, shots=2000, thermal=0.02):
    """Return single shots after 0 and after a pulse that excites ``one`` of them, ``apart`` standard deviations."""
    states = np.stack([rng.random(shots) < thermal, rng.random(shots) < one])
    z = (apart * states + noise(rng, 2, shots)) * np.exp(1j)
    names = ("prepared", "shot")
    return xarray.Dataset({"shot_i": (names, z.real), "shot_q": (names, z.imag)}, {"prepared": [0, 1]})


@pytest.mark.parametrize(
    ("one", "apart", "why"),
    [
        ((0.85, 0.99), (2.2, 6.0), ""),
        ((0.52, 0.65), (3.0, 6.0), "is the π pulse right|most points"),
        ((0.02, 0.02), (2.0, 6.0), "drive line"),
        ((0.9, 0.99), (0.4, 1.0), "cannot be told|is the π pulse right"),
    ],
)
def test_a_discriminator_tells_two_states_that_were_prepared(one, apart, why):
    wrong = []
    for trial in range(25):
        rng = np.random.default_rng([SEED, 10, trial])
        outcome = find_routine("discriminator")().analyse(prepared(rng, rng.uniform(*one), rng.uniform(*apart)))
        if outcome.good != (not why) or not re.search(why, outcome.reason):
            wrong.append((trial, outcome.reason))
    assert not wrong, f"seed {SEED}: {wrong}"
