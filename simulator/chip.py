"""The true parameters of a simulated chip, and where they come from.

Every frequency is *dressed*: a qubit's values are those it has with its neighbours in the ground state, because
this is what a calibration can find. Frequencies are in Hz, times in seconds, amplitudes in DAC full scales.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from pulsed.model.errors import ConfigError


@dataclass(frozen=True)
class Qubit:
    """One transmon and its readout resonator.

    ``t2_echo`` holds T1 and white dephasing; ``t2_star`` has the quasi-static detuning on top. ``readout_frequency``
    lies midway between the resonances for 0 and 1, ``f_r(1) - f_r(0) = 2 chi``. ``drive_rate`` is the Rabi frequency at
    full scale of its line and a carrier at the LO (hold and low-pass take a part of it elsewhere),
    ``readout_drive`` the resonator's drive epsilon/2pi at full scale of the readout line.
    """

    frequency: float
    anharmonicity: float
    t1: float
    t2_echo: float
    t2_star: float
    thermal: float
    drive_rate: float
    readout_frequency: float
    kappa: float
    chi: float
    readout_drive: float

    @property
    def detuning_sigma(self) -> float:
        """Standard deviation of the quasi-static detuning in Hz: exp(-t/T2e - s^2 t^2/2) is 1/e at T2*."""
        return math.sqrt(2 * (1 - self.t2_star / self.t2_echo)) / self.t2_star / (2 * math.pi)

    @property
    def coupling_squared(self) -> float:
        """g^2 (Hz^2) that gives chi: chi = g^2 alpha / (D (D + alpha)), D = f01 - f_r (Koch et al. 2007)."""
        delta = self.frequency - self.readout_frequency
        return self.chi * delta * (delta + self.anharmonicity) / self.anharmonicity

    @property
    def n_crit(self) -> float:
        """Critical photon number D^2 / 4 g^2."""
        return (self.frequency - self.readout_frequency) ** 2 / (4 * self.coupling_squared)

    @property
    def bare_resonance(self) -> float:
        """The resonator without the qubit (Hz), where it is seen at high power: f_r(0) + g^2/D."""
        delta = self.frequency - self.readout_frequency
        return self.readout_frequency - self.chi + self.coupling_squared / delta

    @property
    def saturation(self) -> float:
        """Photons at which the qubit's pull on the resonator is down to 1/sqrt(2).

        The pull p of a level falls as p/sqrt(1 + n/n_s), as in the Jaynes-Cummings ladder; n_s is such that the slope
        at n = 0 is the resonator's Kerr shift chi^2/alpha per photon (Nigg et al. 2012).
        """
        pull = abs(self.readout_frequency - self.chi - self.bare_resonance)
        return pull * abs(self.anharmonicity) / (2 * self.chi**2)

    def resonances(self) -> tuple[float, float, float]:
        """Dressed resonator frequencies (Hz) for the levels 0, 1, 2, to second order in g."""
        delta, alpha, g2 = self.frequency - self.readout_frequency, self.anharmonicity, self.coupling_squared
        second = g2 * (4 / (delta + alpha) - 3 / (delta + 2 * alpha) - 1 / delta)
        one = self.readout_frequency + self.chi
        return self.readout_frequency - self.chi, one, one + second


@dataclass(frozen=True)
class Coupling:
    """Exchange coupling J/2pi (Hz) between two transmons."""

    qubits: tuple[int, int]
    j: float


@dataclass(frozen=True)
class Wire:
    """One line into the fridge: what it reaches, its bandwidth, and the mixer in front of it.

    ``gain`` (1 as designed, 0 for a dead line) and ``phase`` (rad) are what drift multiplies all of it by.
    """

    name: str
    qubit: int | None
    bandwidth: float = 350e6
    mixer_gain_db: float = 0.0
    mixer_skew_deg: float = 0.0
    lo_leakage: tuple[float, float] = (0.0, 0.0)
    gain: float = 1.0
    phase: float = 0.0

    def mixer(self) -> np.ndarray:
        """Return the 2x2 matrix from (I, Q) of the AWG to the ideal quadratures."""
        gain, skew = 10 ** (self.mixer_gain_db / 20), math.radians(self.mixer_skew_deg)
        return np.array([[1.0, gain * math.sin(skew)], [0.0, gain * math.cos(skew)]])


@dataclass(frozen=True)
class Amplifier:
    """The way from the resonators to the digitizer."""

    efficiency: float = 0.3
    noise_lsb: float = 16.0
    bits: int = 12
    delay: int = 60
    background: float = 0.02

    @property
    def full_scale(self) -> int:
        """ADC codes at full scale."""
        return 1 << (self.bits - 1)


@dataclass(frozen=True)
class Drift:
    """What drifts; all of it off unless it is set. Times in seconds of drift time, jumps in Hz.

    Attributes:
        seed: of all sources.
        factor: seconds of drift in one second of playing.
        frequency_jump: smallest and largest size of a qubit's telegraph jumps (2 to 20 kHz on real chips), 0 for off.
        frequency_wait: mean time between them.
        t1_factor: what a passing two-level system multiplies T1 by (0.3 on real chips), 1 for off.
        tls_wait: mean time until it comes.
        tls_stay: mean time that it stays.
        readout_jump: as ``frequency_jump``, of the resonators.
        readout_wait: mean time between them.
        gain_walk: random walk of each line's gain, relative, in one hour (0.001 to 0.01).
        phase_walk: random walk of the LO's phase at each line's mixer, rad in one hour.
        dead_lines: names of lines that nothing gets through.
        swapped_lines: pairs of drive lines whose plugs are exchanged.

    """

    seed: int = 0
    factor: float = 1.0
    frequency_jump: tuple[float, float] = (0.0, 0.0)
    frequency_wait: float = 600.0
    t1_factor: float = 1.0
    tls_wait: float = 7200.0
    tls_stay: float = 1200.0
    readout_jump: tuple[float, float] = (0.0, 0.0)
    readout_wait: float = 3600.0
    gain_walk: float = 0.0
    phase_walk: float = 0.0
    dead_lines: tuple[str, ...] = ()
    swapped_lines: tuple[tuple[str, str], ...] = ()

    @property
    def on(self) -> bool:
        """Whether anything drifts."""
        jumps = self.frequency_jump[1] or self.readout_jump[1] or self.t1_factor < 1
        return bool(jumps or self.gain_walk or self.phase_walk or self.dead_lines or self.swapped_lines)


@dataclass(frozen=True)
class Chip:
    """A chip with its wiring. ``crosstalk[q, k]`` is what qubit q sees of the line that reaches qubit k."""

    name: str
    qubits: tuple[Qubit, ...]
    couplings: tuple[Coupling, ...]
    wires: tuple[Wire, ...]
    crosstalk: tuple[tuple[complex, ...], ...]
    amplifier: Amplifier = Amplifier()
    drift: Drift = Drift()

    def coupled(self, a: int, b: int) -> Coupling | None:
        """Return the coupling between two qubits, or None."""
        for coupling in self.couplings:
            if set(coupling.qubits) == {a, b}:
                return coupling
        return None

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


def _check(condition: bool, message: str, subject: str, value: object, legal: str) -> None:
    if not condition:
        raise ConfigError(message, subject=subject, value=value, legal=legal)


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
        legal = f"two different qubits of 0..{len(qubits) - 1}"
        good = len(set(coupling.qubits)) == 2 and all(0 <= q < len(qubits) for q in coupling.qubits)
        _check(good, "a coupling joins two qubits", f"couplings.{i}.qubits", coupling.qubits, legal)
        couplings.append(coupling)
    wires = []
    for i, entry in enumerate(data.get("wires", [])):
        values = {"qubit": None, **entry}
        if "lo_leakage" in values:
            values["lo_leakage"] = tuple(values["lo_leakage"])
        wires.append(_record(Wire, values, f"wires.{i}"))
    n = len(qubits)
    amplitude = np.array(data.get("crosstalk", {}).get("amplitude", np.eye(n)), dtype=float)
    phase = np.array(data.get("crosstalk", {}).get("phase", np.zeros((n, n))), dtype=float)
    for key, matrix in (("amplitude", amplitude), ("phase", phase)):
        _check(matrix.shape == (n, n), "wrong shape", f"crosstalk.{key}", matrix.shape, f"({n}, {n})")
    crosstalk = tuple(tuple(complex(x) for x in row) for row in amplitude * np.exp(1j * phase))
    amplifier = _record(Amplifier, data.get("amplifier", {}), "amplifier")
    name = str(data.get("name", Path(path).stem))
    chip = Chip(name, qubits, tuple(couplings), tuple(wires), crosstalk, amplifier)
    return replace(chip, drift=read_drift(data.get("drift", {}), chip))


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def _read_drift_value(name: str, value: Any, chip: Chip) -> Any:
    """Return one value of a drift table as :class:`Drift` holds it; ConfigError for what it cannot hold."""
    subject = f"drift.{name}"
    if name == "seed":
        good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63
        _check(good, "not a seed", subject, value, "an integer from 0 to 2^63 - 1")
    elif name in ("dead_lines", "swapped_lines"):
        legal = {w.name for w in chip.wires if name == "dead_lines" or w.qubit is not None}
        rows = value if isinstance(value, list | tuple) else [value]
        if name == "swapped_lines":
            good = all(isinstance(r, list | tuple) and len(r) == 2 and {*map(str, r)} <= legal for r in rows)
            _check(good, "not pairs of drive lines", subject, value, f"pairs of {', '.join(sorted(legal))}")
            return tuple((str(a), str(b)) for a, b in rows)
        _check({*map(str, rows)} <= legal, "no such line in the fridge", subject, value, ", ".join(sorted(legal)))
        return tuple(map(str, rows))
    elif name in ("frequency_jump", "readout_jump"):
        pair = tuple(map(_number, value)) if isinstance(value, list | tuple) else (_number(value),) * 2
        good = len(pair) == 2 and (pair == (0, 0) or 0 < pair[0] <= pair[1] < 1e8)
        _check(good, "not a range of jumps", subject, value, "smallest and largest, 0 < a <= b < 1e8 Hz, or 0 for off")
        return pair
    else:
        low, high = {"t1_factor": (1e-3, 1.0), "gain_walk": (0.0, 1.0), "phase_walk": (0.0, 100.0)}.get(
            name, (1e-3, 1e9)
        )
        _check(low <= _number(value) <= high, "out of range", subject, value, f"{low:g} to {high:g}")
        return float(value)
    return value


def read_drift(data: dict[str, Any], chip: Chip) -> Drift:
    """Return the drift of ``chip`` with the values of a table changed; ConfigError names the key and what is legal."""
    known = {f.name for f in fields(Drift)}
    unknown = sorted(set(data) - known)
    _check(not unknown, "unknown key", "drift", ", ".join(unknown), ", ".join(sorted(known)))
    return replace(chip.drift, **{name: _read_drift_value(name, value, chip) for name, value in data.items()})


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
_FIRST_READOUT, _READOUT_STEP = 6.90e9, 80e6


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


def _draw_qubit(rng: np.random.Generator, index: int, frequency: float) -> Qubit:
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
        readout_frequency=_FIRST_READOUT + _READOUT_STEP * index + rng.uniform(-5e6, 5e6),
        kappa=kappa,
        chi=chi,
        readout_drive=16e6 * rng.uniform(0.9, 1.1),
    )


def random_chip(seed: int, n: int, collisions: bool = False) -> Chip:
    """Draw a chain of ``n`` transmons around the design sheet, for tests on chips nobody has tuned to.

    Frequencies move by up to 60 MHz, readout ones by 5 MHz, anharmonicity and chi by 10 %, times by 30 %.
    Unless ``collisions`` is set, frequencies that cross resonance cannot use are drawn again.
    """
    _check(1 <= n <= 10, "the number of qubits is out of range", "random_chip.n", n, "1..10")
    rng = np.random.default_rng(np.random.SeedSequence((seed, n)))
    sheet = np.array([_SHEET[i % len(_SHEET)][0] for i in range(n)])
    frequencies = sheet + rng.uniform(-60e6, 60e6, n)
    while not collisions and _collides(frequencies):
        frequencies = sheet + rng.uniform(-60e6, 60e6, n)
    qubits = tuple(_draw_qubit(rng, i, float(frequencies[i])) for i in range(n))
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
