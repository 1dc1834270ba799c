"""A backend of the first generation, and the table by which Qiskit tells how to move from it to the second."""

import pickle
from copy import deepcopy
from typing import Any

import pytest
from qiskit.exceptions import QiskitError

from pulsed.compiler.canonical import CONTROL_FLOW
from pulsed.provider import PulsedBackend
from pulsed.provider.errors import OptionValueError
from pulsed.provider.legacy import LegacyBackend

from .programs import measured


@pytest.fixture
def legacy(backend: PulsedBackend) -> LegacyBackend:
    return backend.legacy()


def test_its_shape_is_that_of_the_first_generation(legacy: LegacyBackend, backend: PulsedBackend) -> None:
    assert (legacy.version, legacy.name(), str(legacy)) == (1, "sim5", "sim5")
    assert legacy.provider() is backend.provider
    assert legacy.configuration() is backend.configuration()
    assert legacy.status() == backend.status()
    assert legacy._default_options()["shots"] == 1024
    assert "sim5" in repr(legacy)
    properties = legacy.properties()
    assert properties is not None
    assert properties.calibration_id == backend.calibration_id


def test_options_and_jobs_are_those_of_the_backend(legacy: LegacyBackend, backend: PulsedBackend) -> None:
    legacy.set_options(shots=50)
    assert legacy.options.shots == backend.options.shots == 50
    with pytest.raises(OptionValueError, match="shots"):
        legacy.set_options(shots=0)
    with pytest.raises(AttributeError, match="no such option"):
        legacy.set_options(shoots=5)
    job = legacy.run(measured())
    assert sum(job.result().get_counts().values()) == 50
    assert legacy.retrieve_job(job.job_id()).job_id() == job.job_id()
    assert [one.job_id() for one in legacy.jobs(limit=1)] == [job.job_id()]


def test_another_set_reaches_it(legacy: LegacyBackend, backend: PulsedBackend, daemon: Any, calibration: Any) -> None:
    value = calibration.values["Q0.f01"]
    daemon.in_force = calibration.with_values({"Q0.f01": type(value)(5.01e9, "Hz")}, "2026-11-21T00:00:00+00:00")
    assert legacy.defaults(refresh=True).qubit_freq_est[0] == 5.01e9
    known = legacy.properties(refresh=True)
    assert known is not None
    assert known.frequency(0) == 5.01e9


def test_there_are_no_properties_where_nothing_was_measured(device: Any, calibration: Any) -> None:
    from pulsed.model.calibration import design_sheet

    assert PulsedBackend(device, design_sheet(device)).legacy().properties() is None


def test_copies(legacy: LegacyBackend, device: Any, calibration: Any) -> None:
    offline = PulsedBackend(device, calibration).legacy()
    for other in (deepcopy(legacy), pickle.loads(pickle.dumps(offline))):
        assert other.name() == "sim5"
        assert other.configuration().n_qubits == 5


QUBITS = range(5)
GATES = [("x", [2]), ("sx", [0]), ("id", [1]), ("rz", [4]), ("ecr", [2, 1])]


def test_both_columns_of_the_table_say_the_same_to_the_last_bit(legacy: LegacyBackend, backend: PulsedBackend) -> None:
    """The table of qiskit.providers, "migrating from BackendV1 to BackendV2", row by row."""
    configuration, properties, target = legacy.configuration(), legacy.properties(), backend.target
    assert properties is not None
    rows: list[tuple[Any, Any]] = [
        (legacy.name(), backend.name),
        (legacy.provider(), backend.provider),
        (configuration.backend_name, backend.name),
        (configuration.backend_version, backend.backend_version),
        (configuration.n_qubits, backend.num_qubits),
        (configuration.n_qubits, target.num_qubits),
        (configuration.max_experiments, backend.max_circuits),
        (configuration.online_date, backend.online_date),
        (configuration.description, backend.description),
        (configuration.coupling_map, [list(edge) for edge in backend.coupling_map.get_edges()]),
        (configuration.dt, backend.dt),
        (configuration.dt, target.dt),
        (configuration.dtm, backend.dtm),
        (configuration.meas_map, backend.meas_map),
        (configuration.timing_constraints["granularity"], target.granularity),
        (configuration.timing_constraints["min_length"], target.min_length),
        (configuration.timing_constraints["pulse_alignment"], target.pulse_alignment),
        (configuration.timing_constraints["acquire_alignment"], target.acquire_alignment),
        (legacy.defaults().instruction_schedule_map, backend.instruction_schedule_map),
        (configuration.control((2, 1)), backend.control_channel((2, 1))),
    ]
    for q in QUBITS:
        rows += [
            (configuration.acquire(q), backend.acquire_channel(q)),
            (configuration.drive(q), backend.drive_channel(q)),
            (configuration.measure(q), backend.measure_channel(q)),
            (properties.t1(q), backend.qubit_properties(q).t1),
            (properties.t2(q), backend.qubit_properties(q).t2),
            (properties.frequency(q), backend.qubit_properties(q).frequency),
            (properties.readout_error(q), target["measure"][q,].error),
            (properties.readout_length(q), target["measure"][q,].duration),
        ]
    for name, qubits in GATES:
        known = target[name][tuple(qubits)]
        rows.append((properties.gate_length(name, qubits), known.duration))
        rows.append((error_of(properties, name, qubits), known.error))
    assert [(first, second) for first, second in rows if first != second] == []
    # a basis gate is an operation with a matrix; the others are what Qiskit's second generation counts, too
    others = {"measure", "reset", "delay", *CONTROL_FLOW}
    assert set(backend.operation_names) - set(configuration.basis_gates) <= others


def error_of(properties: Any, name: str, qubits: list[int]) -> float | None:
    """The error of a gate; None where both columns say that it was not measured."""
    try:
        return float(properties.gate_error(name, qubits))
    except QiskitError:
        return None
