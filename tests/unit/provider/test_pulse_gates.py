"""Pulse gates that are attached to circuits."""

import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from pulsed.provider import PulsedBackend
from pulsed.provider.errors import UnsupportedCircuitError
from pulsed.pulse.channels import DriveChannel
from pulsed.pulse.instructions import Play, ShiftPhase
from pulsed.pulse.library import Constant
from pulsed.pulse.schedule import Schedule

from .programs import circuit_of, readout
from .test_serialization import sent


def test_attached_calibrations_of_old_circuits(backend: PulsedBackend) -> None:
    """What Qiskit 1.4 keeps in ``circuit.calibrations``, on a circuit class that has it."""
    from pulsed.provider.pulse_gates import attached_gates, merge_gates

    pulse = readout()

    class Old(QuantumCircuit):
        calibrations: dict = {"x": {((0,), ()): pulse}}  # noqa: RUF012

    assert attached_gates(Old(1)) == {("x", (0,), ()): pulse}
    key = ("x", (0,), ())
    one, two = QuantumCircuit(1, name="one"), QuantumCircuit(1, name="two")
    assert merge_gates([(one, {}, {key: pulse}), (two, {}, {})], {}) == {key: pulse}
    two.x(0)
    other = ("x", (0,), (1.0,))
    assert merge_gates([(one, {}, {other: pulse}), (two, {key[:2]: 0}, {})], {}) == {other: pulse}
    with pytest.raises(UnsupportedCircuitError, match=r"'two'.*different pulses"):
        merge_gates([(one, {}, {key: pulse}), (two, {("x", (0,)): 0}, {})], {})
    with pytest.raises(UnsupportedCircuitError, match="different pulses"):
        merge_gates([(one, {}, {key: pulse}), (two, {}, {key: readout(1)})], {})


def test_values_of_pulse_gates_that_come_later_are_lowered_once(fixed, worker) -> None:
    """Of the keyword calibrations, whatever the order of the names of its parameters."""
    backend, daemon, _ = fixed
    width, amp, first, second = (Parameter(name) for name in ("width", "amp", "first", "second"))
    drive = DriveChannel(0)
    schedule = Schedule((0, ShiftPhase(width, drive)), (0, Play(Constant(80, amp), drive)), name="probe")
    gates = {("probe", (0,), (width, amp)): schedule}
    circuit = circuit_of(("probe", (first, second / 4)), ("probe", (0.5, 0.25)))
    table = {first: [0.1, 0.2, 0.3], second: [0.4, 0.8, 1.6]}
    _, request, parts = sent(backend, daemon, circuit, calibrations=gates, parameter_binds=table)
    assert request.gates == (("probe", (0,), ()), ("probe", (0,), (0.5, 0.25)))
    (chunk,) = worker.compile(request, parts)
    assert [program.count for program in chunk.programs] == [3]
    chunk = chunk.unrolled()
    for number in range(3):
        bound = circuit.assign_parameters({one: values[number] for one, values in table.items()})
        _, request, parts = sent(backend, daemon, bound, calibrations=gates)
        (other,) = worker.compile(request, parts)
        a, b = (one.array(one.programs[k].events) for one, k in ((chunk, number), (other, 0)))
        for name in ("time", "amplitude", "phase"):
            assert a[name].tolist() == pytest.approx(b[name].tolist(), abs=1e-9)
    twice = {**gates, ("probe", (0,), (0.1, amp)): schedule.assign_parameters({width: 0.1}, inplace=False)}
    with pytest.raises(UnsupportedCircuitError, match=r"depends on a value that comes later.*got probe\(first"):
        backend.run(circuit, calibrations=twice, parameter_binds=table)
