#!/usr/bin/env bash
# Expected: a pi pulse after a delay excites the qubit of a simulation as it does without the delay; if not, tighter
#   tolerances help.
# Seen (qiskit-dynamics 0.6.0): in the rotating frame nothing moves during the delay, the solver's steps grow, and a
#   pulse of 40 ns after a microsecond lies between two of them: the ground state comes back with probability 1.
#   `atol=rtol=1e-12` gives the very same; `max_step` of the order of a sample is right. No warning, and samples given
#   as a `DiscreteSignal` of known dt do not limit the step.
# Matters: exactly the sequences with delays (T1, Ramsey, echo, reset by waiting) are simulated without their pulses,
#   and the result looks like perfect idling.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check \
  "qiskit-dynamics==0.6.0" "qiskit==1.3.0" "numpy==2.2.6" "scipy==1.15.3"
env/bin/python -W ignore - <<'PY'
import numpy as np
import qiskit_dynamics
from qiskit.quantum_info import Operator, Statevector
from qiskit_dynamics import DiscreteSignal, Solver

WIDTH, QUBIT, RABI = 40, 5.0, 0.05  # samples of 1 ns, GHz, GHz
pulse = np.exp(-0.5 * ((np.arange(WIDTH) + 0.5 - WIDTH / 2) / 8) ** 2)
pulse /= 2 * RABI * pulse.sum()  # turns by pi
energy = -np.pi * QUBIT * Operator.from_label("Z")
solver = Solver(static_hamiltonian=energy, hamiltonian_operators=[2 * np.pi * RABI * Operator.from_label("X")],
                rotating_frame=energy, rwa_cutoff_freq=1.5 * QUBIT)


def excited(delay, **options):
    samples = np.concatenate([np.zeros(delay), pulse, np.zeros(10)])
    drive = DiscreteSignal(dt=1.0, samples=samples, carrier_freq=QUBIT)
    found = solver.solve(t_span=[0, samples.size], y0=Statevector([1, 0]), signals=[drive], **options)
    return found.y[-1].probabilities()[1]


print("qiskit-dynamics", qiskit_dynamics.__version__)
for delay in (0, 100, 1000, 5000):
    plain, tight, short = excited(delay), excited(delay, atol=1e-12, rtol=1e-12), excited(delay, max_step=1.0)
    print(f"pi pulse after {delay} ns: excited {plain:.4f}, with tolerances of 1e-12 {tight:.4f}, "
          f"with max_step {short:.4f}")
    assert short > 0.999
    assert (plain < 1e-6 and tight < 1e-6) if delay >= 1000 else (plain > 0.999 and tight > 0.999)
PY
echo "as stated"
