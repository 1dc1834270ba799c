"""Interop where Qiskit has no ``qiskit.pulse`` any more; with it, see ``tests/legacy``."""

import pytest

from pulsed.model.errors import PulsedError
from pulsed.pulse import Schedule, ScheduleBlock
from pulsed.pulse.exceptions import NoQiskitPulseError
from pulsed.pulse.interop import from_qiskit, is_qiskit_program, to_qiskit


@pytest.mark.parametrize("program", [Schedule(), ScheduleBlock(), 3])
def test_both_directions_say_that_the_package_is_not_there(program):
    for convert in (to_qiskit, from_qiskit):
        with pytest.raises(NoQiskitPulseError, match=r"no qiskit\.pulse; got 2\.\d+\.\d+.*legal: 1\.4") as caught:
            convert(program)
        assert isinstance(caught.value, PulsedError)
        assert not is_qiskit_program(program)
