"""A backend and the calibration active set: it follows, or holds its own; faulty qubits leave its Target."""

from __future__ import annotations

import pickle
import warnings
from datetime import UTC, datetime

import msgspec
import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.transpiler import Target
from qiskit.transpiler.preset_passmanagers.plugin import list_stage_plugins

from pulsed.model.calibration import CalibrationSet, Fault, Value
from pulsed.model.errors import NotFoundError
from pulsed.provider import PulsedBackend
from pulsed.provider.errors import OfflineError, StaleCalibrationError, UnsupportedCircuitError
from pulsed.provider.options import PulsedOptions
from pulsed.pulse.channels import DriveChannel
from pulsed.pulse.instructions import Play
from pulsed.pulse.library import Constant
from pulsed.pulse.schedule import Schedule
from pulsed.wire.messages import StatusChanged


def measured(qubit: int = 0) -> QuantumCircuit:
    circuit = QuantumCircuit(5, 5)
    circuit.x(qubit)
    circuit.measure(qubit, qubit)
    return circuit


def worse(calibration: CalibrationSet, error: float = 0.25) -> CalibrationSet:
    return calibration.with_values({"Q0.x.error": Value(error)}, f"{error}")


def test_a_new_set_reaches_a_backend_by_event(backend: PulsedBackend, daemon, calibration) -> None:
    old, configuration = backend.target, backend.configuration()
    assert backend.configuration() is configuration
    daemon.put_in_force(worse(calibration))
    assert backend.calibration_id == daemon.in_force.calibration_id
    assert backend.target is not old
    assert backend.target["x"][0,].error == backend.properties().gate_error("x", 0) == 0.25
    assert old["x"][0,].error != 0.25, "a Target in use stays what it was"
    assert backend.configuration() is not configuration
    backend.run(measured())
    assert daemon.received[-1][0].options.calibration_id == daemon.in_force.calibration_id


def test_a_lost_event_is_made_up_for_by_the_next_status(backend: PulsedBackend, daemon, calibration) -> None:
    daemon.put_in_force(worse(calibration), event=False)
    assert backend.calibration_id == calibration.calibration_id
    daemon.tell(StatusChanged(7, daemon.status()))
    assert backend.calibration_id == daemon.in_force.calibration_id


def test_an_event_about_the_same_set_changes_nothing(backend: PulsedBackend, daemon) -> None:
    target = backend.target
    daemon.tell(StatusChanged(7, daemon.status()))
    backend.refresh()
    assert backend.target is target


def test_a_held_backend_keeps_its_set_until_it_is_let_go(backend: PulsedBackend, daemon, calibration) -> None:
    backend.set_options(hold_calibration=True)
    target = backend.target
    daemon.put_in_force(worse(calibration))
    assert backend.target is target
    backend.run(measured())
    assert daemon.received[-1][0].options.calibration_id == calibration.calibration_id
    backend.set_options(hold_calibration=False)
    assert backend.calibration_id == daemon.in_force.calibration_id


def test_a_job_for_an_older_set_is_run_warned_about_or_refused(backend: PulsedBackend, daemon, calibration) -> None:
    daemon.put_in_force(worse(calibration))
    old = calibration.calibration_id
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        backend.run(measured(), calibration_id=old)
        backend.run(measured(), on_stale_calibration="refuse")
    with pytest.warns(UserWarning, match="no longer active") as caught:
        backend.run(measured(), calibration_id=old, on_stale_calibration="warn")
    assert caught[0].filename == __file__
    assert len(daemon.received) == 3
    backend.set_options(on_stale_calibration="refuse")
    with pytest.raises(StaleCalibrationError) as refused:
        backend.run(measured(), calibration_id=old)
    assert (refused.value.value, refused.value.legal) == (old, daemon.in_force.calibration_id)
    assert len(daemon.received) == 3
    with pytest.raises(ValueError, match="'run' or 'warn' or 'refuse'"):
        backend.set_options(on_stale_calibration="maybe")


def test_the_backend_of_a_time_in_the_past(backend: PulsedBackend, daemon, calibration) -> None:
    then = datetime.now(UTC)
    daemon.put_in_force(worse(calibration))
    assert backend.properties().gate_error("x", 0) == 0.25
    assert backend.properties(datetime=then).gate_error("x", 0) == calibration.number("Q0.x.error")
    assert backend.properties(datetime=then).calibration_id == calibration.calibration_id
    assert backend.target_history(then)["x"][0,].error == calibration.number("Q0.x.error")
    assert backend.target_history(datetime.now(UTC))["x"][0,].error == 0.25
    assert backend.target_history() is backend.target
    with pytest.raises(NotFoundError, match="active yet"):
        backend.target_history(datetime(1960, 1, 1, tzinfo=UTC))
    offline = PulsedBackend.from_export(backend.device, calibration)
    for call in (offline.follow, lambda: offline.target_history(then)):
        with pytest.raises(OfflineError):
            call()


@pytest.mark.parametrize("qubit", range(5))
def test_a_faulty_qubit_leaves_the_target(device, calibration, qubit) -> None:
    broken = calibration.with_faults({f"Q{qubit}": Fault("dead")}, "t")
    backend = PulsedBackend(device, broken)
    for name in backend.target.operation_names:
        assert not any(qubit in qubits for qubits in backend.target[name] if qubits is not None), name
    assert backend.properties().faulty_qubits() == [qubit]
    assert all(qubit not in edge for edge in backend.coupling_map.get_edges())
    with pytest.raises(UnsupportedCircuitError):
        backend.check_faulty(measured(qubit))
    plain = QuantumCircuit(2, 2)
    plain.h(0)
    plain.cx(0, 1)
    plain.measure([0, 1], [0, 1])
    single = QuantumCircuit(1, 1)
    single.h(0)
    single.measure(0, 0)
    # Qiskit itself takes qubits as they are numbered at level 0, and at level 1 when no pair says otherwise.
    for circuit, level in ((plain, 1), (plain, 2), (plain, 3), (single, 2), (single, 3)):
        backend.check_faulty(transpile(circuit, backend, optimization_level=level, seed_transpiler=1))


def test_a_faulty_pair_leaves_its_qubits(device, calibration) -> None:
    for name in ("Q2-Q1", "Q1-Q2"):
        backend = PulsedBackend(device, calibration.with_faults({name: Fault("collision")}, "t"))
        assert set(backend.target["ecr"]) == {(0, 1), (2, 3), (4, 3)}
        assert len(backend.target["x"]) == 5
        assert backend.properties().faulty_gates() == [("ecr", (2, 1))]


def test_a_fault_reaches_the_backend_as_any_set_does(backend: PulsedBackend, daemon, calibration) -> None:
    daemon.put_in_force(calibration.with_faults({"Q4": Fault("dead")}, "t"))
    assert (4,) not in backend.target["x"]
    daemon.put_in_force(msgspec.structs.replace(calibration, created="later"))
    assert (4,) in backend.target["x"]


def test_gates_of_ones_own_live_beside_those_of_the_lab(backend: PulsedBackend, daemon, calibration) -> None:
    own = Schedule((0, Play(Constant(160, 0.1), DriveChannel(0))), name="mine")
    lab = backend.instruction_schedule_map.get("x", (0,))
    backend.run(measured(), calibrations={("x", (0,)): own})
    request, _ = daemon.received[-1]
    assert request.gates == (("x", (0,), ()),)
    assert backend.instruction_schedule_map.get("x", (0,)) == lab
    assert daemon.in_force == calibration


def test_a_job_is_of_one_set_whenever_another_comes(backend: PulsedBackend, daemon, calibration, monkeypatch) -> None:
    """The set becomes active while the options of the run are looked at."""
    moved = calibration.with_values({f"Q{q}.f01": Value(5.1e9 + q, "Hz") for q in range(5)}, "later")
    look = PulsedOptions.checked

    def meanwhile(self: PulsedOptions, fields: dict[str, object]) -> dict[str, object]:
        daemon.put_in_force(moved)
        return look(self, fields)

    monkeypatch.setattr(PulsedOptions, "checked", meanwhile)
    backend.run(measured(), schedule_los={DriveChannel(1): 4.8e9})
    options = daemon.received[-1][0].options
    assert backend.calibration_id == moved.calibration_id
    assert options.calibration_id == calibration.calibration_id
    assert options.qubit_lo_freq[0] == calibration.number("Q0.f01")


@pytest.mark.parametrize("level", range(4))
def test_a_transpiled_circuit_knows_the_set_it_was_made_for(backend: PulsedBackend, daemon, calibration, level) -> None:
    circuit = QuantumCircuit(2, 2, metadata={"mine": [1]})
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    fitted = transpile([circuit] * 3, backend, optimization_level=level, initial_layout=[0, 1])
    for one in (*fitted, pickle.loads(pickle.dumps(fitted[0])), fitted[0].copy()):
        assert one.metadata == {"mine": [1], "calibration_id": calibration.calibration_id}
    assert backend.get_translation_stage_plugin() in list_stage_plugins("translation")
    assert circuit.metadata == {"mine": [1]}
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        backend.run(fitted, on_stale_calibration="refuse")
        daemon.put_in_force(worse(calibration))
        backend.run(fitted)  # as ever: with the active set
        backend.run(measured(), on_stale_calibration="refuse")
        backend.run(transpile(circuit, backend), on_stale_calibration="refuse")
    assert daemon.received[-1][0].options.calibration_id == daemon.in_force.calibration_id
    with pytest.warns(UserWarning, match=f"transpile them again; got {calibration.calibration_id}") as caught:
        backend.run([measured(), fitted[1]], on_stale_calibration="warn")
    assert caught[0].filename == __file__
    sent = len(daemon.received)
    with pytest.raises(StaleCalibrationError):
        backend.run([measured(), fitted[1]], on_stale_calibration="refuse")
    assert len(daemon.received) == sent


def test_a_method_that_the_user_names_wins_and_leaves_no_mark(backend: PulsedBackend) -> None:
    fitted = transpile(measured(), backend, translation_method="translator")
    assert not fitted.metadata
    backend.run(fitted, on_stale_calibration="refuse")


def test_a_target_that_is_not_ours_leaves_no_mark() -> None:
    target = Target.from_configuration(["x", "sx", "rz", "cx", "measure"], num_qubits=5)
    fitted = transpile(measured(), target=target, translation_method="pulsed")
    assert not fitted.metadata
