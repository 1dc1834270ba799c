"""Tables of a device description that say who is told what of the daemon. They stay with it: no client is sent them."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveInt

from pulsed.model.policies import Table
from pulsed.model.units import Seconds


def host_and_port(text: str) -> tuple[str, int]:
    """Return the two parts of ``HOST:PORT``. Raises ``ValueError`` for what is none."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError("not HOST:PORT")
    return host.strip("[]"), int(port)


def _loopback(text: str) -> str:
    host, _ = host_and_port(text)
    if not ipaddress.ip_address(host).is_loopback:
        raise ValueError("not an address of this machine alone: write for example '127.0.0.1:9464'")
    return text


def _server(text: str) -> str:
    host_and_port(text)
    return text


def _web(text: str) -> str:
    if urlsplit(text).scheme not in ("http", "https") or not urlsplit(text).hostname:
        raise ValueError("not an address of the web: write for example 'https://chat.example.org/hook'")
    return text


def _one_line(text: str) -> str:
    if not text or not text.isprintable():
        raise ValueError("not one line of text")
    return text


Line = Annotated[str, AfterValidator(_one_line)]


class Metrics(Table):
    """Where Prometheus finds figures about the daemon."""

    listen: Annotated[str, AfterValidator(_loopback)] | None = None
    """HOST:PORT where `/metrics` is served, on this machine alone, for example `"127.0.0.1:9464"`; None: nowhere."""
    calibration: Seconds | None = Field(default=1800.0, gt=0)
    """How often the calibration graph is looked at for what is stale, by a process of its own; None: never."""


class Mail(Table):
    """How alerts are sent by mail."""

    server: Annotated[str, AfterValidator(_server)]
    """HOST:PORT of the mail server."""
    sender: Line
    """Address that they come from."""
    to: Annotated[tuple[Line, ...], Field(min_length=1)]
    """Addresses that they go to."""
    security: Literal["none", "starttls", "tls"] = "starttls"
    """How the connection is encrypted."""
    user: str = ""
    """Name to log in with; empty: without."""
    password_file: str = ""
    """File with the password, readable by the daemon alone."""


class Alerts(Table):
    """Who is told when something needs a person, and of what. A rule that is none is off."""

    webhooks: tuple[Annotated[str, AfterValidator(_web)], ...] = ()
    """Addresses that each alert is posted to as JSON; its `text` is one line, as chats take it."""
    mail: Mail | None = None
    """Who gets it by mail."""
    repeat: Seconds = Field(default=14400.0, gt=0)
    """After this time an alert that is not over is sent again."""
    most: PositiveInt = 30
    """Messages an hour; of more, only the number is told."""
    instrument_lost: Seconds | None = Field(default=60.0, ge=0)
    """An instrument is away, or not well, for this long."""
    interlock: bool | None = True
    """An interlock has tripped."""
    queue_stuck: Seconds | None = Field(default=900.0, gt=0)
    """Jobs wait, and none has played or been compiled, for this long."""
    disk_low: NonNegativeInt | None = 2 * 2**30
    """Fewer bytes are free on the disk of the store."""
    drift: bool | None = True
    """A check has found a calibration out of spec, or a qubit or pair is faulty."""
    worker_restarts: PositiveInt | None = 3
    """A worker process had to be started again this many times within an hour."""
