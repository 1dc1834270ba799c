"""Changes that are made beside the daemon, in its audit log all the same."""

from __future__ import annotations

import getpass
import os
from pathlib import Path

from pulsed.client.speaking import person
from pulsed.store.audit_log import AuditLog, AuditRecord


def note_change(home: Path, what: str, name: str, detail: str) -> None:
    """Write a change into the audit log, by the name of this machine's user."""
    log = AuditLog(home / "audit")
    log.append(
        [AuditRecord(user_name(), what, "done", host="this machine", object=name, detail=detail, person=person())]
    )
    log.close()


def user_name() -> str:
    """Return the name of this machine's user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        return f"user {os.getuid()}"
