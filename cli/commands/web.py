"""`pulsed web`: becomes the process of the operators' page, which is a client of the daemon like this one."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click

from pulsed.cli.options import daemon_options

_KEY = "web"
"""The name of the page's own key."""


@click.command()
@daemon_options
@click.option("--port", type=click.IntRange(0, 65535), default=8810, show_default=True, help="Of the page; 0: any.")
@click.option(
    "--host", metavar="HOST", default="127.0.0.1", show_default=True,
    help="To listen on, and the name the page answers to. Beyond this machine it needs a certificate.",
)  # fmt: skip
@click.option("--certificate", metavar="FILE", help="TLS certificate (PEM), with those it hangs on.")
@click.option("--private-key", metavar="FILE", help="Private key (PEM) of the certificate.")
@click.option("--person", metavar="NAME", help="Whom the first link is for. Default: this machine's user.")
@click.option("--no-browser", is_flag=True, help="Do not open a browser; the link is printed all the same.")
def web(
    url: str | None, key: str | None, port: int, host: str, certificate: str | None, private_key: str | None,
    person: str | None, no_browser: bool,
) -> None:  # fmt: skip
    """Serve the operators' page: rack and queue, live, in a browser.

    It prints a link that signs one browser in, once; a name and Enter prints another, for that person. Who signed in
    stands in the audit log beside the key of the page. Without --key it has the key `web` of this
    machine's daemon, an operator's, which is made when it is not there.
    """
    from pulsed.cli.audited import user_name
    from pulsed.cli.lab_part import require_web_part
    from pulsed.client.home import home_directory

    require_web_part()
    options = {
        "url": url, "key": key or _own_key(home_directory()), "port": port, "host": host, "certificate": certificate,
        "private_key": private_key, "browser": not no_browser, "person": person or user_name(),
    }  # fmt: skip
    os.execv(sys.executable, [sys.executable, "-m", "pulsed.web", json.dumps(options)])


def _own_key(home: Path) -> str:
    """Return the name of the page's key; it is made where the daemon's own key is."""
    from pulsed.cli.audited import note_change
    from pulsed.client.keys import add_client, client_path
    from pulsed.wire.roles import Role

    if (home / "server.key").exists() and not client_path(home, _KEY).exists():
        add_client(home, _KEY, str(Role.OPERATOR))
        note_change(home, "keys.add", _KEY, f"{Role.OPERATOR}, expires never, by `pulsed web`")
    return _KEY
