import cmath
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pulsed.calibration.interchange.importing import convert
from pulsed.model.errors import ConfigError, InvalidValueError
from pulsed.model.units import parse_quantity

DATA = Path(__file__).parents[4] / "examples" / "other-stacks" / "qibolab"
NOW = "2026-11-21T12:00:00+00:00"


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(DATA, tmp_path / "two"))


def edited(folder, name, change):
    data = json.loads((folder / name).read_text())
    change(data)
    (folder / name).write_text(json.dumps(data))
    return convert([folder], None, NOW)


def why(found, field):
    """The line about a field of a file, which is one."""
    (line,) = (line for line in found.lines if line.field == field and line.outcome == "left out")
    return line.text


@pytest.fixture(scope="module")
def found():
    return convert([DATA], None, NOW)


def test_frequencies_are_those_of_the_channels_not_of_the_older_file(found):
    assert found.calibration.number("Q1.f01") == 3992937472.0
    assert "says otherwise by -21000000 Hz" in why(found, "single_qubits.B2.qubit.frequency_01")


def test_anharmonicity_is_of_one_file_with_its_sign(found):
    assert found.calibration.number("Q1.anharmonicity") == pytest.approx(-207840100.0)


def test_times_are_seconds_and_zero_is_not_measured(found):
    t1 = found.calibration.values["Q0.t1"]
    assert (t1.value, t1.stderr) == (pytest.approx(6e-5), pytest.approx(9e-7))
    assert found.calibration.values["Q0.t2star"].stderr is None
    assert not found.calibration.has("Q1.t2")
    assert "not measured" in why(found, "single_qubits.B2.rb_fidelity.0")


def test_a_fidelity_of_benchmarking_is_one_minus_the_error_per_clifford(folder):
    def measured(data):
        data["single_qubits"]["A1"]["rb_fidelity"] = [0.9994, 5e-5]

    found = edited(folder, "calibration.json", measured)
    assert found.calibration.number("Q0.rb.error") == pytest.approx(6e-4)


def test_a_null_rx90_is_half_of_rx_and_a_given_one_is_taken(found):
    v = found.calibration
    assert v.number("Q1.sx.amplitude") == pytest.approx(v.number("Q1.x.amplitude") / 2)
    assert v.number("Q0.sx.amplitude") != pytest.approx(v.number("Q0.x.amplitude") / 2, rel=1e-4)
    assert v.number("Q0.x.sigma") == 8.0
    assert v.number("Q0.x.beta") == pytest.approx(0.2904)


def test_fidelity_of_a_readout_is_one_minus_both_errors(found):
    assert found.calibration.number("Q0.readout.error") == pytest.approx((0.0251 + 0.01295) / 2)


def test_the_discriminator_has_the_threshold_midway_and_the_conjugate_plane(found):
    data = json.loads((DATA / "parameters.json").read_text())["configs"]
    for q, name in enumerate(("A1", "B2")):
        i0, q0, i1, q1, _ = found.calibration.numbers(f"Q{q}.readout.discriminator")
        zero, one = complex(i0, -q0), complex(i1, -q1)  # in their plane
        rule = data[f"{name}/acquisition"]
        middle = (zero + one) / 2 * cmath.exp(1j * rule["iq_angle"])
        assert middle.real == pytest.approx(rule["threshold"], abs=1e-9)
        assert -cmath.phase(one - zero) == pytest.approx(rule["iq_angle"], abs=1e-5)


def test_a_virtual_z_is_minus_rz(found):
    rows = json.loads((DATA / "parameters.json").read_text())["native_gates"]["two_qubit"]["A1-B2"]["CZ"]
    assert found.calibration.number("Q0-Q1.cz.rz_control") == -rows[1][1]["phase"]
    assert found.calibration.number("Q0-Q1.cz.rz_target") == -rows[2][1]["phase"]
    assert found.calibration.number("Q0-Q1.cz.width") == 40.0


def test_temperature_is_a_population(found):
    assert found.calibration.number("Q0.thermal") == pytest.approx(0.00992, abs=1e-4)


def test_the_wiring_is_read_and_not_run(found):
    pairs = {name: port["pair"] for name, port in found.tables["ports"].items()}
    assert pairs == {"d0": 81, "ro0": 161, "in0": 161, "d1": 82, "f0": 21}
    asked = [line.name for line in found.lines if line.outcome == "to do"]
    assert set(asked) <= {"instruments.qblox.driver"}, "but for a driver that is not installed nothing is to be done"
    assert found.device.qubits[1].readout == found.device.qubits[0].readout == "ro0"
    assert found.device.couplings[0].flux == "f0"
    assert found.tables["instruments"]["qblox"]["address"] == "TCPIP::192.0.2.6::5025::SOCKET"
    assert found.device.oscillators["twpa"].frequency == 7.9e9
    assert found.device.limits.rep_delay == pytest.approx(5e-4)


def test_every_value_says_file_and_field_and_is_unverified(found):
    data = {name: json.loads((DATA / name).read_text()) for name in ("parameters.json", "calibration.json")}
    for value in found.calibration.values.values():
        name, _, path = value.run_id.partition(": ")
        at = data[name]
        for key in path.split("."):
            at = at[int(key)] if isinstance(at, list) else at[key]
        assert at is not None
        assert value.quality == "unverified"


# --- what is wrong with a file ---------------------------------------------------------------------------------------


def config(channel, **changes):
    return lambda data: data["configs"][channel].update(changes)


@pytest.mark.parametrize(
    ("change", "field", "text"),
    [
        (config("A1/acquisition", delay=float("nan")), "configs.A1/acquisition.delay", "finite"),
        (config("A1/acquisition", kernel="AAAA"), "configs.A1/acquisition.kernel", "no array"),
        (config("A1/acquisition", iq_angle=2.5), "configs.A1/acquisition.iq_angle", "does not lead"),
        (config("A1/acquisition", threshold="high"), "configs.A1/acquisition.threshold", "a number"),
    ],
)
def test_a_bad_field_is_one_line_and_the_rest_is_taken(folder, change, field, text):
    found = edited(folder, "parameters.json", change)
    assert text in why(found, field)
    assert found.calibration.has("Q0.x.amplitude", "Q1.readout.discriminator")


def test_a_frequency_in_gigahertz_is_no_frequency(folder):
    found = edited(folder, "parameters.json", config("B2/drive", frequency=3.99))
    assert "is its unit another" in why(found, "configs.B2/drive.frequency")
    assert found.platform.qubits == ["A1"]
    assert "not there" in why(found, "native_gates.two_qubit.A1-B2")


def pulse(data, **changes):
    data["native_gates"]["single_qubit"]["A1"]["RX"][0][1].update(changes)


def test_a_duration_between_samples_is_cut_as_qibolab_plays_it(folder):
    found = edited(folder, "parameters.json", lambda data: pulse(data, duration=32.7))
    assert found.calibration.number("Q0.x.duration") == 32
    assert "0.7 ns" in why(found, "native_gates.single_qubit.A1.RX.0.1.duration")


def test_a_pulse_of_a_shape_without_counterpart_is_left_out(folder):
    found = edited(folder, "parameters.json", lambda data: pulse(data, envelope={"kind": "snz", "t_idling": 2}))
    assert not found.calibration.has("Q0.x.amplitude")
    assert "snz" in why(found, "native_gates.single_qubit.A1.RX.0.1.envelope")


def test_a_pulse_that_would_need_more_than_full_scale_is_left_out(folder):
    found = edited(folder, "parameters.json", lambda data: pulse(data, amplitude=0.9, envelope={
        "kind": "gaussian", "rel_sigma": 0.5}))  # fmt: skip
    assert "of full scale" in why(found, "native_gates.single_qubit.A1.RX.0.1")
    assert not found.calibration.has("Q0.x.sigma")


def test_a_kernel_is_conjugated_and_sums_to_one(folder):
    import base64
    import io

    weights, buffer = np.exp(0.01j * np.arange(800)), io.BytesIO()
    np.save(buffer, weights)
    found = edited(folder, "parameters.json", config("A1/acquisition", kernel=base64.b64encode(
        buffer.getvalue()).decode()))  # fmt: skip
    kernel = np.array(found.calibration.numbers("Q0.readout.kernel")).view(complex)
    assert kernel == pytest.approx(weights.conj() / 800)


def test_a_pickled_kernel_is_not_loaded(folder):
    import base64
    import io

    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    found = edited(folder, "parameters.json", config("A1/acquisition", kernel=base64.b64encode(
        buffer.getvalue()).decode()))  # fmt: skip
    assert "no array" in why(found, "configs.A1/acquisition.kernel")


def test_without_platform_py_values_are_taken_and_instruments_asked_for(folder):
    (folder / "platform.py").unlink()
    found = convert([folder], None, NOW)
    assert found.calibration.has("Q0.x.amplitude")
    asked = {line.name for line in found.lines if line.outcome == "to do"}
    assert {"platform.py", "instruments.awg", "instruments.digitizer"} <= asked


def test_a_platform_py_that_has_to_be_run_is_said_to(folder):
    (folder / "platform.py").write_text("def create():\n    with open('x') as f:\n        return make(f)\n")
    found = convert([folder], None, NOW)
    lines = [line.text for line in found.lines if line.file == "platform.py"]
    assert any("without running it" in text for text in lines)
    assert found.calibration.has("Q0.x.amplitude")


def test_another_generation_is_named(folder):
    (folder / "parameters.json").write_text(json.dumps({"characterization": {}, "topology": []}))
    with pytest.raises(InvalidValueError, match=r"qibolab 0\.1"):
        convert([folder], "qibolab", NOW)


def test_no_qubit_is_an_error(folder):
    with pytest.raises(ConfigError, match="no qubit"):
        edited(folder, "parameters.json", lambda data: data["native_gates"].update(single_qubit={}))


def test_the_imports_values_are_those_of_the_time_step(found):
    assert parse_quantity(found.tables["dt"], "s") * 10**9 == 1
