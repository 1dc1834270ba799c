"""Kernels are compiled once: in the form in which the simulated chip calls them."""

import numpy as np

from pulsed.drivers.rack import demodulate
from pulsed.simulator.dynamics import sectors
from pulsed.testing import kernels


def test_both_parts_have_the_same_forms_of_what_they_share():
    kernels.of_sectors_and_compiler()
    forms = list(sectors.run.signatures)
    assert forms
    kernels.of_the_chip()
    assert sectors.run.signatures == forms, "compiled twice: in another form for the chip"


def test_what_the_rack_worker_gets_needs_no_other_form():
    """Codes from a socket cannot be written to; weights come with a window."""
    kernels.of_the_drivers()
    mine = (demodulate._weigh, demodulate._integrate, demodulate._integrate_group, demodulate._add)
    forms = [list(kernel.signatures) for kernel in mine]
    assert all(forms)
    for tones in (1, 3):
        tone = demodulate.ReadoutTone(2, 4, 2, 1e6, np.ones(4, complex))
        for given in (np.ones((7, 8, 2), np.int16), np.frombuffer(bytes(224), np.int16).reshape(7, 8, 2)):
            demodulate.demodulate(given, [tone] * tones, 1e9, 0.5)
            demodulate.average(given)
    assert [list(kernel.signatures) for kernel in mine] == forms, "compiled again in another form"
