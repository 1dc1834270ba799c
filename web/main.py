"""The process of the pages: `pulsed web` becomes it."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import socket
import sys
import threading
import time
import webbrowser
from collections.abc import Callable

import msgspec
import uvicorn

from pulsed.client.home import home_directory
from pulsed.client.keys import find_key
from pulsed.client.speaking import check_person
from pulsed.model.errors import InvalidValueError
from pulsed.model.visible import visible
from pulsed.web.access.sign_in import LINK_SECONDS, SignIn
from pulsed.web.app import make_app
from pulsed.web.lab import Lab
from pulsed.web.notices import Notices
from pulsed.wire.roles import parse_role

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class WebOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `pulsed web` was told."""

    url: str | None = None
    """Of the daemon; None for this machine's."""
    key: str = "web"
    """The file or the name of the key of the page."""
    port: int = 8810
    host: str = "127.0.0.1"
    certificate: str | None = None
    private_key: str | None = None
    browser: bool = True
    """Whether to open one."""
    person: str = ""
    """Whom the first link is for."""


def check(options: WebOptions) -> None:
    """Raise :class:`InvalidValueError` for a page that others could read on the way, and for what is no name."""
    check_person(options.person)
    encrypted = options.certificate is not None and options.private_key is not None
    if (options.certificate is None) != (options.private_key is None):
        raise InvalidValueError(
            "a certificate and its private key belong together", subject="--certificate, --private-key",
            value=options.certificate or options.private_key, legal="both or none",
        )  # fmt: skip
    if not encrypted and not is_loopback(options.host):
        raise InvalidValueError(
            "beyond this machine the page is served over TLS alone", subject="--host", value=options.host,
            legal="127.0.0.1, or with --certificate and --private-key",
        )  # fmt: skip


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, for itself."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def run(options: WebOptions) -> None:
    """Serve the pages until Ctrl-C or SIGTERM.

    Raises :class:`InvalidValueError`, :class:`KeyFileError` when there is no key to speak to the daemon with, and
    ``OSError`` when the port is taken.
    """
    check(options)
    logging.basicConfig(format="%(asctime)s %(message)s")
    logging.getLogger("pulsed.web").setLevel(logging.INFO)  # who lets whom in
    key = find_key(options.key, home_directory())
    listening = _listen(options.host, options.port)
    port = listening.getsockname()[1]
    notices, sign_in = Notices(), SignIn(time.time)
    secure = options.certificate is not None
    app = make_app(
        Lab(options.url, options.key, notices), sign_in, notices, cookie=f"pulsed-{port}",
        hosts=_LOOPBACK if is_loopback(options.host) else (options.host,), secure=secure,
    )  # fmt: skip
    base = f"http{'s' if secure else ''}://{f'[{options.host}]' if ':' in options.host else options.host}:{port}"
    role = parse_role(key.role or "operator")

    def link(person: str) -> str:
        return f"{base}/sign-in?link={sign_in.new_link(role, person)}"

    first = link(options.person)
    _say(f"the lab is at {base} (Ctrl-C stops), with the key {key.name}")
    _say(f"sign in, once, within {LINK_SECONDS / 60:.0f} minutes: {first}")
    if sys.stdin is not None and sys.stdin.isatty():
        _say(f"it is for {options.person}; type a name and Enter for another link, which is for them")
        threading.Thread(target=_more_links, args=(link, options.person), name="links", daemon=True).start()
    if options.browser:
        webbrowser.open(first)
    server = uvicorn.Server(uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=1,
        ssl_certfile=options.certificate, ssl_keyfile=options.private_key,
    ))  # fmt: skip
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise InvalidValueError(
            f"cannot listen there: {error.strerror or error}", subject="--port", value=f"{host} port {port}",
            legal="a free port of this machine",
        ) from error  # fmt: skip


def _more_links(link: Callable[[str], str], person: str) -> None:
    for line in sys.stdin:
        try:
            name = check_person(line.strip() or person)
            _say(f"for {name}, once: {link(name)}")
        except InvalidValueError as error:
            _say(str(error))


def _say(line: str) -> None:
    sys.stdout.write(visible(line) + "\n")
    sys.stdout.flush()
