"""Small programs that the tests of the provider run."""

from qiskit import QuantumCircuit
from qiskit.circuit import Gate

from pulsed.pulse.channels import AcquireChannel, DriveChannel, MemorySlot
from pulsed.pulse.instructions import Acquire, Play
from pulsed.pulse.library import Constant
from pulsed.pulse.schedule import Schedule


def measured(gate: str = "x", qubits: tuple[int, ...] = (0,), n: int = 5) -> QuantumCircuit:
    circuit = QuantumCircuit(n, n, name="try")
    getattr(circuit, gate)(*qubits)
    circuit.measure(range(n), range(n))
    return circuit


def readout(qubit: int = 0) -> Schedule:
    return Schedule(
        (0, Play(Constant(160, 0.1), DriveChannel(qubit))),
        (160, Acquire(1200, AcquireChannel(qubit), MemorySlot(qubit))),
        name="readout",
    )


def circuit_of(*gates: tuple[str, tuple], name: str = "probe") -> QuantumCircuit:
    circuit = QuantumCircuit(1, 1, name=name)
    for gate, values in gates:
        circuit.append(Gate(gate, 1, list(values)), [0])
    circuit.measure(0, 0)
    return circuit
