"""Qiskit 1.4 has no boxes: what pulsed.pulse has for them says so, and nothing else notices."""

import pytest
import qiskit

from pulsed import pulse

if hasattr(qiskit.circuit, "Annotation"):
    pytest.skip("this Qiskit has boxes with annotations", allow_module_level=True)


@pytest.mark.parametrize("name", ["Calibration", "calibrated_box", "QPY_ANNOTATIONS"])
def test_it_says_which_qiskit_has_boxes(name):
    with pytest.raises(ImportError, match=rf"{name} needs boxes with annotations.*Qiskit 1.*calibrations"):
        getattr(pulse, name)
