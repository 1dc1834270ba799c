"""Which sweeps show a spectrum."""

import pytest

from pulsed.drivers.contract import SpectrumSweep
from pulsed.drivers.rack.spectrum import sweeps
from pulsed.model.job import Spectrum


def test_evenly_spaced_frequencies_without_a_gap_are_one_sweep():
    assert sweeps(Spectrum("d0", (5e9, 5.0001e9, 5.0002e9), 1e5)) == [SpectrumSweep("d0", 5e9, 5.0002e9, 3, 1e5)]


@pytest.mark.parametrize(
    "frequencies", [(5e9,), (5e9, 5.2e9), (5e9, 5.00005e9, 5.0002e9), (5.0001e9, 5e9)], ids=["1", "gap", "odd", "back"]
)
def test_others_are_the_middles_of_sweeps_of_three_points(frequencies):
    found = sweeps(Spectrum("d0", frequencies, 1e5))
    assert found == [SpectrumSweep("d0", f - 5e4, f + 5e4, 3, 1e5) for f in frequencies]


def test_a_sweep_is_ten_hertz_wide_at_least():
    assert sweeps(Spectrum("d0", (5e9,), 1.0)) == [SpectrumSweep("d0", 5e9 - 5, 5e9 + 5, 3, 1.0)]
