"""What primitives add to circuits: measurements along axes, Paulis, half turns in waits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import ClassicalRegister, QuantumCircuit, transpile
from qiskit.circuit import Gate, Parameter
from qiskit.quantum_info import Operator, Pauli

from pulsed.compiler.canonical import look_through
from pulsed.model.calibration import CalibrationSet, Value
from pulsed.provider import PulsedBackend, PulsedEstimator, PulsedSampler
from pulsed.provider.errors import OptionValueError, UnsupportedCircuitError
from pulsed.provider.primitives.decoupling import SEQUENCES, decouple
from pulsed.provider.primitives.measurement import flip_readouts, measured
from pulsed.provider.primitives.twirling import twirl_gates
from pulsed.provider.rules import check_circuit
from pulsed.pulse import Constant, DriveChannel, Play, ScheduleBlock

from .circuits import entangled, probabilities


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("axis", ["X", "Y", "Z"])
def test_the_axis_is_what_is_measured(axis: str, flip: bool) -> None:
    found = measured(QuantumCircuit(1), ((0, axis),), [flip])
    turn = Operator(found.remove_final_measurements(inplace=False)).data
    sign = -1 if flip else 1
    np.testing.assert_allclose(turn.conj().T @ np.diag([1, -1]) @ turn, sign * Pauli(axis).to_matrix(), atol=1e-12)


def test_a_measurement_has_a_register_of_its_own(backend: PulsedBackend) -> None:
    circuit = entangled()
    circuit.add_register(ClassicalRegister(2, "observables"))
    found = measured(circuit, ((1, "X"), (4, "Z")), [False, True])
    assert [(register.name, register.size) for register in found.cregs] == [("observables", 2), ("observables_", 2)]
    check_circuit(found, backend.calibrated.rules, bound=True)
    assert [found.find_bit(item.clbits[0]).index for item in found.data if item.name == "measure"] == [2, 3]
    assert len(circuit.cregs) == 1


@pytest.mark.parametrize("seed", range(4))
def test_twirled_gates_do_the_same(backend: PulsedBackend, seed: int) -> None:
    circuit = QuantumCircuit(5, 1, metadata={"a": 1}, name="mine")
    circuit.sx(0)
    circuit.rz(0.3, 1)
    circuit.ecr(0, 1)
    circuit.barrier()
    circuit.delay(80, 3)
    circuit.rz(Parameter("t"), 1)
    circuit.ecr(2, 1)
    forms = twirl_gates(circuit, backend.target, 6, np.random.default_rng(seed))
    bound = Operator(circuit.assign_parameters([0.4]))
    assert len({form.count_ops().get("x", 0) for form in forms}) > 1
    for form in forms:
        assert Operator(form.assign_parameters([0.4])) == bound
        check_circuit(form, backend.calibrated.rules, bound=True)
        assert (form.metadata, form.name) == (circuit.metadata, circuit.name)


def test_only_last_measurements_are_turned_over() -> None:
    circuit = QuantumCircuit(4, 4)
    circuit.measure(0, 0)
    circuit.x(0)
    circuit.measure(1, 1)
    circuit.measure(2, 1)
    circuit.barrier()
    circuit.measure(3, 3)
    circuit.measure(0, 2)
    seen = set()
    for seed in range(40):
        found, flips = flip_readouts(circuit, np.random.default_rng(seed))
        seen.add(tuple(flips.tolist()))
        before = [
            found.find_bit(item.qubits[0]).index
            for last, item in zip(found.data, found.data[1:], strict=False)
            if item.name == "measure" and last.name == "x" and last.qubits == item.qubits
        ]
        assert sorted(before) == sorted({1: 2, 2: 0, 3: 3}[k] for k in np.flatnonzero(flips))
    assert len(seen) == 8


def test_a_bit_that_decides_is_not_turned_over() -> None:
    circuit = QuantumCircuit(2, 2)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(1)
    circuit.measure(1, 1)
    assert {tuple(flip_readouts(circuit, np.random.default_rng(seed))[1].tolist()) for seed in range(20)} == {
        (False, False),
        (False, True),
    }


@settings(deadline=None)
@given(st.sampled_from(sorted(SEQUENCES)), st.integers(0, 2000))
def test_decoupling_changes_nothing_but_what_happens_in_waits(fixed: tuple, sequence: str, wait: int) -> None:
    backend = fixed[0]
    circuit = QuantumCircuit(5, 2)
    circuit.sx(0)
    circuit.sx(1)
    circuit.delay(wait, 0)
    circuit.sx(0)
    circuit.ecr(0, 1)
    circuit.ecr(2, 1)
    circuit.measure([0, 1], [0, 1])
    found = decouple(circuit, backend.calibrated, sequence)
    check_circuit(found, backend.calibrated.rules)
    np.testing.assert_allclose(probabilities(found), probabilities(circuit), atol=1e-9)
    assert backend.schedule(found).duration == backend.schedule(circuit).duration
    # Q0 waits for the second ecr, Q1 for Q0; Q2, Q3 and Q4 are at rest until they begin.
    count = found.count_ops()["x"]
    assert count >= len(SEQUENCES[sequence])
    assert not count % len(SEQUENCES[sequence])
    assert {q for name, (q, *_) in look_through(found).gates if name == "x"} <= {0, 1}


def test_half_turns_stand_evenly(backend: PulsedBackend) -> None:
    circuit = QuantumCircuit(5, 1)
    circuit.sx(0)
    circuit.delay(1000, 0)
    circuit.sx(0)
    circuit.measure(0, 0)
    found = decouple(circuit, backend.calibrated, "XY4")
    middle = [(item.name, item.params) for item in found.data if item.name in ("x", "delay")]
    assert [params[0] for name, params in middle if name == "delay"] == [105, 210, 210, 210, 105]
    assert [name for name, _ in middle] == ["delay", "x"] * 4 + ["delay"]


def test_what_has_no_fixed_times_is_not_decoupled(backend: PulsedBackend) -> None:
    circuit = QuantumCircuit(5, 1, name="deciding")
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(0)
    with pytest.raises(UnsupportedCircuitError, match=r"'deciding', dynamical decoupling: .*control flow.*if_else"):
        decouple(circuit, backend.calibrated, "XX")
    circuit = QuantumCircuit(5, 1)
    circuit.h(0)
    circuit.measure(0, 0)
    with pytest.raises(UnsupportedCircuitError, match=r"cannot be scheduled"):
        decouple(circuit, backend.calibrated, "XX")


def test_zz_is_acted_against_where_it_is_known(backend: PulsedBackend, calibration: CalibrationSet) -> None:
    circuit = QuantumCircuit(5, 2)
    circuit.sx([0, 1, 2])
    circuit.ecr(0, 1)  # Q0 then waits for the others
    circuit.ecr(2, 1)
    circuit.ecr(2, 1)
    circuit.ecr(0, 1)
    circuit.measure([0, 1], [0, 1])
    with pytest.raises(OptionValueError, match=r"no ZZ of coupled qubits; got ZZ; legal: XX, XpXm, XY4"):
        decouple(circuit, backend.calibrated, "ZZ")
    zz = {f"Q{pair.control}-Q{pair.target}.zz": Value(2e5) for pair in backend.device.couplings}
    known = CalibrationSet(calibration.device, {**calibration.values, **zz}, "")
    aware = PulsedBackend(backend.device, known).calibrated
    found = decouple(circuit, aware, "ZZ")
    check_circuit(found, aware.rules)
    assert found.count_ops()["x"] >= 2
    assert found.count_ops()["x"] % 2 == 0
    assert found != decouple(circuit, aware, "XX")


@pytest.mark.parametrize("sequence", [None, "XX", "ZZ"])
def test_forms_know_where_the_qubits_went(
    backend: PulsedBackend, calibration: CalibrationSet, sequence: str | None
) -> None:
    """So a box whose qubits were moved is refused as it is without them."""
    zz = {f"Q{pair.control}-Q{pair.target}.zz": Value(2e5) for pair in backend.device.couplings}
    aware = PulsedBackend(backend.device, CalibrationSet(calibration.device, {**calibration.values, **zz}, ""))
    circuit = QuantumCircuit(2)
    circuit.x(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    ready = transpile(circuit, aware, initial_layout=[1, 0], optimization_level=1, seed_transpiler=1)
    (form,) = twirl_gates(ready, aware.target, 1, np.random.default_rng(0))
    if sequence is not None:
        form = decouple(form, aware.calibrated, sequence)
    assert form.layout == ready.layout is not None


@pytest.mark.parametrize("sequence", sorted(SEQUENCES))
@pytest.mark.parametrize("grid", [8, 16])
def test_half_turns_begin_on_the_grid(
    backend: PulsedBackend, calibration: CalibrationSet, sequence: str, grid: int
) -> None:
    timing = backend.device.timing.model_copy(update={"pulse_alignment": grid, "granularity": 8})
    gridded = PulsedBackend(backend.device.model_copy(update={"timing": timing}), calibration)
    for wait in range(0, 1600, 80):
        circuit = QuantumCircuit(5, 2)
        circuit.sx([0, 1])
        circuit.delay(wait, 0)
        circuit.sx(0)
        circuit.ecr(0, 1)
        circuit.ecr(2, 1)
        circuit.measure([0, 1], [0, 1])
        found = decouple(circuit, gridded.calibrated, sequence)
        assert gridded.schedule(found).duration == gridded.schedule(circuit).duration
        np.testing.assert_allclose(probabilities(found), probabilities(circuit), atol=1e-9)
    assert found.count_ops()["x"] >= 2 * len(SEQUENCES[sequence])


@pytest.mark.parametrize("added", [False, True])
def test_pulse_gates_of_a_run_are_scheduled(backend: PulsedBackend, daemon: Any, added: bool) -> None:
    daemon.hold = True
    length = Parameter("length")
    block = ScheduleBlock(name="pg")
    block.append(Play(Constant(length, 0.1), DriveChannel(0)))
    gate, own = Gate("pg", 1, [800]), {("pg", 0, (length,)): block}
    if added:
        backend.add_gate("pg", 0, block)
        own = {}
    circuit = QuantumCircuit(5, 2)
    circuit.ecr(0, 1)
    circuit.append(gate, [0])  # Q1 waits for it
    circuit.ecr(0, 1)
    circuit.measure([0, 1], [0, 1])
    found = decouple(circuit, backend.calibrated, "XX", own)
    assert found.count_ops()["x"] == 2
    assert backend.schedule(found, own).duration == backend.schedule(circuit, own).duration
    options = {"dynamical_decoupling": {"enable": True}, "run_options": {"calibrations": own}}
    PulsedSampler(backend, options).run([circuit], shots=4)
    PulsedEstimator(backend, options).run([(circuit, "IIIIZ")], precision=0.5)
    assert [request.gates for request, _ in daemon.received] == [(("pg", (0,), (800.0,)),)] * 2
    circuit.append(Gate("pg", 1, [400]), [0])
    with pytest.raises(UnsupportedCircuitError, match=r"follows from its values.*got pg on \(0,\): 400, 800 dt"):
        decouple(circuit, backend.calibrated, "XX", own)
