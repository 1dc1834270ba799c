"""SCPI as a table: what a command is called, what it takes, and what it does.

:mod:`pulsed.simulator.instruments.connection` turns bytes into calls of these commands.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Protocol, TypeVar

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
    -300: "Device-specific error",
    -350: "Queue overflow",
    -363: "Input buffer overrun",
    101: "Overheated",
    102: "Reference clock lost",
}
"""The codes of SCPI-99 volume 2, chapter 21, that occur here; positive ones are device-dependent."""


class ScpiError(Exception):
    """A command that cannot be carried out: the code of its entry in the error queue, and what is wrong."""

    def __init__(self, code: int, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class BlockAnswer:
    """An answer that is an IEEE 488.2 definite length block, in parts that are sent without a copy."""

    parts: tuple[memoryview, ...]

    def pieces(self) -> Iterator[bytes | memoryview]:
        """Return what goes on the wire: the header, then the parts."""
        digits = str(sum(part.nbytes for part in self.parts))
        yield f"#{len(digits)}{digits}".encode()
        yield from (part.cast("B") for part in self.parts if part.nbytes)

    def half(self) -> BlockAnswer:
        """Return the first half of its bytes as a block."""
        left = sum(part.nbytes for part in self.parts) // 2
        parts = []
        for part in self.parts:
            parts.append(part.cast("B")[:left])
            left -= parts[-1].nbytes
        return BlockAnswer(tuple(parts))


@dataclass(frozen=True, slots=True)
class Wait:
    """An answer that comes when ``ready``, at the latest after ``seconds``."""

    ready: Callable[[], bool]
    answer: Callable[[], str]
    seconds: float


Answer = str | BlockAnswer | Wait | None


Number = TypeVar("Number", int, float)


class CommandParameter(Protocol):
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
class RealParameter:
    """A finite decimal number between two limits."""

    name: str
    low: float
    high: float

    def parse(self, raw: bytes | bytearray) -> float:
        """Return the number."""
        return _between(self, raw, _real, "a number", f"{self.low:g} to {self.high:g}")


@dataclass(frozen=True, slots=True)
class IntegerParameter:
    """A decimal integer between two limits."""

    name: str
    low: int
    high: int

    def parse(self, raw: bytes | bytearray) -> int:
        """Return the integer."""
        return _between(self, raw, int, "an integer", f"{self.low} to {self.high}")


def _real(text: bytes) -> float:
    value = float(text)
    if math.isnan(value):
        raise ValueError
    return value


def _between(
    limits: RealParameter | IntegerParameter,
    raw: bytes | bytearray,
    convert: Callable[[bytes], Number],
    kind: str,
    legal: str,
) -> Number:
    """Return a number between two limits; ScpiError for what is none, or beyond them."""
    text = _text_of(raw)
    try:
        value = convert(text)
    except ValueError:
        value = None
    if value is None or b"_" in text:
        raise ScpiError(-224, f"{limits.name} {show(text)} is not {kind}")
    if not limits.low <= value <= limits.high:
        raise ScpiError(-222, f"{limits.name} {show(text)}, legal {legal}")
    return value


@dataclass(frozen=True, slots=True)
class ChoiceParameter:
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
class SwitchParameter:
    """ON or OFF, 1 or 0."""

    name: str

    def parse(self, raw: bytes | bytearray) -> bool:
        """Return whether it is on."""
        value = {b"ON": True, b"1": True, b"OFF": False, b"0": False}.get(_text_of(raw).upper())
        if value is None:
            raise ScpiError(-224, f"{self.name} {show(raw)}, legal ON|OFF|1|0")
        return value


@dataclass(frozen=True, slots=True)
class TextParameter:
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
class BlockParameter:
    """A definite length block of records of ``record`` bytes."""

    name: str
    record: int

    def parse(self, raw: bytes | bytearray) -> bytearray:
        """Return the bytes of the block."""
        if not isinstance(raw, bytearray):
            _text_of(raw)
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
    parameters: tuple[CommandParameter, ...] = ()

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
