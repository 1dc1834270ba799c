"""The instrument contract: what a rack asks of a driver, as small protocols composed.

A driver is made with ``Driver(name, description)``, which stores and does no I/O; an entry point of the group
``pulsed.drivers`` names it. A deadline is a point in time on :func:`time.monotonic`, see :func:`after`. Every
method that takes one speaks to the instrument and may raise :class:`InstrumentUnreachableError`,
:class:`InstrumentTimeoutError` and :class:`InstrumentRefusedError`, whose subject is ``"instrument NAME"``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

from pulsed import old_names
from pulsed.compiler.program import PortSettings
from pulsed.drivers.programs import Playback, PlayerWork, Recording
from pulsed.model.errors import IllegalStepError


def after(seconds: float) -> float:
    """Return the deadline that is ``seconds`` from now."""
    return time.monotonic() + seconds


def remaining(deadline: float) -> float:
    """Return the seconds left until ``deadline``, zero when it has passed."""
    return max(0.0, deadline - time.monotonic())


class InstrumentState(StrEnum):
    """Where an instrument is, as its driver knows it."""

    CLOSED = "closed"
    IDLE = "idle"
    ARMED = "armed"
    RUNNING = "running"
    DONE = "done"
    FAULT = "fault"
    """A transaction failed; what the instrument does is not known until it is connected or made safe again."""


_S = InstrumentState
INSTRUMENT_STEPS: dict[InstrumentState, frozenset[InstrumentState]] = {
    _S.CLOSED: frozenset({_S.IDLE, _S.CLOSED}),
    _S.IDLE: frozenset({_S.IDLE, _S.ARMED, _S.FAULT, _S.CLOSED}),
    _S.ARMED: frozenset({_S.RUNNING, _S.DONE, _S.IDLE, _S.FAULT, _S.CLOSED}),
    _S.RUNNING: frozenset({_S.DONE, _S.IDLE, _S.FAULT, _S.CLOSED}),
    _S.DONE: frozenset({_S.DONE, _S.ARMED, _S.IDLE, _S.FAULT, _S.CLOSED}),
    _S.FAULT: frozenset({_S.IDLE, _S.FAULT, _S.CLOSED}),
}
"""The legal steps. A follower goes from armed to done by its trigger; a leader is started in between."""


def check_step(name: str, old: InstrumentState, new: InstrumentState) -> None:
    """Raise :class:`IllegalStepError` unless the table has the step from ``old`` to ``new``."""
    if new not in INSTRUMENT_STEPS[old]:
        legal = ", ".join(sorted(INSTRUMENT_STEPS[old]))
        raise IllegalStepError(
            f"cannot go from {old} to {new}", subject=f"instrument {name}", value=str(new), legal=legal
        )


@dataclass(frozen=True)
class InstrumentIdentity:
    """The four fields of ``*IDN?``."""

    vendor: str
    model: str
    serial: str
    firmware: str

    def __str__(self) -> str:
        return ",".join((self.vendor, self.model, self.serial, self.firmware))


@dataclass(frozen=True)
class Capabilities:
    """What an instrument can do, as data. Lengths in samples of its clock; 0 where it has none of a thing."""

    sample_rate: Fraction = Fraction(0)
    """Hz."""
    granularity: int = 1
    min_length: int = 1
    max_length: int = 0
    pairs: int = 0
    """IQ pairs, numbered from 1."""
    pair_numbers: tuple[int, ...] = ()
    """Of outputs that are numbered otherwise, as those of a frame with modules."""
    input_numbers: tuple[int, ...] = ()
    """Of the inputs of a box with both; a digitizer's are its pairs."""
    oscillators: int = 0
    """NCOs of a pair, numbered from 0."""
    max_frequency: float = 0.0
    """Largest frequency of an NCO, or of a microwave source, Hz."""
    min_frequency: float = 0.0
    max_correction: float = 0.0
    """Largest element of a mixer correction, either sign."""
    max_offset: float = 0.0
    """Full scale 1, either sign."""
    bits: int = 0
    """Of the DAC or ADC."""
    waveform_memory: int = 0
    """Samples."""
    event_memory: int = 0
    """Events of all sequences."""
    result_memory: int = 0
    """Bytes."""
    tables: int = 0
    """How many sequences or acquisition tables."""
    waveforms: int = 0
    """How many waveforms or kernels."""
    trigger_latency: int = 0
    """Samples from a shot of the leader to the same shot of a follower."""
    trigger_input: bool = False
    branching: bool = False
    """Whether it can play, or tell others, what depends on a classified bit."""
    feedback_bits: int = 0
    """How many bits of a program its events can wait for."""
    own_bits: bool = False
    """Whether its events wait for bits that it records itself alone, and nobody else's for its bits."""
    decisions: bool = False
    """Whether a digitizer can tell a bit that is made of several of its bits: 1 where each has its value."""
    feedback_latency: int = 0
    """Samples from the end of an acquisition to the first event that its bit can decide."""
    start_grid: int = 1
    """Samples: events and windows begin at multiples of it."""
    min_gap: int = 0
    """Samples from the start of a pulse, or of a window, of an oscillator to that of its next; a turn takes none."""
    oscillator_events: int = 0
    """Events, and windows, of one oscillator in all sequences."""
    oscillator_waveform_memory: int = 0
    """Samples of the waveforms of one oscillator."""
    oscillator_waveforms: int = 0
    """How many waveforms of one oscillator."""
    levels: int = 0
    """How many different pairs of amplitude and phase the events of one oscillator may have."""
    weights: Literal["complex", "real", "boxcar"] = "complex"
    """Kernels: any; those whose weights all have one phase, or the opposite one; or none but equal weights."""
    correction: Literal["matrix", "none"] = "matrix"
    """Of mixers: any matrix within ``max_correction``, or none because the instrument corrects its own."""
    lo_frequency: tuple[float, float] = (0.0, 0.0)
    """Lowest and highest of the LO inside of each output and input, Hz; zeros where there is none."""
    late_parameters: bool = False
    """Whether it takes entries with several bindings: an AWG what they change of its events as
    :class:`~pulsed.drivers.programs.EventSweep`, amplitudes, phases and frequencies; a digitizer records them alike."""
    modes: tuple[str, ...] = ()
    """Of acquisition."""
    power: tuple[float, float] = (0.0, 0.0)
    """Lowest and highest, dBm."""

    @property
    def outputs(self) -> tuple[int, ...]:
        """The numbers of its IQ pairs."""
        return self.pair_numbers or tuple(range(1, self.pairs + 1))

    @property
    def inputs(self) -> tuple[int, ...]:
        """The numbers of its inputs."""
        return self.input_numbers or tuple(range(1, self.pairs + 1))


@dataclass(frozen=True)
class Handle:
    """What an upload left in an instrument. ``epoch`` changes when the memory is lost, which voids the handle."""

    instrument: str
    name: str
    """Hash of the content."""
    epoch: int
    tables: tuple[int, ...] = ()
    """The instrument's number of the table of each entry, whatever bindings it has."""


@dataclass(frozen=True)
class Fetched:
    """What a digitizer recorded, one array per entry of the list: of one with bindings, one for each.

    ``integrate``: complex64 (shots, rows), full scale 1. ``raw``: int16 (shots, samples of all windows, 2) in codes.
    ``average``: float32 (samples of all windows, 2) in codes. The last axis holds I and Q.
    """

    mode: str
    arrays: tuple[npt.NDArray[Any], ...]
    unit: str
    """``"full scale"`` or ``"code"``."""
    overrange: tuple[bool, ...]
    full_scale: float = 1.0
    """Codes of full scale."""


@dataclass(frozen=True)
class OutputSettings:
    """Of an AWG, or a box with outputs and inputs."""

    pairs: Mapping[int, PortSettings] = field(default_factory=dict)
    """Mixer corrections of the outputs that are on."""
    los: Mapping[int, float] = field(default_factory=dict)
    """Hz of the LO inside, by output, of those that have one."""
    input_los: Mapping[int, float] = field(default_factory=dict)
    """Hz of the LO inside, by input."""


@dataclass(frozen=True)
class SourceSettings:
    """Of a local oscillator."""

    frequency: float
    """Hz."""
    power: float
    """dBm."""


@dataclass(frozen=True)
class BiasSettings:
    """Of a bias source. ``range``: largest level that may come, either sign; another range makes the output jump."""

    level: float
    """V or A."""
    range: float
    function: Literal["VOLT", "CURR"] = "CURR"
    slew: float | None = None
    """V/s or A/s at which the level changes, also to zero before the output goes off; None: at once."""


@dataclass(frozen=True)
class SpectrumSweep:
    """What to look at: the spectrum at ``port`` from ``start`` to ``stop`` (Hz), behind a filter of ``rbw`` (Hz)."""

    port: str
    start: float
    stop: float
    points: int = 1001
    rbw: float = 1e6


@runtime_checkable
class Identifiable(Protocol):
    """Has a name in the rack and says what it is."""

    name: str
    identity: InstrumentIdentity | None
    """What it answered when it was connected last."""

    def identify(self, deadline: float) -> InstrumentIdentity:
        """Ask ``*IDN?``. Raises :class:`WrongInstrumentError` when the configuration names another."""


@runtime_checkable
class Connectable(Protocol):
    """Opens in ``connect``, never in its constructor; what a failed ``connect`` opened, it closed."""

    def connect(self, deadline: float) -> None:
        """Connect, check the identity, bring the instrument to idle and learn what its memory holds.

        Its outputs are off afterwards, whatever it was left with: whoever had it before may have been killed.
        """

    def close(self) -> None:
        """Close. Idempotent, never raises."""

    def reset(self, deadline: float) -> None:
        """Bring the instrument to the state after power-on."""


@runtime_checkable
class Reporting(Protocol):
    """Tells how it is."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""

    @property
    def state(self) -> InstrumentState:
        """Where the driver knows it to be, without asking."""

    def status(self, deadline: float) -> InstrumentState:
        """Ask the instrument where it is. Raises :class:`InstrumentError` when it is not as it was left.

        One with settings reads back those that decide what is measured (frequency, power, level, correction, offset,
        outputs), and raises :class:`InstrumentChangedError` when one is not as :meth:`Configurable.configure` left it.
        """

    def drain_errors(self, deadline: float) -> list[str]:
        """Empty the error queue and return what was in it."""


@runtime_checkable
class Safe(Protocol):
    """Can be made harmless."""

    def safe_state(self, deadline: float) -> None:
        """Stop and switch outputs off. Idempotent, callable from any state; connects again when it must."""


SettingsT_contra = TypeVar("SettingsT_contra", contravariant=True)
WorkT_contra = TypeVar("WorkT_contra", contravariant=True)


@runtime_checkable
class Configurable(Protocol[SettingsT_contra]):
    """Has settings that are fixed during a chunk."""

    def configure(self, settings: SettingsT_contra, deadline: float) -> None:
        """Make ``settings`` hold. Idempotent, only differences are sent.

        What :meth:`Reporting.status` or :meth:`Runnable.arm` has found to be changed is sent again.
        """


@runtime_checkable
class Validating(Protocol[WorkT_contra]):
    """Knows its limits."""

    def validate(self, work: WorkT_contra) -> None:
        """Check every limit before the first byte is sent. Raises :class:`InstrumentLimitError`."""


@runtime_checkable
class Uploading(Protocol[WorkT_contra]):
    """Holds tables."""

    def upload(self, work: WorkT_contra, deadline: float) -> Handle:
        """Send what the instrument does not hold yet, evicting what was not used for longest."""

    def verify(self, handle: Handle, deadline: float) -> None:
        """Ask whether the tables of ``handle`` are there. Raises :class:`InstrumentMemoryLostError`."""


@runtime_checkable
class Runnable(Protocol):
    """Plays or records a list of tables."""

    def arm(self, handle: Handle, deadline: float) -> None:
        """Arm. Raises :class:`InstrumentMemoryLostError` when ``handle`` is void.

        Raises :class:`InstrumentChangedError` when a setting is not as it was left: nothing plays with another one.
        """

    def start(self, deadline: float) -> None:
        """Start a leader that is armed."""

    def stop(self, deadline: float) -> None:
        """Stop and disarm."""

    def wait_done(self, deadline: float) -> bool:
        """Wait until the run is done, or a fraction of a second has passed. Returns whether it is done."""


@runtime_checkable
class StartsAndWaits(Protocol):
    """Is started and waited for in one exchange, where it leads."""

    def start_and_wait(self, deadline: float) -> bool:
        """As :meth:`Runnable.start`, then :meth:`Runnable.wait_done`."""


@runtime_checkable
class Fetching(Protocol):
    """Brings data back."""

    def fetch(self, handle: Handle, deadline: float) -> Fetched:
        """Return the data of the run that is done."""


@runtime_checkable
class Instrument(Identifiable, Connectable, Reporting, Safe, Protocol):
    """What all instruments share."""


@runtime_checkable
class Generator(
    Instrument, Configurable[OutputSettings], Validating[Playback], Uploading[Playback], Runnable, Protocol
):
    """An AWG."""


@runtime_checkable
class Digitizer(Instrument, Validating[Recording], Uploading[Recording], Runnable, Fetching, Protocol):
    """A digitizer."""


@runtime_checkable
class Transceiver(
    Instrument,
    Configurable[OutputSettings],
    Validating[PlayerWork],
    Uploading[PlayerWork],
    Runnable,
    Fetching,
    Protocol,
):
    """A box with outputs and inputs: it plays and records one program.

    What it is given is a :class:`~pulsed.drivers.programs.Playback` where nothing is recorded on it, a
    :class:`~pulsed.drivers.programs.Recording` where it plays nothing, else both together.
    """


@runtime_checkable
class Source(Instrument, Configurable[SourceSettings], Validating[SourceSettings], Protocol):
    """A local oscillator."""


@runtime_checkable
class BiasSource(Instrument, Configurable[BiasSettings], Validating[BiasSettings], Protocol):
    """A source of direct current for a flux line."""


def full_scale_gain(settings: PortSettings) -> tuple[float, float]:
    """Return how much the correction can make of ``|z| = 1`` on I and on Q: the norms of the matrix's rows."""
    a, b, c, d = settings.correction
    return float(np.hypot(a, b)), float(np.hypot(c, d))


@runtime_checkable
class Analyser(Instrument, Validating[SpectrumSweep], Protocol):
    """A spectrum analyser whose input can be switched to each output port."""

    def sweep(self, work: SpectrumSweep, deadline: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Sweep once and return frequencies (points,) in Hz and levels (points,) in dBm at the port."""


__getattr__ = old_names(__name__)
