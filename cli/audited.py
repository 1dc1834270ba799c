"""Changes that are made beside the daemon, in its audit log all the same."""

from __future__ import annotations

import getpass
import os
from pathlib import Path

from pulsed.store.audit_log import AuditLog, AuditRecord


def note_change(home: Path, what: str, name: str, detail: str) -> None:
    """Write a change into the audit log, by the name of this machine's user."""
    try:
        who = getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        who = f"user {os.getuid()}"
    log = AuditLog(home / "audit")
    log.append([AuditRecord(who, what, "done", host="this machine", object=name, detail=detail)])
    log.close()
