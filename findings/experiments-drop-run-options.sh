#!/usr/bin/env bash
# Expected: `experiment.set_run_options(...)` reaches the backend, or is refused.
# Seen (qiskit-experiments 0.14.2): by default an experiment runs with a sampler of qiskit-ibm-runtime, which it hands
#   seven options by name (shots, meas_level, meas_return, rep_delay, init_qubits, noise_model, seed_simulator). Any other
#   is kept in `run_options` and never handed on; nothing warns. With `backend_run=True` it arrives.
# Matters: an LO frequency, a priority or a kernel that was set for a measurement is not what it was measured with.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "qiskit-experiments==0.14.2" "qiskit-ibm-runtime==0.51.0" \
    "qiskit==2.6.2" "numpy==2.4.6"
env/bin/python - <<'PY'
import warnings

import qiskit_experiments
from qiskit.providers import Options
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit_experiments.library import LocalReadoutError

seen = []


class Rack(GenericBackendV2):
    @classmethod
    def _default_options(cls):
        return Options(shots=1024, qubit_lo_freq=None)

    def run(self, circuits, **options):
        seen.append(options)
        return super().run(circuits, shots=options["shots"])


print("qiskit-experiments", qiskit_experiments.__version__)
for backend_run in (False, True):
    experiment = LocalReadoutError([0, 1])
    experiment.set_run_options(shots=100, qubit_lo_freq=[5.0e9, 5.1e9])
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        data = experiment.run(Rack(2, seed=1), backend_run=backend_run).block_for_results()
    told = any("qubit_lo_freq" in str(warning.message) for warning in said)
    print(f"backend_run={backend_run}: run got {sorted(seen[-1])}, warned: {told}")
    assert data.status().name == "DONE" and seen[-1]["shots"] == 100
    assert ("qubit_lo_freq" in seen[-1]) == backend_run and not told
PY
echo "as stated"
