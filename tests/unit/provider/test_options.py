"""The options of a backend and of its runs."""

import copy
import pickle
import warnings

import msgspec
import numpy as np
import pytest
from qiskit import QuantumCircuit

from pulsed.model.errors import PulsedError, RackTimeError
from pulsed.provider import PulsedBackend, PulsedSampler
from pulsed.provider.errors import (
    OptionValueError,
    UnknownOptionError,
    UnsupportedCircuitError,
)
from pulsed.pulse.channels import DriveChannel
from pulsed.pulse.configuration import LoConfig

from .programs import measured


class TestOptions:
    @pytest.mark.parametrize("name", ["shoots", "use_measure_esp", "parameter_bind"])
    def test_a_keyword_that_is_no_option_is_a_warning(self, backend: PulsedBackend, daemon, name: str) -> None:
        with pytest.warns(UserWarning, match=rf"run: no such option.*got {name}; legal: shots, .*_binds") as caught:
            backend.run(measured(), **{name: 7})
        assert caught[0].filename == __file__
        assert len(daemon.received) == 1

    @pytest.mark.parametrize("name", ["dynamical_decoupling", "hold_calibration"])
    def test_an_option_that_acts_between_runs_says_so(self, backend: PulsedBackend, daemon, name: str) -> None:
        with pytest.warns(UserWarning, match=f"run: {name} acts with set_options, not on one run") as caught:
            backend.run(measured(), **{name: True})
        assert caught[0].filename == __file__
        assert len(daemon.received) == 1
        with pytest.raises(AttributeError, match=rf"got {name}; legal: rep_delay"):
            PulsedSampler(backend, {"run_options": {name: True}})

    def test_unknown_field(self, backend: PulsedBackend) -> None:
        with pytest.raises(AttributeError, match="got shoots; legal: shots") as caught:
            backend.set_options(shoots=7)
        assert isinstance(caught.value, PulsedError)

    def test_a_bad_value_changes_nothing(self, backend: PulsedBackend) -> None:
        with pytest.raises(ValueError, match="shots"):
            backend.set_options(memory=True, shots=0)
        assert (backend.options.shots, backend.options.memory) == (1024, False)

    def test_keyword_wins_over_option(self, backend: PulsedBackend, daemon) -> None:
        backend.set_options(shots=10, memory=True)
        backend.run(measured(), shots=20)
        backend.run(measured())
        backend.run(measured(), shots=None)
        sent = [(request.options.shots, request.options.memory) for request, _ in daemon.received]
        assert sent == [(20, True), (10, True), (10, True)]

    def test_an_attribute_is_checked_as_it_is_set(self, backend: PulsedBackend) -> None:
        with pytest.raises(OptionValueError, match="shots"):
            backend.options.shots = -5
        with pytest.raises(OptionValueError, match="shots"):
            backend.options["shots"] = -5
        with pytest.raises(UnknownOptionError, match="got shoots; legal: shots"):
            backend.options.shoots = 5
        assert backend.options.shots == 1024
        backend.options.shots = np.float32(8)
        assert type(backend.options.shots) is int

    @pytest.mark.parametrize(
        ("name", "validator", "good", "bad", "legal"),
        [
            ("shots", (1, 50), 50, 51, "1 to 50"), ("shots", [10, 20], np.int64(20), 30, "10, 20"),
            ("rep_delay", (1e-4, 2e-4), 1e-4, 3e-4, "0.0001 to 0.0002"), ("job_name", str, "a", None, "None"),
        ],
    )  # fmt: skip
    def test_validators_of_the_user_hold_for_runs(
        self, backend: PulsedBackend, daemon, name: str, validator: object, good: object, bad: object, legal: str
    ) -> None:
        backend.options.update_options(**{name: good})
        backend.options.set_validator(name, validator)
        backend.run(measured(), **{name: good})
        if bad is None:  # not given, whatever the kind
            backend.run(measured(), **{name: bad})
            return
        for call in (backend.run, lambda _, **fields: backend.set_options(**fields)):
            with pytest.raises(OptionValueError, match=f"{name}.*legal: {legal}, by set_validator"):
                call(measured(), **{name: bad})
        assert len(daemon.received) == 1

    def test_numbers_of_numpy_are_numbers(self, backend: PulsedBackend, daemon) -> None:
        backend.run(
            measured(), shots=np.int16(7), rep_delay=np.float32(2e-4), memory=np.bool_(True), meas_level=np.uint8(1),
            qubit_lo_freq=np.full(5, 5e9), priority=np.int64(3),
        )  # fmt: skip
        request, _ = daemon.received[0]
        options = request.options
        assert (options.shots, options.memory, options.meas_level, request.priority) == (7, True, 1, 3)
        assert {type(value) for value in (options.shots, options.meas_level, request.priority)} == {int}
        assert options.rep_delay == pytest.approx(2e-4)
        for name, value in (("shots", np.bool_(True)), ("rep_delay", True), ("qubit_lo_freq", ["5e9"] * 5)):
            with pytest.raises(OptionValueError, match=name):
                backend.run(measured(), **{name: value})

    @pytest.mark.parametrize("way", [copy.copy, lambda item: pickle.loads(pickle.dumps(item))])
    def test_copies_of_options_are_their_own(self, backend: PulsedBackend, way: object) -> None:
        other = way(backend.options)  # type: ignore[operator]
        other.update_options(shots=7)
        assert (other.shots, backend.options.shots) == (7, 1024)
        with pytest.raises(OptionValueError, match="shots"):
            other.update_options(shots=0)

    def test_options_are_a_mapping(self, backend: PulsedBackend) -> None:
        options = backend.options
        assert dict(options.items()) == dict(zip(options.keys(), options.values(), strict=True)) == dict(options)
        assert (options.get("shots"), options.get("shoots"), options.get("shoots", 7)) == (1024, None, 7)
        assert "shots" in options
        options.set_validator("shots", (1, 50))
        assert options.validator == {"shots": (1, 50)}
        assert options.device is backend.device
        assert options.checked({"shots": np.int64(7)}) == {"shots": 7}

    def test_a_seed_is_refused_for_a_rack_has_none(self, backend: PulsedBackend, daemon) -> None:
        with pytest.raises(OptionValueError, match=r"seed_simulator.*got 1; legal: None: the shots come from a rack"):
            backend.run(measured(), seed_simulator=1)
        backend.run(measured(), seed_simulator=None)  # as Qiskit's primitives do
        assert len(daemon.received) == 1

    @pytest.mark.parametrize(("length", "unit"), [(0.9, "s"), (900_000_000, "dt")])
    def test_a_long_job_is_refused_before_it_is_sent_unless_it_is_confirmed(
        self, backend: PulsedBackend, daemon, length, unit
    ) -> None:
        """A wait of 20 s with its unit forgotten: 1000 shots of it are more than any job may take."""
        circuit = QuantumCircuit(1, 1)
        circuit.delay(length, 0, unit)
        circuit.measure(0, 0)
        with pytest.raises(RackTimeError, match="without confirmation") as caught:
            backend.run(circuit, shots=1000)
        assert caught.value.value.startswith("at least 900.8 s (15 min)")
        assert daemon.received == []
        backend.run(circuit, shots=1000, confirm_rack_time=True)
        assert daemon.received[0][0].options.confirm_rack_time
        circuit.delay(20, 0, "s")
        with pytest.raises(RackTimeError, match="than any job may"):
            backend.run(circuit, shots=1000, confirm_rack_time=True)
        assert len(daemon.received) == 1

    def test_everything_travels(self, backend: PulsedBackend, daemon, calibration) -> None:
        other = calibration.with_values({}, "2026-11-21T12:00:00+00:00")
        daemon.sets[other.calibration_id] = other
        backend.run(
            measured(), shots=5, memory=True, meas_level=1, meas_return="avg", rep_delay=2e-4,
            qubit_lo_freq=[5e9] * 5, meas_lo_freq=[7e9] * 5, job_name="mine", job_tags=["a", "b"], priority=3, due=4e9,
            dry_run=True, calibration_id=other.calibration_id,
        )  # fmt: skip
        request, _ = daemon.received[0]
        options = request.options
        assert (options.shots, options.memory, options.meas_level, options.meas_return) == (5, True, 1, "avg")
        assert (options.rep_delay, options.dry_run) == (2e-4, True)
        assert (options.qubit_lo_freq, options.meas_lo_freq) == ((5e9,) * 5, (7e9,) * 5)
        assert (request.name, request.tags, request.priority, request.due) == ("mine", ("a", "b"), 3, 4e9)
        assert options.calibration_id == other.calibration_id

    def test_the_set_of_the_target_is_named(self, backend: PulsedBackend, daemon) -> None:
        backend.run(measured())
        assert daemon.received[0][0].options.calibration_id == backend.calibration_id

    def test_a_run_is_checked_against_the_set_that_it_names(self, backend: PulsedBackend, daemon, calibration) -> None:
        """A gate that the active set has lost, and one that it has and the older had not."""
        older = {name: value for name, value in calibration.values.items() if not name.startswith("Q3.x.")}
        old = msgspec.structs.replace(calibration, values=older, created="2026-11-19T12:00:00+00:00")
        daemon.sets[old.calibration_id] = old
        circuit = QuantumCircuit(4, 1, name="flip")
        circuit.x(3)
        circuit.measure(3, 0)
        backend.run(circuit)
        with pytest.raises(
            UnsupportedCircuitError, match=r"circuit 0 'flip', instruction 0.*got x on \(3,\); legal: x on"
        ):
            backend.run(circuit, calibration_id=old.calibration_id)
        daemon.put_in_force(old)
        backend.refresh()
        with pytest.raises(UnsupportedCircuitError, match=r"got x on \(3,\)"):
            backend.run(circuit)
        backend.run(circuit, calibration_id=calibration.calibration_id)
        assert [request.options.calibration_id for request, _ in daemon.received] == [calibration.calibration_id] * 2

    @pytest.mark.parametrize("value", ["", 7, b"0123"])
    def test_what_is_no_id_of_a_set_is_refused(self, backend: PulsedBackend, daemon, value: object) -> None:
        with pytest.raises(OptionValueError, match="calibration_id: invalid id of a calibration set"):
            backend.run(measured(), calibration_id=value)
        assert daemon.received == []

    @pytest.mark.parametrize("form", [LoConfig, dict, lambda los: [LoConfig(los)]])
    def test_schedule_los(self, backend: PulsedBackend, daemon, form: object) -> None:
        backend.run(measured(), schedule_los=form({DriveChannel(1): 4.9e9}))  # type: ignore[operator]
        options = daemon.received[0][0].options
        calibrated = [p.frequency for p in backend.target.qubit_properties]
        assert list(options.qubit_lo_freq) == [calibrated[0], 4.9e9, *calibrated[2:]]
        assert list(options.meas_lo_freq) == backend.defaults().meas_freq_est


class TestSettings:
    def test_they_travel_with_the_job(self, backend: PulsedBackend, daemon) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            backend.run(measured(), settings={"compensation.crosstalk": 0, "oscillators.drive.power": np.float32(9.5)})
            backend.run(measured())
            backend.options.update_options(settings={"compensation.distortion": 0.0})
            backend.run(measured())
            backend.run(measured(), settings={})
        assert [request.options.settings for request, _ in daemon.received] == [
            {"compensation.crosstalk": 0.0, "oscillators.drive.power": 9.5}, {}, {"compensation.distortion": 0.0}, {},
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ({"compensation.crosstork": 0}, "settings: .*got compensation.crosstork; legal: .*compensation.crosstalk"),
            ({3: 0}, "settings: .*got 3; legal: oscillators.drive.frequency"),
            ({"compensation.crosstalk": "off"}, r"settings\['compensation.crosstalk'\]: .*got off; legal: a finite"),
            ({"compensation.crosstalk": False}, "got False; legal: a finite number"),
            ({"oscillators.drive.power": float("nan")}, "got nan; legal: a finite number"),
            ([("a", 1)], "settings: .*legal: {"),
        ],
    )
    def test_what_is_no_setting_is_refused_before_anything_is_sent(
        self, backend: PulsedBackend, daemon, settings: object, said: str
    ) -> None:
        with pytest.raises(OptionValueError, match=said):
            backend.run(measured(), settings=settings)
        assert daemon.received == []
