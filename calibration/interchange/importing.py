"""From files of another stack to a folder with a rack, a calibration set and the record of every field."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pulsed.calibration.interchange import ibm, qibolab, quam
from pulsed.calibration.interchange.fields import UNVERIFIED, Ledger, Line, read_json
from pulsed.calibration.interchange.folders import write_folder
from pulsed.calibration.interchange.platform import Platform
from pulsed.calibration.interchange.rack import device_of, rack_tables
from pulsed.model.basis import basis_of
from pulsed.model.calibration import CalibrationSet, Value
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import InvalidValueError
from pulsed.model.toml_text import toml_lines


class Format(NamedTuple):
    """One stack's files."""

    names: tuple[str, ...]
    """Of its files in a folder, as far as they have one name."""
    fits: Callable[[Mapping[str, Any]], bool]
    """Whether the JSON of one file is of this stack."""
    read: Callable[[Mapping[str, Path], Ledger], Platform]


_NOTICED = 0.3
"""Of DRAG's first order, from which on a beta of the other sign is told."""

FORMATS: dict[str, Format] = {
    "qibolab": Format(("parameters.json", "calibration.json", "platform.py"), qibolab.fits, qibolab.read),
    "quam": Format(("state.json", "wiring.json"), quam.fits, quam.read),
    "ibm": Format((), ibm.fits, ibm.read),
}
"""By the name that ``--from`` takes."""


@dataclass(frozen=True)
class Imported:
    """A device of another stack as ours."""

    platform: Platform
    tables: dict[str, Any]
    """Of rack.toml."""
    device: DeviceDescription
    calibration: CalibrationSet
    files: dict[str, str] = field(default_factory=dict)
    """Name → SHA-256 of each file that was read."""

    @property
    def lines(self) -> list[Line]:
        """What became of each field."""
        return self.platform.ledger.lines

    def count(self, outcome: str) -> int:
        """Return how many fields had an outcome."""
        return sum(line.outcome == outcome for line in self.lines)

    def next_steps(self, folder: str = "DIR") -> list[str]:
        """Return the commands to run first."""
        return [
            f"pulsed config check {folder}/rack.toml",
            f"pulsed serve --config {folder}/rack.toml",
            "pulsed cal verify",
            "pulsed cal bringup",
        ]

    def report(self, folder: str = "DIR") -> dict[str, Any]:
        """Return everything that is known of the import, as plain values."""
        return {
            "name": self.device.name,
            "stack": self.platform.stack,
            "files": self.files,
            "qubits": {f"Q{q}": name for q, name in enumerate(self.platform.qubits)},
            "calibration_id": self.calibration.calibration_id,
            "values": len(self.calibration.values),
            "lines": [
                {key: value for key, value in asdict(line).items() if value not in ("", None)} for line in self.lines
            ],
            "next": self.next_steps(folder),
        }


def convert(paths: Sequence[Path], stack: str | None, now: str) -> Imported:
    """Read the files of one device; a folder stands for those in it that its format knows.

    Args:
        paths: files, or one folder.
        stack: a key of :data:`FORMATS`; None: told from what the files hold.
        now: ISO 8601, of the values.

    Raises:
        ConfigError: a file cannot be read, or nothing of it can.
        InvalidValueError: the files are of no known format, of more than one, or of another generation.

    """
    files = _files(paths)
    chosen = stack or _detected(files)
    ledger = Ledger(now)
    found = FORMATS[chosen].read(files, ledger)
    tables = rack_tables(found)
    device, problems = device_of(tables)
    for problem in problems:
        ledger.ask(
            problem.subject, f"{problem.message}: {problem.value}" + (f" ({problem.legal})" * bool(problem.legal))
        )
    _compare(found)
    values = dict(sorted(ledger.values.items()))
    calibration = CalibrationSet(device.name, values, now, made_for=basis_of(device))
    hashes = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    return Imported(found, tables, device, calibration, hashes)


def elsewhere(
    imported: Imported, tables: dict[str, Any], ports: Mapping[str, str], left: Mapping[str, str]
) -> Imported:
    """Return an import for another rack: with its tables, its names of the ports, and without the values ``left``."""
    ledger = imported.platform.ledger
    device, problems = device_of(tables)
    ledger.lines[:] = [line for line in ledger.lines if line.outcome != "to do"]
    for problem in problems:
        ledger.ask(problem.subject, f"{problem.message}: {problem.value}")
    for name, why in left.items():
        ledger.ask(name, why)
    values = {}
    for name, value in imported.calibration.values.items():
        subject, _, parameter = name.partition(".")
        if name not in left:
            values[f"{ports.get(subject, subject)}.{parameter}"] = value
    calibration = CalibrationSet(device.name, values, imported.calibration.created, made_for=basis_of(device))
    return replace(imported, tables=tables, device=device, calibration=calibration)


def write(imported: Imported, folder: Path, extra: Mapping[str, bytes] | None = None) -> None:
    """Write rack.toml, calibration.json and import.json, and ``extra`` files in place of them or beside.

    All of them or none. Raises :class:`InvalidValueError` when there is something in ``folder``.
    """
    head = f"# Written by `pulsed import` from {imported.platform.stack}; import.json says where each value is from.\n"
    files = {
        "rack.toml": (head + "\n".join(toml_lines(imported.tables)) + "\n").encode(),
        "calibration.json": imported.calibration.to_json(),
        "import.json": msgspec.json.format(msgspec.json.encode(imported.report(str(folder))), indent=1) + b"\n",
        **(extra or {}),
    }
    write_folder(folder, files, "--to")


def _files(paths: Sequence[Path]) -> dict[str, Path]:
    """Return the files by name; of a folder those that a format knows, else its JSON files."""
    found: dict[str, Path] = {}
    known = {name for one in FORMATS.values() for name in one.names}
    for path in paths:
        inside = sorted(path.iterdir()) if path.is_dir() else [path]
        if path.is_dir():
            inside = [one for one in inside if one.name in known] or [one for one in inside if one.suffix == ".json"]
        for one in inside:
            if one.name in found:
                raise InvalidValueError("two files of one name", subject="FILE", value=str(one), legal="one of them")
            found[one.name] = one
    if not found:
        raise InvalidValueError("no file that could be read", subject="FILE", value=", ".join(map(str, paths)),
                                legal=", ".join(sorted(known)))  # fmt: skip
    return found


def _detected(files: Mapping[str, Path]) -> str:
    """Return the format that the files are of, by what they hold."""
    found = set()
    for path in files.values():
        if path.suffix == ".json":
            data = read_json(path)
            found |= {name for name, one in FORMATS.items() if isinstance(data, dict) and one.fits(data)}
    if len(found) == 1:
        return found.pop()
    raise InvalidValueError(
        "is of more than one stack" if found else "is of no stack that is known: say which with --from",
        subject="FILE", value=", ".join(files), legal=", ".join(sorted(found) or FORMATS),
    )  # fmt: skip


def _compare(found: Platform) -> None:
    """Ask a person to look at values that contradict each other, or what is usual."""
    values = found.ledger.values
    for q in range(len(found.qubits)):
        alpha, beta = _number(values.get(f"Q{q}.anharmonicity")), _number(values.get(f"Q{q}.x.beta"))
        if alpha > 0:
            why = "is positive: of a transmon it is negative; the routine anharmonicity measures it"
            found.ledger.ask(f"Q{q}.anharmonicity", why)
        first_order = 1 / (2 * math.pi * float(found.dt) * abs(alpha)) if alpha else math.inf
        if alpha * beta > 0 and abs(beta) > _NOTICED * first_order:
            found.ledger.ask(f"Q{q}.x.beta", "has the sign of the anharmonicity: DRAG of first order has −1/(2πα)")


def _number(value: Value | None) -> float:
    return value.value if value is not None and isinstance(value.value, float) else 0.0


__all__ = ["FORMATS", "UNVERIFIED", "Format", "Imported", "convert", "write"]
