"""What all virtual instruments share: IEEE 488.2 registers, the error queue, the list, and the states of a run.

The manual of these commands is docs/instruments/common.md.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Protocol

import numpy as np

from pulsed.model.errors import IllegalStepError
from pulsed.simulator.instruments.faults import OVERHEATED, REFERENCE_LOST, Faults
from pulsed.simulator.instruments.scpi import (
    MESSAGES,
    BlockParameter,
    ChoiceParameter,
    Command,
    IntegerParameter,
    ScpiError,
    Table,
    Wait,
    build_table,
)

QUEUE_LENGTH = 32
OPERATION_COMPLETE, POWER_ON = 1, 128
_QUESTIONABLE = {OVERHEATED: 1 << 4, REFERENCE_LOST: 1 << 5}
"""Bits of the questionable register (SCPI-99 volume 1, chapter 9): temperature, frequency."""
LIST_ENTRY = np.dtype([("table", "<u4"), ("shots", "<u4"), ("period", "<u8")])
MAX_PERIOD = 1 << 40
"""Samples; 18 minutes at 1 GS/s."""
FEEDBACK_BITS = 256
"""Bits on the feedback line, numbered from 1."""
FEEDBACK_LATENCY = 400
"""Samples from the end of a digitizer's window to the first event of an AWG that its bit can decide."""


class RunState(StrEnum):
    """The state of a run, as one instrument sees it."""

    IDLE = "IDLE"
    ARMED = "ARMED"
    RUN = "RUN"
    DONE = "DONE"
    FAULT = "FAULT"


_STEPS: Mapping[tuple[RunState, str], RunState] = {
    (RunState.IDLE, "arm"): RunState.ARMED,
    (RunState.DONE, "arm"): RunState.ARMED,
    (RunState.ARMED, "trigger"): RunState.RUN,
    (RunState.RUN, "finish"): RunState.DONE,
    (RunState.ARMED, "fail"): RunState.FAULT,
    (RunState.RUN, "fail"): RunState.FAULT,
    **{(state, "abort"): RunState.IDLE for state in RunState},
}


@dataclass(frozen=True)
class VirtualIdentity:
    """What ``*IDN?`` answers, with the firmware."""

    vendor: str
    model: str
    serial: str


class VirtualInstrument:
    """Registers, error queue and table of commands of one instrument."""

    COMMANDS: ClassVar[tuple[Command, ...]]
    table: ClassVar[Table]
    abilities: ClassVar[frozenset[str]] = frozenset({"reference"})
    """Abilities that some faults need: ``blocks`` and ``data`` (sends them), ``triggers``, ``input``, ``reference``."""
    firmware = "1.0.0"

    def __init_subclass__(cls) -> None:
        cls.table = build_table(cls.COMMANDS)

    def __init__(self, identity: VirtualIdentity) -> None:
        self.identity = identity
        self.errors: deque[str] = deque()
        self.listeners: list[Callable[[], None]] = []
        """Called after every change of state."""
        self.faults = Faults()
        self.power_on()

    def power_on(self) -> None:
        """Start as after a reboot: memory, registers and error queue empty, another epoch."""
        self.epoch = secrets.randbits(31)
        self.errors.clear()
        self.event_status, self.event_enable, self.service_enable = POWER_ON, 0, 0
        self.clear_memory()

    def act_on_faults(self) -> None:
        """Act on a fault that has become active: report it, and switch off when it is overheating."""
        for code, detail in self.faults.conditions.items():
            self.report(code, detail)
        if OVERHEATED in self.faults.conditions:
            self.switch_off()

    def switch_off(self) -> None:
        """Switch all outputs off."""

    def check_health(self, *codes: int) -> None:
        """Refuse (ScpiError) to go on while one of the conditions ``codes`` lasts."""
        for code, detail in self.faults.conditions.items():
            if code in codes:
                raise ScpiError(code, detail)

    def clear_memory(self) -> None:
        """Set everything that is not a register or the error queue to what it is after power-on."""

    def report(self, code: int, detail: str = "") -> None:
        """Put an entry into the error queue and set its bit in the event status register."""
        self.event_status |= {1: 32, 2: 16, 3: 8}.get(-code // 100 if code < 0 else 3, 0)
        if len(self.errors) >= QUEUE_LENGTH:
            self.errors[-1] = f'-350,"{MESSAGES[-350]}"'
            return
        text = f"{MESSAGES[code]}; {detail}" if detail else MESSAGES[code]
        clean = "".join(c for c in text.replace('"', "'") if c.isprintable() and c.isascii())
        self.errors.append(f'{code},"{clean[:255]}"')

    def _identify(self) -> str:
        return f"{self.identity.vendor},{self.identity.model},{self.identity.serial},{self.firmware}"

    def _reset(self) -> None:
        self.clear_memory()
        self.epoch += 1

    def _clear_status(self) -> None:
        self.errors.clear()
        self.event_status = 0

    def _complete(self) -> None:
        self.event_status |= OPERATION_COMPLETE

    def _read_event_status(self) -> str:
        value, self.event_status = self.event_status, 0
        return str(value)

    def status_byte(self, message_available: bool = False) -> int:
        """Return the status byte (IEEE 488.2, 11.2)."""
        value = 4 * bool(self.errors) + 16 * message_available + 32 * bool(self.event_status & self.event_enable)
        return value + 64 * bool(value & self.service_enable)

    def _conditions(self) -> str:
        return str(sum(_QUESTIONABLE[code] for code in self.faults.conditions))

    def _set_event_enable(self, value: int) -> None:
        self.event_enable = value

    def _set_service_enable(self, value: int) -> None:
        self.service_enable = value & ~64

    def _next_error(self) -> str:
        return self.errors.popleft() if self.errors else f'0,"{MESSAGES[0]}"'

    def _all_errors(self) -> str:
        text = ",".join(self.errors) or f'0,"{MESSAGES[0]}"'
        self.errors.clear()
        return text

    COMMANDS = (
        Command("*IDN?", _identify),
        Command("*RST", _reset),
        Command("*CLS", _clear_status),
        Command("*OPC", _complete),
        Command("*OPC?", lambda _: "1"),
        Command("*WAI", lambda _: None),
        Command("*TST?", lambda _: "0"),
        Command("*ESR?", _read_event_status),
        Command("*ESE", _set_event_enable, (IntegerParameter("mask", 0, 255),)),
        Command("*ESE?", lambda self: str(self.event_enable)),
        Command("*SRE", _set_service_enable, (IntegerParameter("mask", 0, 255),)),
        Command("*SRE?", lambda self: str(self.service_enable)),
        Command("*STB?", lambda self: str(self.status_byte())),
        Command("SYSTem:ERRor[:NEXT]?", _next_error),
        Command("SYSTem:ERRor:COUNt?", lambda self: str(len(self.errors))),
        Command("SYSTem:ERRor:ALL?", _all_errors),
        Command("SYSTem:EPOCh?", lambda self: str(self.epoch)),
        Command("STATus:QUEStionable:CONDition?", _conditions),
    )


class TriggerBus(Protocol):
    """The trigger cables between the instruments."""

    def start(self, leader: ListPlayer) -> None:
        """Start a run; ScpiError when the rack as a whole cannot."""

    def abort(self, player: ListPlayer) -> None:
        """Take an instrument out of its run."""


class ListPlayer(VirtualInstrument):
    """An instrument that goes through a list of tables, shot by shot."""

    abilities = frozenset({"blocks", "triggers", "reference"})

    def __init__(self, identity: VirtualIdentity, bus: TriggerBus) -> None:
        self.bus = bus
        self.state = RunState.IDLE
        super().__init__(identity)

    def clear_memory(self) -> None:
        """Stop, and forget the list."""
        self.abort()
        self.list = np.empty(0, LIST_ENTRY)
        self.external = False

    # What the instruments differ in.
    @property
    def gives_triggers(self) -> bool:
        """Whether its followers are triggered when it leads."""
        return True

    def table_length(self, table: int) -> int | None:
        """Return the length of a table in samples; None when there is no such table."""
        raise NotImplementedError

    def check_list(self) -> None:
        """Refuse (ScpiError) what can only be checked when the list is armed."""

    def values_gone(self) -> None:
        """Forget what belonged to the entries of the list that was replaced."""

    def check_free(self) -> None:
        """Refuse (-221) a change during a run."""
        if self.state in (RunState.ARMED, RunState.RUN):
            raise ScpiError(-221, f"not while {self.state}")

    @property
    def tables_in_use(self) -> frozenset[int]:
        """The tables of the list while armed or running."""
        if self.state not in (RunState.ARMED, RunState.RUN):
            return frozenset()
        return self._used

    def step(self, event: str) -> None:
        """Change the state as the table says; IllegalStepError for a step that it does not have."""
        new = _STEPS.get((self.state, event))
        if new is None:
            raise IllegalStepError(
                "no such step",
                subject=f"instrument {self.identity.serial}",
                value=f"{event} while {self.state}",
                legal=", ".join(e for state, e in _STEPS if state is self.state),
            )
        self.state = new
        for listener in tuple(self.listeners):
            listener()

    def abort(self) -> None:
        """Stop and disarm, from any state."""
        if self.state is RunState.RUN:
            self.bus.abort(self)
        self.step("abort")

    def act_on_faults(self) -> None:
        """End a run, too."""
        super().act_on_faults()
        if self.state is RunState.RUN:
            self.bus.abort(self)
        if self.state in (RunState.ARMED, RunState.RUN):
            self.step("fail")

    def _store_list(self, block: bytearray) -> None:
        self.check_free()
        entries = np.frombuffer(block, LIST_ENTRY)
        if len(entries) > 1 << 16:
            raise ScpiError(-223, f"{len(entries)} entries, legal up to {1 << 16}")
        if not np.all(entries["shots"] >= 1):
            raise ScpiError(-222, f"shots 0 of entry {int(np.argmin(entries['shots']))}, legal 1 or more")
        good = (entries["period"] >= 1) & (entries["period"] <= MAX_PERIOD)
        if not np.all(good):
            raise ScpiError(-222, f"period of entry {int(np.argmin(good))}, legal 1 to {MAX_PERIOD} samples")
        self.list = entries
        self.values_gone()

    def _arm(self) -> None:
        if (self.state, "arm") not in _STEPS:
            raise ScpiError(-221, f"not while {self.state}")
        self.check_health(OVERHEATED, REFERENCE_LOST)
        if not len(self.list):
            raise ScpiError(-221, "the list is empty")
        for i, entry in enumerate(self.list.tolist()):
            length = self.table_length(entry[0])
            if length is None:
                raise ScpiError(-221, f"entry {i} of the list names table {entry[0]}, which does not exist")
            if length > entry[2]:
                raise ScpiError(-221, f"entry {i} of the list: {length} samples do not fit period {entry[2]}")
        self.check_list()
        self._used = frozenset(self.list["table"].tolist())
        self.step("arm")

    def _trigger(self) -> None:
        if self.state is not RunState.ARMED or self.external:
            raise ScpiError(-211, "the source is EXT" if self.external else f"while {self.state}")
        if self.faults.take("trigger"):
            return
        self.bus.start(self)

    def _wait(self, milliseconds: int) -> Wait:
        return Wait(
            lambda: self.state not in (RunState.ARMED, RunState.RUN), lambda: str(self.state), milliseconds / 1000
        )

    def _set_source(self, source: str) -> None:
        self.check_free()
        self.external = source == "EXT"

    COMMANDS = (
        *VirtualInstrument.COMMANDS,
        Command("LIST:DATA", _store_list, (BlockParameter("list", LIST_ENTRY.itemsize),)),
        Command("LIST:COUNt?", lambda self: str(len(self.list))),
        Command("INITiate[:IMMediate]", _arm),
        Command("ABORt", abort),
        Command("*TRG", _trigger),
        Command("STATe?", lambda self: str(self.state)),
        Command("WAIT?", _wait, (IntegerParameter("milliseconds", 0, 3_600_000),)),
        Command("TRIGger:SOURce", _set_source, (ChoiceParameter("source", ("BUS", "EXTernal")),)),
        Command("TRIGger:SOURce?", lambda self: "EXT" if self.external else "BUS"),
    )


def first_bad(good: np.ndarray) -> int | None:
    """Return the index of the first False, or None."""
    return None if good.all() else int(np.argmin(good))


def require(checks: Iterable[tuple[int, np.ndarray, str]], what: str) -> None:
    """Raise the first error (code, which records are good, what is legal) that a record has."""
    for code, good, legal in checks:
        bad = first_bad(good)
        if bad is not None:
            raise ScpiError(code, f"{what} {bad}: legal {legal}")
