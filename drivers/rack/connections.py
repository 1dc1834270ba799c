"""The connections to the instruments of a rack: made, looked after, made safe, closed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from pulsed.drivers.contract import Analyser, Digitizer, Generator, Instrument, after, remaining
from pulsed.drivers.kinds import KINDS, InstrumentKind
from pulsed.drivers.rack.gather import gather, outcomes
from pulsed.drivers.rack.validation import load_rack
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import ConfigError, InstrumentError, InstrumentUnreachableError, PulsedError

_SAFE_SECONDS = 3.0
_RETRY_SECONDS = 0.1
T = TypeVar("T")


class Connections:
    """The drivers of ``device`` by what they are used as, each with a thread. The constructor does no I/O.

    It raises :class:`ConfigError` for a description that does not fit its drivers.
    """

    def __init__(self, device: DeviceDescription) -> None:
        self.device = device
        loaded = load_rack(device)
        loaded.raise_first()
        self.drivers: Mapping[str, Instrument] = loaded.drivers
        """By name; those that no port or oscillator names, such as a spectrum analyser, come last."""
        self.kinds: Mapping[str, InstrumentKind] = loaded.kinds
        self.generators: dict[str, Generator] = loaded.generators
        self.digitizers: dict[str, Digitizer] = loaded.digitizers
        self._threads = {
            name: ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"instrument-{name}") for name in self.drivers
        }
        self._closed = False

    @property
    def players(self) -> dict[str, Generator | Digitizer]:
        """What is armed and triggered, by name: AWGs and boxes with outputs and inputs, then digitizers."""
        return {**self.generators, **self.digitizers}

    def leaders(self, names: Iterable[str]) -> list[str]:
        """Return those of ``names`` that are started; the others wait for a trigger of theirs."""
        return [name for name in names if self.device.instruments[name].trigger is None]

    def analyser(self) -> Analyser:
        """Return the spectrum analyser. Raises :class:`ConfigError` when there is none."""
        for name, driver in self.drivers.items():
            if self.kinds[name] not in KINDS and isinstance(driver, Analyser):
                return driver
        raise ConfigError(
            "there is no spectrum analyser on this rack", subject="spectrum", value=self.device.name,
            legal="a rack with one among its instruments",
        )  # fmt: skip

    def gather(self, tasks: Mapping[str, Callable[[], T]]) -> dict[str, T]:
        """Do each task, of the instrument it names, and wait for all; see :func:`pulsed.drivers.rack.gather.gather`."""
        return gather(self._threads, tasks)

    def connect(self, deadline: float) -> None:
        """Connect all instruments side by side.

        On failure closes what it opened and raises one :class:`InstrumentError` or :class:`ConfigError`; when several
        fail, it has the error of each as its ``causes``.
        """
        try:
            self.gather({name: partial(driver.connect, deadline) for name, driver in self.drivers.items()})
        except BaseException:
            self._disconnect()
            raise

    def _disconnect(self) -> None:
        self.gather({name: driver.close for name, driver in self.drivers.items()})

    def reconnect(self, deadline: float) -> None:
        """Connect again after an instrument was lost; one that cannot be reached yet is tried until ``deadline``."""
        while True:
            try:
                return self.connect(deadline)
            except InstrumentUnreachableError:
                if remaining(deadline) < _RETRY_SECONDS:
                    raise
                time.sleep(_RETRY_SECONDS)

    def close(self) -> None:
        """Close all connections and end the threads. Idempotent."""
        if not self._closed:
            self._closed = True
            self._disconnect()
            for thread in self._threads.values():
                thread.shutdown()

    def safe_state(self, deadline: float | None = None) -> list[PulsedError]:
        """Stop everything and switch all outputs off; return what could not be made safe. Never raises."""
        if self._closed:
            return []
        deadline = after(_SAFE_SECONDS) if deadline is None else deadline
        calls = {name: partial(driver.safe_state, deadline) for name, driver in self.drivers.items()}
        futures = {name: self._threads[name].submit(call) for name, call in calls.items()}
        problems: list[PulsedError] = []
        for name, future in futures.items():
            error = future.exception()
            if isinstance(error, PulsedError):
                problems.append(error)
            elif error is not None:
                problems.append(InstrumentError(f"cannot be made safe: {error!r}", subject=f"instrument {name}"))
        return problems

    def health_check(self, deadline: float) -> dict[str, PulsedError]:
        """Ask each instrument how it is, while nothing plays; return the error of each that is not well."""
        tasks = {name: partial(driver.status, deadline) for name, driver in self.drivers.items()}
        problems: dict[str, PulsedError] = {}
        for name, outcome in outcomes(self._threads, tasks).items():
            error = outcome.exception()
            if isinstance(error, PulsedError):
                problems[name] = error
            elif error is not None:
                raise error
        return problems
