"""Kernels are compiled once: in the form in which the simulated chip calls them."""

from pulsed.simulator.dynamics import sectors
from pulsed.testing import kernels


def test_both_parts_have_the_same_forms_of_what_they_share():
    kernels.of_sectors_and_compiler()
    forms = list(sectors.run.signatures)
    assert forms
    kernels.of_the_chip()
    assert sectors.run.signatures == forms, "compiled twice: in another form for the chip"
