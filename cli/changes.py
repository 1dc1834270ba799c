"""How commands change the active calibration set, and what they say of it then."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from rich.console import Group

from pulsed.cli.screens.calibration import change_screen
from pulsed.cli.screens.terminal import show_answer
from pulsed.client import Client
from pulsed.model.calibration import CalibrationSet
from pulsed.model.errors import ConflictError
from pulsed.model.parameters import parameter_of

CURRENT = "current"
LOOKED_THROUGH = 1000
"""Entries of the log, or values of a history, that are looked through."""


class _Changed(msgspec.Struct):
    """What a change did, for ``--json``."""

    calibration_id: str
    parent: str
    changed: tuple[str, ...]
    stale: list[dict[str, str]]
    mend: str


def known_name(client: Client, name: str) -> None:
    """Raise :class:`InvalidValueError` for a name that neither the active set nor the rack knows."""
    if name not in client.calibration().values:
        parameter_of(name, client.device())


def active_set(client: Client, expected: str | None) -> CalibrationSet:
    """Return the active set. Raises :class:`ConflictError` when it is another one than ``expected``, unless None."""
    current = client.calibration()
    if expected not in (None, current.calibration_id):
        raise ConflictError(
            "is not the active set any more", subject="calibration set", value=expected, legal=current.calibration_id
        )
    return current


def commit_set(client: Client, current: CalibrationSet, wanted: CalibrationSet, why: str, *, as_json: bool) -> None:
    """Store ``wanted``, make it active instead of ``current`` and say what that changed."""
    from pulsed.cli.consequences import ConsequenceWatch

    watch = ConsequenceWatch(client)
    client.put_calibration(wanted)
    client.commit_calibration(wanted.calibration_id, current.calibration_id, why)
    found, names = watch.look(), current.changed(wanted)
    changed = _Changed(wanted.calibration_id, current.calibration_id, names, found.plain(), found.command)
    screen = Group(change_screen(current, wanted), "", found.screen())
    show_answer(changed, screen, as_json=as_json)


def now() -> str:
    """Return the time of a change, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
