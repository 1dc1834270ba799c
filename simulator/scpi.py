"""SCPI as bytes and states: a table of commands, and a connection that turns bytes into calls and answers.

Nothing here knows of sockets. A transport writes what it received into :meth:`Connection.get_buffer`, tells
:meth:`Connection.received` how much that was, and takes answers with :meth:`Connection.pull` as fast as its peer
reads them. Every buffer is bounded, and a block of data is received in place, without a copy.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Protocol

LINE_LIMIT = 1 << 16
"""Longest command line without its block, bytes."""
BLOCK_LIMIT = 64 << 20
"""Longest block of data that a command may carry, bytes."""

MESSAGES = {
    0: "No error",
    -100: "Command error",
    -102: "Syntax error",
    -108: "Parameter not allowed",
    -109: "Missing parameter",
    -113: "Undefined header",
    -161: "Invalid block data",
    -200: "Execution error",
    -211: "Trigger ignored",
    -221: "Settings conflict",
    -222: "Data out of range",
    -223: "Too much data",
    -224: "Illegal parameter value",
    -350: "Queue overflow",
    -363: "Input buffer overrun",
}
"""The codes of SCPI-99 volume 2, chapter 21, that occur here."""


class ScpiError(Exception):
    """A command that cannot be carried out: the code of its entry in the error queue, and what is wrong."""

    def __init__(self, code: int, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Block:
    """An answer that is an IEEE 488.2 definite length block, in parts that are sent without a copy."""

    parts: tuple[memoryview, ...]

    def pieces(self) -> Iterator[bytes | memoryview]:
        """Return what goes on the wire: the header, then the parts."""
        digits = str(sum(part.nbytes for part in self.parts))
        yield f"#{len(digits)}{digits}".encode()
        yield from (part.cast("B") for part in self.parts if part.nbytes)


@dataclass(frozen=True, slots=True)
class Wait:
    """An answer that comes when ``ready``, at the latest after ``seconds``."""

    ready: Callable[[], bool]
    answer: Callable[[], str]
    seconds: float


Answer = str | Block | Wait | None


class Parameter(Protocol):
    """One parameter of a command."""

    def parse(self, raw: bytes | bytearray) -> Any:
        """Return the value; ScpiError when it is not legal. A block comes as bytearray, text as bytes."""


def _text_of(raw: bytes | bytearray) -> bytes:
    if isinstance(raw, bytearray):
        raise ScpiError(-161, "no block is taken here")
    if not raw:
        raise ScpiError(-109)
    return raw


def show(raw: bytes | bytearray) -> str:
    """Return a parameter as it may be quoted in an error entry."""
    text = raw[:40].decode("ascii", "replace").replace('"', "'")
    return "".join(c if c.isprintable() and c.isascii() else "?" for c in text)


@dataclass(frozen=True, slots=True)
class Real:
    """A finite decimal number between two limits."""

    name: str
    low: float
    high: float

    def parse(self, raw: bytes | bytearray) -> float:
        """Return the number."""
        text = _text_of(raw)
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if math.isnan(value) or b"_" in text:
            raise ScpiError(-224, f"{self.name} {show(text)} is not a number")
        if not self.low <= value <= self.high:
            raise ScpiError(-222, f"{self.name} {show(text)}, legal {self.low:g} to {self.high:g}")
        return value


@dataclass(frozen=True, slots=True)
class Integer:
    """A decimal integer between two limits."""

    name: str
    low: int
    high: int

    def parse(self, raw: bytes | bytearray) -> int:
        """Return the integer."""
        text = _text_of(raw)
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or b"_" in text:
            raise ScpiError(-224, f"{self.name} {show(text)} is not an integer")
        if not self.low <= value <= self.high:
            raise ScpiError(-222, f"{self.name} {show(text)}, legal {self.low} to {self.high}")
        return value


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several words, each in its short or its long form; the value is the short form."""

    name: str
    words: tuple[str, ...]

    def parse(self, raw: bytes | bytearray) -> str:
        """Return the short form of the word."""
        text = _text_of(raw).upper().decode("ascii", "replace")
        for word in self.words:
            if text in (short_form(word).upper(), word.upper()):
                return short_form(word)
        raise ScpiError(-224, f"{self.name} {show(raw)}, legal {'|'.join(self.words)}")


@dataclass(frozen=True, slots=True)
class Switch:
    """ON or OFF, 1 or 0."""

    name: str

    def parse(self, raw: bytes | bytearray) -> bool:
        """Return whether it is on."""
        value = {b"ON": True, b"1": True, b"OFF": False, b"0": False}.get(_text_of(raw).upper())
        if value is None:
            raise ScpiError(-224, f"{self.name} {show(raw)}, legal ON|OFF|1|0")
        return value


@dataclass(frozen=True, slots=True)
class Text:
    """A string in double quotes: printable ASCII without quotes in it."""

    name: str
    longest: int

    def parse(self, raw: bytes | bytearray) -> str:
        """Return the string without its quotes."""
        text = _text_of(raw)
        inner = text[1:-1].decode("ascii", "replace")
        if len(text) < 2 or text[:1] + text[-1:] != b'""':
            raise ScpiError(-224, f"{self.name} {show(text)} is not a string in double quotes")
        if '"' in inner or not (inner.isascii() and inner.isprintable()):
            raise ScpiError(-224, f"{self.name} {show(text)} is not printable ASCII")
        if len(inner) > self.longest:
            raise ScpiError(-223, f"{self.name} has {len(inner)} characters, legal up to {self.longest}")
        return inner


@dataclass(frozen=True, slots=True)
class Data:
    """A definite length block of records of ``record`` bytes."""

    name: str
    record: int

    def parse(self, raw: bytes | bytearray) -> bytearray:
        """Return the bytes of the block."""
        if not isinstance(raw, bytearray):
            raise ScpiError(-161, f"{self.name} must be a definite length block")
        if len(raw) % self.record:
            raise ScpiError(-161, f"{self.name} has {len(raw)} bytes, not a multiple of {self.record}")
        return raw


@dataclass(frozen=True, slots=True)
class Command:
    """One row of an instrument's table.

    ``header`` is written as in a manual: capitals are the short form, ``[:NODE]`` may be left out, ``<4>`` is a
    suffix from 1 to 4 (1 when it is left out) and becomes the first argument of ``run``, ``?`` makes a query.
    ``run`` gets the instrument, the suffix if there is one, and the parameters.
    """

    header: str
    run: Callable[..., Answer]
    parameters: tuple[Parameter, ...] = ()

    def call(self, instrument: Any, suffix: tuple[int, ...], text: bytes, block: bytearray | None) -> Answer:
        """Read the parameters and carry out the command."""
        raw: list[bytes | bytearray] = [part.strip() for part in split(text, b",")] if text else []
        if block is not None:
            if raw and raw.pop():
                raise ScpiError(-102, "a block is a parameter of its own")
            raw.append(block)
        if len(raw) != len(self.parameters):
            raise ScpiError(-109 if len(raw) < len(self.parameters) else -108, self.header)
        values = [parameter.parse(item) for parameter, item in zip(self.parameters, raw, strict=True)]
        return self.run(instrument, *suffix, *values)


def short_form(word: str) -> str:
    """Return the short form of a keyword: its capitals, digits and signs. A quantity (10MHz) has none."""
    return word if word[0].isdigit() else "".join(c for c in word if not c.islower())


def split(text: bytes, separator: bytes) -> list[bytes]:
    """Split at a separator that is not inside double quotes."""
    if b'"' not in text:
        return text.split(separator)
    parts: list[bytes] = []
    quoted = False
    for i, piece in enumerate(text.split(b'"')):
        first, *rest = piece.split(separator) if not quoted else [piece]
        if i:
            parts[-1] += b'"' + first
        else:
            parts.append(first)
        parts.extend(rest)
        quoted = not quoted
    return parts


Table = Mapping[bytes, tuple[Command, tuple[int, ...]]]


def _spellings(node: str) -> list[tuple[str, tuple[int, ...]]]:
    optional = node.startswith("[")
    word, _, count = node.strip("[]").rstrip(">").partition("<")
    forms = sorted({short_form(word), word.upper()})
    spelled: list[tuple[str, tuple[int, ...]]] = [("", ())] if optional else []
    if not count:
        return spelled + [(form, ()) for form in forms]
    suffixes = [("", 1), *((str(n), n) for n in range(1, int(count) + 1))]
    return spelled + [(form + text, (n,)) for form in forms for text, n in suffixes]


def build_table(commands: Iterable[Command]) -> Table:
    """Return every spelling of every header, so that one look-up finds a command."""
    table: dict[bytes, tuple[Command, tuple[int, ...]]] = {}
    for command in commands:
        query = "?" if command.header.endswith("?") else ""
        nodes = command.header.rstrip("?").replace("[:", ":[").split(":")
        for spelling in product(*(_spellings(node) for node in nodes)):
            header = ":".join(word for word, _ in spelling if word) + query
            table[header.encode()] = command, tuple(n for _, suffix in spelling for n in suffix)
    return table


class Dispatcher(Protocol):
    """What a connection needs of an instrument."""

    @property
    def table(self) -> Table:
        """Every spelling of every command."""

    def report(self, code: int, detail: str) -> None:
        """Put an entry into the error queue."""


class Connection:
    """One client of one instrument. See the head of the module for how a transport drives it."""

    def __init__(self, instrument: Dispatcher) -> None:
        self._instrument = instrument
        self._buffer = bytearray(LINE_LIMIT)
        self._start = self._end = 0
        self._state = self._read_line
        self._line = b""
        self._block = bytearray()
        self._filled = self._to_skip = 0
        self._units: deque[tuple[bytes, bytearray | None]] = deque()
        self._path = b""
        self._answered = False
        self._out: deque[bytes | memoryview] = deque()
        self._wait: Wait | None = None

    def get_buffer(self) -> memoryview:
        """Return where received bytes belong; never empty once :meth:`pull` has returned None without a wait."""
        if self._state == self._read_block and self._start == self._end:
            return memoryview(self._block)[self._filled :]
        if self._start:
            self._buffer[: self._end - self._start] = self._buffer[self._start : self._end]
            self._start, self._end = 0, self._end - self._start
        return memoryview(self._buffer)[self._end :]

    def received(self, count: int) -> None:
        """Take note that ``count`` bytes were written to the buffer."""
        if self._state == self._read_block and self._start == self._end:
            self._filled += count
        else:
            self._end += count

    def feed(self, data: bytes) -> bytes:
        """Receive bytes and return all answers they cause, up to a wait: for transports that hold messages whole."""
        answers = bytearray()
        view = memoryview(data)
        while True:
            while (piece := self.pull()) is not None:
                answers += piece
            target = self.get_buffer()
            count = min(len(view), len(target))
            if not count:
                return bytes(answers)
            target[:count] = view[:count]
            self.received(count)
            view = view[count:]

    @property
    def waiting(self) -> float | None:
        """How long the present command may wait, seconds; None when there is nothing to wait for."""
        return self._wait.seconds if self._wait else None

    def expire(self) -> None:
        """End a wait: its time is over."""
        if self._wait:
            self._give(self._wait.answer())
            self._wait = None

    def pull(self) -> bytes | memoryview | None:
        """Go on until there is something to send; None when bytes or the end of a wait are needed first."""
        while True:
            if self._wait and self._wait.ready():
                self.expire()
            if self._out:
                return self._out.popleft()
            if self._wait:
                return None
            if self._units:
                self._execute(*self._units.popleft())
            elif self._answered:
                self._answered = False
                self._out.append(b"\n")
            elif not self._state():
                return None

    def _fail(self, code: int, detail: str) -> bool:
        """Report an error of the message itself and drop the rest of its line."""
        self._instrument.report(code, detail)
        self._state = self._drop_line
        return True

    def _read_line(self) -> bool:
        buffer, start, end = self._buffer, self._start, self._end
        newline = buffer.find(b"\n", start, end)
        mark = buffer.find(b"#", start, end if newline < 0 else newline)
        while mark >= 0 and buffer.count(b'"', start, mark) % 2:
            mark = buffer.find(b"#", mark + 1, end if newline < 0 else newline)
        if mark >= 0 and self._open_block(mark):
            return True
        if mark < 0 and newline >= 0:
            self._start = newline + 1
            self._queue(bytes(buffer[start:newline]), None)
            return True
        if end - start == LINE_LIMIT:
            self._start = self._end
            return self._fail(-363, f"a line may have {LINE_LIMIT} bytes")
        return False

    def _open_block(self, mark: int) -> bool:
        """Read the header of a block; False when it is not complete yet."""
        digits = self._buffer[mark + 1 : min(mark + 2, self._end)]
        if not digits:
            return False
        count = digits[0] - ord("0")
        text = self._buffer[mark + 2 : min(mark + 2 + max(count, 0), self._end)]
        if not 1 <= count <= 9 or (text and not text.isdigit()):
            self._start = mark + 1
            return self._fail(-161, "a block begins with #, one digit, and that many digits of length")
        if len(text) < count:
            return False
        self._line = bytes(self._buffer[self._start : mark])
        self._start = mark + 2 + count
        length = int(text)
        if length > BLOCK_LIMIT:
            self._instrument.report(-223, f"a block may have {BLOCK_LIMIT} bytes")
            self._to_skip, self._state = length, self._skip
            return True
        self._block, self._filled = bytearray(length), 0
        self._state = self._read_block
        return True

    def _read_block(self) -> bool:
        count = min(self._end - self._start, len(self._block) - self._filled)
        self._block[self._filled : self._filled + count] = self._buffer[self._start : self._start + count]
        self._filled += count
        self._start += count
        if self._filled < len(self._block):
            return False
        self._state = self._end_block
        return True

    def _end_block(self) -> bool:
        newline = self._buffer.find(b"\n", self._start, self._end)
        tail = self._buffer[self._start : self._end if newline < 0 else newline]
        if tail.strip(b"\r "):
            self._block = bytearray()
            return self._fail(-161, "a block must be the last of its line")
        if newline < 0:
            self._start = self._end
            return False
        self._start = newline + 1
        self._state = self._read_line
        self._queue(self._line, self._block)
        self._block = bytearray()
        return True

    def _skip(self) -> bool:
        count = min(self._to_skip, self._end - self._start)
        self._start += count
        self._to_skip -= count
        if self._to_skip:
            return False
        self._state = self._drop_line
        return True

    def _drop_line(self) -> bool:
        newline = self._buffer.find(b"\n", self._start, self._end)
        self._start = self._end if newline < 0 else newline + 1
        if newline < 0:
            return False
        self._state = self._read_line
        return True

    def _queue(self, line: bytes, block: bytearray | None) -> None:
        self._path = b""
        units = split(line, b";")
        self._units.extend((unit, None) for unit in units[:-1])
        self._units.append((units[-1], block))

    def _execute(self, unit: bytes, block: bytearray | None) -> None:
        words = unit.split(None, 1)
        if not words and block is None:
            return
        try:
            header = words[0].upper() if words else b""
            entry = self._find(header)
            if entry is None:
                raise ScpiError(-113, show(header))
            command, suffix = entry
            answer = command.call(self._instrument, suffix, words[1].strip() if len(words) > 1 else b"", block)
        except ScpiError as error:
            self._instrument.report(error.code, error.detail)
            return
        if isinstance(answer, Wait):
            self._wait = answer
        elif answer is not None:
            self._give(answer)

    def _find(self, header: bytes) -> tuple[Command, tuple[int, ...]] | None:
        """Look a header up below the path of the one before it, else at the root."""
        table = self._instrument.table
        if header.startswith(b"*"):
            return table.get(header)
        absolute = header.startswith(b":")
        full = header[1:] if absolute else self._path + header
        entry = table.get(full)
        if entry is None and not absolute:
            full = header
            entry = table.get(full)
        if entry is not None:
            self._path = full[: full.rfind(b":") + 1]
        return entry

    def _give(self, answer: str | Block) -> None:
        if self._answered:
            self._out.append(b";")
        self._answered = True
        if isinstance(answer, Block):
            self._out.extend(answer.pieces())
        else:
            self._out.append(answer.encode("ascii", "replace"))
