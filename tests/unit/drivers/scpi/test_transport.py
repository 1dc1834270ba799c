"""What the transport relies on of pyvisa-py is there, or an error says so."""

from types import SimpleNamespace

import pytest

from pulsed.drivers.scpi.transport import HislipTransport
from pulsed.model.errors import IncompatibleError


@pytest.mark.parametrize("interface", [SimpleNamespace(max_msg_size=1024), SimpleNamespace(_sync=None)])
def test_a_pyvisa_py_of_another_shape_is_refused(interface):
    with pytest.raises(IncompatibleError, match=r"pyvisa-py: .*legal: pyvisa-py>=0\.8,<0\.9"):
        HislipTransport(interface)
