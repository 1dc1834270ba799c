"""Rack configurations by file or by shipped name, and the calibration set that each begins with."""

from __future__ import annotations

from pathlib import Path

import pulsed.configs
from pulsed.model.calibration import CalibrationSet, design_sheet, load_calibration
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import ConfigError


def shipped() -> dict[str, Path]:
    """Return the configurations that come with pulsed, by name."""
    folder = Path(pulsed.configs.__file__).parent
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def find(text: str) -> Path:
    """Return the file that ``text`` means: a path, or the name of a shipped configuration.

    Raises :class:`ConfigError` that lists the shipped names.
    """
    path = Path(text)
    if path.is_file():
        return path
    try:
        return shipped()[text]
    except KeyError:
        raise ConfigError(
            "no such configuration", subject="--config", value=text, legal=f"a TOML file, or {', '.join(shipped())}"
        ) from None


def beside(config: Path, name: str) -> Path:
    """Return the file that ``config`` refers to as ``name``, relative to itself."""
    return config.parent / name


def starting_set(device: DeviceDescription, path: Path) -> CalibrationSet:
    """Return the calibration set that a daemon of this configuration begins with. Raises :class:`ConfigError`."""
    if device.calibration is None:
        return design_sheet(device)
    return load_calibration(beside(path, device.calibration))
