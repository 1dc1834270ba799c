"""Rack configurations by file or by shipped name, and what `pulsed config check` says about them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path

import pulsed.configs
from pulsed.model.calibration import load_calibration
from pulsed.model.device import DeviceDescription, check_device
from pulsed.model.errors import ConfigError, PulsedError


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


def problems(path: Path) -> tuple[DeviceDescription | None, list[PulsedError]]:
    """Return the description in ``path`` and everything that is wrong with it and the files it names."""
    device, found = check_device(path)
    everything: list[PulsedError] = list(found)
    if device is None:
        return None, everything
    everything += _driver_problems(device)
    if device.simulator is not None and not beside(path, device.simulator).is_file():
        everything.append(_missing("simulator", path, device.simulator))
    if device.calibration is not None:
        file = beside(path, device.calibration)
        if not file.is_file():
            everything.append(_missing("calibration", path, device.calibration))
        else:
            everything += _calibration_problems(device, file)
    return device, everything


def _driver_problems(device: DeviceDescription) -> list[ConfigError]:
    known = {entry.name for entry in entry_points(group="pulsed.drivers")}
    return [
        ConfigError(
            "no such driver is installed",
            subject=f"instruments.{name}.driver",
            value=item.driver,
            legal=", ".join(sorted(known)),
        )
        for name, item in device.instruments.items()
        if item.driver not in known
    ]


def _missing(key: str, path: Path, name: str) -> ConfigError:
    return ConfigError("no such file", subject=key, value=name, legal=f"a path relative to {path.parent}")


def _calibration_problems(device: DeviceDescription, file: Path) -> list[PulsedError]:
    try:
        calibration = load_calibration(file)
    except PulsedError as error:
        return [error]
    if calibration.device != device.name:
        return [
            ConfigError(
                "the calibration set belongs to another device",
                subject="calibration",
                value=calibration.device,
                legal=device.name,
            )
        ]
    return []


def check(text: str, *, as_json: bool = False) -> int:
    """Print what is wrong with the configuration ``text``, or what it describes. Returns the exit code."""
    path = find(text)
    device, found = problems(path)
    if as_json:
        import click
        import msgspec

        answer: dict[str, object] = {"file": str(path), "problems": [problem.to_info() for problem in found]}
        if device is not None:
            answer |= {"name": device.name, "qubits": device.num_qubits, "instruments": list(device.instruments)}
        click.echo(msgspec.json.format(msgspec.json.encode(answer), indent=1))
    else:
        _show(path, device, found)
    return 1 if found else 0


def _show(path: Path, device: DeviceDescription | None, found: Sequence[PulsedError]) -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console(stderr=bool(found), highlight=False)
    if device is not None and not found:
        good = Text.assemble(("ok", "green"), f" {path}: ", (device.name, "bold"), f", {device.description}")
        console.print(good, soft_wrap=True)
        console.print(
            f"   {device.num_qubits} qubits, {len(device.couplings)} couplings, {len(device.instruments)} instruments, "
            f"{len(device.ports)} ports, dt = {float(device.dt) * 1e9:g} ns"
        )
        return
    for problem in found:
        unknown_key = problem.subject.split(".")[-1] == problem.value
        line = Text.assemble(("✗ ", "red"), (problem.subject, "bold"))
        if problem.value and not unknown_key:
            line.append(" = ").append(problem.value, "red")
        console.print(line, soft_wrap=True)
        console.print(Padding(Text(problem.message), (0, 0, 0, 4), expand=False))
        if problem.legal:
            console.print(Padding(Text.assemble("legal: ", (problem.legal, "green")), (0, 0, 0, 4), expand=False))
    console.print(f"{len(found)} problem{'s' * (len(found) != 1)} in {path}", soft_wrap=True)
