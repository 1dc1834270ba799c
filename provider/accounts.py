"""Daemons that a user saved by name: where they are and which key to use. Secrets stay in their key files."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from pulsed.model.errors import ConfigError, NotFoundError

DEFAULT = "default"
"""Name of the account that a provider takes when it is given nothing."""


class Account(msgspec.Struct, frozen=True, omit_defaults=True):
    """One saved daemon: its address, and a key file or the name of a key."""

    url: str | None = None
    key: str | None = None


def accounts_file() -> Path:
    """Return where accounts are kept: ``accounts.json`` in the home directory of pulsed."""
    from pulsed.client.home import home_directory

    return home_directory() / "accounts.json"


def read_accounts() -> dict[str, Account]:
    """Return all saved accounts by name. Raises :class:`ConfigError` for a file that is none of ours."""
    path = accounts_file()
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Account])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigError(f"the saved accounts cannot be read: {error}", subject=str(path)) from error


def find_account(name: str) -> Account:
    """Return the account called ``name``. Raises :class:`NotFoundError`."""
    accounts = read_accounts()
    if name not in accounts:
        raise NotFoundError(
            "no such account", subject=str(accounts_file()), value=name, legal=", ".join(accounts) or "none is saved"
        )
    return accounts[name]


def write_accounts(accounts: dict[str, Account]) -> None:
    """Save ``accounts`` in place of those there are."""
    path = accounts_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(accounts), indent=1) + b"\n")
    fresh.replace(path)
