#!/usr/bin/env bash
# Expected: `RelaxationNoisePass` gives each delay of a circuit its decay and `LocalNoisePass` each gate its error,
#   wherever they stand.
# Seen (qiskit-aer 0.18.2): both pass over the bodies of `if_test`, `for_loop` and `switch`: a delay of T1 after X leaves
#   37 percent in |1> outside of a body and all of it in a body that is always run; an `id` with an error of a quarter
#   likewise. The simulator of a backend (`AerSimulator.from_backend`) does let delays in bodies decay.
# Matters: dynamic circuits spend their idle time in bodies (waiting for a result, padding the shorter branch). With
#   noise by these passes, which are the way to give noise of one's own to delays, feedback looks better than it is.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "qiskit==2.2.3" "qiskit-aer==0.18.2" "numpy==2.4.6"
OMP_NUM_THREADS=1 env/bin/python -W ignore - <<'PY'
import importlib.metadata

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit.library import IGate
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit_aer import AerSimulator
from qiskit_aer.noise import LocalNoisePass, RelaxationNoisePass, pauli_error

backend = GenericBackendV2(2, seed=1, control_flow=True)
t1, t2 = ([getattr(q, name) for q in backend.target.qubit_properties] for name in ("t1", "t2"))


def circuit(where, act):
    qc = QuantumCircuit(1, 1)
    qc.x(0)
    if where == "circuit":
        act(qc)
    elif where == "if_test":
        with qc.if_test((qc.clbits[0], 0)):
            act(qc)
    elif where == "for_loop":
        with qc.for_loop(range(1)):
            act(qc)
    else:
        with qc.switch(qc.clbits[0]) as case, case(0):
            act(qc)
    qc.measure(0, 0)
    return qc


def excited(simulator, qc):
    return simulator.run(qc, shots=20000, seed_simulator=1).result().get_counts().get("1", 0) / 20000


decay = RelaxationNoisePass(t1, t2, dt=backend.dt)
flip = LocalNoisePass(lambda op, qubits: pauli_error([("X", 0.25), ("I", 0.75)]), op_types=IGate, method="append")
print("qiskit-aer", importlib.metadata.version("qiskit-aer"))
for where, left, kept in (("circuit", np.exp(-1), 0.75), ("if_test", 1, 1), ("for_loop", 1, 1), ("switch", 1, 1)):
    waited = circuit(where, lambda qc: qc.delay(t1[0] * 1e6, 0, "us"))
    seen = [excited(AerSimulator(), decay(waited)), excited(AerSimulator(), flip(circuit(where, lambda qc: qc.id(0))))]
    print(f"{where}: X and a delay of T1 {seen[0]:.3f}, X and `id` {seen[1]:.3f}; with the backend's noise model the delay "
          f"{(model := excited(AerSimulator.from_backend(backend), waited)):.3f}")
    assert np.allclose(seen, (left, kept), atol=0.02) and abs(model - np.exp(-1)) < 0.02
PY
echo "as stated"
