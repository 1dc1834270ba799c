"""`pulsed config check`: everything that is wrong with a configuration, its drivers and the files it names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from pulsed.cli.configs import beside, find, starting_set
from pulsed.drivers.monitors import class_problems
from pulsed.drivers.rack.validation import load_rack
from pulsed.model.basis import check_basis
from pulsed.model.calibration import load_calibration
from pulsed.model.device import DeviceDescription, Reading, read_device
from pulsed.model.draft import asked
from pulsed.model.errors import ConfigError, PulsedError
from pulsed.model.units import format_quantity
from pulsed.simulator.chip.chip_file import load_chip
from pulsed.simulator.rack import wire_up

LEFT_OVER = 1e-3
"""Part of a state 1 that may be left when the next shot begins; readouts err by some of these."""


def problems(path: Path) -> tuple[DeviceDescription | None, list[PulsedError]]:
    """Return the description in ``path`` and everything that is wrong with it, its drivers and the files it names."""
    reading = read_device(path)
    return reading.device, problems_of(reading, path)


def problems_of(reading: Reading, path: Path) -> list[PulsedError]:
    """Return everything that is wrong with what was read of the file ``path``."""
    device, found, readable = reading
    everything: list[PulsedError] = list(found)
    if readable is not None:
        named = {problem.subject for problem in everything}
        everything += [problem for problem in load_rack(readable).problems if problem.subject not in named]
        for key, check_file in (("simulator", _chip_problems), ("calibration", _calibration_problems)):
            name = asked(readable, key)
            if name is not None and not beside(path, name).is_file():
                everything.append(_missing(key, path, name))
            elif name is not None and device is not None:
                everything += check_file(device, beside(path, name), everything)
    if device is not None:
        everything += class_problems(device.interlocks)
    if device is not None and not everything:
        everything += _opening_problems(device, path)
    return everything


def _chip_problems(device: DeviceDescription, file: Path, known: Sequence[PulsedError]) -> list[PulsedError]:
    """Return why the simulated rack would not start, unless that is known."""
    try:
        wire_up(device, load_chip(file))
    except PulsedError as error:
        return [error] if all(error.subject != other.subject for other in known) else []
    return []


def _opening_problems(device: DeviceDescription, path: Path) -> list[PulsedError]:
    """Return why no client could open the backend, whose Target and configuration come of this description."""
    from pulsed.provider.backend import PulsedBackend

    try:
        backend = PulsedBackend(device, starting_set(device, path))
        backend.configuration()
        backend.defaults()
    except PulsedError as error:
        return [error]
    except Exception as error:  # noqa: BLE001 - whatever it is, it keeps every client out
        return [ConfigError(f"no client could open this backend: {type(error).__name__}: {error}", subject=str(path))]
    return []


def _missing(key: str, path: Path, name: str) -> ConfigError:
    return ConfigError("no such file", subject=key, value=name, legal=f"a path relative to {path.parent}")


def _calibration_problems(device: DeviceDescription, file: Path, known: Sequence[PulsedError]) -> list[PulsedError]:
    """Return why the daemon would not start from this set; with what a rack has by mistake it is not compared."""
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
    if known:
        return []
    try:
        check_basis(calibration, device)
    except ConfigError as error:
        legal = "the rack that it was made for, a set of this one, or none: the design sheet's values"
        return [ConfigError(f"the set {error.message}", subject="calibration", value=file.name, legal=legal)]
    return []


def _notes(device: DeviceDescription, path: Path) -> list[str]:
    """Return what is no mistake, but hardly meant: shots that begin with what the shot before has left."""
    calibration = starting_set(device, path)
    delay, qubits = device.limits.rep_delay, [f"Q{q}" for q in range(device.num_qubits)]
    known = {q: calibration.number(f"{q}.t1") for q in qubits if calibration.has(f"{q}.t1")}
    slowest = max(known, key=lambda q: known[q], default=None)
    if slowest is None or math.exp(-delay / known[slowest]) <= LEFT_OVER:
        return []
    left, enough = math.exp(-delay / known[slowest]), -math.log(LEFT_OVER) * known[slowest]
    return [
        f"limits.rep_delay = {format_quantity(delay, 's')}: {100 * left:.2g} % of a 1 of {slowest} (T1 "
        f"{format_quantity(known[slowest], 's')}) are left when the next shot begins, and read as errors that the "
        f"Target does not state; {100 * LEFT_OVER:g} % are left after {format_quantity(1.05 * enough, 's', 2)}. "
        "Circuits that begin with a reset need less."
    ]


def check(text: str, *, as_json: bool = False) -> int:
    """Print what is wrong with the configuration ``text``, or what it describes. Returns the exit code."""
    path = find(text)
    device, found = problems(path)
    if as_json:
        from pulsed.cli.screens.text import say_json

        answer: dict[str, object] = {"file": str(path), "problems": [problem.to_info() for problem in found]}
        if device is not None:
            answer |= {
                "notes": [] if found else _notes(device, path),
                "name": device.name,
                "qubits": device.num_qubits,
                "instruments": list(device.instruments),
            }
        say_json(answer)
    else:
        _show(path, device, found)
    return 1 if found else 0


def _show(path: Path, device: DeviceDescription | None, found: Sequence[PulsedError]) -> None:
    from rich.padding import Padding
    from rich.text import Text

    from pulsed.cli.screens.terminal import Terminal, plain

    console = Terminal(error=bool(found))
    if device is not None and not found:
        good = Text.assemble(
            ("ok", "green"), plain(f" {path}: "), plain(device.name, "bold"), plain(f", {device.description}")
        )
        console.print(good, soft_wrap=True)
        console.print(
            f"   {device.num_qubits} qubits, {len(device.couplings)} couplings, {len(device.instruments)} instruments, "
            f"{len(device.ports)} ports, dt = {float(device.dt) * 1e9:g} ns"
        )
        for note in _notes(device, path):
            console.print(Padding(plain(note, "yellow"), (0, 0, 0, 3), expand=False))
        return
    for problem in found:
        unknown_key = problem.subject.split(".")[-1] == problem.value
        line = Text.assemble(("✗ ", "red"), plain(problem.subject, "bold"))
        if problem.value and not unknown_key:
            line.append(" = ").append(plain(problem.value, "red"))
        console.print(line, soft_wrap=True)
        console.print(Padding(plain(problem.message), (0, 0, 0, 4), expand=False))
        if problem.legal:
            console.print(Padding(Text.assemble("legal: ", plain(problem.legal, "green")), (0, 0, 0, 4), expand=False))
    console.print(f"{len(found)} problem{'s' * (len(found) != 1)} in {path}", soft_wrap=True)
