"""The files of `pulsed cal export --as ibm` in the classes of Qiskit 1.4 that IBM's own are read with."""

import json
import warnings
from pathlib import Path

import pytest

import pulsed.configs
from pulsed.cli.commands.exports import ibm_files
from pulsed.model.calibration import load_calibration
from pulsed.model.device import load_device

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from qiskit.providers.fake_provider.utils.json_decoder import decode_backend_properties, decode_pulse_defaults
    from qiskit.providers.models import BackendProperties, PulseBackendConfiguration, PulseDefaults

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
CONFIGS = Path(pulsed.configs.__file__).parent
SET = load_calibration(CONFIGS / "calibrations" / "sim5.json")


@pytest.fixture(scope="module")
def files():
    found = ibm_files(load_device(CONFIGS / "sim5.toml"), SET)
    return {name.partition("_")[0]: json.loads(content) for name, content in found.files.items()}


def test_properties(files):
    decode_backend_properties(files["props"])
    read = BackendProperties.from_dict(files["props"])
    assert read.t1(2) == pytest.approx(SET.number("Q2.t1"))
    assert read.frequency(2) == pytest.approx(SET.number("Q2.f01"))
    assert read.readout_error(0) == pytest.approx(SET.number("Q0.readout.error"))
    assert read.gate_error("ecr", [0, 1]) == pytest.approx(SET.number("Q0-Q1.ecr.error"))
    assert read.gate_length("x", [0]) == pytest.approx(32e-9)


def test_configuration(files):
    read = PulseBackendConfiguration.from_dict(files["conf"])
    assert read.dt == pytest.approx(1e-9)
    assert read.n_qubits == 5


def test_defaults(files):
    decode_pulse_defaults(files["defs"])
    read = PulseDefaults.from_dict(files["defs"])
    schedule = read.instruction_schedule_map.get("x", (1,))
    assert schedule.duration == 32
    pulse = schedule.instructions[0][1].pulse
    assert abs(pulse.amp) == pytest.approx(SET.number("Q1.x.amplitude"))
    assert pulse.beta == pytest.approx(SET.number("Q1.x.beta"))
