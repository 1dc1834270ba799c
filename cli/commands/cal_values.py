"""`pulsed cal history`, `set`, `disable`, `enable` and `cooldown`: single values, and what they belong to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import click

from pulsed.cli.changes import LOOKED_THROUGH, active_set, commit_set, known_name, now
from pulsed.cli.options import as_json_option, daemon_options, expected_option, why_option
from pulsed.cli.screens.calibration import history_screen
from pulsed.cli.screens.terminal import show_answer
from pulsed.client import Client
from pulsed.client.speaking import named, person
from pulsed.model.calibration import CalibrationSet, Fault, Value, design_sheet
from pulsed.model.errors import InvalidValueError, NotFoundError
from pulsed.model.parameters import CalibratedParameter, parameter_of, subjects
from pulsed.model.units import parse_quantity

if TYPE_CHECKING:
    from pulsed.model.device import DeviceDescription


def parse_numbers(name: str, text: str, parameter: CalibratedParameter) -> float | tuple[float, ...]:
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


@click.command()
@click.argument("name")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many, newest first.")
@daemon_options
@as_json_option
def history(name: str, limit: int, url: str | None, key: str | None, as_json: bool) -> None:
    """Show the values that NAME, such as Q2.f01, has had."""
    with Client(url, key) as client:
        found = client.value_history(name, limit)
        if not found:
            known_name(client, name)
    show_answer(
        [{"since": one.since, "value": one.value, "calibration_id": one.calibration_id} for one in found],
        history_screen(name, found), as_json=as_json,
    )  # fmt: skip


@click.command("set")
@click.argument("name")
@click.argument("value")
@why_option
@click.option("--stderr", metavar="VALUE", help="Standard error, in the same unit.")
@click.option("--force", is_flag=True, help="Also a value that is out of bounds or far from the one before.")
@expected_option
@daemon_options
@as_json_option
def set_value(
    name: str, value: str, why: str, stderr: str | None, force: bool, expected: str | None, url: str | None,
    key: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Set one value by hand: `set Q2.f01 4.91GHz`, `set d0.mixer.offset 0.001,-0.003`."""
    from pulsed.calibration.runner.transaction import refusal

    with Client(url, key) as client:
        device, current = client.device(), active_set(client, expected)
        parameter = parameter_of(name, device)
        number = parse_numbers(name, value, parameter)
        error = None
        if stderr is not None:
            found = parse_numbers("--stderr", stderr, parameter._replace(counts=(1,)))
            error = found if isinstance(found, float) else None
        candidate = Value(number, parameter.unit, error, now(), "set", "", "set")
        reason = refusal(name, candidate, _measured(client, name, current))
        if reason and not force:
            raise InvalidValueError(f"{reason}; --force sets it all the same", subject=name, value=value)
        commit_set(client, current, current.with_values({name: candidate}, now()), why, as_json=as_json)


def _measured(client: Client, name: str, current: CalibrationSet) -> CalibrationSet:
    """Return the active set with the newest measured value of ``name`` of this cooldown in the place of a guess.

    One step by hand after another would else lead anywhere.
    """
    if name not in current.values or current.values[name].quality != "set":
        return current
    for past in client.value_history(name, LOOKED_THROUGH):
        if past.value.quality not in ("good", "set"):
            break
        if past.value.quality == "good":
            same = client.calibration(past.calibration_id).cooldown == current.cooldown
            return current.with_values({name: past.value}, current.created) if same else current
    return current


@click.command()
@click.argument("subject")
@why_option
@expected_option
@daemon_options
@as_json_option
def disable(subject: str, why: str, expected: str | None, url: str | None, key: str | None, as_json: bool) -> None:
    """Mark a qubit or a pair as faulty: it leaves the Target, and is not calibrated any more."""
    with Client(url, key) as client:
        current = active_set(client, expected)
        legal = [one for one, kind in subjects(client.device()).items() if kind != "port"]
        if subject not in legal:
            raise InvalidValueError("no such qubit or pair", subject="subject", value=subject, legal=", ".join(legal))
        faults = {**current.faults, subject: Fault(why, now(), named(client.greeting.user, person()))}
        commit_set(client, current, current.with_faults(faults, now()), why, as_json=as_json)


@click.command()
@click.argument("subject")
@click.option("--why", metavar="TEXT", default="", help="Kept in the log.")
@expected_option
@daemon_options
@as_json_option
def enable(subject: str, why: str, expected: str | None, url: str | None, key: str | None, as_json: bool) -> None:
    """Take the mark of a faulty qubit or pair away."""
    with Client(url, key) as client:
        current = active_set(client, expected)
        if subject not in current.faults:
            raise NotFoundError(
                "is not marked as faulty", subject="subject", value=subject, legal=", ".join(current.faults) or "none"
            )
        faults = {one: found for one, found in current.faults.items() if one != subject}
        commit_set(client, current, current.with_faults(faults, now()), why, as_json=as_json)


@click.group()
def cooldown() -> None:
    """Manage cooldowns; a value is carried over to a new one only when asked."""


@cooldown.command("new")
@click.option("--name", metavar="NAME", help="Of the cooldown. Default: the next number.")
@click.option("--keep", metavar="NAMES", default="", help="Values to keep, e.g. '*.mixer.*,in.delay'.")
@click.option("--why", metavar="TEXT", default="new cooldown", show_default=True, help="Kept in the log.")
@daemon_options
@as_json_option
def new_cooldown(name: str | None, keep: str, why: str, url: str | None, key: str | None, as_json: bool) -> None:
    """Begin a cooldown: a set with the design sheet's values alone, nothing faulty."""
    with Client(url, key) as client:
        device, current = client.device(), client.calibration()
        kept = _kept_values(current.values, [pattern.strip() for pattern in keep.split(",") if pattern.strip()])
        cooldown = name or next_cooldown(current.cooldown)
        if cooldown == current.cooldown:
            raise InvalidValueError("this is the present cooldown", subject="--name", value=cooldown)
        commit_set(client, current, fresh_set(device, current, cooldown, kept), why, as_json=as_json)


def fresh_set(
    device: DeviceDescription, current: CalibrationSet, cooldown: str, kept: Mapping[str, Value]
) -> CalibrationSet:
    """Return the set that a cooldown begins with: the design sheet's values, and ``kept``."""
    values = {**design_sheet(device).values, **kept}
    return CalibrationSet(
        device.name, values, now(), current.calibration_id, cooldown, made_for=design_sheet(device).made_for
    )


def next_cooldown(name: str) -> str:
    """Return the name with its last number one higher: ``"c7"`` → ``"c8"``; ``"2"`` follows a name without one."""
    match = re.fullmatch(r"(.*?)(\d+)", name)
    return f"{match[1]}{int(match[2]) + 1}" if match else f"{name}2"


def _kept_values(values: Mapping[str, Value], patterns: Iterable[str]) -> dict[str, Value]:
    kept: dict[str, Value] = {}
    for pattern in patterns:
        fitting = {name: value for name, value in values.items() if fnmatchcase(name, pattern)}
        if not fitting:
            raise InvalidValueError("no active value has such a name", subject="--keep", value=pattern)
        kept |= fitting
    return kept
