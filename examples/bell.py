"""A Bell state. Needs a daemon: `pulsed serve`."""

from qiskit import QuantumCircuit, transpile

from pulsed.provider import PulsedProvider

backend = PulsedProvider().get_backend("sim5")
bell = QuantumCircuit(2)
bell.h(0)
bell.cx(0, 1)
bell.measure_all()

job = backend.run(transpile(bell, backend), shots=4096)
counts = job.result().get_counts()
print(counts)
print(f"calibration set {job.calibration_id}")
