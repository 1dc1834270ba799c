import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from pulsed.calibration.interchange.ibm_pulses import from_samples
from pulsed.calibration.interchange.importing import convert
from pulsed.model.errors import ConfigError, InvalidValueError
from pulsed.pulse.library import Drag

DATA = Path(__file__).parents[4] / "examples" / "other-stacks" / "ibm"
NOW = "2026-11-21T12:00:00+00:00"


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(DATA, tmp_path / "two"))


def edited(folder, name, change):
    data = json.loads((folder / name).read_text())
    change(data)
    (folder / name).write_text(json.dumps(data))
    return convert([folder], None, NOW)


def entry(q, name, **changes):
    def change(data):
        next(one for one in data["qubits"][q] if one["name"] == name).update(changes)

    return change


def left(found, part):
    return [line.text for line in found.lines if line.outcome == "left out" and part in line.field]


@pytest.fixture(scope="module")
def found():
    return convert([DATA], None, NOW)


def test_each_entry_has_a_unit_of_its_own(found):
    v = found.calibration.number
    assert (v("Q0.t1"), v("Q0.t2")) == (pytest.approx(95e-6), pytest.approx(110e-6))  # us and µs
    assert v("Q1.f01") == pytest.approx(4.88e9)
    assert v("Q0.anharmonicity") == pytest.approx(-330e6)
    assert v("Q0.readout.p01") == pytest.approx(0.01695)
    assert v("Q0.x.error") == pytest.approx(1.599e-4, rel=1e-3)


def test_pulses_have_our_shapes_and_dt(found):
    data = json.loads((DATA / "defs_two.json").read_text())
    pulse = next(c for c in data["cmd_def"] if (c["name"], c["qubits"]) == ("x", [1]))["sequence"][0]["parameters"]
    v = found.calibration.number
    amp = complex(*pulse["amp"])
    assert v("Q1.x.amplitude") == pytest.approx(abs(amp))
    assert v("Q1.x.angle") == pytest.approx(math.atan2(amp.imag, amp.real))
    assert (v("Q1.x.beta"), v("Q1.x.sigma"), v("Q1.x.duration")) == (pulse["beta"], 8, 32)
    assert (v("Q0.readout.width"), v("Q0.readout.amplitude")) == (768, pytest.approx(0.163620629))


def test_an_echo_has_its_first_half_and_the_turns_after_it(found):
    v = found.calibration.number
    assert v("Q0-Q1.ecr.amplitude") == pytest.approx(0.874198, abs=1e-6)
    assert v("Q0-Q1.ecr.angle") == pytest.approx(-2.284508, abs=1e-6)
    assert v("Q0-Q1.ecr.cancel.amplitude") == pytest.approx(0.044903, abs=1e-6)
    assert v("Q0-Q1.ecr.rz_target") == pytest.approx(0.0779456, abs=1e-6)
    assert v("Q0-Q1.ecr.error") == pytest.approx(0.0052382, abs=1e-6)


def test_the_frame_of_a_cx_is_in_the_angle(folder):
    """A cx plays its tones in frames that it has turned: the phases before the first tone count."""

    def as_cx(data):
        command = next(c for c in data["cmd_def"] if (c["name"], c["qubits"]) == ("ecr", [0, 1]))
        command["name"] = "cx"
        command["sequence"].insert(0, {"name": "fc", "phase": 0.5, "t0": 0, "ch": "u0"})

    found = edited(folder, "defs_two.json", as_cx)
    assert found.calibration.number("Q0-Q1.ecr.angle") == pytest.approx(-2.284508 + 0.5, abs=1e-6)
    assert not found.calibration.has("Q0-Q1.ecr.rz_target"), "what a cx ends with is the cx's"


@pytest.mark.parametrize(("dt", "ns"), [(0.2222222222222222, 2 / 9), (2.2222222222222221e-10, 2 / 9), (0.5, 0.5)])
def test_the_time_step_is_exact_also_where_it_is_in_seconds(folder, dt, ns):
    found = edited(folder, "conf_two.json", lambda data: data.update(dt=dt))
    assert float(found.device.dt * 10**9) == pytest.approx(ns, rel=1e-12)
    assert found.device.dt.denominator < 10**11


def test_a_time_step_of_a_second_is_refused(folder):
    with pytest.raises(InvalidValueError, match="time step"):
        edited(folder, "conf_two.json", lambda data: data.update(dt=222.0))


@pytest.mark.parametrize(
    ("change", "name", "text"),
    [
        (entry(0, "T1", unit=""), "Q0.t1", "unit is missing"),
        (entry(0, "T1", unit="fortnights"), "Q0.t1", "not a quantity"),
        (entry(0, "T1", unit="s"), "Q0.t1", "is its unit another"),
        (entry(0, "T1", value=float("nan")), "Q0.t1", "finite"),
        (entry(0, "anharmonicity", value=0), "Q0.anharmonicity", "not known"),
    ],
)
def test_a_bad_entry_is_one_line(folder, change, name, text):
    found = edited(folder, "props_two.json", change)
    assert not found.calibration.has(name)
    assert any(text in line for line in left(found, "qubits.0"))
    assert found.calibration.has("Q1.t1", "Q0.x.amplitude")


def test_a_positive_anharmonicity_is_taken_and_asked_about(folder):
    found = edited(folder, "props_two.json", entry(0, "anharmonicity", value=0.33))
    assert found.calibration.number("Q0.anharmonicity") == pytest.approx(330e6)
    assert any("is positive" in line.text for line in found.lines if line.outcome == "to do")


def test_a_gate_with_an_error_of_one_does_not_work(folder):
    def broken(data):
        data["gates"][0]["parameters"] = [{"name": "gate_error", "value": 1, "unit": "", "date": NOW}]

    found = edited(folder, "props_two.json", broken)
    assert not found.calibration.has("Q0.x.error")
    assert any("does not work" in text for text in left(found, "gates.0"))


def test_conf_alone_is_a_rack_without_pulses(folder):
    for name in ("props_two.json", "defs_two.json"):
        (folder / name).unlink()
    found = convert([folder], None, NOW)
    assert found.device.num_qubits == 2
    assert not any(name.startswith("Q0.x") for name in found.calibration.values)
    asked = {line.name for line in found.lines if line.outcome == "to do"}
    assert {"qubits.0.f01", "pulses", "instruments.awg"} <= asked


def test_props_alone_is_not_enough(folder):
    with pytest.raises(ConfigError, match="no configuration"):
        convert([folder / "props_two.json"], None, NOW)


def test_a_pulse_of_the_library_is_fitted():
    true = Drag(160, 0.2, sigma=40.0, beta=-1.3, angle=0.7)
    found = from_samples(np.asarray(true.envelope(), complex))
    assert found.sigma == pytest.approx(40, rel=1e-3)
    assert found.amplitude == pytest.approx(0.2, rel=1e-3)
    assert found.beta == pytest.approx(-1.3, rel=0.01)
    assert found.angle == pytest.approx(0.7)


def test_a_pulse_by_name_is_read_from_the_library(folder):
    true = np.asarray(Drag(32, 0.7, sigma=8.0, beta=0.4).envelope(), complex)

    def sampled(data):
        data["pulse_library"] = [{"name": "X_d0", "samples": [[z.real, z.imag] for z in true.tolist()]}]
        command = next(c for c in data["cmd_def"] if (c["name"], c["qubits"]) == ("x", [0]))
        command["sequence"] = [{"name": "X_d0", "t0": 0, "ch": "d0"}]

    found = edited(folder, "defs_two.json", sampled)
    assert found.calibration.number("Q0.x.amplitude") == pytest.approx(0.7, rel=1e-3)
    assert found.calibration.number("Q0.x.beta") == pytest.approx(0.4, rel=0.02)


def test_a_name_that_leads_nowhere_is_one_line(folder):
    def lost(data):
        command = next(c for c in data["cmd_def"] if (c["name"], c["qubits"]) == ("x", [0]))
        command["sequence"] = [{"name": "gone", "t0": 0, "ch": "d0"}]

    found = edited(folder, "defs_two.json", lost)
    assert not found.calibration.has("Q0.x.amplitude")
    assert any("library does not have" in text for text in left(found, "cmd_def"))
