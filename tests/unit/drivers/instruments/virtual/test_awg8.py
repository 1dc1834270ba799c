"""What the AWG's driver writes into the records of a sequence."""

import numpy as np

from pulsed.drivers.instruments.virtual.awg8 import pack_events
from pulsed.drivers.programs import PLAYED


def test_an_amplitude_that_is_one_up_to_rounding_is_one():
    """The limits let it through; the instrument would refuse it."""
    events = np.zeros(3, PLAYED)
    events["amplitude"] = 1 + 1e-12, 1.0, -0.25
    assert pack_events(events, np.zeros(1, np.uint32))["amplitude"].tolist() == [1.0, 1.0, -0.25]


def test_an_event_keeps_its_fields_and_names_its_waveform_by_number():
    events = np.zeros(2, PLAYED)
    for value, name in enumerate(("pair", "oscillator", "time", "phase", "frequency", "condition"), 1):
        events[name] = value
    events["envelope"] = 1, -1
    records = pack_events(events, np.array([7, 9, 0xFFFFFFFF], np.uint32))
    assert records["waveform"].tolist() == [9, 0xFFFFFFFF]
    for value, name in enumerate(("pair", "oscillator", "time", "phase", "frequency", "condition"), 1):
        assert records[name].tolist() == [value, value], name
