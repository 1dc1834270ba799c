"""A calibration set with its rack in one file, for a backend away from the rack."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pulsed import __version__
from pulsed.client.reading import read_device
from pulsed.model.calibration import CalibrationSet, from_json
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import ConfigError


class _Rack(msgspec.Struct):
    rack: msgspec.Raw = msgspec.Raw()
    pulsed: str = __version__


def export_json(calibration: CalibrationSet, device: DeviceDescription) -> bytes:
    """Return a set as readable JSON with the description of its rack under ``rack``.

    :func:`pulsed.model.calibration.from_json` reads the set alone.
    """
    content = msgspec.json.decode(calibration.to_json())
    content |= {"pulsed": __version__, "rack": device.model_dump(mode="json")}
    return msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"


def load_export(path: Path) -> tuple[DeviceDescription, CalibrationSet]:
    """Read what :func:`export_json` wrote. Raises :class:`ConfigError` for a file that is not that."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}", subject=str(path)) from error
    calibration = from_json(data, str(path))
    found = msgspec.json.decode(data, type=_Rack)
    if not bytes(found.rack):
        raise ConfigError(
            "is a calibration set without its rack: export it again, or give the rack's description before it",
            subject=str(path),
        )  # fmt: skip
    return read_device(bytes(found.rack), found.pulsed), calibration
