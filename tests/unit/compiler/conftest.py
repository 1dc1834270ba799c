"""A rack and a calibration set on paper: plausible values from the design sheet, for compiling only."""

from pathlib import Path

import pytest

from pulsed.compiler.compile import Compiler
from pulsed.model.calibration import CalibrationSet, Value
from pulsed.model.device import load_device

SIM5 = Path(__file__).parents[3] / "configs" / "sim5.toml"


@pytest.fixture(scope="session")
def device():
    return load_device(SIM5)


@pytest.fixture(scope="session")
def calibration(device):
    values: dict[str, float | tuple[float, ...]] = {"in.delay": 60.0}
    for q, qubit in enumerate(device.qubits):
        values |= {f"Q{q}.f01": qubit.design_frequency + 1e5 * q, f"Q{q}.readout.frequency": 6.9e9 + 8e7 * q}
        for name, amplitude in (("x", 0.4), ("sx", 0.2)):
            drag = {"amplitude": amplitude + 0.01 * q, "angle": 0.1 * q, "beta": 0.5, "duration": 32.0, "sigma": 8.0}
            values |= {f"Q{q}.{name}.{key}": value for key, value in drag.items()}
            values |= {f"Q{q}.{name}.phase": 0.02, f"Q{q}.{name}.error": 3e-4}
        values |= {f"Q{q}.readout.amplitude": 0.1, f"Q{q}.readout.duration": 800.0, f"Q{q}.readout.error": 0.01}
        values[f"Q{q}.readout.discriminator"] = (0.01, 0.0, -0.01, 0.0, 1e-5)
    for pair in device.couplings:
        ecr = {"duration": 400.0, "sigma": 16.0, "width": 336.0, "amplitude": 0.7, "angle": 0.3, "error": 6e-3}
        ecr |= {"cancel.amplitude": 0.03, "cancel.angle": -1.0, "rz_control": 0.05, "rz_target": -0.02}
        values |= {f"Q{pair.control}-Q{pair.target}.ecr.{key}": value for key, value in ecr.items()}
    return CalibrationSet("sim5", {name: Value(value) for name, value in values.items()}, "2026-11-21T00:00:00Z")


@pytest.fixture
def compiler(device, calibration):
    return Compiler(device, calibration)


@pytest.fixture(scope="session")
def session_compiler(device, calibration):
    """A compiler for laws, which are tried many times."""
    return Compiler(device, calibration)
