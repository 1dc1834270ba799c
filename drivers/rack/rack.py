"""The rack: all instruments of one device description, played as one. The package says which way a chunk goes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pulsed.compiler.program import Chunk
from pulsed.drivers.contract import Instrument, after
from pulsed.drivers.programs import InstrumentPrograms
from pulsed.drivers.rack.assembly import assemble_results
from pulsed.drivers.rack.connections import Connections
from pulsed.drivers.rack.front_panel import use_front_panel
from pulsed.drivers.rack.instrument_locks import InstrumentLocks
from pulsed.drivers.rack.partition import partition_chunk
from pulsed.drivers.rack.spectrum import play_spectrum, validate_spectrum
from pulsed.drivers.rack.steps import ProgressCallback, ValidatedChunk, Watch, play, prepare, validate
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import PulsedError
from pulsed.model.payload import Part
from pulsed.model.result import ProgramResult

_GRACE_SECONDS = 60.0
_KNOWN, _SMALL = 16, 1 << 16
"""Chunks that are known to be good, and bytes of the largest: one that takes long to play has time to be checked."""


class Rack:
    """The instruments of ``device``. The constructor loads the drivers and does no I/O.

    It raises :class:`ConfigError` for a description that does not fit its drivers.

    One thread at a time speaks to an instrument: the caller's, or one of the rack's own while the caller waits.
    The rack itself is for one caller at a time.
    """

    def __init__(self, device: DeviceDescription) -> None:
        self.device = device
        self.connections = Connections(device)
        self._known: dict[bytes, ValidatedChunk] = {}
        """By content, what was played last at the end: a loop of a program plays the same again and again."""
        self._locks = InstrumentLocks({name: item.address for name, item in device.instruments.items()})

    @property
    def drivers(self) -> Mapping[str, Instrument]:
        """The drivers by name; those that no port or oscillator names, such as a spectrum analyser, come last."""
        return self.connections.drivers

    @property
    def identities(self) -> dict[str, str]:
        """What each instrument answered to ``*IDN?`` when it was connected."""
        return {name: str(driver.identity) for name, driver in self.drivers.items() if driver.identity is not None}

    def own(self, holder: str, deadline: float) -> None:
        """Keep other daemons of this machine from the instruments until :meth:`close`, in the name of ``holder``.

        Raises :class:`InstrumentTakenError` that says who has one, when that does not let go before ``deadline``.
        """
        self._locks.take(holder, deadline)

    def connect(self, deadline: float) -> None:
        """Connect all instruments; see :meth:`Connections.connect` for what it raises."""
        self.connections.connect(deadline)

    def reconnect(self, deadline: float) -> None:
        """Connect again after an instrument was lost; one that cannot be reached yet is tried until ``deadline``."""
        self.connections.reconnect(deadline)

    def close(self) -> None:
        """Close all connections, end the threads and let go of the instruments. Idempotent."""
        self.connections.close()
        self._locks.release()

    def safe_state(self, deadline: float | None = None) -> list[PulsedError]:
        """Stop everything and switch all outputs off; return what could not be made safe. Never raises.

        Idempotent, callable from any state, also before :meth:`connect` and after :meth:`close`.
        """
        return self.connections.safe_state(deadline)

    def health_check(self, deadline: float) -> dict[str, PulsedError]:
        """Ask each instrument how it is, while nothing plays; return the error of each that is not well."""
        return self.connections.health_check(deadline)

    def front_panel(self, name: str, settings: Mapping[str, float], reading: str, deadline: float) -> dict[str, str]:
        """Set something of one instrument while nothing plays, and read it; see :mod:`pulsed.drivers.rack.front_panel`.

        ``settings`` are those that a job may have (``"oscillators.drive.power"``); ``reading`` names a parameter.
        """
        return use_front_panel(self.connections, name, settings, reading, deadline)

    def validate(self, chunk: Chunk) -> InstrumentPrograms:
        """Return what each instrument has to do, every limit checked; speaks to none of them.

        Bindings go down to instruments that all bind parameters; for others each is a program of its own.
        """
        return self._validated(chunk).programs

    def _validated(self, chunk: Chunk) -> ValidatedChunk:
        if chunk.settings.spectrum is not None:
            return validate_spectrum(self.connections, chunk.unrolled())
        chunk = chunk.unrolled(all(one.capabilities.late_parameters for one in self.connections.players.values()))
        content = chunk.content() if chunk.size <= _SMALL else b""
        found = self._known.pop(content, None)
        if found is None:
            modes = {name: driver.capabilities.modes for name, driver in self.connections.digitizers.items()}
            found = validate(self.connections, chunk, partition_chunk(chunk, self.device, modes))
        if content:
            found.programs.keep()
            self._known[content] = found
            while len(self._known) > _KNOWN:
                del self._known[next(iter(self._known))]
        return found

    def play(
        self,
        chunk: Chunk,
        progress: ProgressCallback | None = None,
        deadline: float | None = None,
        verify: bool = False,
    ) -> tuple[list[ProgramResult], list[Part], dict[str, float]]:
        """Play ``chunk`` and return one result per program and binding, their arrays, and the seconds of each stage.

        Without a ``deadline`` the run may take twice its pulse time and a minute. ``verify``: read back which
        tables the instruments hold. When anything fails, also ``progress`` by raising, the rack is made safe and
        the error goes on.
        """
        if chunk.settings.spectrum is not None:
            return self._measure_spectrum(chunk.unrolled(), progress, deadline, verify)
        began = time.perf_counter()
        validated = self._validated(chunk)
        times = {"validate": time.perf_counter() - began}
        if deadline is None:
            deadline = after(2 * validated.seconds(self.device) + _GRACE_SECONDS)
        watch = Watch(deadline, progress or _nobody, times)
        with self._safe_on_failure():
            prepared = prepare(self.connections, validated, watch, verify)
            recorded = play(self.connections, prepared, watch)
        with watch.timed("classify"):
            results, parts = assemble_results(validated.chunk, recorded)
        watch.report("fetch", 1.0)
        return results, parts, times

    def _measure_spectrum(
        self, chunk: Chunk, progress: ProgressCallback | None, deadline: float | None, verify: bool
    ) -> tuple[list[ProgramResult], list[Part], dict[str, float]]:
        deadline = after(len(chunk.programs) * _GRACE_SECONDS) if deadline is None else deadline
        watch = Watch(deadline, progress or _nobody, {})
        with self._safe_on_failure():
            results, parts = play_spectrum(self.connections, chunk, watch, verify)
        return results, parts, watch.times

    @contextmanager
    def _safe_on_failure(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.safe_state()
            raise


def _nobody(_stage: str, _done: float) -> None:
    """Take the progress that nobody asked for."""
