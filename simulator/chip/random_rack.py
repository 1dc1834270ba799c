"""The files of a rack with a random chip, for tests of a bring-up."""

from __future__ import annotations

import tomllib
from itertools import pairwise
from pathlib import Path

import pulsed.configs
from pulsed.model.errors import InvalidValueError
from pulsed.model.toml_text import toml_lines
from pulsed.simulator.chip.chip_file import chip_toml
from pulsed.simulator.chip.random_chip import random_chip

_SHEET = Path(pulsed.configs.__file__).parent / "sim5.toml"
"""The rack whose instruments, cables and design sheet a random chip has."""


def rack_toml(name: str, qubits: int, chip: str) -> str:
    """Return a description of the first ``qubits`` qubits of sim5's rack, without calibrated values.

    It holds the design sheet's frequencies. A pair has a cross-resonance tone in either direction: which of two
    qubits is the higher one is for a calibration to find.

    Args:
        name: what the rack is called.
        qubits: how many, 1 to 5.
        chip: the chip's file, relative to the description's.

    Raises:
        InvalidValueError: the rack has no lines for so many.

    """
    data = tomllib.loads(_SHEET.read_text(encoding="utf-8"))
    most = len(data["qubits"])
    if not 1 <= qubits <= most:
        raise InvalidValueError(
            "the rack has no lines for so many qubits", subject="qubits", value=qubits, legal=f"1 to {most}"
        )
    del data["calibration"]
    data |= {"name": name, "sample_name": name, "simulator": chip, "meas_map": [list(range(qubits))]}
    data["description"] = f"{qubits} transmons around the design sheet of sim5, not calibrated"
    data["qubits"] = data["qubits"][:qubits]
    used = {qubit[line] for qubit in data["qubits"] for line in ("drive", "readout", "acquire")}
    data["ports"] = {port: table for port, table in data["ports"].items() if port in used}
    pairs = [(a, b) for pair in pairwise(range(qubits)) for a, b in (pair, pair[::-1])]
    data["couplings"] = [{"control": control, "target": target} for control, target in pairs]
    return "\n".join(toml_lines(data)) + "\n"


def write_rack(folder: Path, seed: int, qubits: int = 5, *, collisions: bool = False) -> Path:
    """Write ``chip.toml``, a :func:`random_chip`, and ``rack.toml`` around it into ``folder``; return the latter.

    Raises:
        InvalidValueError: the rack has no lines for so many qubits, or the folder has a rack or a chip already.

    """
    for path in (folder / "rack.toml", folder / "chip.toml"):
        if path.exists():
            raise InvalidValueError("already exists", subject=str(path), legal="a folder without it")
    name = f"random-{seed}-{qubits}" + ("-collisions" if collisions else "")
    rack = rack_toml(name, qubits, "chip.toml")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "chip.toml").write_text(chip_toml(random_chip(seed, qubits, collisions)), encoding="utf-8")
    path = folder / "rack.toml"
    path.write_text(rack, encoding="utf-8")
    return path
