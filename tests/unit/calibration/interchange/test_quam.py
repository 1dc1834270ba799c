import cmath
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pulsed.calibration.interchange.fields import Ledger
from pulsed.calibration.interchange.importing import convert
from pulsed.calibration.interchange.quam_tree import Tree
from pulsed.pulse.library import Drag

DATA = Path(__file__).parents[4] / "examples" / "other-stacks" / "quam"
NOW = "2026-11-21T12:00:00+00:00"


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(DATA, tmp_path / "two"))


def edited(folder, change):
    data = json.loads((folder / "state.json").read_text())
    change(data["qubits"]["qA1"])
    (folder / "state.json").write_text(json.dumps(data))
    return convert([folder], None, NOW)


def left(found, part):
    return [line.text for line in found.lines if line.outcome == "left out" and part in line.field]


@pytest.fixture(scope="module")
def found():
    return convert([DATA], None, NOW)


def pulse(found, gate):
    v = {
        name: found.calibration.number(f"{gate}.{name}") for name in ("duration", "amplitude", "sigma", "beta", "angle")
    }
    return Drag(round(v["duration"]), v["amplitude"], sigma=v["sigma"], beta=v["beta"], angle=v["angle"]).envelope()


# --- references ----------------------------------------------------------------------------------------------------


def tree(data):
    return Tree(data, {}, Ledger(NOW))


def test_references_lead_from_the_root_beside_and_above():
    data = {"a": {"b": {"x": 1, "beside": "#./x", "above": "#../c", "chain": "#./above", "root": "#/a/b/x"}, "c": 7}}
    one = tree(data)
    assert [one.at("a", "b", key).value for key in ("beside", "above", "chain", "root")] == [1, 7, 7, 1]


def test_a_reference_to_a_table_is_gone_through():
    data = {"ops": {"x180": "#./drag", "drag": {"length": 40}, "x90": {"length": "#../x180/length"}}}
    assert tree(data).at("ops", "x180", "length").value == 40
    assert tree(data).at("ops", "x90", "length").value == 40
    assert tree(data).at("ops", "x90", "length").path == "ops.drag.length"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({"a": "#/b", "b": "#/a"}, "circles"), ({"a": "#./a"}, "circles"), ({"a": "#/gone/x"}, "nowhere"),
        ({"a": "#../../../x"}, "nowhere"),
    ],
)  # fmt: skip
def test_what_leads_in_circles_or_nowhere_is_one_line(data, why):
    one = tree(data)
    assert not one.at("a").there
    assert not one.at("a", "b").there
    (line,) = (line for line in one._ledger.lines if line.field == "a")
    assert why in line.text


def test_what_quam_works_out_as_it_runs_is_not_there_without_a_line():
    one = tree({"a": {"intermediate_frequency": "#./inferred_intermediate_frequency"}})
    assert not one.at("a", "intermediate_frequency").there
    assert one._ledger.lines == []


# --- values --------------------------------------------------------------------------------------------------------


def test_a_cosine_has_its_area_and_its_drag(found):
    """As quam 0.6 makes it: area 8.19 samples of full scale, Q 0.0118 and -0.0162 at samples 5 and 30."""
    envelope = pulse(found, "Q0.x")
    assert envelope.real.sum() == pytest.approx(8.19, rel=1e-6)
    assert np.corrcoef(envelope.imag, np.gradient(envelope.real))[0, 1] > 0.99
    assert envelope.imag[5] > 0 > envelope.imag[30]


def test_beta_is_of_the_pair_of_numbers_in_the_pulse(found):
    """alpha and anharmonicity of one file: with a positive anharmonicity beta has another sign, and is asked about."""
    v = found.calibration.number
    assert v("Q0.x.beta") > 0
    assert v("Q1.x.beta") < 0
    assert v("Q0.anharmonicity") == v("Q1.anharmonicity") == -330e6
    assert any(line.name == "Q1.x.beta" for line in found.lines if line.outcome == "to do")


def test_a_subtracted_gaussian_is_weaker(folder):
    """As quam 0.6 makes it: area 7.4569 samples of full scale at sigma 8."""

    def gaussian(qubit):
        qubit["xy"]["operations"]["x180_DragCosine"] |= {"__class__": "q.DragGaussianPulse", "sigma": 8.0}

    assert pulse(edited(folder, gaussian), "Q0.x").real.sum() == pytest.approx(7.4568621, rel=1e-6)


def test_an_axis_in_degrees_is_turned_and_a_detuning_is_told(folder):
    def turned(qubit):
        qubit["xy"]["operations"]["x180_DragCosine"] |= {"axis_angle": 90, "detuning": -4e6, "length": 48}

    found = edited(folder, turned)
    assert found.calibration.number("Q0.x.angle") == pytest.approx(np.pi / 2, abs=1e-3)
    (text, *_) = left(found, "x180_DragCosine.detuning")
    assert "-33.8 degrees" in text


def test_volts_are_a_part_of_full_scale_and_powers_are_carried_along(found, folder):
    assert found.device.ports["d0"].full_scale == 1.0
    assert found.device.ports["ro0"].full_scale == -8.0
    wiring = json.loads((folder / "wiring.json").read_text())
    wiring["wiring"]["qubits"]["qA1"]["xy"]["opx_output"] = "#/ports/analog/con1/1"
    (folder / "wiring.json").write_text(json.dumps(wiring))

    def with_port(qubit):
        qubit["xy"]["LO_frequency"] = 5.1e9

    again = edited(folder, with_port)
    assert again.calibration.number("Q0.x.amplitude") == pytest.approx(2 * found.calibration.number("Q0.x.amplitude"))


def test_the_rotation_has_the_other_sign_and_may_be_unwrapped(found):
    data = json.loads((DATA / "state.json").read_text())["qubits"]
    for q, name in enumerate(("qA1", "qA2")):
        readout = data[name]["resonator"]["operations"]["readout"]
        i0, q0, i1, q1, _ = found.calibration.numbers(f"Q{q}.readout.discriminator")
        zero, one = complex(i0, -q0), complex(i1, -q1)  # in their plane, before the rotation
        turn = cmath.exp(-1j * readout["integration_weights_angle"])
        middle = ((zero + one) / 2 * turn).real
        assert middle == pytest.approx(readout["threshold"] * 4096 / readout["length"], rel=1e-9)
        assert ((one - zero) * turn).real > 0


def test_errors_are_those_of_the_confusion_matrix(found):
    v = found.calibration.number
    assert (v("Q0.readout.p10"), v("Q0.readout.p01"), v("Q0.readout.error")) == (0.015, 0.025, pytest.approx(0.02))


def test_a_time_in_nanoseconds_is_no_time(folder):
    found = edited(folder, lambda qubit: qubit.update(T1=8834))
    assert not found.calibration.has("Q0.t1")
    assert any("is its unit another" in text for text in left(found, "qA1.T1"))


def test_an_anharmonicity_of_zero_has_no_drag(folder):
    found = edited(folder, lambda qubit: qubit.update(anharmonicity=0))
    assert not found.calibration.has("Q0.anharmonicity")
    assert any("no size" in text for text in left(found, "alpha"))
    assert found.calibration.number("Q0.x.beta") == pytest.approx(0, abs=1e-9)


def test_the_rack_has_one_oscillator_for_a_pair_of_tones(found):
    assert found.device.ports["d0"].lo == found.device.ports["d1"].lo
    assert found.device.couplings[0].flux is None
    asked = {line.name for line in found.lines if line.outcome == "to do"}
    assert asked <= {"instruments.opx.driver", "Q1.x.beta"}
