"""Calibration sets that know their always-on ZZ."""

import pytest

from pulsed.model.calibration import CalibrationSet, Value
from pulsed.provider import PulsedBackend

KHZ = 1e3


@pytest.fixture(scope="session")
def with_zz(device, calibration) -> CalibrationSet:
    values = {f"Q{pair.control}-Q{pair.target}.zz": Value(50 * KHZ, unit="Hz") for pair in device.couplings}
    return calibration.with_values(values, "2026-11-22T12:00:00+00:00")


@pytest.fixture(scope="session")
def coupled(device, with_zz) -> PulsedBackend:
    """A backend without a rack whose set knows the ZZ."""
    return PulsedBackend(device, with_zz)
