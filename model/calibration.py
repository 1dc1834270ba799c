"""Calibration sets: immutable, content-addressed sets of calibrated values.

A value has a name of the form ``SUBJECT.PARAMETER`` where the subject is a qubit (``Q0``), a pair, control
first (``Q0-Q1``), or a port (``d0``): ``Q0.x.amplitude``, ``Q2-Q1.ecr.angle``, ``d0.mixer.offset``. A set also says
which subjects are faulty. :class:`RunRecord` is what is kept of each measurement, :class:`LogEntry` and
:class:`PastValue` are what the store tells of the sets that were active.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from pulsed.model.basis import Basis, basis_of
from pulsed.model.errors import ConfigError, NotFoundError
from pulsed.model.job import PrunedJobs

if TYPE_CHECKING:  # the store reads sets; device descriptions bring pydantic, which takes long to import
    from pulsed.model.device import DeviceDescription

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
    """One of :data:`QUALITIES`."""


QUALITIES = ("good", "design", "set", "suspect", "unverified")
"""Of a value: measured; of the design sheet; set by hand; measured, and doubted since; of another stack's files."""


class Fault(msgspec.Struct, frozen=True):
    """Why a qubit or a pair is not used."""

    why: str
    time: str = ""
    """ISO 8601 UTC."""
    by: str = ""


class CalibrationSet(msgspec.Struct, frozen=True, dict=True):  # a dict for what is worked out once
    """One set. ``calibration_id`` is a hash of everything else, so equal sets have equal ids."""

    device: str
    values: dict[str, Value]
    created: str
    parent: str | None = None
    cooldown: str = ""
    format: int = 1
    faults: dict[str, Fault] = {}
    """What is not used, by subject."""
    made_for: Basis | None = None
    """What it depends on of the device; None in sets from before that was kept."""

    @cached_property
    def calibration_id(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the content but for :attr:`made_for`.

        Clients of versions that know no ``made_for`` work the id out, too, and name sets by what they get.
        """
        content = msgspec.json.encode(msgspec.structs.replace(self, made_for=None), order="deterministic")
        content = content.removesuffix(b',"made_for":null}') + b"}"
        if not self.faults:  # such a set keeps the id that it had before sets knew of faults
            content = content.removesuffix(b',"faults":{}}') + b"}"
        return hashlib.sha256(content).hexdigest()[:16]

    def known_as(self, calibration_id: str) -> CalibrationSet:
        """Return this set under the id that a newer version gave it, which counts what this one does not know of."""
        if calibration_id != self.calibration_id:
            vars(self)["calibration_id"] = calibration_id
        return self

    def _repr_html_(self) -> str:
        """Return the set for a notebook: the values of each subject, folded up."""
        from pulsed.model import html

        by_subject: dict[str, list[tuple[object, ...]]] = {}
        for name, value in sorted(self.values.items()):
            subject, _, key = name.partition(".")
            number = value.value if isinstance(value.value, float) else str(value.value)[:60]
            error = "" if value.stderr is None else f"± {value.stderr:.2g}"
            row = (key, number, error, value.unit, value.quality, value.routine, value.time[:19])
            by_subject.setdefault(subject, []).append(row)
        columns = ("value", "", "", "unit", "quality", "routine", "measured")
        about = f"{len(self.values)} values" + "".join(f"; {name} faulty: {at.why}" for name, at in self.faults.items())
        tables = (html.folded(f"{name}: {len(rows)}", html.table(columns, rows)) for name, rows in by_subject.items())
        head = html.heading(f"calibration set {self.calibration_id} of {self.device}, {self.created[:19]}")
        return head + html.line(about) + "".join(tables)

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

    def with_faults(self, faults: Mapping[str, Fault], created: str) -> CalibrationSet:
        """Return the child of this set in which exactly ``faults`` are faulty."""
        return msgspec.structs.replace(self, faults=dict(faults), parent=self.calibration_id, created=created)

    def faulty(self, subject: str) -> Fault | None:
        """Return why ``subject`` is not used, None when it is. A pair is not when one of its qubits is not."""
        for one in (subject, *subject.split("-")):
            if one in self.faults:
                return self.faults[one]
        return None

    def adopted(self, device: DeviceDescription, created: str) -> CalibrationSet:
        """Return the child of this set that is made for ``device``, with the values as they are."""
        return msgspec.structs.replace(self, made_for=basis_of(device), parent=self.calibration_id, created=created)

    def changed(self, other: CalibrationSet) -> tuple[str, ...]:
        """Return the names of what differs in ``other``, sorted; a fault counts as ``SUBJECT.fault``."""
        names = {n for n in self.values.keys() | other.values.keys() if self.values.get(n) != other.values.get(n)}
        faults = {n for n in self.faults.keys() | other.faults.keys() if self.faults.get(n) != other.faults.get(n)}
        return tuple(sorted(names | {f"{subject}.fault" for subject in faults}))

    def to_json(self) -> bytes:
        """Return the set as readable JSON; :func:`from_json` reads it back to an equal set."""
        return msgspec.json.format(msgspec.json.encode(self, order="deterministic"), indent=1) + b"\n"


RunKind = Literal["calibrate", "check", "scan"]
RunOutcome = Literal["good", "out of spec", "bad data", "failed", "stopped"]


SELF_TEST = "self-test"
"""The routine of the records, one per port, of a self-test."""


class RunRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is kept of one measurement, good or bad."""

    run_id: str
    routine: str
    target: str
    """The subject: ``"Q0"``, ``"Q1-Q0"``, ``"d0"``."""
    kind: RunKind
    outcome: RunOutcome
    started: float
    """Unix time, seconds, as is ``ended``."""
    ended: float
    reason: str = ""
    """Why it was not good, in words."""
    before: str = ""
    """Id of the set that was active when it began."""
    after: str = ""
    """Id of the set that it led to; empty when it changed nothing."""
    file: str = ""
    """Where its data lie."""
    values: dict[str, Value] = {}
    """What it proposed, by full name."""
    by: str = ""


class Pruned(msgspec.Struct, frozen=True):
    """What was forgotten of measurements and calibration sets."""

    runs: int
    """How many records."""
    sets: int
    """How many calibration sets."""
    files: tuple[str, ...] = ()
    """The data files that these records named, as they named them; they are left to whoever wrote them."""
    ended: PrunedJobs = PrunedJobs()
    """What was forgotten of jobs that have ended."""


class LogEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One set that became active."""

    calibration_id: str
    since: float
    """Unix time, seconds."""
    by: str = ""
    why: str = ""
    changed: tuple[str, ...] = ()
    """Names of what differs from the set before, sorted; a fault counts as ``SUBJECT.fault``."""
    tags: tuple[str, ...] = ()


class PastValue(msgspec.Struct, frozen=True, array_like=True):
    """A value, and since when (Unix time) and in which set it has been active."""

    since: float
    value: Value
    calibration_id: str


def design_sheet(device: DeviceDescription) -> CalibrationSet:
    """Return the set to start from when nothing is calibrated: the frequencies that the design sheet says, in Hz."""
    values = {}
    for q, qubit in enumerate(device.qubits):
        for name, frequency in (
            ("f01", qubit.design_frequency),
            ("anharmonicity", qubit.design_anharmonicity),
            ("readout.frequency", qubit.design_readout_frequency),
        ):
            values[f"Q{q}.{name}"] = Value(frequency, "Hz", time=device.online_date, routine="design", quality="design")
    return CalibrationSet(device.name, values, device.online_date, made_for=basis_of(device))


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
