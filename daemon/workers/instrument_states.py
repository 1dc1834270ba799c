"""What is known of each instrument: values in, values out. No clock, no process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from pulsed.model.errors import (
    ErrorInfo,
    InstrumentChangedError,
    InstrumentDataError,
    InstrumentMemoryLostError,
    InstrumentReferenceLostError,
    InstrumentTakenError,
    InstrumentTimeoutError,
    InstrumentUnreachableError,
    from_info,
)
from pulsed.wire.messages import InstrumentStatus

_LOST = (InstrumentUnreachableError, InstrumentTimeoutError, InstrumentMemoryLostError, InstrumentDataError)
"""What an idle instrument is connected again for."""


class InstrumentStates:
    """The identity of each instrument, since when its phase holds, and what is wrong with it. Times are Unix times."""

    def __init__(self, names: Iterable[str]) -> None:
        self.identities: dict[str, str] = {}
        """Of those that answer."""
        self.error: ErrorInfo | None = None
        """What keeps the rack from being connected."""
        self.changes: Counter[str] = Counter()
        """How often each was found to be set otherwise than it was left, since the daemon started."""
        self._names = tuple(names)
        self._since: dict[str, float] = {}
        self._problems: dict[str, ErrorInfo] = {}
        """What the last health check found of instruments that answer."""

    @property
    def taken(self) -> ErrorInfo | None:
        """What keeps the rack from being connected, when that is another daemon."""
        return self.error if self.error is not None and self.error.code == InstrumentTakenError.code else None

    def connected(self, identities: Mapping[str, str], now: float) -> None:
        """All instruments answer. One that was not lost keeps its time."""
        same = {name for name, identity in identities.items() if self.identities.get(name) == identity}
        self._since = {name: self._since.get(name, now) if name in same else now for name in identities}
        self.identities = dict(identities)
        self.error = None
        self._problems = {}

    def lost(self, error: ErrorInfo) -> None:
        """An instrument, or several at once, does not answer or has lost its settings."""
        self.error = error
        for subject in {error.subject, *(cause.subject for cause in error.causes)}:
            name = subject.removeprefix("instrument ")
            self.identities.pop(name, None)
            one = error_of(error, subject)
            self.changes[name] += one is not None and one.code == InstrumentChangedError.code

    def checked(self, problems: Mapping[str, ErrorInfo], now: float) -> tuple[dict[str, ErrorInfo], bool]:
        """Take in a health check. Return the problems that are new, and whether what clients are told has changed."""
        before = self._problems
        self._problems = {name: error for name, error in problems.items() if not is_loss(error)}
        for name in self._problems.keys() ^ before.keys():
            if isinstance(from_info(self._problems.get(name) or before[name]), InstrumentReferenceLostError):
                self._since[name] = now  # its phase is another one, from now on and when it has locked again
        for name in problems.keys() - self._problems.keys():
            self.identities.pop(name, None)
        new = {name: error for name, error in problems.items() if before.get(name) != error}
        self.changes.update(name for name, error in new.items() if error.code == InstrumentChangedError.code)
        return new, self._problems != before

    def status(self) -> dict[str, InstrumentStatus]:
        """Return each instrument as it is told to clients."""
        status = {}
        for name in self._names:
            mine = None if self.error is None else error_of(self.error, f"instrument {name}")
            identity = self.identities.get(name, "")
            since = self._since.get(name, 0.0) if identity else 0.0
            status[name] = InstrumentStatus(identity, mine or self._problems.get(name), since)
        return status


def error_of(error: ErrorInfo, subject: str) -> ErrorInfo | None:
    """Return what ``error`` says of ``subject``, which may be one of several that it is about; None for nothing."""
    if not error.causes:
        return error if error.subject == subject else None
    return next((from_info(cause).to_info() for cause in error.causes if cause.subject == subject), None)


def is_loss(error: ErrorInfo) -> bool:
    """Whether an instrument with this error has to be connected again."""
    return isinstance(from_info(error), _LOST)
