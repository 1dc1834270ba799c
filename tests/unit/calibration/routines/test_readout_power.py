"""How strongly a resonator may be driven, against what the chip's equation of motion says."""

import numpy as np
import pytest

from pulsed.calibration.executor import Executor
from pulsed.calibration.fits.resonators import response
from pulsed.calibration.results.data import load
from pulsed.calibration.routines.readout_power import ResonatorPower, resonances
from pulsed.calibration.runner.runner import run
from pulsed.testing.simulated_lab import SimulatedLab

SEED = 4


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    lab = SimulatedLab.sim5(seed=SEED)
    routine = ResonatorPower(points=31, amplitudes=8, highest=0.6)
    found = run(routine, ["Q3"], Executor(lab), folder=tmp_path_factory.mktemp("power"))["Q3"]
    assert found.good, f"seed {SEED}: {found.record.reason}"
    return lab, routine, found


def test_the_resonance_goes_towards_the_bare_one(measured):
    """At the weakest it is that of 0; with power it falls towards the mean of 0 and 1, and the shift is significant."""
    lab, _, found = measured
    truth = lab.engine.truth()["qubits"][3]
    rows = resonances(found.data)
    weakest = rows[0]
    off = weakest.values["frequency"] - truth["readout_resonances"][0]
    assert abs(off) < 4 * weakest.stderr["frequency"], f"seed {SEED}: {off} Hz"
    shift = found.outcome.fits["shift (Hz) over power"]
    assert shift.values["slope"] < -5 * shift.stderr["slope"], f"seed {SEED}: {shift.values}"


def test_at_the_amplitude_that_is_given_it_has_moved_by_a_tenth_of_the_linewidth(measured, drawn):
    _, routine, found = measured
    values = found.outcome.values["readout.highest"]
    shift, weakest = found.outcome.fits["shift (Hz) over power"], found.outcome.fits["weakest"]
    moved = abs(shift.values["slope"]) * values.value**2
    assert moved == pytest.approx(0.1 * weakest.values["kappa"])
    assert 0.1 < values.value < 0.6
    assert values.stderr < 0.1 * values.value
    # Between the amplitudes on either side the measured resonance crosses that shift.
    amplitudes = found.data["amplitude"].to_numpy()
    off = [weakest.values["frequency"] - row.values["frequency"] for row in resonances(found.data)]
    at = np.searchsorted(amplitudes, values.value)
    assert off[max(at - 2, 0)] < moved < off[min(at + 1, len(off) - 1)], f"seed {SEED}: {off}"
    data = load(found.record.file)
    assert routine.analyse(data).values == found.outcome.values
    drawn(routine, data, found.outcome)


def resonating(measured, shift):
    """Return the run's data with a linear resonator that is ``shift(amplitude)`` Hz from home, and the run's noise."""
    _, _, found = measured
    data, weakest = load(found.record.file), found.outcome.fits["weakest"]
    rng, frequency = np.random.default_rng(SEED), data["frequency"].to_numpy()
    size = data["amplitude"].to_numpy() / float(data["amplitude"][0])
    for k, amplitude in enumerate(data["amplitude"].to_numpy()):
        values = {name: weakest.values[name] for name in weakest.names}
        values["frequency"] += shift(amplitude)
        z = size[k] * response(frequency.mean(), frequency, **values).conj()
        for name, part in (("i", z.real), ("q", z.imag)):
            noise = data[f"{name}_error"].to_numpy()[k] * rng.standard_normal(part.size)
            data[name].to_numpy()[k] = part + noise
    return data


def test_a_resonance_that_jumps_ends_the_sweep_where_it_jumps(measured):
    """Seen on a chip: 2.5 MHz above amplitude 0.35 used to give the end of the sweep, 0.6."""
    _, routine, found = measured
    amplitudes = found.data["amplitude"].to_numpy()
    outcome = routine.analyse(resonating(measured, lambda a: -2.5e6 * (a > 0.35)))
    assert outcome.good, f"seed {SEED}: {outcome.reason}"
    assert outcome.values["readout.highest"].value == amplitudes[amplitudes < 0.35].max()
    assert "2.5 MHz away at the next amplitude" in outcome.reason
    back = routine.analyse(resonating(measured, lambda a: -2.5e6 * (0.35 < a < 0.45)))
    assert back.values == outcome.values, "that it is back behind the jump says nothing"


def test_a_resonance_that_stays_may_be_driven_harder_than_the_sweep_goes(measured):
    _, routine, found = measured
    outcome = routine.analyse(resonating(measured, lambda _: 0.0))
    assert outcome.values["readout.highest"].value == pytest.approx(found.data["amplitude"].to_numpy().max())
    assert "end of the sweep" in outcome.reason


def test_bad_data_give_no_value(measured):
    """Noise; a resonator that is not linear at the third amplitude any more; a digitizer that clips."""
    _, routine, found = measured
    rng = np.random.default_rng(SEED)
    data = load(found.record.file)
    clipped = data.assign(clipped=("amplitude", np.arange(8) > 1))
    assert "linear at 2" in routine.analyse(clipped).reason
    for name in ("i", "q"):
        data[name] = data[f"{name}_error"] * rng.standard_normal(data[name].shape)
    outcome = routine.analyse(data)
    assert not outcome.good, f"seed {SEED}"
    assert "lowest" in outcome.reason
