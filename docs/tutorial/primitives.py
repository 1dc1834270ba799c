"""Draw docs/images/primitives.png: `python docs/tutorial/primitives.py`. Needs a daemon: `pulsed serve`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter
from qiskit.quantum_info import SparsePauliOp

from pulsed.provider import PulsedEstimator, PulsedProvider

NAMES = ("ZI", "ZZ", "XX")
IMAGE = Path(__file__).parents[1] / "images" / "primitives.png"


def main() -> None:
    """Measure the sweep of the page with and without mitigation, and draw both."""
    backend = PulsedProvider().get_backend("sim5")
    theta = Parameter("θ")
    circuit = QuantumCircuit(2)
    circuit.ry(theta, 0)
    circuit.cx(0, 1)
    fitted = transpile(circuit, backend, initial_layout=[0, 1])
    observables = [[SparsePauliOp(name).apply_layout(fitted.layout)] for name in NAMES]
    angles = np.linspace(0, np.pi, 21)
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    axes = figure.subplots(1, 3)
    ideal = (np.cos(angles), np.ones(21), np.sin(angles))
    for on, label, color in ((False, "as read", "tab:orange"), (True, "readout errors undone", "tab:blue")):
        estimator = PulsedEstimator(backend, {"resilience": {"measure_mitigation": on}})
        data = estimator.run([(fitted, observables, angles)], precision=0.01).result()[0].data
        for row, axis in enumerate(axes):
            difference, errors = data.evs[row] - ideal[row], data.stds[row]
            axis.errorbar(angles / np.pi, difference, errors, fmt=".", color=color, label=label)
    for axis, name in zip(axes, NAMES, strict=True):
        axis.axhline(0, color="black", linewidth=0.8)
        axis.set(title=name, xlabel="θ / π", ylim=(-0.12, 0.12))
    axes[0].set_ylabel("mean, less the ideal one")
    axes[0].legend(loc="upper left", fontsize="small")
    figure.savefig(IMAGE, dpi=110)
    print(IMAGE)


if __name__ == "__main__":
    main()
