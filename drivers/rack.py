"""The rack: all instruments of one device description, played as one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from importlib.metadata import entry_points
from typing import Any, TypeVar, cast

from pulsed.compiler.program import Chunk
from pulsed.drivers.collect import check_discriminators, collect, program_result
from pulsed.drivers.contract import (
    Analyser,
    BiasSettings,
    BiasSource,
    Digitizer,
    Fetched,
    Generator,
    Handle,
    Instrument,
    OutputSettings,
    Source,
    SourceSettings,
    after,
    remaining,
)
from pulsed.drivers.feedback import check_feedback
from pulsed.drivers.spectrum import endless, look, sweeps
from pulsed.drivers.together import outcomes, together
from pulsed.drivers.work import Shares, share_out
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import (
    ConfigError,
    InstrumentError,
    InstrumentLimitError,
    InstrumentMemoryLostError,
    InstrumentOverrangeError,
    InstrumentTriggerMissedError,
    InstrumentUnreachableError,
    PulsedError,
)
from pulsed.model.payload import Part, PartWriter
from pulsed.model.result import ProgramResult

Progress = Callable[[str, float], None]
"""Called with a stage (``"upload"``, ``"play"``, ``"fetch"``) and how much of it is done, 0 to 1."""

_SAFE_SECONDS = 3.0
_RETRY_SECONDS = 0.1
_GRACE_SECONDS = 60.0
_STRAGGLE_SECONDS = 1.0
"""A follower that is not done so long after the leader has missed a trigger."""
T = TypeVar("T")


def load_driver(name: str, key: str = "driver") -> Callable[..., Any]:
    """Return the driver that an entry point of ``pulsed.drivers`` names. Raises :class:`ConfigError`."""
    found = {point.name: point for point in entry_points(group="pulsed.drivers")}
    if name not in found:
        raise ConfigError("there is no such driver", subject=key, value=name, legal=", ".join(sorted(found)) or "none")
    try:
        return cast("Callable[..., Any]", found[name].load())
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"the driver cannot be loaded: {error}", subject=key, value=found[name].value) from error


class Rack:
    """The instruments of ``device``. The constructor loads the drivers and does no I/O.

    One thread at a time speaks to an instrument: the caller's, or one of the rack's own while the caller waits.
    Whoever calls the rack is the only caller at a time.
    """

    def __init__(self, device: DeviceDescription) -> None:
        self.device = device
        self._generators: dict[str, Generator] = {}
        self._digitizers: dict[str, Digitizer] = {}
        self._sources: dict[str, Source] = {}
        self._biases: dict[str, BiasSource] = {}
        self._others: dict[str, Instrument] = {}
        roles: dict[str, tuple[Any, dict[str, Any]]] = {}
        for oscillator in device.oscillators.values():
            roles[oscillator.instrument] = (Source, self._sources)
        for port in device.ports.values():
            output = port.direction == "output"
            roles[port.instrument] = (Generator, self._generators) if output else (Digitizer, self._digitizers)
            if port.bias is not None:
                roles[port.bias.instrument] = (BiasSource, self._biases)
        for name, description in device.instruments.items():
            kind, group = roles.get(name, (Instrument, self._others))
            key = f"instruments.{name}.driver"
            driver = load_driver(description.driver, key)(name, description)
            if not isinstance(driver, kind):
                raise ConfigError(
                    "this driver cannot do what its ports need",
                    subject=key,
                    value=description.driver,
                    legal=f"the driver of a {kind.__name__.lower()}",
                )
            group[name] = driver
        self._threads = {
            name: ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"instrument-{name}") for name in self.drivers
        }
        self._closed = False

    @property
    def drivers(self) -> dict[str, Instrument]:
        """The drivers by name; those that no port or oscillator names, such as a spectrum analyser, come last."""
        return {**self._generators, **self._digitizers, **self._sources, **self._biases, **self._others}

    @property
    def identities(self) -> dict[str, str]:
        """What each instrument answered to ``*IDN?`` when it was connected."""
        return {name: str(driver.identity) for name, driver in self.drivers.items() if driver.identity is not None}

    def connect(self, deadline: float) -> None:
        """Connect all instruments side by side.

        On failure closes what it opened and raises one :class:`InstrumentError` or :class:`ConfigError`; when
        several fail, its cause is the group of all.
        """
        try:
            self._together({name: partial(driver.connect, deadline) for name, driver in self.drivers.items()})
        except BaseException:
            self._disconnect()
            raise

    def _disconnect(self) -> None:
        self._together({name: driver.close for name, driver in self.drivers.items()})

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
        """Stop everything and switch all outputs off; return what could not be made safe. Never raises.

        Idempotent, callable from any state, also before :meth:`connect` and after :meth:`close`.
        """
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

    def look(self, deadline: float) -> dict[str, PulsedError]:
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

    def validate(self, chunk: Chunk) -> Shares:
        """Return the work of each instrument, every limit checked; speaks to none of them."""
        modes = {name: driver.capabilities.modes for name, driver in self._digitizers.items()}
        shares = share_out(chunk, self.device, modes)
        if chunk.settings.spectrum is not None:
            shares = Shares(shares.playbacks, {})
            for sweep in sweeps(chunk.settings.spectrum):
                self._analyser().validate(sweep)
        for name, playback in shares.playbacks.items():
            self._check_blocks(chunk, self._generators[name])
            self._generators[name].validate(playback)
        for name, recording in shares.recordings.items():
            self._check_blocks(chunk, self._digitizers[name])
            self._digitizers[name].validate(recording)
            check_discriminators(chunk, recording)
        latencies = {name: self._generators[name].capabilities.feedback_latency for name in shares.playbacks}
        check_feedback(chunk, self.device, shares.playbacks, shares.recordings, latencies)
        for source, settings in self._source_settings(chunk):
            source.validate(settings)
        return shares

    def _source_settings(self, chunk: Chunk) -> list[tuple[Any, SourceSettings | BiasSettings]]:
        """Return what is fixed during a chunk: each local oscillator and bias source with its settings."""
        los, levels = chunk.settings.los, chunk.settings.biases
        settings: list[tuple[Any, SourceSettings | BiasSettings]] = [
            (self._sources[item.instrument], SourceSettings(*los.get(name, (item.frequency, item.power))))
            for name, item in self.device.oscillators.items()
        ]
        biased = {name: port.bias for name, port in self.device.ports.items() if port.bias is not None}
        for name, bias in biased.items():
            source = self._biases[bias.instrument]
            settings.append((source, BiasSettings(levels.get(name, bias.level), bias.range)))
        return settings

    @staticmethod
    def _check_blocks(chunk: Chunk, driver: Generator | Digitizer) -> None:
        can = driver.capabilities
        for program in chunk.programs:
            branches = not can.branching and any(block.branch is not None for block in program.blocks)
            late = not can.late_parameters and program.parameters.shape[0] > 0
            if branches or late:
                raise InstrumentLimitError(
                    f"cannot {'branch on a measured bit' if branches else 'take parameters while it plays'}",
                    subject=f"instrument {driver.name}",
                    value=f"program {program.name}",
                    legal="programs without",
                )

    def play(
        self, chunk: Chunk, progress: Progress | None = None, deadline: float | None = None, verify: bool = False
    ) -> tuple[list[ProgramResult], list[Part], dict[str, float]]:
        """Play ``chunk`` and return one result per program and binding, their arrays, and the seconds of each stage.

        Without a ``deadline`` the run may take twice its pulse time and a minute. ``verify``: read back which
        tables the instruments hold. When anything fails, also ``progress`` by raising, the rack is made safe and
        the error goes on.
        """
        chunk = chunk.unrolled()  # no instrument here binds late values itself
        times: dict[str, float] = {}
        report = progress or (lambda _stage, _done: None)
        if chunk.settings.spectrum is not None:
            deadline = after(len(chunk.programs) * _GRACE_SECONDS) if deadline is None else deadline
            return self._look(chunk, report, times, verify, deadline)
        with _timed(times, "validate"):
            shares = self.validate(chunk)
        seconds = _pulse_seconds(shares, self.device)
        deadline = after(2 * seconds + _GRACE_SECONDS) if deadline is None else deadline
        try:
            handles = self._prepare(chunk, shares, verify, report, times, deadline)
            with _timed(times, "play"):
                self._run(seconds, report, deadline)
            with _timed(times, "fetch"):
                fetched = self._fetch(chunk, handles, deadline)
        except BaseException:
            self.safe_state()
            raise
        with _timed(times, "classify"):
            results, parts = collect(chunk, [(shares.recordings[n], data) for n, data in fetched.items()])
        report("fetch", 1.0)
        return results, parts, times

    def _analyser(self) -> Analyser:
        for driver in self._others.values():
            if isinstance(driver, Analyser):
                return driver
        raise ConfigError(
            "there is no spectrum analyser on this rack", subject="spectrum", value=self.device.name,
            legal="a rack with one among its instruments",
        )  # fmt: skip

    def _look(
        self, chunk: Chunk, report: Progress, times: dict[str, float], verify: bool, deadline: float
    ) -> tuple[list[ProgramResult], list[Part], dict[str, float]]:
        """Play each program over and over while the analyser looks at it."""
        analyser, wanted, writer = self._analyser(), chunk.settings.spectrum, PartWriter()
        assert wanted is not None
        results = []
        try:
            for index, program in enumerate(chunk.programs):
                alone = endless(chunk, index)
                with _timed(times, "validate"):
                    shares = self.validate(alone)
                handles = self._prepare(alone, shares, verify, lambda _stage, _done: None, times, deadline)
                leaders = [name for name in self._leaders() if name in handles]
                with _timed(times, "play"):
                    self._together({n: partial(self._player(n).start, deadline) for n in leaders})
                    levels = look(analyser, wanted, deadline)
                    self._together({n: partial(self._player(n).stop, deadline) for n in handles})
                    self._together({n: partial(source.status, deadline) for n, source in self._sources.items()})
                results.append(program_result(chunk, program, spectrum=writer.add(levels)))
                report("play", (index + 1) / len(chunk.programs))
        except BaseException:
            self.safe_state()
            raise
        return results, writer.parts, times

    def _prepare(
        self, chunk: Chunk, shares: Shares, verify: bool, report: Progress, times: dict[str, float], deadline: float
    ) -> dict[str, Handle]:
        """Configure, upload and arm. An instrument that lost its memory is connected anew first."""
        try:
            return self._load(chunk, shares, verify, report, times, deadline)
        except InstrumentMemoryLostError:
            # It rebooted since the last chunk: nothing that was sent is there, settings included.
            self.connect(deadline)
            return self._load(chunk, shares, verify, report, times, deadline)

    def _load(
        self, chunk: Chunk, shares: Shares, verify: bool, report: Progress, times: dict[str, float], deadline: float
    ) -> dict[str, Handle]:
        """Configure and upload side by side, then arm: followers first, the leader last."""
        report("upload", 0.0)
        with _timed(times, "upload"):
            tasks: dict[str, Callable[[], None]] = {}
            for source, settings in self._source_settings(chunk):
                tasks[source.name] = partial(source.configure, settings, deadline)
            for name, playback in shares.playbacks.items():
                tasks[name] = partial(self._generators[name].configure, OutputSettings(playback.pairs), deadline)
            self._together(tasks)
            uploads: dict[str, Callable[[], Handle]] = {
                name: partial(self._generators[name].upload, playback, deadline)
                for name, playback in shares.playbacks.items()
            }
            for name, recording in shares.recordings.items():
                uploads[name] = partial(self._digitizers[name].upload, recording, deadline)
            handles = self._together(uploads)
            if verify:
                self._together({n: partial(self._player(n).verify, handles[n], deadline) for n in handles})
        report("upload", 1.0)
        with _timed(times, "arm"):
            leaders = [name for name in self._leaders() if name in handles]
            for group in ([name for name in handles if name not in leaders], leaders):
                self._together({n: partial(self._player(n).arm, handles[n], deadline) for n in group})
        return handles

    def _fetch(self, chunk: Chunk, handles: Mapping[str, Handle], deadline: float) -> dict[str, Fetched]:
        """Return the data of each digitizer, once all sources have said that they were well."""
        sources: dict[str, Instrument] = {**self._sources, **self._biases}
        tasks: dict[str, Callable[[], Any]] = {n: partial(s.status, deadline) for n, s in sources.items()}
        tasks |= {n: partial(driver.fetch, handles[n], deadline) for n, driver in self._digitizers.items()}
        done = self._together(tasks)
        fetched = {name: cast("Fetched", done[name]) for name in self._digitizers}
        for name, data in fetched.items():
            if chunk.settings.meas_level == 2 and any(data.overrange):
                raise InstrumentOverrangeError(
                    f"the input was beyond full scale in program {chunk.programs[data.overrange.index(True)].name}, "
                    "so its points cannot be classified",
                    subject=f"instrument {name}",
                    legal="a weaker readout, or meas_level 0 or 1, which tell of it in the result",
                )
        return fetched

    def _player(self, name: str) -> Generator | Digitizer:
        return self._generators[name] if name in self._generators else self._digitizers[name]

    def _leaders(self) -> list[str]:
        players = (*self._generators, *self._digitizers)
        return [name for name in players if self.device.instruments[name].trigger is None]

    def _run(self, seconds: float, report: Progress, deadline: float) -> None:
        """Start the leader and wait until all have played."""
        began = time.monotonic()
        leaders = self._leaders()
        self._together({name: partial(self._player(name).start, deadline) for name in leaders})
        waiting = [*self._generators, *self._digitizers]
        patience: float | None = None
        while waiting:
            done = self._together({name: partial(self._player(name).wait_done, deadline) for name in waiting})
            waiting = [name for name in waiting if not done[name]]
            if waiting and leaders and not set(waiting) & set(leaders):
                patience = patience or after(_STRAGGLE_SECONDS)
                if not remaining(patience):
                    raise InstrumentTriggerMissedError(
                        "still waits for triggers when the leader has played", subject=f"instrument {waiting[0]}"
                    )
            report("play", min(1.0, (time.monotonic() - began) / seconds) if waiting else 1.0)

    def _together(self, tasks: Mapping[str, Callable[[], T]]) -> dict[str, T]:
        """Do each task and wait for all; see :func:`together`."""
        return together(self._threads, tasks)


def _pulse_seconds(shares: Shares, device: DeviceDescription) -> float:
    """Return how long the shots take."""
    seconds = 0.0
    for port in device.ports.values():
        if port.instrument in shares.playbacks:
            entries = shares.playbacks[port.instrument].entries
            seconds = max(seconds, float(entries["shots"].astype(float) @ entries["period"] / float(port.clock)))
    return seconds


@contextmanager
def _timed(times: dict[str, float], stage: str) -> Iterator[None]:
    began = time.perf_counter()
    try:
        yield
    finally:
        times[stage] = times.get(stage, 0.0) + time.perf_counter() - began
