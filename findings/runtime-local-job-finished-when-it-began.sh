#!/usr/bin/env bash
# Expected: the timestamps of a job say when it ran and when it finished.
# Seen (qiskit-ibm-runtime 0.51.0): a job of the local mode takes all three times when it is made. While the backend is
#   still at it, `metrics()["timestamps"]["finished"]` is there, and after a run of 2 s it is some microseconds after
#   "created".
# Matters: what measures queues or dates calibrations by these times works in tests on a local backend and means nothing.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "qiskit-ibm-runtime==0.51.0" "qiskit==2.6.2" "numpy==2.4.6"
env/bin/python -W ignore - <<'PY'
import time
from datetime import datetime

import qiskit_ibm_runtime
from qiskit import QuantumCircuit
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit_ibm_runtime import SamplerV2


class Slow(GenericBackendV2):
    def run(self, *given, **options):
        time.sleep(2)
        return super().run(*given, **options)


circuit = QuantumCircuit(1, 1)
circuit.x(0)
circuit.measure(0, 0)
print("qiskit-ibm-runtime", qiskit_ibm_runtime.__version__)
began = time.monotonic()
job = SamplerV2(mode=Slow(2, seed=1)).run([circuit])
status, early = job.status(), job.metrics()["timestamps"]
job.result()
took, late = time.monotonic() - began, job.metrics()["timestamps"]
seconds = (datetime.fromisoformat(late["finished"]) - datetime.fromisoformat(late["created"])).total_seconds()
print(f"at once: {status}, finished at {early['finished']}")
print(f"after a run of {took:.1f} s: finished {1e6 * seconds:.0f} us after it was created")
assert "RUNNING" in str(status).upper() and early == late
assert took > 2 and seconds < 0.01
PY
echo "as stated"
