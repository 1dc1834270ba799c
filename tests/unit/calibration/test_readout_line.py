"""The tones of a readout line share its full scale."""

import numpy as np
import pytest

from pulsed.calibration.executor import Executor
from pulsed.calibration.routines.readout import _highest
from pulsed.drivers.contract import PortSettings, full_scale_gain
from pulsed.model.calibration import Value
from pulsed.testing.simulated_lab import SimulatedLab


@pytest.mark.parametrize("correction", [(1.0, 0.0, 0.0, 1.0), (1.0, 0.05, 0.0, 0.95), (1.0, -0.05, 0.0, 1.05)])
@pytest.mark.parametrize("offset", [(0.0, 0.0), (0.004, -0.002), (-0.001, 0.006)])
def test_all_tones_at_the_highest_amplitude_just_fit(correction, offset):
    """The largest sum is what the driver's limit allows, no less."""
    bench = Executor(SimulatedLab.sim5()).propose(
        {"ro.mixer.correction": Value(correction), "ro.mixer.offset": Value(offset, "full scale")}
    )
    total = sum(_highest(bench, f"Q{q}") for q in range(bench.device.num_qubits))
    gains = full_scale_gain(PortSettings(correction, offset))
    reach = max(total * gain + abs(level) for gain, level in zip(gains, offset, strict=True))
    assert np.isclose(reach, 1.0, rtol=1e-12)
