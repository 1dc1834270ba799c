"""Instruments that hold tables and a list and play or record it: what the AWG8 and the DIG2 share.

See docs/instruments/common.md for the commands.
"""

from __future__ import annotations

import hashlib
import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Generic, TypeVar
from weakref import ref

import numpy as np

from pulsed import old_names
from pulsed.drivers.contract import Handle, InstrumentState, check_step, remaining
from pulsed.drivers.programs import Playback, Recording, Rows, is_kept, split_entries
from pulsed.drivers.scpi.driver import ScpiDriver
from pulsed.drivers.scpi.io_coroutines import IoCoroutine, io_coroutine
from pulsed.drivers.scpi.session import BlockCommand, ScpiCommand
from pulsed.drivers.scpi.table_memory import TableMemory
from pulsed.model.device import InstrumentDescription
from pulsed.model.errors import (
    InstrumentError,
    InstrumentLimitError,
    InstrumentMemoryLostError,
    InstrumentTimeoutError,
    InstrumentTriggerMissedError,
)

LIST_RECORD = np.dtype([("table", "<u4"), ("shots", "<u4"), ("period", "<u8")])

_STATES = {
    "IDLE": InstrumentState.IDLE,
    "ARMED": InstrumentState.ARMED,
    "RUN": InstrumentState.RUNNING,
    "DONE": InstrumentState.DONE,
    "FAULT": InstrumentState.FAULT,
}
_CATALOG = re.compile(r'(\d+),(\d+),"([^"]*)"')
_MAX_ENTRIES = 65536
"""Of the list."""
_WAIT_SLICE = 0.25
"""Seconds after which a wait comes back, so that the caller can look at other things."""

WorkT = TypeVar("WorkT", bound=Playback | Recording)


def parse_catalog(text: str) -> list[tuple[int, int, str]]:
    """Return (number, size, name) of each table of a catalogue."""
    return [(int(number), int(size), name) for number, size, name in _CATALOG.findall(text)]


def pack_list(tables: Sequence[int], entries: Rows) -> bytes:
    """Return the records of ``LIST:DATA``: of each entry one for each of its bindings."""
    records = np.zeros(len(entries), LIST_RECORD)
    records["table"], records["shots"], records["period"] = tables, entries["shots"], entries["period"]
    return np.repeat(records, entries["bindings"]).tobytes()


def digest(*pieces: bytes | memoryview) -> str:
    """Return a content hash as a name an instrument takes: 32 hexadecimal digits."""
    result = hashlib.blake2b(digest_size=16)
    for piece in pieces:
        result.update(len(piece).to_bytes(8, "little"))
        result.update(piece)
    return result.hexdigest()


class SequencerDriver(ScpiDriver, Generic[WorkT]):
    """Uploads by content, arms, starts, waits.

    ``memories`` maps the keyword of each kind of table (``"WAV"``) to what is held of it.
    """

    memories: Mapping[str, TableMemory]

    def __init__(self, name: str, description: InstrumentDescription) -> None:
        super().__init__(name, description)
        self.is_leader = description.trigger is None
        self.epoch = -1
        self._list: dict[str, bytes] = {}
        self._known = False
        self._last: tuple[ref[WorkT], Handle] | None = None
        """What was uploaded last and cannot have changed, as long as nothing else was."""

    # Uploads.

    def _uploading(self, work: WorkT, deadline: float) -> IoCoroutine[Handle]:
        """Send what of ``work`` the instrument does not hold; nothing at all when it holds everything."""
        self._connected()
        check_step(self.name, self._state, InstrumentState.IDLE)
        if self._state in (InstrumentState.ARMED, InstrumentState.FAULT):
            yield from self._stopping(deadline)
        if not self._known:
            yield from self._reading_memory((), deadline)
        if self._last is not None and self._last[0]() is work:
            self._step(InstrumentState.IDLE)
            return self._last[1]
        # Until the transaction has succeeded nobody knows what is held.
        self._known, self._last = False, None
        commands, tables = self._tables(work)
        blocks = self._list_blocks(work, tables)
        # A block takes back those that came after it.
        known = takewhile(lambda block: self._list.get(block[0]) == block[1], blocks.items())
        new = list(blocks.items())[len(list(known)) :]
        commands = [*commands, *(BlockCommand(header, block) for header, block in new)]
        if commands:
            self._list = {}
            yield from self._talking(commands, (), deadline)
            self._list = blocks
        self._known = True
        self._step(InstrumentState.IDLE)
        handle = Handle(self.name, digest(*blocks.values(), *self._contents(tables)), self.epoch, tuple(tables))
        self._last = (ref(work), handle) if is_kept(work) else None
        return handle

    def _list_blocks(self, work: WorkT, tables: Sequence[int]) -> dict[str, bytes]:
        """Return the blocks that make the list, by the command that sends each, in this order."""
        return {"LIST:DATA ": pack_list(tables, work.entries)}

    @abstractmethod
    def _tables(self, work: WorkT) -> tuple[list[ScpiCommand], list[int]]:
        """Return the commands that bring the tables of ``work`` in, and the number of each entry's table."""

    @property
    @abstractmethod
    def _table_memory(self) -> tuple[str, TableMemory]:
        """The keyword and the memory of the tables that the list names."""

    def _contents(self, tables: Sequence[int]) -> list[bytes]:
        names = self._table_memory[1].numbers()
        return [names[table].encode() for table in tables]

    def _reading_memory(self, commands: Sequence[ScpiCommand], deadline: float) -> IoCoroutine[None]:
        """Learn what the instrument holds, and throw out what cannot be used."""
        queries = [f"{keyword}:CAT?" for keyword in self.memories]
        *catalogs, epoch = yield from self._talking(commands, (*queries, "SYST:EPOC?"), deadline)
        spare: list[ScpiCommand] = []
        for (keyword, memory), catalog in zip(self.memories.items(), catalogs, strict=True):
            spare += [f"{keyword}:DEL {number}" for number in memory.load(parse_catalog(catalog))]
        if spare:
            yield from self._talking(spare, (), deadline)
        self.epoch = self._integer(epoch)
        self._list, self._last = {}, None
        self._known = True

    def _integer(self, text: str) -> int:
        try:
            return int(text)
        except ValueError:
            raise InstrumentError("not a number", subject=self.subject, value=text[:80], legal="an integer") from None

    @io_coroutine
    def verify(self, handle: Handle, deadline: float) -> IoCoroutine[None]:
        """Ask whether the tables of ``handle`` are there. Raises :class:`InstrumentMemoryLostError`."""
        keyword, memory = self._table_memory
        catalog, epoch = yield from self._talking((), (f"{keyword}:CAT?", "SYST:EPOC?"), deadline)
        there = {number: name for number, _, name in parse_catalog(catalog)}
        expected = memory.numbers()
        missing = [number for number in handle.tables if there.get(number) != expected.get(number, "")]
        if missing or self._integer(epoch) != handle.epoch:
            raise self._lost(epoch)

    def _lost(self, epoch: object) -> InstrumentMemoryLostError:
        self._known = False
        self._forget_settings()  # they went with the memory
        return InstrumentMemoryLostError(
            "what was uploaded is no longer there", subject=self.subject,
            value=f"memory epoch {epoch}", legal=f"memory epoch {self.epoch}",
        )  # fmt: skip

    def _check_tables(self, rows: Rows, entries: Rows, more: Mapping[int, Rows] | None = None) -> None:
        """Raise :class:`InstrumentLimitError` unless the distinct tables of all entries fit at once.

        ``more``: rows that the tables of some entries have besides.
        """
        _, memory = self._table_memory
        more = more or {}
        if len(rows) + sum(map(len, more.values())) <= memory.capacity:
            return
        content = rows.copy()
        content["entry"] = 0
        tables: dict[str, int] = {}
        for number, table in enumerate(split_entries(content, rows["entry"], len(entries))):
            besides = more.get(number, rows[:0])
            tables[digest(table.tobytes(), besides.tobytes())] = len(table) + len(besides)
        memory.check(tables)

    # Runs.

    @io_coroutine
    def arm(self, handle: Handle, deadline: float) -> IoCoroutine[None]:
        """Arm. Raises :class:`InstrumentMemoryLostError` when ``handle`` is void.

        Raises :class:`InstrumentChangedError` when it would not play with what it was configured with.
        """
        check_step(self.name, self._state, InstrumentState.ARMED)
        if handle.epoch != self.epoch or not self._known:
            raise self._lost(handle.epoch)
        queries = ("SYST:EPOC?", "STAT?", *self._held_queries)
        answers, errors = yield from self._exchanging(("INIT",), queries, deadline)
        if answers and str(answers[0]) != str(handle.epoch):
            raise self._lost(answers[0])
        if errors or answers[1:2] != ["ARMED"]:
            self._fault()
            self.session.check(errors)
            raise InstrumentError("did not arm", subject=self.subject, value=str(answers[1:2]), legal="ARMED")
        self._step(InstrumentState.ARMED)
        self._check_held(self.session.texts(answers[2:], (), queries[2:]))

    @io_coroutine
    def start(self, deadline: float) -> IoCoroutine[None]:
        """Start a leader that is armed."""
        check_step(self.name, self._state, InstrumentState.RUNNING)
        (state,) = yield from self._talking(("*TRG",), ("STAT?",), deadline)
        if self._parse_state(state) is InstrumentState.ARMED:
            self._fault()
            raise self.missed_trigger("was told to start and did not", state)
        self._step(InstrumentState.RUNNING)

    @io_coroutine
    def start_and_wait(self, deadline: float) -> IoCoroutine[bool]:
        """Start a leader that is armed, and wait as :meth:`wait_done` does, in one exchange."""
        check_step(self.name, self._state, InstrumentState.RUNNING)
        state = yield from self._waiting(("*TRG",), deadline)
        if state is InstrumentState.ARMED:
            self._fault()
            raise self.missed_trigger("was told to start and did not", "ARMED")
        self._step(InstrumentState.RUNNING)
        return self._waited(state)

    def missed_trigger(self, message: str, state: str) -> InstrumentTriggerMissedError:
        """Return the error about a trigger that was not taken."""
        return InstrumentTriggerMissedError(message, subject=self.subject, value=state, legal="RUN or DONE")

    @io_coroutine
    def stop(self, deadline: float) -> IoCoroutine[None]:
        """Stop and disarm."""
        yield from self._stopping(deadline)

    def _stopping(self, deadline: float) -> IoCoroutine[None]:
        yield from self._talking(("ABOR",), (), deadline)
        self._step(InstrumentState.IDLE)

    @io_coroutine
    def wait_done(self, deadline: float) -> IoCoroutine[bool]:
        """Wait until the run is done, or a fraction of a second has passed. Returns whether it is done.

        Raises :class:`InstrumentTimeoutError` once the deadline has passed, with the instrument still running.
        """
        if self._state is InstrumentState.DONE:
            return True
        check_step(self.name, self._state, InstrumentState.DONE)
        return self._waited((yield from self._waiting((), deadline)))

    def _waiting(self, commands: Sequence[ScpiCommand], deadline: float) -> IoCoroutine[InstrumentState]:
        """Send ``commands`` and wait until the run has ended, or a fraction of a second; return where it is then."""
        left = remaining(deadline)
        if left == 0:
            raise InstrumentTimeoutError("the run is not done within the deadline", subject=self.subject)
        # The answer shall be here before the deadline.
        milliseconds = max(1, int(1000 * min(_WAIT_SLICE, left / 2)))
        (answer,) = yield from self._talking(commands, (f"WAIT? {milliseconds}",), deadline)
        return self._parse_state(answer)

    def _waited(self, state: InstrumentState) -> bool:
        """Take note of where a wait has found the instrument; return whether it is done."""
        if state is InstrumentState.DONE:
            self._step(state)
        elif state not in (InstrumentState.ARMED, InstrumentState.RUNNING):
            self._fault()
            raise InstrumentError("the run ended by itself", subject=self.subject, value=state.name, legal="DONE")
        return state is InstrumentState.DONE

    @io_coroutine
    def status(self, deadline: float) -> IoCoroutine[InstrumentState]:
        """Ask the instrument where it is. Raises :class:`InstrumentMemoryLostError` when it rebooted.

        Raises :class:`InstrumentChangedError` when a setting is not as it was left.
        """
        queries = ("STAT?", "SYST:EPOC?", *self._held_queries)
        state, epoch, *settings = yield from self._talking((), queries, deadline)
        if self._integer(epoch) != self.epoch:
            raise self._lost(epoch)
        self._check_held(settings)
        return self._parse_state(state)

    def _parse_state(self, text: str) -> InstrumentState:
        if text not in _STATES:
            raise InstrumentError("no such state", subject=self.subject, value=text[:80], legal=", ".join(_STATES))
        return _STATES[text]

    def refuse(self, message: str, value: object, legal: object) -> InstrumentLimitError:
        """Return the error about a limit."""
        return InstrumentLimitError(message, subject=self.subject, value=str(value), legal=str(legal))

    def _check_list(self, work: Playback | Recording) -> None:
        entries = work.entries
        if not len(entries):
            raise self.refuse("there is nothing to do", "0 programs", "at least 1")
        listed = int(entries["bindings"].sum())
        if listed > _MAX_ENTRIES:
            raise self.refuse("too many programs for one list", listed, f"up to {_MAX_ENTRIES}")
        for name, low, high in (("shots", 1, 2**32 - 1), ("length", 1, 2**40), ("period", 1, 2**40)):
            bad = (entries[name] < low) | (entries[name] > high)
            if bad.any():
                at = int(np.argmax(bad))
                raise self.refuse(f"{name} of program {work.programs[at]}", entries[name][at], f"{low} to {high}")
        if (entries["period"] < entries["length"]).any():
            at = int(np.argmax(entries["period"] < entries["length"]))
            raise self.refuse(
                f"program {work.programs[at]} is longer than the time from shot to shot",
                f"{entries['length'][at]} samples",
                f"up to {entries['period'][at]} samples",
            )


__getattr__ = old_names(__name__)
