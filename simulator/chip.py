"""The true parameters of a simulated chip, and where they come from.

Every frequency is *dressed*: a qubit's values are those it has with its neighbours in the ground state, because
this is what a calibration can find. Frequencies are in Hz, times in seconds, amplitudes in DAC full scales.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from pulsed.model.errors import ConfigError
from pulsed.simulator.components import Amplifier, Coupler, Coupling, Qubit, Wire
from pulsed.simulator.drift import NOTHING, Drift, read_drift
from pulsed.simulator.drift import check as _check
from pulsed.simulator.feedline import PLAIN, Feedline, read_feedline, with_purcell
from pulsed.simulator.truncation import DEFAULT, Truncation, read_truncation

__all__ = ["Amplifier", "Chip", "Coupler", "Coupling", "Qubit", "Wire", "load_chip", "random_chip"]


@dataclass(frozen=True)
class Chip:
    """A chip with its wiring. ``crosstalk[q, k]`` is what qubit q sees of the line that reaches qubit k."""

    name: str
    qubits: tuple[Qubit, ...]
    couplings: tuple[Coupling, ...]
    wires: tuple[Wire, ...]
    crosstalk: tuple[tuple[complex, ...], ...]
    amplifier: Amplifier = field(default_factory=Amplifier)
    drift: Drift = NOTHING
    truncation: Truncation = DEFAULT
    feedline: Feedline = PLAIN

    def coupled(self, a: int, b: int) -> Coupling | None:
        """Return the coupling between two qubits with its sides in this order, or None."""
        for coupling in self.couplings:
            if coupling.qubits == (a, b):
                return coupling
            if coupling.qubits == (b, a):
                coupler = coupling.coupler
                return Coupling((a, b), coupling.j, coupler and replace(coupler, g=coupler.g[::-1]))
        return None

    def exchange(self, coupling: Coupling) -> float:
        """Return |J| (Hz) of a coupling at idle, that through its coupler included: j + g1 g2 (1/D1 + 1/D2)/2."""
        coupler, j = coupling.coupler, coupling.j
        if coupler is not None:
            away = [1 / (self.qubits[q].frequency - coupler.frequency) for q in coupling.qubits]
            j += coupler.g[0] * coupler.g[1] * sum(away) / 2
        return abs(j)

    def wire(self, name: str) -> Wire:
        """Return the wire called ``name``; ConfigError if there is none."""
        for wire in self.wires:
            if wire.name == name:
                return wire
        raise ConfigError(
            "no such line in the fridge",
            subject=f"chip {self.name}",
            value=name,
            legal=", ".join(w.name for w in self.wires),
        )


def _record(cls: type[Any], data: dict[str, Any], subject: str) -> Any:
    known = {f.name for f in fields(cls)}
    unknown = sorted(set(data) - known)
    _check(not unknown, "unknown key", subject, ", ".join(unknown), ", ".join(sorted(known)))
    try:
        return cls(**data)
    except TypeError as error:
        missing = ", ".join(sorted(known - set(data)))
        raise ConfigError("missing key", subject=subject, value="", legal=missing) from error


def _check_qubit(qubit: Qubit, subject: str) -> None:
    _check(qubit.anharmonicity < 0, "a transmon's anharmonicity is negative", subject, qubit.anharmonicity, "< 0 Hz")
    _check(qubit.t1 > 0, "T1 must be positive", subject, qubit.t1, "> 0 s")
    _check(
        qubit.t2_star <= qubit.t2_echo <= 2 * qubit.t1,
        "the coherence times contradict each other",
        subject,
        (qubit.t1, qubit.t2_echo, qubit.t2_star),
        "t2_star <= t2_echo <= 2 t1",
    )
    _check(0 <= qubit.thermal < 0.5, "the thermal population is out of range", subject, qubit.thermal, "0 <= p < 0.5")


def _coupler(data: Any, subject: str) -> Coupler:
    coupler: Coupler = _record(Coupler, {**data, "g": tuple(data.get("g", ()))}, subject)
    _check(len(coupler.g) == 2, "a coupler couples to two qubits", f"{subject}.g", coupler.g, "two couplings in Hz")
    legal = "0 < frequency <= maximum"
    _check(
        0 < coupler.frequency <= coupler.maximum, "the coupler is out of its range", subject, coupler.frequency, legal
    )
    return coupler


def _check_flux(wire: Wire, couplings: list[Coupling], subject: str) -> None:
    if wire.flux is None:
        return
    legal = ", ".join(str(i) for i, c in enumerate(couplings) if c.coupler is not None)
    good = wire.qubit is None and str(wire.flux) in legal.split(", ")
    _check(good, "a flux line tunes the coupler of one coupling", f"{subject}.flux", wire.flux, legal)
    _check(wire.bias_quantum > 0, "not a current", f"{subject}.bias_quantum", wire.bias_quantum, "above 0 A")
    for _, tau in wire.distortion:
        _check(0 < tau <= 2e-7, "the time constant is out of range", f"{subject}.distortion", tau, "0 < tau <= 2e-7 s")


def load_chip(path: str | Path) -> Chip:
    """Read a chip from TOML.

    Raises:
        ConfigError: names the key, the bad value and the legal ones.

    """
    try:
        data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"the chip cannot be read: {error}", subject=str(path)) from error
    qubits = tuple(_record(Qubit, q, f"qubits.{i}") for i, q in enumerate(data.get("qubits", [])))
    _check(bool(qubits), "a chip needs qubits", "qubits", 0, "one or more [[qubits]] tables")
    for i, qubit in enumerate(qubits):
        _check_qubit(qubit, f"qubits.{i}")
    couplings = []
    for i, entry in enumerate(data.get("couplings", [])):
        coupling = _record(Coupling, {**entry, "qubits": tuple(entry.get("qubits", ()))}, f"couplings.{i}")
        if coupling.coupler is not None:
            coupling = replace(coupling, coupler=_coupler(coupling.coupler, f"couplings.{i}.coupler"))
        legal = f"two different qubits of 0..{len(qubits) - 1}"
        good = len(set(coupling.qubits)) == 2 and all(0 <= q < len(qubits) for q in coupling.qubits)
        _check(good, "a coupling joins two qubits", f"couplings.{i}.qubits", coupling.qubits, legal)
        couplings.append(coupling)
    wires = []
    for i, entry in enumerate(data.get("wires", [])):
        values = {"qubit": None, **entry}
        if "lo_leakage" in values:
            values["lo_leakage"] = tuple(values["lo_leakage"])
        values["distortion"] = tuple((float(a), float(tau)) for a, tau in values.get("distortion", ()))
        wire = _record(Wire, values, f"wires.{i}")
        _check_flux(wire, couplings, f"wires.{i}")
        wires.append(wire)
    n = len(qubits)
    amplitude = np.array(data.get("crosstalk", {}).get("amplitude", np.eye(n)), dtype=float)
    phase = np.array(data.get("crosstalk", {}).get("phase", np.zeros((n, n))), dtype=float)
    for key, matrix in (("amplitude", amplitude), ("phase", phase)):
        _check(matrix.shape == (n, n), "wrong shape", f"crosstalk.{key}", matrix.shape, f"({n}, {n})")
    crosstalk = tuple(tuple(complex(x) for x in row) for row in amplitude * np.exp(1j * phase))
    amplifier = _record(Amplifier, data.get("amplifier", {}), "amplifier")
    good = isinstance(amplifier.delay, int) and amplifier.delay >= 0
    _check(good, "a record cannot begin before its pulse", "amplifier.delay", amplifier.delay, ">= 0 ns, whole")
    name = str(data.get("name", Path(path).stem))
    chip = Chip(name, qubits, tuple(couplings), tuple(wires), crosstalk, amplifier)
    truncation = read_truncation(data.get("truncation", {}))
    feedline = read_feedline(data.get("feedline", {}))
    chip = replace(chip, qubits=tuple(with_purcell(q, feedline) for q in qubits), feedline=feedline)
    return replace(chip, drift=read_drift(data.get("drift", {}), chip), truncation=truncation)


# The design sheet that random chips are drawn around; longer chains repeat its qubit columns.
_SHEET = (
    # f01, alpha, T1, T2echo, T2star, kappa, chi, thermal
    (4.970e9, -330e6, 95e-6, 110e-6, 45e-6, 1.6e6, -0.80e6, 0.010),
    (4.880e9, -330e6, 80e-6, 90e-6, 35e-6, 1.8e6, -0.90e6, 0.015),
    (5.020e9, -325e6, 110e-6, 120e-6, 60e-6, 1.5e6, -0.75e6, 0.008),
    (4.905e9, -332e6, 60e-6, 70e-6, 25e-6, 2.0e6, -1.00e6, 0.020),
    (4.995e9, -328e6, 85e-6, 95e-6, 40e-6, 1.6e6, -0.80e6, 0.010),
)
_J = 1.95e6
_SHEET_LO = 5.10e9
_FIRST_READOUT, _READOUT_STEP, _READOUT_SPAN = 6.90e9, 80e6, 800e6


def _collides(frequencies: np.ndarray) -> bool:
    """Return whether a chain has a pair, or two neighbours of one control, that cross resonance cannot use."""
    near = np.abs(np.diff(frequencies))
    if np.any(near < 25e6) or np.any((near > 153e6) & (near < 172e6)):
        return True
    for middle in range(1, len(frequencies) - 1):
        left, centre, right = frequencies[middle - 1 : middle + 2]
        if centre > max(left, right) and abs(left - right) < 17e6:
            return True
    return False


def _roll_off(offset: float) -> float:
    """Return what hold and a 350 MHz line leave of a tone ``offset`` Hz from the LO."""
    return float(np.sinc(offset * 1e-9)) / math.hypot(1, offset / 350e6)


def _draw_qubit(rng: np.random.Generator, index: int, frequency: float, step: float) -> Qubit:
    _, alpha, t1, t2e, t2s, kappa, chi, thermal = _SHEET[index % len(_SHEET)]
    t1, t2e, t2s = (t * rng.uniform(0.7, 1.3) for t in (t1, t2e, t2s))
    t2e = min(t2e, 2 * t1)
    chi = chi * rng.uniform(0.9, 1.1)
    return Qubit(
        frequency=frequency,
        anharmonicity=alpha * rng.uniform(0.9, 1.1),
        t1=t1,
        t2_echo=t2e,
        t2_star=min(t2s, t2e),
        thermal=thermal,
        drive_rate=40e6 * rng.uniform(0.9, 1.1) / _roll_off(frequency - _SHEET_LO),
        readout_frequency=_FIRST_READOUT + step * index + rng.uniform(-5e6, 5e6),
        kappa=kappa,
        chi=chi,
        readout_drive=16e6 * rng.uniform(0.9, 1.1),
    )


def random_chip(seed: int, n: int, collisions: bool = False) -> Chip:
    """Draw a chain of ``n`` transmons around the design sheet, for tests on chips nobody has tuned to.

    Frequencies move by up to 60 MHz, readout ones by 5 MHz, anharmonicity and chi by 10 %, times by 30 %.
    Unless ``collisions`` is set, frequencies that cross resonance cannot use are drawn again. Readout frequencies are
    80 MHz apart, and closer on chains of more than ten, which share 800 MHz.
    """
    _check(1 <= n <= 32, "the number of qubits is out of range", "random_chip.n", n, "1..32")
    rng = np.random.default_rng(np.random.SeedSequence((seed, n)))
    sheet = np.array([_SHEET[i % len(_SHEET)][0] for i in range(n)])
    frequencies = sheet + rng.uniform(-60e6, 60e6, n)
    while not collisions and _collides(frequencies):
        frequencies = sheet + rng.uniform(-60e6, 60e6, n)
    step = min(_READOUT_STEP, _READOUT_SPAN / n)
    qubits = tuple(_draw_qubit(rng, i, float(frequencies[i]), step) for i in range(n))
    strength = {0: 1.0, 1: 0.05, 2: 0.01}
    crosstalk = tuple(
        tuple(
            complex(strength.get(abs(q - k), 0.0) * (np.exp(1j * rng.uniform(-np.pi, np.pi)) if q != k else 1.0))
            for k in range(n)
        )
        for q in range(n)
    )
    wire = Wire("", None, mixer_gain_db=0.4, mixer_skew_deg=3.0)
    wires = [replace(wire, name=f"d{q}", qubit=q, lo_leakage=_leak(rng)) for q in range(n)]
    wires.append(replace(wire, name="ro", lo_leakage=_leak(rng)))
    couplings = tuple(Coupling((q, q + 1), _J) for q in range(n - 1))
    return Chip(f"random-{seed}-{n}", qubits, couplings, tuple(wires), crosstalk)


def _leak(rng: np.random.Generator) -> tuple[float, float]:
    angle = rng.uniform(-np.pi, np.pi)
    return 0.003 * math.cos(angle), 0.003 * math.sin(angle)
