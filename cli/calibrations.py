"""What the commands `pulsed cal …` do that measure nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from pulsed.cli import calibration_screens
from pulsed.cli.asking import show as show_answer
from pulsed.client import Client
from pulsed.model.calibration import CalibrationSet, Fault, Value, design_sheet, load_calibration
from pulsed.model.errors import InvalidValueError, NotFoundError
from pulsed.model.parameters import Parameter, parameter_of, subjects
from pulsed.model.units import parse_quantity

if TYPE_CHECKING:
    from pulsed.model.device import DeviceDescription

CURRENT = "current"
_LOOKED_THROUGH = 1000
"""Entries of the log in which the beginning of an id is looked for."""
_SHORTEST = 4
"""Letters of the beginning of an id."""


class _Changed(msgspec.Struct):
    """What a change did, for ``--json``."""

    calibration_id: str
    parent: str
    changed: tuple[str, ...]


def find_set(client: Client, name: str) -> CalibrationSet:
    """Return the set that ``name`` means: an id, a tag, the beginning of an id in the log, or ``current``.

    Raises :class:`NotFoundError`.
    """
    if name == CURRENT:
        return client.calibration()
    for by in ({"calibration_id": name}, {"tag": name}):
        try:
            return client.calibration(**by)  # type: ignore[arg-type]
        except NotFoundError:
            continue
    known = {entry.calibration_id for entry in client.calibration_log(_LOOKED_THROUGH)}
    fitting = sorted(one for one in known if one.startswith(name)) if len(name) >= _SHORTEST else []
    if len(fitting) == 1:
        return client.calibration(fitting[0])
    raise NotFoundError(
        "more than one set begins like this" if fitting else "no such calibration set", subject="calibration set",
        value=name, legal=", ".join(fitting) or f"an id, the first {_SHORTEST} letters or more of one in the log, "
        f"a tag, or {CURRENT}",
    )  # fmt: skip


def parse_time(text: str) -> float:
    """Return an ISO 8601 time, local unless it says otherwise, as Unix time. Raises :class:`InvalidValueError`."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise InvalidValueError(
            "not a time", subject="--at", value=text, legal="2026-11-21, 2026-11-21T14:30, 2026-11-21T13:30:00Z"
        ) from None


def parse_numbers(name: str, text: str, parameter: Parameter) -> float | tuple[float, ...]:
    """Return a value as a person writes it, one number or several with commas between, each with or without unit.

    Raises :class:`InvalidValueError`.
    """
    unit = parameter.unit if parameter.unit in ("Hz", "s", "A") else ""
    try:
        numbers = [float(parse_quantity(item, unit or parameter.unit)) for item in text.split(",")]
    except ValueError as error:
        example = f"4.91 G{unit}" if unit else "0.123"
        raise InvalidValueError(
            "not a value", subject=name, value=text, legal=f"{example}, in {parameter.unit or 'no unit'}"
        ) from error
    if parameter.counts and len(numbers) not in parameter.counts:
        raise InvalidValueError(
            "not as many numbers as this value has", subject=name, value=str(len(numbers)),
            legal=" or ".join(map(str, parameter.counts)),
        )  # fmt: skip
    return numbers[0] if len(numbers) == 1 and (1 in parameter.counts or not parameter.counts) else tuple(numbers)


def show(name: str | None, at: str | None, tag: str | None, url: str | None, key: str | None, *, as_json: bool) -> None:
    """Show one set."""
    if sum(one is not None for one in (name, at, tag)) > 1:
        raise InvalidValueError("only one way to name a set", subject="cal show", legal="an id, --at or --tag")
    with Client(url, key) as client:
        if at is not None:
            found = client.calibration(time=parse_time(at))
        else:
            found = client.calibration(tag=tag) if tag is not None else find_set(client, name or CURRENT)
        current = client.calibration()
    in_force = found.calibration_id == current.calibration_id
    show_answer(found, calibration_screens.set_screen(found, in_force=in_force), as_json=as_json)


def log(limit: int, name: str | None, url: str | None, key: str | None, *, as_json: bool) -> None:
    """List the sets that came into force."""
    with Client(url, key) as client:
        if name is not None and not name.endswith(".fault"):
            _known_name(client, name)
        found = client.calibration_log(limit, name)
    show_answer(found, calibration_screens.log_screen(found), as_json=as_json)


def diff(first: str, second: str, url: str | None, key: str | None, *, as_json: bool) -> None:
    """Show what differs between two sets."""
    with Client(url, key) as client:
        old, new = find_set(client, first), find_set(client, second)
    changed = {
        name: {"old": old.values.get(name), "new": new.values.get(name)}
        for name in old.changed(new)
        if not name.endswith(".fault")
    }
    faults = {
        subject: {"old": old.faults.get(subject), "new": new.faults.get(subject)}
        for subject in sorted(old.faults.keys() | new.faults.keys())
        if old.faults.get(subject) != new.faults.get(subject)
    }
    answer = {"old": old.calibration_id, "new": new.calibration_id, "values": changed, "faults": faults}
    show_answer(answer, calibration_screens.diff_screen(old, new), as_json=as_json)


def history(name: str, limit: int, url: str | None, key: str | None, *, as_json: bool) -> None:
    """Show the values that one name has had."""
    with Client(url, key) as client:
        found = client.value_history(name, limit)
        if not found:
            _known_name(client, name)
    show_answer(
        [{"since": one.since, "value": one.value, "calibration_id": one.calibration_id} for one in found],
        calibration_screens.history_screen(name, found), as_json=as_json,
    )  # fmt: skip


def runs(
    routine: str | None, target: str | None, limit: int, url: str | None, key: str | None, *, as_json: bool
) -> None:
    """List records of measurements."""
    with Client(url, key) as client:
        found = client.runs(routine, target, limit)
    show_answer(found, calibration_screens.runs_screen(found), as_json=as_json)


def _known_name(client: Client, name: str) -> None:
    """Raise :class:`InvalidValueError` for a name that neither the set in force nor the rack knows."""
    if name not in client.calibration().values:
        parameter_of(name, client.device())


def set_value(
    name: str, text: str, stderr: str | None, why: str, url: str | None, key: str | None, *, force: bool, as_json: bool
) -> None:
    """Set one value by hand."""
    from pulsed.calibration.transaction import refusal

    with Client(url, key) as client:
        device, current = client.device(), client.calibration()
        parameter = parameter_of(name, device)
        number = parse_numbers(name, text, parameter)
        error = None
        if stderr is not None:
            found = parse_numbers("--stderr", stderr, parameter._replace(counts=(1,)))
            error = found if isinstance(found, float) else None
        value = Value(number, parameter.unit, error, _now(), "set", "", "set")
        reason = refusal(name, value, current)
        if reason and not force:
            raise InvalidValueError(f"{reason}; --force sets it all the same", subject=name, value=text)
        _commit(client, current, current.with_values({name: value}, _now()), why, as_json=as_json)


def fault(subject: str, why: str, url: str | None, key: str | None, *, as_json: bool) -> None:
    """Mark a qubit or a pair as faulty."""
    with Client(url, key) as client:
        current = client.calibration()
        legal = [one for one, kind in subjects(client.device()).items() if kind != "port"]
        if subject not in legal:
            raise InvalidValueError("no such qubit or pair", subject="subject", value=subject, legal=", ".join(legal))
        faults = {**current.faults, subject: Fault(why, _now(), client.greeting.user)}
        _commit(client, current, current.with_faults(faults, _now()), why, as_json=as_json)


def unfault(subject: str, why: str, url: str | None, key: str | None, *, as_json: bool) -> None:
    """Take the mark of a faulty qubit or pair away."""
    with Client(url, key) as client:
        current = client.calibration()
        if subject not in current.faults:
            raise NotFoundError(
                "is not marked as faulty", subject="subject", value=subject, legal=", ".join(current.faults) or "none"
            )
        faults = {one: found for one, found in current.faults.items() if one != subject}
        _commit(client, current, current.with_faults(faults, _now()), why, as_json=as_json)


def rollback(name: str, why: str, url: str | None, key: str | None, *, force: bool, as_json: bool) -> None:
    """Put a stored set in force."""
    with Client(url, key) as client:
        current, wanted = client.calibration(), find_set(client, name)
        _check_cooldown(current, wanted, force=force)
        _commit(client, current, wanted, why or f"rolled back to {name}", as_json=as_json)


def tag(name: str, text: str, url: str | None, key: str | None, *, move: bool, as_json: bool) -> None:
    """Give a set a name."""
    with Client(url, key) as client:
        found = find_set(client, name)
        client.tag_calibration(found.calibration_id, text, move=move)
    _say({"calibration_id": found.calibration_id, "tag": text}, f"{found.calibration_id} is {text}", as_json=as_json)


def export(file: str, name: str, url: str | None, key: str | None, *, as_json: bool) -> None:
    """Write a set to a file, or to the terminal."""
    with Client(url, key) as client:
        found = find_set(client, name)
    if file == "-":
        click.echo(found.to_json().decode(), nl=False)
        return
    try:
        Path(file).write_bytes(found.to_json())
    except OSError as error:
        raise InvalidValueError(f"cannot be written: {error.strerror}", subject=file) from error
    _say({"calibration_id": found.calibration_id, "file": file}, f"{found.calibration_id} → {file}", as_json=as_json)


def import_set(
    file: str, why: str, url: str | None, key: str | None, *, commit: bool, force: bool, as_json: bool
) -> None:
    """Store a set from a file, and put it in force when asked to."""
    found = load_calibration(Path(file))
    with Client(url, key) as client:
        client.put_calibration(found)
        if commit:
            current = client.calibration()
            _check_cooldown(current, found, force=force)
            _commit(client, current, found, why or f"imported from {Path(file).name}", as_json=as_json)
            return
    text = f"{found.calibration_id} is stored, and not in force"
    _say({"calibration_id": found.calibration_id}, text, as_json=as_json)


def new_cooldown(name: str | None, keep: str, why: str, url: str | None, key: str | None, *, as_json: bool) -> None:
    """Put a set with the design sheet's values, and those that are to be kept, in force."""
    with Client(url, key) as client:
        device, current = client.device(), client.calibration()
        kept = _kept(current.values, [pattern.strip() for pattern in keep.split(",") if pattern.strip()])
        cooldown = name or next_cooldown(current.cooldown)
        if cooldown == current.cooldown:
            raise InvalidValueError("this is the present cooldown", subject="--name", value=cooldown)
        _commit(client, current, fresh_set(device, current, cooldown, kept), why, as_json=as_json)


def fresh_set(
    device: DeviceDescription, current: CalibrationSet, cooldown: str, kept: Mapping[str, Value]
) -> CalibrationSet:
    """Return the set that a cooldown begins with: the design sheet's values, and ``kept``."""
    values = {**design_sheet(device).values, **kept}
    return CalibrationSet(device.name, values, _now(), current.calibration_id, cooldown)


def next_cooldown(name: str) -> str:
    """Return the name with its last number one higher: ``"c7"`` → ``"c8"``; ``"2"`` follows a name without one."""
    match = re.fullmatch(r"(.*?)(\d+)", name)
    return f"{match[1]}{int(match[2]) + 1}" if match else f"{name}2"


def _kept(values: Mapping[str, Value], patterns: Iterable[str]) -> dict[str, Value]:
    kept: dict[str, Value] = {}
    for pattern in patterns:
        fitting = {name: value for name, value in values.items() if fnmatchcase(name, pattern)}
        if not fitting:
            raise InvalidValueError("no value in force has such a name", subject="--keep", value=pattern)
        kept |= fitting
    return kept


def _check_cooldown(current: CalibrationSet, wanted: CalibrationSet, *, force: bool) -> None:
    if wanted.cooldown != current.cooldown and not force:
        raise InvalidValueError(
            "is of another cooldown; --force puts it in force all the same", subject=wanted.calibration_id,
            value=wanted.cooldown or "none", legal=current.cooldown or "none",
        )  # fmt: skip


def _commit(client: Client, current: CalibrationSet, wanted: CalibrationSet, why: str, *, as_json: bool) -> None:
    """Store ``wanted``, put it in force instead of ``current`` and say what that changed."""
    client.put_calibration(wanted)
    client.commit_calibration(wanted.calibration_id, current.calibration_id, why)
    changed = _Changed(wanted.calibration_id, current.calibration_id, current.changed(wanted))
    show_answer(changed, calibration_screens.change_screen(current, wanted), as_json=as_json)


def _say(answer: dict[str, str], text: str, *, as_json: bool) -> None:
    show_answer(answer, text, as_json=as_json)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
