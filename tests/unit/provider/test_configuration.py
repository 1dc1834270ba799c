"""What a backend tells as one of the first generation."""

import numpy as np
import pytest
from qiskit.exceptions import QiskitError
from scipy.linalg import expm

from pulsed.model.calibration import Value
from pulsed.model.device import DeviceDescription
from pulsed.provider import PulsedBackend
from pulsed.provider.configuration import FIELDS
from pulsed.pulse.instructions import Play


class TestConfiguration:
    def test_every_field_is_there_and_flat(self, backend: PulsedBackend) -> None:
        configuration = backend.configuration()
        assert set(configuration.to_dict()) == set(FIELDS)
        for name in set(FIELDS) - {"coupling_map", "dt"}:
            assert getattr(configuration, name) == getattr(backend, name), name

    def test_units(self, backend: PulsedBackend) -> None:
        configuration, plain = backend.configuration(), backend.configuration().to_dict()
        assert (configuration.dt, backend.dt, plain["dt"]) == (1e-9, 1e-9, pytest.approx(1.0))
        assert configuration.rep_delay_range == [1e-6, 10e-3]
        assert plain["rep_delay_range"] == pytest.approx([1.0, 10e3])
        assert plain["default_rep_delay"] == pytest.approx(800.0)
        assert configuration.qubit_lo_range[0] == pytest.approx([4.75e9, 5.45e9])
        assert plain["qubit_lo_range"][0] == pytest.approx([4.75, 5.45])

    def test_couplings(self, backend: PulsedBackend) -> None:
        configuration = backend.configuration()
        assert configuration.coupling_map == [[0, 1], [2, 1], [2, 3], [4, 3]]
        assert [los[0].q for los in configuration.u_channel_lo] == [1, 1, 3, 3]
        assert configuration.channels["u3"]["operates"] == {"qubits": [4, 3]}

    def test_what_the_rack_knows(self, backend: PulsedBackend) -> None:
        configuration, plain = backend.configuration(), backend.configuration().to_dict()
        assert configuration.channel_bandwidth == [[-350e6, 350e6]] * 14
        assert plain["channel_bandwidth"][0] == pytest.approx([-0.35, 0.35])
        assert configuration.n_registers == 5
        assert configuration.register_map == np.eye(5).tolist()
        assert configuration.conditional_latency == [[400] * 5] * 14
        assert configuration.acquisition_latency == [[0] * 5] * 5
        assert configuration.meas_kernels == ["calibrated", "boxcar"]
        assert configuration.discriminators == ["calibrated"]
        assert configuration.rep_times == []
        assert {name for name in FIELDS if plain[name] is None} == set()

    def test_a_rack_without_feedback_has_no_registers(self, device: DeviceDescription, calibration) -> None:
        timing = device.timing.model_copy(update={"feedback_latency": None})
        configuration = PulsedBackend(device.model_copy(update={"timing": timing}), calibration).configuration()
        assert (configuration.n_registers, configuration.conditional) == (0, False)
        assert (
            configuration.register_map is configuration.conditional_latency is configuration.acquisition_latency is None
        )

    def test_channels(self, backend: PulsedBackend) -> None:
        configuration = backend.configuration()
        assert [configuration.drive(1), configuration.measure(1), configuration.acquire(1)] == [
            backend.drive_channel(1), backend.measure_channel(1), backend.acquire_channel(1),
        ]  # fmt: skip
        assert configuration.control((2, 1)) == configuration.control_channels[2, 1] == backend.control_channel((2, 1))
        assert list(configuration.control_channels) == [(0, 1), (2, 1), (2, 3), (4, 3)]
        assert [line.name for line in configuration.get_qubit_channels(1)] == ["d1", "m1", "a1", "u0", "u1"]
        assert [line.name for line in configuration.get_qubit_channels([1, 2])] == ["u1"]
        assert [line.name for line in configuration.get_qubit_channels([4])] == ["d4", "m4", "a4", "u3"]
        assert configuration.get_channel_qubits(configuration.control((4, 3))[0]) == [4, 3]
        assert configuration.get_channel_qubits(configuration.acquire(2)) == [2]
        assert configuration.describe(configuration.control((4, 3))[0]) == {configuration.drive(3): 1}
        assert (configuration.sample_rate, configuration.num_qubits) == (1e9, 5)
        for call, value in (
            (configuration.drive, 5), (configuration.control, (1, 2)), (configuration.get_channel_qubits, "d9"),
            (configuration.describe, configuration.drive(0)), (configuration.get_qubit_channels, -1),
        ):  # fmt: skip
            with pytest.raises(QiskitError, match=r"backend sim5: .*legal: "):
                call(value)

    def test_every_name_is_offered(self, backend: PulsedBackend) -> None:
        assert set(FIELDS) <= set(dir(backend)) & set(dir(backend.configuration()))


def test_the_x_pulse_is_one_under_the_hamiltonian(backend: PulsedBackend) -> None:
    """Three levels in the frame of f01, the terms as Qiskit's text of them says, the pulse sample by sample.

    What is left is the phase of leakage and of the derivative's correction: below a percent.
    """
    known = backend.configuration().hamiltonian
    assert "_SUM" not in str(known["h_str"])
    lower = np.diag(np.sqrt([1.0, 2.0]), 1)
    number = np.diag([0.0, 1.0, 2.0])
    for q in range(5):
        terms = {f"wq{q}/2*(I{q}-Z{q})", f"delta{q}/2*O{q}*O{q}", f"-delta{q}/2*O{q}", f"omegad{q}*X{q}||D{q}"}
        assert terms <= set(known["h_str"])
        delta, strength = known["vars"][f"delta{q}"], known["vars"][f"omegad{q}"]
        assert known["vars"][f"wq{q}"] == pytest.approx(2 * np.pi * backend.properties().frequency(q), rel=1e-15)
        whole = np.eye(3, dtype=complex)
        for _, part in backend.calibrated.schedules.get("x", q).filter(instruction_types=Play).instructions:
            for sample in part.pulse.envelope():
                drive = strength / 2 * sample * lower.conj().T
                generator = delta / 2 * (number @ number - number) + drive + drive.conj().T
                whole = expm(-1j * generator * backend.dt) @ whole
        assert abs(whole[1, 0]) ** 2 > 0.99
    plain = backend.configuration().to_dict()["hamiltonian"]
    assert plain["vars"]["wq0"] == pytest.approx(known["vars"]["wq0"] * 1e-9)


def test_what_was_never_measured_is_left_out_of_the_hamiltonian(device: DeviceDescription, calibration) -> None:
    def of(values: dict) -> dict | None:
        return (
            PulsedBackend(device, type(calibration)(device.name, values, calibration.created))
            .configuration()
            .hamiltonian
        )

    assert of({}) is None
    kept = {k: v for k, v in calibration.values.items() if not k.startswith(("Q2.x.", "Q3.anharmonicity"))}
    known = of({**kept, "Q2-Q1.zz": Value(-50e3, "Hz")})
    assert {"omegad2", "delta3"}.isdisjoint(known["vars"])
    assert not [term for term in known["h_str"] if "omegad2" in term or "delta3" in term]
    assert known["vars"]["zzq1q2"] == pytest.approx(-2 * np.pi * 50e3)
    assert "zzq1q2/4*(I1-Z1)*(I2-Z2)" in known["h_str"]
