"""Crosstalk between drive lines undone: what leaves one port is accompanied by what cancels it at the other qubits.

With C the matrix of what each qubit sees of each drive port, in units of its own one, the ports play C^-1 z where z is
what the qubits shall see. C is taken as constant over the band, so a tone is cancelled at its own frequency. Ports are
mixed with one LO and keep time together, or a sum of what two of them play would have no phase to speak of.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pulsed.compiler.program import Slot
from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import ConfigError

SMALLEST = 1 / 8192
"""Of the matrix: at full scale the last bit of a converter of 14 bits; nothing is played for less."""
_LARGEST = 0.5
"""Crosstalk of a line to one qubit from which it is no crosstalk: the lines are swapped, or not the qubit's own."""
SWITCH = "compensation.crosstalk"
"""The setting of a job that switches it off, by 0."""


@dataclass(frozen=True)
class Compensation:
    """What the drive ports of one device play for each other."""

    ports: tuple[str, ...]
    factors: npt.NDArray[np.complex128]
    """(ports, ports): what a port plays of what another one is asked to; the inverse of the crosstalk."""
    spare: dict[str, tuple[int, ...]]
    """Port → the slots that it plays for others with; a port without an NCO is added up, and has one."""
    slots: tuple[Slot, ...]
    """All slots, those of the channels first."""
    source: npt.NDArray[np.int64]
    """Slot → its port's number, -1 for one that is no drive port."""
    delay: npt.NDArray[np.int64]
    """Port → samples between the shot's start and its sample 0."""
    lag: npt.NDArray[np.float64]
    """The same in seconds."""
    upconverted: tuple[bool, ...]
    """Port → whether what overlaps in a slot is added up before it is played."""


def crosstalk_matrix(device: DeviceDescription, calibration: CalibrationSet) -> npt.NDArray[np.complex128] | None:
    """Return what each qubit sees of the drive line of each qubit, complex (qubits, qubits); None when unknown.

    A qubit whose crosstalk was not measured sees its own line alone. Raises :class:`ConfigError` for values that are no
    crosstalk, or that tell of ports that cannot play for each other.
    """
    count = device.num_qubits
    names = [f"Q{q}.crosstalk" for q in range(count)]
    if not any(name in calibration.values for name in names):
        return None
    matrix = np.eye(count, dtype=complex)
    for q, name in enumerate(names):
        if name not in calibration.values:
            continue
        given = np.array(calibration.numbers(name))
        legal = f"re and im for each of {count} drive lines, 1 and 0 for its own, others below {_LARGEST}"
        row = given.view(np.complex128) if given.size == 2 * count else np.full(count, np.nan, complex)
        others = np.delete(row, q)
        if not (np.isfinite(row).all() and row[q] == 1 and (np.abs(others) < _LARGEST).all()):
            raise ConfigError("not valid crosstalk values", subject=name, value=str(given.tolist()), legal=legal)
        matrix[q] = row
    _check_ports(device, matrix)
    return matrix


def _check_ports(device: DeviceDescription, matrix: npt.NDArray[np.complex128]) -> None:
    names = [qubit.drive for qubit in device.qubits]
    ports = [device.ports[name] for name in names]
    for q, k in np.argwhere(matrix != np.eye(len(names))).tolist():
        same = (ports[q].lo, ports[q].clock) == (ports[k].lo, ports[k].clock) and names[q] != names[k]
        if not same:
            raise ConfigError(
                "these ports cannot cancel each other's crosstalk", subject=f"Q{q}.crosstalk",
                value=f"{names[q]}, {names[k]}", legal="two ports with the same LO and the same clock",
            )  # fmt: skip


def compensation(
    device: DeviceDescription, calibration: CalibrationSet, slots: tuple[Slot, ...], delays: tuple[int, ...]
) -> Compensation | None:
    """Return how crosstalk is undone, None when the set has none. ``slots`` and ``delays`` (samples): the channels'."""
    matrix = crosstalk_matrix(device, calibration)
    if matrix is None:
        return None
    ports = tuple(qubit.drive for qubit in device.qubits)
    factors: npt.NDArray[np.complex128] = np.linalg.inv(matrix).astype(np.complex128)
    factors[np.abs(factors) < SMALLEST] = 0
    everything, spare = list(slots), {}
    for name in ports:
        port, own = device.ports[name], [row for row, slot in enumerate(slots) if slot.port == name]
        first = len(everything)
        if port.nco:
            more = range(len(own), port.oscillators)
            everything += [Slot(name, oscillator, f"{name} for others") for oscillator in more]
            spare[name] = tuple(range(first, len(everything)))
        else:
            spare[name] = (own[0],)
    own_delay = {slot.port: delay for slot, delay in zip(slots, delays, strict=True)}
    return Compensation(
        ports=ports,
        factors=factors,
        spare=spare,
        slots=tuple(everything),
        source=np.array([ports.index(slot.port) if slot.port in ports else -1 for slot in everything]),
        delay=np.array([own_delay[name] for name in ports], np.int64),
        lag=np.array([float(own_delay[name] / device.ports[name].clock) for name in ports]),
        upconverted=tuple(not device.ports[name].nco for name in ports),
    )
