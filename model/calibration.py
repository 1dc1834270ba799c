"""Calibration sets: immutable, content-addressed sets of calibrated values.

A value has a name of the form ``SUBJECT.PARAMETER`` where the subject is a qubit (``Q0``), a pair, control
first (``Q0-Q1``), or a port (``d0``): ``Q0.x.amplitude``, ``Q2-Q1.ecr.angle``, ``d0.mixer.offset``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from pulsed.model.device import DeviceDescription
from pulsed.model.errors import ConfigError, NotFoundError

Number = float | tuple[float, ...]


class Value(msgspec.Struct, frozen=True):
    """One calibrated value: a number or a tuple of them, with where it came from."""

    value: Number
    unit: str = ""
    stderr: float | None = None
    time: str = ""
    """ISO 8601 UTC, of the measurement."""
    routine: str = ""
    run_id: str = ""
    quality: str = "good"


class CalibrationSet(msgspec.Struct, frozen=True):
    """One set. ``calibration_id`` is a hash of everything else, so equal sets have equal ids."""

    device: str
    values: dict[str, Value]
    created: str
    parent: str | None = None
    cooldown: str = ""
    format: int = 1

    @property
    def calibration_id(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the content."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()[:16]

    def has(self, *names: str) -> bool:
        """Whether all of ``names`` are there."""
        return all(name in self.values for name in names)

    def number(self, name: str) -> float:
        """Return the scalar ``name`` in its unit. Raises :class:`NotFoundError`."""
        value = self._value(name).value
        if isinstance(value, tuple):
            raise NotFoundError("this calibrated value is a list", subject=name, value=str(value), legal="a number")
        return value

    def numbers(self, name: str) -> tuple[float, ...]:
        """Return the list ``name`` in its unit. Raises :class:`NotFoundError`."""
        value = self._value(name).value
        return value if isinstance(value, tuple) else (value,)

    def get(self, name: str, default: float) -> float:
        """Return the scalar ``name``, or ``default`` when the set has none."""
        return self.number(name) if name in self.values else default

    def _value(self, name: str) -> Value:
        try:
            return self.values[name]
        except KeyError:
            raise NotFoundError(
                "the calibration set has no such value", subject=self.calibration_id, value=name
            ) from None

    def with_values(self, values: Mapping[str, Value], created: str) -> CalibrationSet:
        """Return the child of this set in which ``values`` replace or add to what there is."""
        return msgspec.structs.replace(
            self, values={**self.values, **values}, parent=self.calibration_id, created=created
        )

    def to_json(self) -> bytes:
        """Return the set as readable JSON; :func:`from_json` reads it back to an equal set."""
        return msgspec.json.format(msgspec.json.encode(self, order="deterministic"), indent=1) + b"\n"


def design_sheet(device: DeviceDescription) -> CalibrationSet:
    """Return the set to start from when nothing is calibrated: the frequencies that the design sheet says, in Hz."""
    values = {}
    for q, qubit in enumerate(device.qubits):
        for name, frequency in (("f01", qubit.design_frequency), ("readout.frequency", qubit.design_readout_frequency)):
            values[f"Q{q}.{name}"] = Value(frequency, "Hz", time=device.online_date, routine="design", quality="design")
    return CalibrationSet(device.name, values, device.online_date)


def from_json(data: bytes, source: str = "calibration set") -> CalibrationSet:
    """Read what :meth:`CalibrationSet.to_json` wrote. Raises :class:`ConfigError`."""
    try:
        result = msgspec.json.decode(data, type=CalibrationSet)
    except msgspec.MsgspecError as error:
        raise ConfigError(f"is not a calibration set: {error}", subject=source) from error
    if result.format != 1:
        raise ConfigError("unknown format of calibration set", subject=source, value=result.format, legal="1")
    return result


def load_calibration(path: Path) -> CalibrationSet:
    """Read a calibration set from a JSON file. Raises :class:`ConfigError`."""
    try:
        return from_json(path.read_bytes(), str(path))
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}", subject=str(path)) from error
