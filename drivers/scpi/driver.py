"""What the drivers here share: a session, a QCoDeS instrument over it, and the table of states."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Any

from qcodes.instrument import VisaInstrument

from pulsed.drivers.contract import (
    Capabilities,
    InstrumentIdentity,
    InstrumentState,
    after,
    check_step,
)
from pulsed.drivers.scpi.held_settings import HeldSetting, check_held
from pulsed.drivers.scpi.io_coroutines import IoCoroutine, IoRequest, ScpiReply, io_coroutine
from pulsed.drivers.scpi.session import ALL_ERRORS, ScpiCommand, Session
from pulsed.model.device import InstrumentDescription
from pulsed.model.errors import (
    InstrumentError,
    InstrumentMemoryLostError,
    InstrumentOverheatedError,
    InstrumentReferenceLostError,
    InstrumentUnreachableError,
    WrongInstrumentError,
)

_log = logging.getLogger("pulsed.drivers")
CONDITION_QUERIES = ("*ESR?", "STAT:QUES:COND?")
"""The registers that :meth:`ScpiDriver.check_conditions` reads."""
POWER_ON, _TEMPERATURE, _REFERENCE = 1 << 7, 1 << 4, 1 << 5
_PARAMETER_SECONDS = 5.0
"""For one access of a person to a QCoDeS parameter, which carries no deadline of its own."""


class SessionIO:
    """Mix in before a QCoDeS VISA instrument: its parameters then speak through a :class:`Session`."""

    session: Session

    def write_raw(self, cmd: str) -> None:
        """Send one command and drain the error queue."""
        self.session.transact((cmd,), (), after(_PARAMETER_SECONDS))

    def ask_raw(self, cmd: str) -> str:
        """Send one query and return its answer."""
        return self.session.query(cmd, after(_PARAMETER_SECONDS))

    def connect_message(self, idn_param: str = "IDN", begin_time: float | None = None) -> None:
        """Print nothing: a daemon has its own log."""


class StockSessionIO(SessionIO):
    """Mix in before a stock driver of QCoDeS: it then is one over a session that is open."""

    def __init__(self, name: str, session: Session) -> None:
        self.session = session
        super().__init__(name, None, resource=session.resource, device_clear=False)  # type: ignore[call-arg]


class SessionInstrument(SessionIO, VisaInstrument):  # type: ignore[misc]  # qcodes is not followed by mypy
    """A QCoDeS instrument over a session that is open."""

    def __init__(self, name: str, session: Session) -> None:
        self.session = session
        super().__init__(name, resource=session.resource, device_clear=False, terminator="\n")


def qcodes_name(name: str) -> str:
    """Return ``name`` as QCoDeS takes it: an identifier."""
    return re.sub(r"\W", "_", name)


class ScpiDriver:
    """A driver that has a session and, while connected, the QCoDeS instrument ``instrument``.

    A subclass gives ``capabilities``, :meth:`_make_instrument`, what has to be sent on connecting
    (:meth:`_on_connect`) and to be harmless (:meth:`_safe_commands`).
    """

    capabilities = Capabilities()
    error_query = ALL_ERRORS
    """How its error queue is asked for: :data:`~pulsed.drivers.scpi.session.NEXT_ERROR` where it has nothing else."""
    option_names: tuple[str, ...] | None = None
    """The keys that it knows in its ``options``; with None nobody checks them."""

    def __init__(self, name: str, description: InstrumentDescription) -> None:
        self.name = name
        self.description = description
        self.session = Session(name, description.address, self.error_query)
        self.instrument: Any = None
        """The QCoDeS instrument: parameters for a person and the cache of what was sent."""
        self.identity: InstrumentIdentity | None = None
        self._state = InstrumentState.CLOSED
        self._held: dict[str, HeldSetting] = {}
        """What it was configured with and shall have until it is made safe, by its query."""
        self._confirmed: list[str] = []
        """Answers to all of those queries that said so."""

    @property
    def subject(self) -> str:
        """The subject of its errors."""
        return f"instrument {self.name}"

    @property
    def state(self) -> InstrumentState:
        """Where the driver knows the instrument to be."""
        return self._state

    def _step(self, new: InstrumentState) -> None:
        check_step(self.name, self._state, new)
        self._state = new

    def connect(self, deadline: float) -> None:
        """Connect, check the identity and bring the instrument to idle, its outputs off.

        On failure closes what it opened.
        """
        self.close()
        try:
            self.session.connect(deadline)
            _, stale = self.session.exchange((), (), deadline)
            if stale:
                _log.warning("%s: its error queue had entries before it was connected: %s", self.subject, stale)
            self.identify(deadline)
            self.instrument = self._make_instrument()
            # Whoever had it before may have been killed with its outputs on.
            self.session.transact(("*CLS", *self._safe_commands()), (), deadline)
            self._on_connect(deadline)
        except BaseException:
            self.close()
            raise
        self._step(InstrumentState.IDLE)

    def identify(self, deadline: float) -> InstrumentIdentity:
        """Ask who it is. Raises :class:`WrongInstrumentError`."""
        fields = [part.strip() for part in self.session.query("*IDN?", deadline).split(",", 3)]
        identity = InstrumentIdentity(*fields, *[""] * (4 - len(fields)))
        expected = self.description.identity
        pairs = (
            (expected.vendor, identity.vendor),
            (expected.model, identity.model),
            (expected.serial, identity.serial),
        )
        if any(want and want != have for want, have in pairs):
            raise WrongInstrumentError(
                "another instrument than the configuration names answers here",
                subject=self.subject,
                value=str(identity),
                legal=",".join(want or "any" for want, _ in pairs),
            )
        known = self.identity
        if known is not None and known.firmware != identity.firmware:
            raise WrongInstrumentError(
                "came back with another firmware; restart the daemon to accept it",
                subject=self.subject,
                value=str(identity),
                legal=str(known),
            )
        self.identity = identity
        return identity

    def close(self) -> None:
        """Close. Idempotent, never raises."""
        instrument, self.instrument = self.instrument, None
        if instrument is not None:
            instrument.close()
        self.session.close()
        self._held.clear()
        self._state = InstrumentState.CLOSED

    def reset(self, deadline: float) -> None:
        """Bring the instrument to the state after power-on and connect to it again."""
        self._talk(("*RST",), (), deadline)
        self.connect(deadline)

    def status(self, deadline: float) -> InstrumentState:
        """Ask the instrument where it is. Raises :class:`InstrumentChangedError` when it is not as it was left."""
        self._check_held(self._talk((), self._held_queries, deadline))
        return self._state

    def drain_errors(self, deadline: float) -> list[str]:
        """Empty the error queue and return what was in it."""
        _, errors = self.session.exchange((), (), deadline)
        return errors

    def safe_state(self, deadline: float) -> None:
        """Stop and switch outputs off; connects again when there is no connection."""
        if not self.session.is_open or self.instrument is None:
            self.connect(deadline)
        self._talk(self._safe_commands(), (), deadline)
        self._forget_settings()
        self._step(InstrumentState.IDLE)

    def _connected(self) -> Any:
        """Return the QCoDeS instrument. Raises :class:`InstrumentUnreachableError` when there is no connection."""
        if self.instrument is None:
            raise InstrumentUnreachableError("is not connected", subject=self.subject, value=self.description.address)
        return self.instrument

    @io_coroutine
    def _talk(self, commands: Sequence[ScpiCommand], queries: Sequence[str], deadline: float) -> IoCoroutine[list[str]]:
        """One transaction; a failure puts the driver into the state fault."""
        return (yield from self._talking(commands, queries, deadline))

    def _talking(
        self, commands: Sequence[ScpiCommand], queries: Sequence[str], deadline: float
    ) -> IoCoroutine[list[str]]:
        try:
            answers, errors = yield IoRequest(self.session, commands, queries, deadline)
            return self.session.texts(answers, errors, queries)
        except InstrumentError:
            self._fault()
            raise

    def _exchanging(
        self, commands: Sequence[ScpiCommand], queries: Sequence[str], deadline: float
    ) -> IoCoroutine[ScpiReply]:
        """As :meth:`_talk`, with blocks among the answers and the error queue given, not raised."""
        try:
            return (yield IoRequest(self.session, commands, queries, deadline))
        except InstrumentError:
            self._fault()
            raise

    def check_conditions(self, events: str, conditions: str) -> None:
        """Raise the error that the answers to :data:`CONDITION_QUERIES` tell of.

        Event status register: IEEE 488.2, 11.5.1; questionable register: SCPI-99 volume 1, chapter 9.
        """
        self.check_register(conditions, _TEMPERATURE, InstrumentOverheatedError, "is overheated")
        self.check_register(conditions, _REFERENCE, InstrumentReferenceLostError, "has lost its reference clock")
        self.check_register(
            events, POWER_ON, InstrumentMemoryLostError, "was switched off and on, its settings are gone"
        )

    def check_register(self, register: str, bit: int, kind: type[InstrumentError], message: str) -> None:
        """Raise an error of ``kind`` when the answer of a ``register`` is no number, or has ``bit``."""
        if not register.isdigit() or int(register) & bit:
            self._fault()
            raise kind(message, subject=self.subject, value=f"register {register[:80]}", legal=f"bit {bit} not set")

    def _fault(self) -> None:
        if self._state is not InstrumentState.CLOSED:
            self._step(InstrumentState.FAULT)

    def _forget_settings(self) -> None:
        """Take no setting for sent, and none for one that it shall have."""
        self._held.clear()
        self._confirmed = []
        for module in (self.instrument, *self.instrument.submodules.values()):
            for parameter in module.parameters.values():
                parameter.cache.invalidate()

    def _applying(self, wanted: Sequence[HeldSetting], deadline: float) -> IoCoroutine[None]:
        """Send those whose parameter has another value; all of them then are what it shall have."""
        changed = [
            item
            for item in wanted
            if not (item.parameter.cache.valid and item.parameter.cache.get(False) == item.value)
        ]
        if not changed and all(self._held.get(item.query) == item for item in wanted):
            return
        self._confirmed = []
        for item in wanted:
            self._held.pop(item.query, None)  # until it is sent, what it shall have is not what it has
        if changed:
            yield from self._talking([item.command for item in changed], (), deadline)
            for item in changed:
                item.parameter.cache.set(item.value)
        self._held.update((item.query, item) for item in wanted)

    def held_readings(self, deadline: float) -> dict[str, str]:
        """Return what it answers to the query of each setting that it was configured with."""
        queries = self._held_queries
        return dict(zip(queries, self._talk((), queries, deadline), strict=True)) if queries else {}

    @property
    def _held_queries(self) -> tuple[str, ...]:
        """What :meth:`_check_held` takes the answers to."""
        return tuple(self._held)

    def _check_held(self, answers: Sequence[str]) -> None:
        """Raise :class:`InstrumentChangedError` when a setting is not as it was left; it then counts as not sent."""
        if answers != self._confirmed:
            check_held(self._held, answers, self.subject)
            self._confirmed = list(answers)

    def _make_instrument(self) -> Any:
        raise NotImplementedError

    def _on_connect(self, deadline: float) -> None:
        """Do what has to be done once the connection is there."""

    def _safe_commands(self) -> Sequence[ScpiCommand]:
        raise NotImplementedError
