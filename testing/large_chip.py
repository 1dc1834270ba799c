"""A chip of 127 qubits that no rack has: for pictures, and pages that have to be useful at that size."""

from __future__ import annotations

import random
from pathlib import Path

import pulsed.configs
from pulsed.model.calibration import CalibrationSet, Fault, Value
from pulsed.model.device import CouplingDescription, DeviceDescription, load_device

CONFIGS = Path(pulsed.configs.__file__).parent


def eagle() -> tuple[int, list[tuple[int, int]]]:
    """Return the couplings of a heavy-hexagon lattice of 127 qubits, numbered row by row as IBM's Eagle is."""
    couplings: list[tuple[int, int]] = []
    first, bridges, columns = 0, range(0), range(0)
    lengths = [14, 15, 15, 15, 15, 15, 14]
    for row, length in enumerate(lengths):
        begin = 1 if row == len(lengths) - 1 else 0
        couplings += [(first + k, first + k + 1) for k in range(length - 1)]
        couplings += [(bridge, first + column - begin) for bridge, column in zip(bridges, columns, strict=True)]
        if row < len(lengths) - 1:
            columns = range(0, 15, 4) if row % 2 == 0 else range(2, 15, 4)
            bridges = range(first + length, first + length + 4)
            couplings += [(first + column, bridge) for bridge, column in zip(bridges, columns, strict=True)]
            first += length + 4
    return first + lengths[-1], couplings


def large_device() -> DeviceDescription:
    """Return sim5 with 127 qubits on its ports, which only a picture can have."""
    device, (number, couplings) = load_device(CONFIGS / "sim5.toml"), eagle()
    qubits = tuple(device.qubits[q % 5] for q in range(number))
    pairs = tuple(CouplingDescription(control=a, target=b) for a, b in couplings)
    return device.model_copy(update={"name": "eagle127", "qubits": qubits, "couplings": pairs})


def large_set(device: DeviceDescription, now: str) -> CalibrationSet:
    """Return made-up values for every qubit and pair, with a few that are faulty, doubted or missing."""
    draw, values = random.Random(1), dict[str, Value]()
    for q in range(device.num_qubits):
        for name, mean, width, unit in (
            ("f01", 4.9e9, 8e7, "Hz"), ("t1", 1.1e-4, 3e-5, "s"), ("t2", 9e-5, 3e-5, "s"),
        ):  # fmt: skip
            number = max(draw.gauss(mean, width), 0.2 * mean)
            values[f"Q{q}.{name}"] = Value(number, unit, 0.02 * number, now, "tuneup", "run")
        for name, mean in (("readout.error", 0.012), ("x.error", 3e-4)):
            values[f"Q{q}.{name}"] = Value(mean * draw.lognormvariate(0, 0.6), "", None, now, "rb", "run")
    for pair in device.couplings:
        name = f"Q{pair.control}-Q{pair.target}.ecr.error"
        values[name] = Value(7e-3 * draw.lognormvariate(0, 0.5), "", None, now, "rb", "run")
    values["Q40.t1"] = Value(2.1e-5, "s", 4e-6, now, "t1", "run", "suspect")
    del values["Q77.t1"]
    faults = {"Q63": Fault("t1: no decay was seen", now, "maintenance"), "Q5-Q6": Fault("collision: f01", now, "ann")}
    return CalibrationSet(device.name, values, now, faults=faults)
