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
from pulsed.drivers.rack.demodulate import ReadoutTone, average, demodulate
from pulsed.drivers.rack.discriminate import classify, rule
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
    circuits = [QuantumCircuit(2), QuantumCircuit(2)]
    for circuit in circuits:
        circuit.h(0)
        circuit.measure_all()
    circuits[0].cx(0, 1)
    played = transpile(circuits, build_target(device, calibration))
    Compiler(device, calibration).compile(played, RunOptions(shots=1))


def of_the_drivers() -> None:
    """Compile what the rack worker integrates and classifies records with, which come from a socket or from a test."""
    for given in (np.zeros((4, 8, 2), np.int16), np.frombuffer(bytes(128), np.int16).reshape(4, 8, 2)):
        points = demodulate(given, [ReadoutTone(0, 8, 0, 1e6)] * 2, 1e9)
        classify(points, [rule([0, 1])] * 2)
        average(given)


def main() -> None:
    """Compile all."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        for done in [pool.submit(work) for work in (of_the_chip, of_sectors_and_compiler, of_the_drivers)]:
            done.result()


if __name__ == "__main__":
    main()
