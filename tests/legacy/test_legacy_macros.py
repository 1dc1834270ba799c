"""The builder over backends of Qiskit 1.4, whose schedules and channels are those of qiskit.pulse."""

import pytest
from qiskit import pulse as theirs

from pulsed import pulse
from pulsed.pulse.interop import from_qiskit
from pulsed.pulse.transforms import block_to_schedule, remove_directives


def program(language):
    language.measure([0, 1])
    language.barrier(0, 1)
    language.delay_qubits(40, 0)
    language.play(language.Constant(16, 0.1), language.control_channels(0, 1)[0])
    language.play(language.Constant(16, 0.1), language.drive_channel(1))
    language.measure_all()


def listed(schedule):
    """Its instructions; Qiskit has an order of its own among those of one time."""
    return sorted((time, repr(part)) for time, part in remove_directives(schedule).instructions)


# what BackendV1 is made of is deprecated as a whole, and says so at every use
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", ["FakeOpenPulse2Q", "FakeOpenPulse3Q"])
def test_programs_are_those_of_qiskit14(kind):
    from qiskit.providers import fake_provider

    backend = getattr(fake_provider, kind)()
    with pulse.build(backend) as ours:
        program(pulse)
    with theirs.build(backend) as made:
        program(theirs)
    expected = from_qiskit(theirs.transforms.block_to_schedule(made))
    assert listed(block_to_schedule(ours)) == listed(expected)
    with pulse.build(backend):
        channels = {str(channel) for channel in pulse.qubit_channels(0)}
    with theirs.build(backend):
        assert channels == {str(channel) for channel in theirs.qubit_channels(0)}
