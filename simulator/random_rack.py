"""A chip and the description of a rack around it as TOML, for bringing up a chip that nobody has tuned to."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import pulsed.configs
from pulsed.model.errors import InvalidValueError
from pulsed.simulator import feedline, truncation
from pulsed.simulator.chip import Chip, random_chip
from pulsed.simulator.drift import NOTHING

_SHEET = Path(pulsed.configs.__file__).parent / "sim5.toml"
"""The rack whose instruments, cables and design sheet a random chip has."""


def chip_toml(chip: Chip) -> str:
    """Return the text that :func:`load_chip` reads as ``chip``.

    Raises:
        InvalidValueError: the chip has Purcell filters: its qubits' T1 have them in, those of a file do not.

    """
    if chip.feedline.purcell_linewidth is not None:
        linewidth = chip.feedline.purcell_linewidth
        raise InvalidValueError(
            "a chip with this key cannot be written",
            subject="feedline.purcell_linewidth",
            value=linewidth,
            legal="none",
        )
    crosstalk = np.array(chip.crosstalk)
    data: dict[str, Any] = {
        "name": chip.name,
        "qubits": [asdict(q) for q in chip.qubits],
        "couplings": [asdict(c) for c in chip.couplings],
        "wires": [asdict(w) for w in chip.wires],
        "crosstalk": {"amplitude": np.abs(crosstalk).tolist(), "phase": np.angle(crosstalk).tolist()},
        "amplifier": asdict(chip.amplifier),
    }
    if chip.drift != NOTHING:
        data["drift"] = asdict(chip.drift)
    if chip.truncation != truncation.DEFAULT:
        data["truncation"] = asdict(chip.truncation)
    if chip.feedline != feedline.PLAIN:
        data["feedline"] = {key: value for key, value in asdict(chip.feedline).items() if value is not None}
    return "\n".join(_lines(data)) + "\n"


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
    return "\n".join(_lines(data)) + "\n"


def write_rack(folder: Path, seed: int, qubits: int = 5, *, collisions: bool = False) -> Path:
    """Write ``chip.toml``, a :func:`random_chip`, and ``rack.toml`` around it into ``folder``; return the latter.

    Raises:
        InvalidValueError: the rack has no lines for so many qubits, or the folder has a rack or a chip already.

    """
    for path in (folder / "rack.toml", folder / "chip.toml"):
        if path.exists():
            raise InvalidValueError("is there already", subject=str(path), legal="a folder without it")
    name = f"random-{seed}-{qubits}" + ("-collisions" if collisions else "")
    rack = rack_toml(name, qubits, "chip.toml")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "chip.toml").write_text(chip_toml(random_chip(seed, qubits, collisions)), encoding="utf-8")
    path = folder / "rack.toml"
    path.write_text(rack, encoding="utf-8")
    return path


def _lines(data: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of a TOML file: its values, then its tables, a table of tables as one each."""
    tables: list[tuple[str, dict[str, Any]]] = []
    values: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            tables += [(f"\n[[{key}]]", row) for row in value]
        elif isinstance(value, dict) and all(isinstance(item, dict) for item in value.values()):
            tables += [(f"\n[{key}.{name}]", table) for name, table in value.items()]
        elif isinstance(value, dict):
            tables.append((f"\n[{key}]", value))
        else:
            values[key] = value
    yield from _assignments(values)
    for head, table in tables:
        yield head
        yield from _assignments(table)


def _assignments(table: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each key; None is a key that is not there."""
    return (f"{key} = {_inline(value)}" for key, value in table.items() if value is not None)


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(_assignments(value)) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return json.dumps(value)
