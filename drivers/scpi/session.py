"""One SCPI session over a TCP socket or HiSLIP, the only place that speaks to an instrument.

pyvisa-py opens the session; bytes then go through the session's own sockets, because pyvisa-py sends in 4 KiB
pieces, waits without a limit for a device that stopped reading, and takes a broken connection for a slow one.
"""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np
import pyvisa
import pyvisa.rname

from pulsed import old_names
from pulsed.drivers.contract import remaining
from pulsed.drivers.scpi.transport import HislipTransport, SocketTransport, Transport, probe_hislip, transport_kind
from pulsed.model.errors import (
    ConfigError,
    InstrumentDataError,
    InstrumentError,
    InstrumentOverheatedError,
    InstrumentReferenceLostError,
    InstrumentRefusedError,
    InstrumentTimeoutError,
    InstrumentUnreachableError,
)

_ITEM = re.compile(rb'((?:[^";\n]++|"[^"\n]*+")*+)([;\n])')
_ENTRY = re.compile(r'([+-]?\d+),\s*"((?:[^"]|"")*)"')
_ENTRIES = re.compile(rf"{_ENTRY.pattern}(?:,{_ENTRY.pattern})*")
_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
_MAX_LINE = 1 << 24
_MAX_BLOCK = 1 << 31
_JOIN = 1 << 16
"""Pieces smaller than this are joined before they are sent."""


@dataclass(frozen=True)
class BlockCommand:
    """A command that ends in an IEEE 488.2 definite length block."""

    header: str
    """With the comma when parameters come before the block."""
    data: bytes | memoryview


CONDITIONS: dict[int, tuple[type[InstrumentError], str]] = {
    101: (InstrumentOverheatedError, "is overheated"),
    102: (InstrumentReferenceLostError, "has lost its reference clock"),
}
"""Device-dependent codes of the error queue that have an error of their own, see docs/instruments/common.md."""

ScpiCommand = str | BlockCommand
ScpiAnswer = str | memoryview
"""Text, or the bytes of a block."""


@cache
def _resource_manager() -> Any:
    return pyvisa.ResourceManager("@py")


_MANAGER_LOCK = threading.Lock()


def block_header(size: int) -> bytes:
    """Return what stands before the ``size`` bytes of a definite length block."""
    digits = str(size)
    return f"#{len(digits)}{digits}".encode()


ALL_ERRORS, NEXT_ERROR = "SYST:ERR:ALL?", "SYST:ERR?"
"""What asks for the error queue: all of it at once, where the instrument has that, or its oldest entry."""
_LONGEST_QUEUE = 256
"""Entries, after which an instrument that tells them one by one is taken for one that makes them up."""


def parse_errors(text: str) -> list[str]:
    """Return the entries of an answer to :data:`ALL_ERRORS` or :data:`NEXT_ERROR` without ``0,"No error"``.

    Raises ``ValueError`` for anything else: what cannot be read is not the news that there is no error.
    """
    if _ENTRIES.fullmatch(text.strip()) is None:
        raise ValueError(f"not the entries of an error queue: {text[:80]!r}")
    return [f'{int(code)},"{message}"' for code, message in _ENTRY.findall(text) if int(code) != 0]


def parse_address(address: str, key: str = "address") -> tuple[Any, type[SocketTransport] | type[HislipTransport]]:
    """Return a VISA address in parts and how it is spoken to; nothing is looked up. Raises :class:`ConfigError`."""
    try:
        parsed = pyvisa.rname.ResourceName.from_string(address)
    except pyvisa.rname.InvalidResourceName:
        parsed = None
    kind = transport_kind(parsed)
    if kind is None or not _is_endpoint(parsed):
        raise ConfigError(
            "not the VISA address of a socket or a HiSLIP server", subject=key, value=address,
            legal="TCPIP::HOST::PORT::SOCKET, TCPIP::HOST::hislip0,PORT::INSTR, with a host name or an IPv4 address "
            "and a port from 1 to 65535",
        )  # fmt: skip
    return parsed, kind


def _is_endpoint(parsed: Any) -> bool:
    """Whether host and port of a parsed address can be ones."""
    port = getattr(parsed, "port", None) or parsed.lan_device_name.partition(",")[2] or "4880"
    host = str(parsed.host_address)
    good = port.isdecimal() and 0 < int(port) < 1 << 16 and _HOST.fullmatch(host) is not None
    if host.replace(".", "").isdecimal():  # digits and dots are an IPv4 address, and no name
        numbers = host.split(".")
        good &= len(numbers) == 4 and all(n.isdecimal() and int(n) < 256 for n in numbers)
    return good


class Session:
    """The connection to one instrument. Not for two threads at a time.

    After a timeout or a broken connection it is closed: a late answer must not be taken for the next one.
    The constructor raises :class:`ConfigError` for an address that is none. ``error_query``: :data:`ALL_ERRORS`, or
    :data:`NEXT_ERROR` for an instrument that has nothing else.
    """

    def __init__(self, name: str, address: str, error_query: str = ALL_ERRORS) -> None:
        self.name = name
        self.address = address
        self._error_query = error_query
        self._parsed, self._kind = parse_address(address, f"instruments.{name}.address")
        self.resource: Any = None
        self.round_trips = 0
        """How often an answer was waited for."""
        self.bytes_sent = 0
        self._transport: Transport | None = None
        self._asked = ""
        self._pending = bytearray()
        self._buffer = bytearray(_JOIN)

    @property
    def subject(self) -> str:
        """The subject of its errors."""
        return f"instrument {self.name}"

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._transport is not None

    def connect(self, deadline: float) -> None:
        """Open the connection.

        Raises :class:`InstrumentUnreachableError`, :class:`InstrumentTimeoutError`, and :class:`InstrumentDataError`
        when something else than a HiSLIP server answers.
        """
        self.close()
        try:
            socket.getaddrinfo(str(self._parsed.host_address), None, socket.AF_INET)
        except OSError as error:
            raise InstrumentUnreachableError(
                f"no such host: {error.strerror}", subject=self.subject, value=self.address
            ) from error
        with _MANAGER_LOCK:
            manager = _resource_manager()
        if self._kind is HislipTransport:
            self._probe(self._parsed, deadline)
        opened: Any = None
        try:
            self.resource = manager.open_resource(
                self.address,
                open_timeout=max(1, int(1000 * remaining(deadline))),
                read_termination="\n",
                write_termination="\n",
            )
            opened = self.resource.visalib.sessions[self.resource.session].interface
            self._transport = self._kind(opened)
        except Exception as error:
            is_socket = isinstance(opened, socket.socket)
            reason = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) if is_socket else 0
            self.close()
            raise InstrumentUnreachableError(
                "cannot be reached" if not reason else f"cannot be reached: {_reason(reason)}",
                subject=self.subject,
                value=self.address,
            ) from error

    def _probe(self, parsed: Any, deadline: float) -> None:
        try:
            probe_hislip(parsed, deadline)
        except TimeoutError as error:
            raise self._broken(InstrumentTimeoutError, "no answer within the deadline", self.address) from error
        except OSError as error:
            reason = _reason(error.errno) or str(error)
            raise self._broken(InstrumentUnreachableError, f"cannot be reached: {reason}", self.address) from error
        except ValueError as error:
            raise self._garbage(str(error)) from error

    def close(self) -> None:
        """Close the connection. Idempotent."""
        self._transport = None
        self._pending.clear()
        if self.resource is not None:
            resource, self.resource = self.resource, None
            resource.close()

    def query(self, query: str, deadline: float) -> str:
        """Send one query and return its answer, the error queue drained."""
        return self.transact((), (query,), deadline)[0]

    def transact(self, commands: Sequence[ScpiCommand], queries: Sequence[str], deadline: float) -> list[str]:
        """Send all of ``commands`` and ``queries``, wait once, and return the answers to the queries.

        Raises :class:`InstrumentRefusedError` with what was in the error queue.
        """
        answers, errors = self.exchange(commands, queries, deadline)
        return self.texts(answers, errors, queries)

    def texts(self, answers: Sequence[ScpiAnswer], errors: Sequence[str], queries: Sequence[str]) -> list[str]:
        """Return the answers when there are no ``errors`` and each of ``queries`` has a text for an answer."""
        self.check(errors)
        if len(answers) != len(queries) or not all(isinstance(answer, str) for answer in answers):
            raise self._garbage(f"{len(answers)} answers to {';'.join(queries)}")
        return [str(answer) for answer in answers]

    def check(self, errors: Sequence[str]) -> None:
        """Raise :class:`InstrumentRefusedError`, or the error of a condition, when there are ``errors``."""
        for entry in errors:
            code = int(entry.partition(",")[0])
            if code in CONDITIONS:
                kind, message = CONDITIONS[code]
                raise kind(message, subject=self.subject, value="; ".join(errors))
        if errors:
            raise InstrumentRefusedError("the instrument refused", subject=self.subject, value="; ".join(errors))

    def exchange(
        self, commands: Sequence[ScpiCommand], queries: Sequence[str], deadline: float
    ) -> tuple[list[ScpiAnswer], list[str]]:
        """Send ``commands`` and ``queries``, wait once; return the answers and the entries of the error queue.

        A query that fails has no answer, only an entry.
        """
        self.send(commands, queries, deadline)
        return self.answer(deadline)

    def send(self, commands: Sequence[ScpiCommand], queries: Sequence[str], deadline: float) -> None:
        """Send what :meth:`exchange` sends; :meth:`answer` has to follow."""
        self._asked = _line(tuple(queries), self._error_query)
        try:
            self._send([*commands, self._asked], deadline)
        except BaseException:
            self.close()
            raise

    def answer(self, deadline: float) -> tuple[list[ScpiAnswer], list[str]]:
        """Wait for what :meth:`send` asked."""
        try:
            self.round_trips += 1
            answers = self._receive(deadline, self._asked)
        except BaseException:
            # Also when a signal interrupts: the answer that is under way must not be read as another one's.
            self.close()
            raise
        if len(answers) < 2 or not all(isinstance(answer, str) for answer in answers[-2:]) or answers[-2] != "1":
            raise self._garbage(str(answers[-2:])[:80])
        errors = self._entries(answers[-1])
        if errors and self._error_query == NEXT_ERROR:
            errors += self._later_errors(deadline)
        return answers[:-2], errors

    def _later_errors(self, deadline: float) -> list[str]:
        """Return the rest of an error queue that is told one by one."""
        found: list[str] = []
        while len(found) < _LONGEST_QUEUE:
            try:
                self._send([f":{NEXT_ERROR}"], deadline)
                (answer,) = self._receive(deadline, NEXT_ERROR)
            except BaseException:
                self.close()
                raise
            entries = self._entries(answer)
            if not entries:
                return found
            found += entries
        raise self._garbage(f"an error queue of more than {_LONGEST_QUEUE} entries")

    def _entries(self, answer: ScpiAnswer) -> list[str]:
        try:
            return parse_errors(str(answer))
        except ValueError as error:
            raise self._garbage(str(error)) from error

    def _send(self, commands: Sequence[ScpiCommand], deadline: float) -> None:
        joined: list[bytes | memoryview] = []
        size = 0
        for command in commands:
            if isinstance(command, str):
                joined.append(command.encode() + b"\n")
            else:
                header = command.header.encode() + block_header(len(command.data))
                joined += (header, command.data, b"\n")
                size += len(header) + len(command.data)
            size += len(joined[-1])
            if size > _JOIN:
                self._send_pieces(joined, deadline)
                joined, size = [], 0
        self._send_pieces(joined, deadline)

    def _send_pieces(self, pieces: Sequence[bytes | memoryview], deadline: float) -> None:
        try:
            self._connected().send(pieces, deadline)
        except TimeoutError as error:
            raise self._broken(InstrumentTimeoutError, "does not take what it is sent", "") from error
        except OSError as error:
            raise self._broken(InstrumentUnreachableError, "the connection broke", _reason(error.errno)) from error
        self.bytes_sent += sum(map(len, pieces))

    def _connected(self) -> Transport:
        if self._transport is None:
            raise InstrumentUnreachableError("there is no connection", subject=self.subject, value=self.address)
        return self._transport

    def _broken(self, kind: type[InstrumentError], message: str, value: str) -> InstrumentError:
        self.close()
        return kind(message, subject=self.subject, value=value)

    def _garbage(self, seen: str) -> InstrumentError:
        return self._broken(InstrumentDataError, "sent something that is no answer to what was asked", seen)

    def _receive(self, deadline: float, asked: str) -> list[ScpiAnswer]:
        answers: list[ScpiAnswer] = []
        while True:
            self._fill(1, deadline, asked)
            if self._pending[:1] == b"#":
                answers.append(self._receive_block(deadline, asked))
                self._fill(1, deadline, asked)
                end = bytes(self._pending[:1])
                del self._pending[:1]
            else:
                text, end = self._receive_text(deadline, asked)
                answers.append(text)
            if end == b"\n":
                return answers
            if end != b";":
                raise self._garbage(repr(end))

    def _receive_text(self, deadline: float, asked: str) -> tuple[str, bytes]:
        while b"\n" not in self._pending:
            if len(self._pending) > _MAX_LINE:
                raise self._garbage(f"a line of more than {_MAX_LINE} bytes")
            self._fill(len(self._pending) + 1, deadline, asked)
        match = _ITEM.match(self._pending)
        if match is None:
            raise self._garbage(repr(bytes(self._pending[:80])))
        size, text, end = match.end(), bytes(match.group(1)).rstrip(b"\r"), bytes(match.group(2))
        del match  # A match keeps the buffer from being cut.
        del self._pending[:size]
        try:
            return text.decode("ascii"), end
        except UnicodeDecodeError as error:
            raise self._garbage(repr(text[:80])) from error

    def _receive_block(self, deadline: float, asked: str) -> memoryview:
        self._fill(2, deadline, asked)
        width = self._pending[1] - ord("0")
        if not 1 <= width <= 9:
            raise self._garbage(repr(bytes(self._pending[:80])))
        self._fill(2 + width, deadline, asked)
        digits = bytes(self._pending[2 : 2 + width])
        if not digits.isdigit() or int(digits) > _MAX_BLOCK:
            raise self._garbage(repr(digits))
        # Memory from NumPy is not cleared first, and comes in huge pages: records arrive almost twice as fast.
        block = np.empty(int(digits), np.uint8).data
        have = min(len(block), len(self._pending) - 2 - width)
        block[:have] = self._pending[2 + width : 2 + width + have]
        del self._pending[: 2 + width + have]
        while have < len(block):
            have += self._read(block[have:], deadline, asked)
        return block

    def _fill(self, size: int, deadline: float, asked: str) -> None:
        while len(self._pending) < size:
            count = self._read(memoryview(self._buffer), deadline, asked)
            self._pending += self._buffer[:count]

    def _read(self, into: memoryview, deadline: float, asked: str) -> int:
        try:
            size = self._connected().receive(into, deadline)
        except TimeoutError as error:
            raise self._broken(InstrumentTimeoutError, "no answer within the deadline", asked[:80]) from error
        except OSError as error:
            raise self._broken(InstrumentUnreachableError, "the connection broke", _reason(error.errno)) from error
        except ValueError as error:
            raise self._garbage(str(error)) from error
        if size == 0:
            raise self._broken(InstrumentUnreachableError, "the instrument closed the connection", self.address)
        return size


@lru_cache(maxsize=1024)
def _line(queries: tuple[str, ...], error_query: str) -> str:
    """Return the line that asks ``queries``, whether all is carried out, and for the error queue."""
    return ";".join((*(_absolute(query) for query in (*queries, "*OPC?")), f":{error_query}"))


def _absolute(query: str) -> str:
    return query if query.startswith(("*", ":")) else f":{query}"


def _reason(number: int | None) -> str:
    return os.strerror(number) if number else ""


__getattr__ = old_names(__name__)
