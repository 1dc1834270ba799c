"""What `pulsed cal export --as` writes: a calibration set as the files of another stack."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pulsed.model.errors import InvalidValueError

if TYPE_CHECKING:
    from pulsed.calibration.interchange.exporting import Exported
    from pulsed.model.calibration import CalibrationSet
    from pulsed.model.device import DeviceDescription

KINDS = ("ibm", "qibolab", "quam", "csv")
"""What `--as` takes."""


def exported(kind: str, device: DeviceDescription, calibration: CalibrationSet) -> Exported:
    """Return the files of ``kind``, and the values that have no place in them."""
    if kind == "ibm":
        return ibm_files(device, calibration)
    from pulsed.calibration.interchange.exporting import as_csv, as_qibolab
    from pulsed.calibration.interchange.exporting_quam import as_quam

    return {"csv": as_csv, "qibolab": as_qibolab, "quam": as_quam}[kind](device, calibration)


def ibm_files(device: DeviceDescription, calibration: CalibrationSet) -> Exported:
    """Return conf, props and defs as Qiskit's classes and its tools read them, through the backend's own."""
    from pulsed.calibration.interchange.exporting import Exported
    from pulsed.provider import PulsedBackend

    backend = PulsedBackend.from_export(device, calibration)
    parts: dict[str, Any] = {"conf": backend.configuration(), "props": backend.properties(), "defs": backend.defaults()}
    files = {
        f"{name}_{device.name}.json": json.dumps(part.to_dict(), default=_plain, indent=1).encode() + b"\n"
        for name, part in parts.items() if part is not None
    }  # fmt: skip
    return Exported(files)


def _plain(value: Any) -> Any:
    return [value.real, value.imag] if isinstance(value, complex) else str(value)


def write_exported(found: Exported, where: Path, kind: str) -> None:
    """Write a folder of files, or the one file that there is. Raises :class:`InvalidValueError`."""
    from pulsed.calibration.interchange.folders import write_folder

    if kind != "csv":
        write_folder(where, found.files, "FILE")
        return
    (content,) = found.files.values()
    try:
        where.write_bytes(content)
    except OSError as error:
        raise InvalidValueError(f"cannot be written: {error.strerror}", subject=str(where)) from error
