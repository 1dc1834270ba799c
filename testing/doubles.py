"""A scripted SCPI peer: a TCP server in the test's process that answers, refuses, stalls, drops, or talks garbage.

.. code-block:: python

    with ScriptedInstrument({"*IDN?": "pulsed,AWG8,1,0"}) as peer:
        driver = AwgDriver("awg1", InstrumentDescription(driver="awg", address=peer.address))
        peer.script["STAT?"] = Stall()
"""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType

from pulsed import old_names

__getattr__ = old_names(__name__)

NO_ERROR = '0,"No error"'


@dataclass(frozen=True)
class Stall:
    """Give no answer and read nothing more."""


@dataclass(frozen=True)
class Drop:
    """Close the connection."""


@dataclass(frozen=True)
class Garbage:
    """Send these bytes instead of an answer."""

    data: bytes


@dataclass(frozen=True)
class Refuse:
    """Put an entry into the error queue; a query gets no answer."""

    entry: str = '-200,"Execution error"'


ScriptedAction = str | bytes | Stall | Drop | Garbage | Refuse
"""A text answer, a block of bytes, or something that goes wrong."""


class ScriptedInstrument:
    """Serves one connection after the other on a free port of this machine.

    ``script`` maps a header without its parameters, in the spelling of the client and without a leading colon
    (``"STAT?"``, ``"OUTP1"``), to what happens: one action, or a list of them of which each is used once and the
    last one stays. A query that the script does not have is answered with an empty text, a command with nothing.
    ``SYST:ERR:ALL?`` and ``SYST:ERR?`` answer from the queue that :class:`Refuse` fills.
    """

    def __init__(self, script: Mapping[str, ScriptedAction | list[ScriptedAction]] | None = None) -> None:
        self.script: dict[str, ScriptedAction | list[ScriptedAction]] = {"*OPC?": "1", **(script or {})}
        self.received: list[str] = []
        """Every command and query, without blocks."""
        self.blocks: list[tuple[str, bytes]] = []
        """Every block with the command it came with."""
        self.connections = 0
        self._errors: deque[str] = deque()
        self._server = socket.create_server(("127.0.0.1", 0))
        self._clients: list[socket.socket] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="scripted-instrument", daemon=True)

    @property
    def address(self) -> str:
        """Its VISA address."""
        return f"TCPIP::127.0.0.1::{self._server.getsockname()[1]}::SOCKET"

    def __enter__(self) -> ScriptedInstrument:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        # A shutdown wakes the thread that is in accept or recv; a close alone does not.
        for endpoint in (self._server, *self._clients):
            try:
                endpoint.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self._thread.join()
        self._server.close()

    def _serve(self) -> None:
        while not self._stop.is_set():
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            self._clients.append(client)
            with client, client.makefile("rb") as stream:
                try:
                    while self._line(client, stream):
                        pass
                except OSError:
                    pass
            self._clients.remove(client)

    def _line(self, client: socket.socket, stream: object) -> bool:
        """Answer one line; return whether the connection goes on."""
        line = _read_line(stream)
        if line is None:
            return False
        text, block = line
        answers: list[bytes] = []
        for part in text.split(";"):
            command = part.strip().removeprefix(":")
            self.received.append(command)
            if block is not None:
                self.blocks.append((command, block))
            action = self._next(command.partition(" ")[0])
            if isinstance(action, Stall):
                self._stop.wait()
            if isinstance(action, Stall | Drop):
                return False
            if isinstance(action, Garbage):
                client.sendall(action.data)
                return True
            if isinstance(action, Refuse):
                self._errors.append(action.entry)
            elif "?" in command:
                answers.append(_encode(action))
        if answers:
            client.sendall(b";".join(answers) + b"\n")
        return True

    def _next(self, header: str) -> ScriptedAction:
        if header == "SYST:ERR:ALL?" and header not in self.script:
            entries = ",".join(self._errors)
            self._errors.clear()
            return entries or NO_ERROR
        if header == "SYST:ERR?" and header not in self.script:
            return self._errors.popleft() if self._errors else NO_ERROR
        action = self.script.get(header, "")
        if isinstance(action, list):
            return action.pop(0) if len(action) > 1 else action[0]
        return action


def _encode(action: ScriptedAction) -> bytes:
    if isinstance(action, bytes):
        digits = str(len(action))
        return f"#{len(digits)}{digits}".encode() + action
    return str(action).encode()


def _read_line(stream: object) -> tuple[str, bytes | None] | None:
    """Return the next line and the block at its end; None at the end of the connection."""
    read, readline = stream.read, stream.readline  # type: ignore[attr-defined]
    line: bytes = readline()
    if not line:
        return None
    at = line.find(b"#")
    if at < 0 or not line[at + 1 : at + 2].isdigit():
        return line.decode().rstrip("\r\n"), None
    width = int(line[at + 1 : at + 2])
    size = int(line[at + 2 : at + 2 + width])
    data = line[at + 2 + width :]
    data += read(max(0, size + 1 - len(data)))
    return line[:at].decode(), data[:size]
