"""The tones of a readout line share its full scale, and a sweep of their amplitude ends where the states are lost."""

import numpy as np
import pytest
import xarray

from pulsed.calibration.executor import Executor
from pulsed.calibration.routines.readout import _amplitude, _highest
from pulsed.drivers.contract import PortSettings, full_scale_gain
from pulsed.model.calibration import Value
from pulsed.testing.simulated_lab import SimulatedLab


@pytest.mark.parametrize("correction", [(1.0, 0.0, 0.0, 1.0), (1.0, 0.05, 0.0, 0.95), (1.0, -0.05, 0.0, 1.05)])
@pytest.mark.parametrize("offset", [(0.0, 0.0), (0.004, -0.002), (-0.001, 0.006)])
def test_all_tones_at_the_highest_amplitude_just_fit(correction, offset):
    """The largest sum is what the driver's limit allows, no less."""
    executor = Executor(SimulatedLab.sim5()).propose(
        {"ro.mixer.correction": Value(correction), "ro.mixer.offset": Value(offset, "full scale")}
    )
    total = sum(_highest(executor, f"Q{q}") for q in range(executor.device.num_qubits))
    gains = full_scale_gain(PortSettings(correction, offset))
    reach = max(total * gain + abs(level) for gain, level in zip(gains, offset, strict=True))
    assert np.isclose(reach, 1.0, rtol=1e-12)


@pytest.mark.parametrize("gap", [4, 5, 6])
def test_amplitudes_beyond_one_at_which_the_states_are_lost_are_not_chosen(gap):
    """Behind the gap, where the resonator is another one, they seem to be told apart better than anywhere."""
    amplitudes = np.geomspace(0.02, 0.4, 9)
    error = np.array([np.nan, 0.2, 0.1, 0.05, 0.03, 0.02, 0.015, 0.005, 0.001])
    error[gap] = np.nan
    coords = {"amplitude": ("amplitude", amplitudes)}
    data = xarray.Dataset({"assignment": ("amplitude", error), "assignment_error": ("amplitude", 0.1 * error)}, coords)
    assert amplitudes[1] <= _amplitude(data) <= amplitudes[gap - 1]
    whole = data.assign(assignment=("amplitude", np.where(np.isnan(error), 0.025, error)))
    assert _amplitude(whole) == pytest.approx(amplitudes[-1]), "nothing is lost: the best that was tried"
