"""A chip and a rack of virtual instruments of which given values are true, to try a set on that nobody has played here.

What a set says of qubits and pulses becomes the chip's own: frequencies, times, and lines on which the pulses turn as
far as they are meant to. What it does not say is that of the shipped chips. The way of the readout to the digitizer is
in no set, so that discriminators are other ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import CouplingDescription, DeviceDescription
from pulsed.model.errors import ConfigError, InvalidValueError
from pulsed.pulse.library import Drag, GaussianSquare
from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.chip.components import Amplifier, Coupler, Coupling, Qubit, Wire
from pulsed.simulator.dynamics.hamiltonian import zz_rate
from pulsed.simulator.dynamics.sequence import LineSettings
from pulsed.simulator.engine.angles import conditional
from pulsed.simulator.engine.gates import Burst, Gates

GRID = 8
"""Samples: of the virtual instruments."""
_PAIRS = 4
"""Of an AWG8."""
_SPAN, _ABOVE = 270e6, 68e6
"""Hz: of the qubits that share a local oscillator, and how far it lies above them."""
_READOUT_SPAN, _BESIDE = 660e6, 11e6
"""Hz: of all readout tones, and how far their oscillator lies beside the middle, so that no image is on a tone."""
PHOTONS = 3.0
_USUAL = Qubit(5e9, -300e6, 80e-6, 90e-6, 40e-6, 0.01, 40e6, 7e9, 1.6e6, -0.8e6, 16e6)
_J, _COUPLER_J, _G, _COUPLER_AWAY = 1.95e6, 7.5e6, 90e6, 0.95e9
_QUANTA = 0.087
"""Flux quanta by which a CZ of the shipped chip moves its coupler: where the search begins."""
_POOR = 0.05
"""Part of the population that a pi pulse may leave behind."""


@dataclass(frozen=True)
class SimulatedRack:
    """What can be simulated of a device: the tables of its description, its chip, and what is left out and why."""

    tables: dict[str, Any]
    chip: Chip
    ports: dict[str, str]
    """Port of the device → port here."""
    left: dict[str, str]
    """Values that it cannot play, by name."""


def simulated_rack(device: DeviceDescription, calibration: CalibrationSet) -> SimulatedRack:
    """Return a rack of virtual instruments for ``device``, and a chip on which ``calibration`` holds.

    Raises:
        InvalidValueError: the time step is not 1 ns, or the readout tones are too far from each other.

    """
    if device.dt * 10**9 != 1:
        raise InvalidValueError(
            "the virtual instruments have one clock", subject="dt", value=f"{float(device.dt * 10**9):g} ns",
            legal="1 ns",
        )  # fmt: skip
    left = _off_grid(calibration)
    pairs, lost = _pairs(device, calibration)
    ports = {row.readout: "ro" for row in device.qubits} | {row.acquire: "in" for row in device.qubits}
    ports |= {row.drive: f"d{q}" for q, row in enumerate(device.qubits)}
    ports |= {pair.flux: f"f{k}" for k, pair in enumerate(pairs) if pair.flux is not None}
    drive = _drive_oscillators(calibration, device.num_qubits)
    tables = _tables(device, pairs, drive, _readout_oscillator(calibration, device.num_qubits), ports)
    played = replace_values(calibration, left)
    chip = _chip(device, played, pairs, ports, [lo for _, lo in drive])
    return SimulatedRack(tables, chip, ports, left | lost)


def replace_values(calibration: CalibrationSet, gone: dict[str, str]) -> CalibrationSet:
    """Return a set without the values that are named in ``gone``."""
    kept = {name: value for name, value in calibration.values.items() if name not in gone}
    return CalibrationSet(calibration.device, kept, calibration.created, made_for=calibration.made_for)


def _off_grid(calibration: CalibrationSet) -> dict[str, str]:
    """Return the values of the gates whose length the virtual instruments do not play, and why."""
    found: dict[str, str] = {}
    for name in calibration.values:
        gate, _, parameter = name.rpartition(".")
        if parameter == "duration" and calibration.number(name) % GRID:
            why = f"{calibration.number(name):g} dt are no multiple of {GRID} dt, the virtual instruments' grid"
            found |= {other: why for other in calibration.values if other.rpartition(".")[0] == gate}
    return found


def _pairs(device: DeviceDescription, calibration: CalibrationSet) -> tuple[list[CouplingDescription], dict[str, str]]:
    """Return the pairs whose drives can share an oscillator, or that need none, and those that cannot."""
    kept: list[CouplingDescription] = []
    lost: dict[str, str] = {}
    for pair in device.couplings:
        f = [calibration.number(f"Q{q}.f01") for q in (pair.control, pair.target)]
        if pair.flux is None and abs(f[0] - f[1]) > _SPAN:
            lost[f"Q{pair.control}-Q{pair.target}"] = "the drives are too far apart for one oscillator"
        else:
            kept.append(pair)
    return kept, lost


def _drive_oscillators(calibration: CalibrationSet, qubits: int) -> list[tuple[str, float]]:
    """Return name and frequency (Hz) of the oscillator of each qubit's drive, as few as possible."""
    order = sorted(range(qubits), key=lambda q: -calibration.number(f"Q{q}.f01"))
    found: dict[int, tuple[str, float]] = {}
    top, number = math.inf, 0
    for q in order:
        f01 = calibration.number(f"Q{q}.f01")
        if not found or f01 < top - _SPAN:
            top, number = f01, number + 1
        found[q] = ("drive" if number == 1 else f"drive{number}", top + _ABOVE)
    return [found[q] for q in range(qubits)]


def _readout_oscillator(calibration: CalibrationSet, qubits: int) -> float:
    tones = [calibration.number(f"Q{q}.readout.frequency") for q in range(qubits)]
    if max(tones) - min(tones) > _READOUT_SPAN:
        raise InvalidValueError(
            "the virtual digitizer has one local oscillator", subject="readout tones",
            value=f"{(max(tones) - min(tones)) / 1e6:.0f} MHz apart", legal=f"up to {_READOUT_SPAN / 1e6:.0f} MHz",
        )  # fmt: skip
    return (max(tones) + min(tones)) / 2 + _BESIDE


def _tables(
    device: DeviceDescription, pairs: Sequence[CouplingDescription], drive: Sequence[tuple[str, float]], readout: float,
    ports: dict[str, str],
) -> dict[str, Any]:  # fmt: skip
    outputs = [f"d{q}" for q in range(device.num_qubits)] + ["ro"]
    outputs += [ports[pair.flux] for pair in pairs if pair.flux is not None]
    boxes = [f"awg{k + 1}" for k in range(-(-len(outputs) // _PAIRS))]
    los = {"readout": readout, **dict(drive)}
    instruments: dict[str, Any] = {name: _box("awg", k, "awg1" if k else None) for k, name in enumerate(boxes)}
    instruments["digitizer"] = _box("digitizer", len(boxes), "awg1")
    for k, name in enumerate(los):
        instruments[f"lo_{name}"] = _box("sgs100a", len(boxes) + 1 + k, None)
    tables: dict[str, Any] = {}
    for k, name in enumerate(outputs):
        lo = "readout" if name == "ro" else drive[int(name[1:])][0] if name[0] == "d" else None
        tables[name] = _port(boxes[k // _PAIRS], k % _PAIRS + 1, "output", lo)
        tables[name] |= {"delay": 24} if k < _PAIRS else {}
    tables["in"] = _port("digitizer", 1, "input", "readout")
    data = device.model_dump(mode="json", include={"name", "description", "online_date", "limits"}, exclude_unset=True)
    return data | {
        "dt": "1 ns", "meas_map": [list(range(device.num_qubits))], "calibration": "calibration.json",
        "simulator": "chip.toml", "tags": ["simulated", "imported"],
        "timing": {"granularity": GRID, "min_length": 2 * GRID, "acquire_alignment": 4, "feedback_latency": 400},
        "instruments": instruments,
        "oscillators": {name: {"instrument": f"lo_{name}", "frequency": one, "power": 13.0}
                        for name, one in los.items()},
        "ports": tables,
        "qubits": [
            {"drive": f"d{q}", "readout": "ro", "acquire": "in", "design_frequency": row.design_frequency,
             "design_readout_frequency": row.design_readout_frequency,
             "design_anharmonicity": row.design_anharmonicity}
            for q, row in enumerate(device.qubits)
        ],
        "couplings": [
            {"control": pair.control, "target": pair.target} | ({"flux": ports[pair.flux]} if pair.flux else {})
            for pair in pairs
        ],
    }  # fmt: skip


def _box(driver: str, number: int, trigger: str | None) -> dict[str, Any]:
    table = {"driver": driver, "address": f"TCPIP::127.0.0.1::{5841 + number}::SOCKET"}
    return table | ({} if trigger is None else {"trigger": trigger})


def _port(box: str, pair: int, direction: str, lo: str | None) -> dict[str, Any]:
    table = {
        "instrument": box, "pair": pair, "direction": direction, "clock": "1 GHz", "granularity": GRID,
        "min_length": 2 * GRID, "max_length": 65_536 if direction == "output" else 16_384,
        "oscillators": 1 if lo is None else 8, "attenuation": 60.0, "full_scale": 4.0,
    }  # fmt: skip
    return table if lo is None else table | {"lo": lo, "bandwidth": "350 MHz"}


# --- the chip --------------------------------------------------------------------------------------------------------


def _chip(
    device: DeviceDescription, calibration: CalibrationSet, pairs: Sequence[CouplingDescription],
    ports: dict[str, str], los: Sequence[float],
) -> Chip:  # fmt: skip
    n = device.num_qubits
    qubits = tuple(_qubit(calibration, q) for q in range(n))
    couplings = tuple(_coupling(pair, qubits) for pair in pairs)
    wires = [Wire(f"d{q}", q) for q in range(n)]
    wires += [Wire(ports[pair.flux], None, flux=k) for k, pair in enumerate(pairs) if pair.flux is not None]
    wires.append(Wire("ro", None))
    delays = [round(calibration.number(name)) for name in calibration.values if name.endswith(".delay")]
    crosstalk = tuple(tuple(complex(q == k) for k in range(n)) for q in range(n))
    amplifier = Amplifier(delay=delays[0] if delays else Amplifier.delay)
    chip = Chip(device.name, qubits, couplings, tuple(wires), crosstalk, amplifier)
    lines = tuple(LineSettings(f"d{q}", los[q]) for q in range(n))
    lines += tuple(LineSettings(wire.name, 0.0) for wire in wires if wire.flux is not None)
    for q in range(n):
        chip = _turning(chip, lines, calibration, q)
    for k, pair in enumerate(pairs):
        if pair.flux is not None:
            chip = _phasing(_at_rest(chip, k), lines, calibration, k, pair)
    return chip


def _qubit(calibration: CalibrationSet, q: int) -> Qubit:
    def value(name: str, usual: float) -> float:
        return calibration.get(f"Q{q}.{name}", usual)

    anharmonicity = value("anharmonicity", _USUAL.anharmonicity)
    t1 = value("t1", _USUAL.t1)
    t2 = min(value("t2", max(min(_USUAL.t2_echo, 1.5 * t1), value("t2star", 0.0))), 2 * t1)
    chi, kappa = _USUAL.chi, value("readout.kappa", _USUAL.kappa)
    amplitude = value("readout.amplitude", 0.1) or 0.1
    return Qubit(
        frequency=calibration.number(f"Q{q}.f01"), anharmonicity=-abs(anharmonicity), t1=t1, t2_echo=t2,
        t2_star=min(value("t2star", t2 / 2), t2), thermal=min(value("thermal", _USUAL.thermal), 0.2),
        drive_rate=_USUAL.drive_rate, readout_frequency=calibration.number(f"Q{q}.readout.frequency"), kappa=kappa,
        chi=chi, readout_drive=math.sqrt(PHOTONS * (kappa**2 / 4 + chi**2)) / amplitude,
    )  # fmt: skip


def _coupling(pair: CouplingDescription, qubits: Sequence[Qubit]) -> Coupling:
    both = pair.control, pair.target
    if pair.flux is None:
        return Coupling(both, _J)
    top = max(qubits[q].frequency for q in both)
    return Coupling(both, _COUPLER_J, Coupler(top + _COUPLER_AWAY, -90e6, (_G, _G), top + _COUPLER_AWAY + 0.76e9, 0.4))


def _turning(chip: Chip, lines: tuple[LineSettings, ...], calibration: CalibrationSet, q: int) -> Chip:
    """Return the chip whose line to ``q`` makes its x turn by pi, when there is one."""
    names = [f"Q{q}.x.{name}" for name in ("duration", "amplitude", "sigma", "beta")]
    if not calibration.has(*names):
        return chip
    duration, amplitude, sigma, beta = (calibration.number(name) for name in names)
    pulse = Drag(round(duration), amplitude, sigma=sigma, beta=beta, limit_amplitude=False).envelope()
    burst = Burst(q, 0, np.asarray(pulse, complex), chip.qubits[q].frequency)

    def with_rate(rate: float) -> Chip:
        qubits = tuple(replace(one, drive_rate=rate) if k == q else one for k, one in enumerate(chip.qubits))
        return replace(chip, qubits=qubits)

    def left_behind(rate: float) -> float:
        """Return the part of 0 that the pulse does not take to 1."""
        u = Gates(with_rate(rate), lines).unitary([burst], (q,), round(duration))
        return 1 - float(abs(u[1, 0])) ** 2

    guess = 0.5e9 / float(np.abs(pulse).sum())
    found = minimize_scalar(left_behind, bounds=(0.7 * guess, 1.7 * guess), options={"xatol": 1e-5 * guess})
    if found.fun > _POOR:
        raise ConfigError("its pulse turns it at no strength of the line", subject=f"Q{q}.x", value=amplitude)
    return with_rate(float(found.x))


def _at_rest(chip: Chip, index: int) -> Chip:
    """Return the chip whose coupler idles where the ZZ of its pair vanishes, if it does anywhere near."""
    coupling = chip.couplings[index]
    a, b = coupling.qubits

    def at(frequency: float) -> Chip:
        assert coupling.coupler is not None
        coupler = replace(coupling.coupler, frequency=frequency)
        own = replace(coupling, coupler=coupler)
        return replace(chip, couplings=tuple(own if k == index else one for k, one in enumerate(chip.couplings)))

    assert coupling.coupler is not None
    middle = coupling.coupler.frequency
    grid = sorted((middle + np.linspace(-0.2e9, 0.5e9, 15)).tolist(), key=lambda f: abs(f - middle))
    step = abs(grid[1] - grid[0])
    for low in grid:
        if zz_rate(at(low), a, b) * zz_rate(at(low + step), a, b) < 0:
            return at(float(brentq(lambda f: zz_rate(at(f), a, b), low, low + step, xtol=1e5)))
    return chip  # it has the same sign all along


def _phasing(
    chip: Chip, lines: tuple[LineSettings, ...], calibration: CalibrationSet, index: int, pair: CouplingDescription
) -> Chip:
    """Return the chip whose flux line makes the pair's cz have a conditional phase of pi, when there is one."""
    names = [f"Q{pair.control}-Q{pair.target}.cz.{name}" for name in ("duration", "amplitude", "sigma", "width")]
    coupling = chip.couplings[index]
    if not calibration.has(*names) or coupling.coupler is None:
        return chip
    duration, amplitude, sigma, width = (calibration.number(name) for name in names)
    shape = GaussianSquare(round(duration), abs(amplitude), sigma=sigma, width=width).envelope()
    signed = np.asarray(math.copysign(1, amplitude) * shape, complex)

    def at(flux: float) -> Chip:
        assert coupling.coupler is not None
        own = replace(coupling, coupler=replace(coupling.coupler, flux=math.copysign(flux, amplitude)))
        return replace(chip, couplings=tuple(own if k == index else one for k, one in enumerate(chip.couplings)))

    def missing(flux: float) -> float:
        burst = Burst(None, 0, signed, flux=index)
        phase = conditional(Gates(at(flux), lines).unitary([burst], coupling.qubits, round(duration)))
        return (float(phase) % (2 * math.pi)) - math.pi

    low, before = 0.0, -math.pi
    for flux in (_QUANTA / abs(amplitude) * np.linspace(0.4, 2.0, 33)).tolist():
        after = missing(flux)
        if before * after < 0 and abs(before - after) < math.pi:  # through pi, not through 0 where it jumps
            return at(float(brentq(missing, low, flux, xtol=1e-6)))
        low, before = flux, after
    raise ConfigError("its pulse makes no CZ at any strength of the line", subject=names[1], value=amplitude)
