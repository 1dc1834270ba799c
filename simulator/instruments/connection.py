"""SCPI as bytes and states: a connection turns bytes into calls of an instrument's commands, and answers into bytes.

Nothing here knows of sockets. A transport writes what it received into :meth:`ScpiConnection.get_buffer`, tells
:meth:`ScpiConnection.received` how much that was, and takes answers with :meth:`ScpiConnection.pull` as fast as its
peer reads them. Every buffer is bounded, and a block of data is received in place, without a copy.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from pulsed.simulator.instruments.faults import Faults
from pulsed.simulator.instruments.scpi import BlockAnswer, Command, ScpiError, Table, Wait, show, split

LINE_LIMIT = 1 << 16
"""Longest command line without its block, bytes."""
BLOCK_LIMIT = 64 << 20
"""Longest block of data that a command may carry, bytes."""


_Entry = tuple[Command, tuple[int, ...]]
_PARAMETERS = re.compile(rb"[\s,\"]")
_MOST_KNOWN, _LONGEST_KNOWN = 64, 4096


class Dispatcher(Protocol):
    """What a connection needs of an instrument."""

    faults: Faults

    @property
    def table(self) -> Table:
        """Every spelling of every command."""

    def report(self, code: int, detail: str) -> None:
        """Put an entry into the error queue."""


class ScpiConnection:
    """One client of one instrument. See the head of the module for how a transport drives it."""

    def __init__(self, instrument: Dispatcher) -> None:
        self._instrument = instrument
        self._buffer = bytearray(LINE_LIMIT)
        self._start = self._end = 0
        self._state = self._read_line
        self._line = b""
        self._block = bytearray()
        self._filled = self._to_skip = 0
        self._units: deque[tuple[bytes | _Entry, bytearray | None]] = deque()
        self._known: dict[bytes, Sequence[_Entry]] = {}
        """What lines of queries ask."""
        self._path = b""
        self._answered = False
        self._out: deque[bytes | memoryview] = deque()
        self._wait: Wait | None = None
        self.broken = False
        """Whether the transport shall close once everything that :meth:`pull` returns is sent."""

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

    def closed(self) -> None:
        """The transport is closed; nothing depends on it."""

    def pull(self) -> bytes | memoryview | None:
        """Go on until there is something to send; None when bytes or the end of a wait are needed first."""
        while True:
            if self.broken and not self._out:
                return None
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

    def end_message(self) -> None:
        """End the present line, as a newline does; call it when :meth:`pull` has returned None.

        For transports that delimit messages. A block that is cut off so is an error.
        """
        if self._state in (self._read_block, self._skip):
            self._block, self._to_skip = bytearray(), 0
            self._state = self._read_line
            self._instrument.report(-161, "the message ended within its block")
            return
        self.get_buffer()[:1] = b"\n"
        self.received(1)

    def trigger(self) -> None:
        """Carry out ``*TRG`` next, for transports that have a message for it."""
        self._queue(b"*TRG", None)

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
        if self._instrument.faults.take("drop"):
            self.broken = True
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
        if block is None and (known := self._queries(line)) is not None:
            self._units.extend((entry, None) for entry in known)
            return
        units = split(line, b";")
        self._units.extend((unit, None) for unit in units[:-1])
        self._units.append((units[-1], block))

    def _queries(self, line: bytes) -> Sequence[_Entry] | None:
        """Return what a line of queries without parameters asks; None for any other line. Most come again and again."""
        known = self._known.get(line)
        if known is not None or len(line) > _LONGEST_KNOWN or _PARAMETERS.search(line):
            return known
        if line.count(b"?") > line.count(b";"):
            entries = [self._find(unit.strip().upper()) for unit in line.split(b";")]
            self._path = b""
            if all(entry is not None for entry in entries):
                if len(self._known) >= _MOST_KNOWN:
                    self._known.clear()
                known = self._known[line] = [entry for entry in entries if entry is not None]
        return known

    def _execute(self, unit: bytes | _Entry, block: bytearray | None) -> None:
        if isinstance(unit, tuple):
            self._carry_out(*unit, b"", None)
            return
        words = unit.split(None, 1)
        if not words and block is None:
            return
        header = words[0].upper() if words else b""
        entry = self._find(header)
        if entry is None:
            self._instrument.report(-113, show(header))
            return
        self._carry_out(*entry, words[1].strip() if len(words) > 1 else b"", block)

    def _carry_out(self, command: Command, suffix: tuple[int, ...], text: bytes, block: bytearray | None) -> None:
        try:
            answer = command.call(self._instrument, suffix, text, block)
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

    def _give(self, answer: str | BlockAnswer) -> None:
        if self._answered:
            self._out.append(b";")
        self._answered = True
        if isinstance(answer, BlockAnswer):
            if self._instrument.faults.take("short"):
                answer = answer.half()
            self._out.extend(answer.pieces())
            if self._instrument.faults.take("drop"):
                self._break()
        else:
            self._out.append(answer.encode("ascii", "replace"))

    def _break(self) -> None:
        """Keep the first half of the block that is to be sent, then have the connection closed."""
        pieces = b"".join(self._out)
        self._out = deque([pieces[: len(pieces) // 2]])
        self.broken = True
