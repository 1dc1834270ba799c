"""The files of a rack with a random chip, for tests of a bring-up."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pulsed.configs
from pulsed.model.errors import InvalidValueError
from pulsed.model.toml_text import toml_lines
from pulsed.simulator.chip.chip_file import chip_toml
from pulsed.simulator.chip.random_chip import (
    MOST,
    Layout,
    design_frequencies,
    layout_couplings,
    random_chip,
    readout_lines,
)

_SHEET = Path(pulsed.configs.__file__).parent / "sim5.toml"
"""The rack whose instruments, cables and design sheet a random chip has; a larger one has more of the same."""
_PAIRS = 4
"""Outputs of an AWG."""
_MIXERS = 8
"""Readout lines, up and down, that share a local oscillator."""
_FIRST_PORT = 5811


def rack_toml(name: str, qubits: int, chip: str, layout: Layout = "line") -> str:
    """Return a description of a rack for a random chip, without calibrated values.

    Up to five qubits it is that of the first ones of sim5; for more it has AWGs for all lines, and a digitizer for each
    readout line. It holds the design sheet's frequencies. A pair has a cross-resonance tone in either direction: which
    of two qubits is the higher one is for a calibration to find.

    Args:
        name: what the rack is called.
        qubits: how many, 1 to 127.
        chip: the chip's file, relative to the description's.
        layout: which of them are coupled.

    Raises:
        InvalidValueError: no random chip has so many.

    """
    if not 1 <= qubits <= MOST:
        raise InvalidValueError(
            "no random chip has so many qubits", subject="qubits", value=qubits, legal=f"1 to {MOST}"
        )
    data = tomllib.loads(_SHEET.read_text(encoding="utf-8"))
    del data["calibration"]
    data |= {"name": name, "sample_name": name, "simulator": chip}
    data["description"] = f"{qubits} transmons around the design sheet of sim5, not calibrated"
    if qubits > len(data["qubits"]):
        _enlarge(data, qubits, layout)
    data["qubits"] = data["qubits"][:qubits]
    used = {qubit[line] for qubit in data["qubits"] for line in ("drive", "readout", "acquire")}
    data["ports"] = {port: table for port, table in data["ports"].items() if port in used}
    groups: dict[str, list[int]] = {}
    for q, qubit in enumerate(data["qubits"]):
        groups.setdefault(qubit["readout"], []).append(q)
    data["meas_map"] = list(groups.values())
    pairs = [(a, b) for pair in layout_couplings(layout, qubits) for a, b in (pair, pair[::-1])]
    data["couplings"] = [{"control": control, "target": target} for control, target in pairs]
    return "\n".join(toml_lines(data)) + "\n"


def _enlarge(data: dict[str, Any], qubits: int, layout: Layout) -> None:
    """Give sim5's description the instruments, oscillators, ports and qubits of a larger rack.

    One LO drives all qubits, so that the phase of every cross-resonance pair is kept; readout lines, which need none
    of each other, share one for each eight.
    """
    sheet, plan = data["instruments"], data["oscillators"]
    drive, readout, heard = (data["ports"][port] for port in ("d0", "ro", "in"))
    lines = readout_lines(qubits)
    names = list(dict.fromkeys(lines))
    outputs = [*(f"d{q}" for q in range(qubits)), *names]
    awgs = [f"awg{k + 1}" for k in range(-(-len(outputs) // _PAIRS))]
    instruments = {awg: dict(sheet["awg1"] if awg == "awg1" else sheet["awg2"]) for awg in awgs}
    instruments |= {f"digitizer{k + 1}": dict(sheet["digitizer"]) for k in range(len(names))}
    for kind, prefix in (("AWG8", "awg"), ("DIG2", "digitizer")):
        for number, mine in enumerate((one for key, one in instruments.items() if key.startswith(prefix)), 1):
            mine["identity"] = {**mine["identity"], "serial": f"{kind}-{number:04d}"}
    shared = [f"sgs{k + 2}" for k in range(-(-len(names) // _MIXERS))]
    instruments |= {sgs: dict(sheet["sgs1"]) for sgs in ("sgs1", *shared)} | {"sa": dict(sheet["sa"])}
    for number, one in enumerate(instruments.values()):
        one["address"] = f"TCPIP::127.0.0.1::{_FIRST_PORT + number}::SOCKET"
    data["instruments"] = instruments
    data["oscillators"] = {"drive": plan["drive"]}
    data["oscillators"] |= {f"readout{k + 1}": {**plan["readout"], "instrument": sgs} for k, sgs in enumerate(shared)}
    ports = {}
    for k, name in enumerate(outputs):
        awg = awgs[k // _PAIRS]
        ports[name] = {**(drive if name.startswith("d") else readout), "instrument": awg, "pair": k % _PAIRS + 1}
        # The leader waits for its own trigger to reach the followers, as in sim5.
        ports[name]["delay"] = drive["delay"] if awg == "awg1" else readout["delay"]
    for k, name in enumerate(names):
        ports[name]["lo"] = f"readout{k // _MIXERS + 1}"
        ports[f"in{k + 1}"] = {**heard, "instrument": f"digitizer{k + 1}", "lo": f"readout{k // _MIXERS + 1}"}
    data["ports"] = ports
    data["qubits"] = [
        {
            "drive": f"d{q}",
            "readout": lines[q],
            "acquire": f"in{names.index(lines[q]) + 1}",
            "design_frequency": f"{mine / 1e9:.3f} GHz",
            "design_readout_frequency": f"{resonator / 1e9:.2f} GHz",
        }
        for q, (mine, resonator) in enumerate(design_frequencies(qubits, layout))
    ]


def write_rack(folder: Path, seed: int, qubits: int = 5, *, collisions: bool = False, layout: Layout = "line") -> Path:
    """Write ``chip.toml``, a :func:`random_chip`, and ``rack.toml`` around it into ``folder``; return the latter.

    Raises:
        InvalidValueError: no random chip has so many qubits, or the folder has a rack or a chip already.

    """
    for path in (folder / "rack.toml", folder / "chip.toml"):
        if path.exists():
            raise InvalidValueError("already exists", subject=str(path), legal="a folder without it")
    kind = "random" if layout == "line" else f"random-{layout}"
    name = f"{kind}-{seed}-{qubits}" + ("-collisions" if collisions else "")
    rack = rack_toml(name, qubits, "chip.toml", layout)
    chip = random_chip(seed, qubits, collisions, layout=layout, one_readout_line=False)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "chip.toml").write_text(chip_toml(chip), encoding="utf-8")
    path = folder / "rack.toml"
    path.write_text(rack, encoding="utf-8")
    return path
