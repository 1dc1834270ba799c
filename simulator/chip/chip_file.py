"""Chip files (TOML): reading, with every value checked, and writing."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from pulsed.model.errors import ConfigError, InvalidValueError
from pulsed.model.toml_text import toml_lines
from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.chip.components import Amplifier, Coupler, Coupling, Qubit, Wire
from pulsed.simulator.chip.drift_settings import NOTHING, read_drift
from pulsed.simulator.chip.effects import ALL, read_effects
from pulsed.simulator.chip.feedline import PLAIN, read_feedline, with_purcell
from pulsed.simulator.chip.tables import check, read_record
from pulsed.simulator.chip.truncation import DEFAULT, read_truncation


def _check_qubit(qubit: Qubit, subject: str) -> None:
    check(qubit.anharmonicity < 0, "a transmon's anharmonicity is negative", subject, qubit.anharmonicity, "< 0 Hz")
    check(qubit.t1 > 0, "T1 must be positive", subject, qubit.t1, "> 0 s")
    check(
        qubit.t2_star <= qubit.t2_echo <= 2 * qubit.t1,
        "the coherence times contradict each other",
        subject,
        (qubit.t1, qubit.t2_echo, qubit.t2_star),
        "t2_star <= t2_echo <= 2 t1",
    )
    check(0 <= qubit.thermal < 0.5, "the thermal population is out of range", subject, qubit.thermal, "0 <= p < 0.5")


def _coupler(data: Any, subject: str) -> Coupler:
    coupler = read_record(Coupler, {**data, "g": tuple(data.get("g", ()))}, subject)
    check(len(coupler.g) == 2, "a coupler couples to two qubits", f"{subject}.g", coupler.g, "two couplings in Hz")
    legal = "0 < frequency <= maximum"
    check(
        0 < coupler.frequency <= coupler.maximum, "the coupler is out of its range", subject, coupler.frequency, legal
    )
    return coupler


def _check_flux(wire: Wire, couplings: list[Coupling], subject: str) -> None:
    if wire.flux is None:
        return
    legal = ", ".join(str(i) for i, c in enumerate(couplings) if c.coupler is not None)
    good = wire.qubit is None and str(wire.flux) in legal.split(", ")
    check(good, "a flux line tunes the coupler of one coupling", f"{subject}.flux", wire.flux, legal)
    check(wire.bias_quantum > 0, "not a current", f"{subject}.bias_quantum", wire.bias_quantum, "above 0 A")
    for _, tau in wire.distortion:
        check(0 < tau <= 2e-7, "the time constant is out of range", f"{subject}.distortion", tau, "0 < tau <= 2e-7 s")


def _check_feedlines(qubits: tuple[Qubit, ...], lines: list[str]) -> None:
    for i, qubit in enumerate(qubits):
        good = qubit.feedline in lines or (not qubit.feedline and len(lines) < 2)
        legal = ", ".join(lines) or "none: the chip has no readout line"
        check(good, "a resonator is on a readout line", f"qubits.{i}.feedline", qubit.feedline, legal)


def load_chip(path: str | Path) -> Chip:
    """Read a chip from TOML.

    Raises:
        ConfigError: names the key, the bad value and the legal ones.

    """
    try:
        data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"the chip cannot be read: {error}", subject=str(path)) from error
    qubits = tuple(read_record(Qubit, q, f"qubits.{i}") for i, q in enumerate(data.get("qubits", [])))
    check(bool(qubits), "a chip needs qubits", "qubits", 0, "one or more [[qubits]] tables")
    for i, qubit in enumerate(qubits):
        _check_qubit(qubit, f"qubits.{i}")
    couplings = []
    for i, entry in enumerate(data.get("couplings", [])):
        coupling = read_record(Coupling, {**entry, "qubits": tuple(entry.get("qubits", ()))}, f"couplings.{i}")
        if coupling.coupler is not None:
            coupling = replace(coupling, coupler=_coupler(coupling.coupler, f"couplings.{i}.coupler"))
        legal = f"two different qubits of 0..{len(qubits) - 1}"
        good = len(set(coupling.qubits)) == 2 and all(0 <= q < len(qubits) for q in coupling.qubits)
        check(good, "a coupling joins two qubits", f"couplings.{i}.qubits", coupling.qubits, legal)
        couplings.append(coupling)
    wires = []
    for i, entry in enumerate(data.get("wires", [])):
        values = {"qubit": None, **entry}
        if "lo_leakage" in values:
            values["lo_leakage"] = tuple(values["lo_leakage"])
        values["distortion"] = tuple((float(a), float(tau)) for a, tau in values.get("distortion", ()))
        wire = read_record(Wire, values, f"wires.{i}")
        _check_flux(wire, couplings, f"wires.{i}")
        wires.append(wire)
    _check_feedlines(qubits, [wire.name for wire in wires if wire.reads])
    n = len(qubits)
    amplitude = np.array(data.get("crosstalk", {}).get("amplitude", np.eye(n)), dtype=float)
    phase = np.array(data.get("crosstalk", {}).get("phase", np.zeros((n, n))), dtype=float)
    for key, matrix in (("amplitude", amplitude), ("phase", phase)):
        check(matrix.shape == (n, n), "wrong shape", f"crosstalk.{key}", matrix.shape, f"({n}, {n})")
    crosstalk = tuple(tuple(complex(x) for x in row) for row in amplitude * np.exp(1j * phase))
    amplifier = read_record(Amplifier, data.get("amplifier", {}), "amplifier")
    good = isinstance(amplifier.delay, int) and amplifier.delay >= 0
    check(good, "a record cannot begin before its pulse", "amplifier.delay", amplifier.delay, ">= 0 ns, whole")
    name = str(data.get("name", Path(path).stem))
    chip = Chip(name, qubits, tuple(couplings), tuple(wires), crosstalk, amplifier)
    feedline = read_feedline(data.get("feedline", {}))
    return replace(
        chip,
        qubits=tuple(with_purcell(q, feedline) for q in qubits),
        feedline=feedline,
        effects=read_effects(data.get("effects", {})),
        truncation=read_truncation(data.get("truncation", {})),
        drift=read_drift(data.get("drift", {}), chip.wires),
    )


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
    if chip.truncation != DEFAULT:
        data["truncation"] = asdict(chip.truncation)
    if chip.feedline != PLAIN:
        data["feedline"] = {key: value for key, value in asdict(chip.feedline).items() if value is not None}
    if chip.effects != ALL:
        data["effects"] = asdict(chip.effects)
    return "\n".join(toml_lines(data)) + "\n"
