"""Every numeric kernel that most tests need, compiled once and kept beside the sources, before many processes start.

``python -m pulsed.testing.kernels`` takes two processors for half a minute after a change of the kernels, and three
seconds otherwise. Tests start racks and daemons side by side, each of which would compile the same.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from qiskit import QuantumCircuit, transpile

import pulsed.configs
from pulsed.compiler.compile import Compiler
from pulsed.model.calibration import load_calibration
from pulsed.model.device import load_device
from pulsed.model.job import RunOptions
from pulsed.provider.target import build_target
from pulsed.simulator.chip.chip_file import load_chip
from pulsed.simulator.dynamics.sector_matrix import SectorMatrix
from pulsed.simulator.engine.engine import Engine

_CONFIGS = Path(pulsed.configs.__file__).parent


def of_the_chip() -> None:
    """Compile what a simulated chip needs; what the other process has compiled by then is taken from there."""
    Engine(load_chip(_CONFIGS / "chips" / "sim5.toml")).warm_up()


def of_sectors_and_compiler() -> None:
    """Compile what density matrices in sectors need, a third of the chip's kernels, and what the compiler needs."""
    state = SectorMatrix.begun([np.array([1.0, 0.0, 0.0])] * 3, 1, 1)
    state.coherent[0] = True
    state.shift(0, 1, np.zeros((3, 3)), 1.0)
    device, calibration = load_device(_CONFIGS / "sim5.toml"), load_calibration(_CONFIGS / "calibrations" / "sim5.json")
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    Compiler(device, calibration).compile([transpile(circuit, build_target(device, calibration))], RunOptions(shots=1))


def main() -> None:
    """Compile all."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        for done in [pool.submit(of_the_chip), pool.submit(of_sectors_and_compiler)]:
            done.result()


if __name__ == "__main__":
    main()
