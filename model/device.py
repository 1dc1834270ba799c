"""The device description: what a person writes about a rack in TOML, as checked values.

Qubits are wired to ports; a port is one IQ pair of one instrument with its clock and its local oscillator.
A wrong file gives one :class:`ConfigError` per mistake with the key, the bad value and the legal ones.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    model_validator,
)

from pulsed.model.errors import ConfigError
from pulsed.model.references import known, wiring_problems
from pulsed.model.units import Amperes, ExactHertz, ExactSeconds, Hertz, Seconds


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Identity(_Table):
    """What ``*IDN?`` has to answer; an empty field is not compared."""

    vendor: str = ""
    """First field of the answer to `*IDN?`."""
    model: str = ""
    """Second field."""
    serial: str = ""
    """Third field."""


class InstrumentDescription(_Table):
    """One instrument: its driver (an entry point of ``pulsed.drivers``), VISA address and identity."""

    driver: str
    """Name of an entry point of the group `pulsed.drivers`."""
    address: str
    """VISA address."""
    identity: Identity = Identity()
    """What `*IDN?` has to answer; another instrument is refused."""
    trigger: str | None = None
    """The instrument whose trigger this one waits for; None for a leader or for one without trigger."""
    waveform_memory: PositiveInt | None = None
    """Samples of waveforms that it holds at once; None: not a limit that the compiler has to keep."""
    event_memory: PositiveInt | None = None
    """Events of sequences that it holds at once."""
    record_memory: PositiveInt | None = None
    """Bytes of data that a digitizer holds at once; jobs that bring back more are split."""
    raw_only: bool = False
    """Whether a digitizer returns nothing but records of each shot, so that they count also where the host integrates
    them."""
    options: dict[str, str | int | float | bool] = {}
    """Settings of the driver's own."""


class OscillatorDescription(_Table):
    """A local oscillator: the instrument that makes it, and its setting."""

    instrument: str
    """The instrument that makes it."""
    frequency: Hertz = Field(gt=0)
    """Hz."""
    power: float = 10.0
    """dBm."""


class BiasDescription(_Table):
    """The direct current that a source adds to a flux line."""

    instrument: str
    """The bias source."""
    level: Amperes = 0.0
    """A: used until a value is calibrated."""
    range: Amperes = Field(gt=0)
    """Largest current, either sign, A."""


class PortDescription(_Table):
    """One physical output or input: an IQ pair of an instrument, mixed with an LO, or a flux line without one."""

    instrument: str
    """The instrument it belongs to."""
    pair: PositiveInt = 1
    """Number of the IQ pair on the instrument, from 1."""
    direction: Literal["output", "input"]
    """Whether it plays or records."""
    lo: str | None = None
    """The local oscillator it is mixed with: a key of `oscillators`. None: a baseband port, real samples on I."""
    bias: BiasDescription | None = None
    """Of a baseband port: the direct current in its line."""
    clock: ExactHertz = Field(gt=0)
    """Sample rate: an exact number of Hz."""
    granularity: PositiveInt = 1
    """Waveform (or record) lengths are multiples of this many samples of the port's clock."""
    min_length: PositiveInt = 1
    """Shortest waveform (or record) in samples."""
    max_length: PositiveInt = 1 << 16
    """Longest waveform (or record) in samples."""
    oscillators: PositiveInt = 1
    """How many tones it plays (or demodulates) at once."""
    nco: bool = True
    """Whether phase and frequency are data of the events; without, they are multiplied into the samples."""
    bandwidth: Hertz = Field(default=400e6, gt=0)
    """Largest intermediate frequency, either sign, Hz."""
    delay: NonNegativeInt = 0
    """Samples by which this port is held back so that all ports of the rack line up."""
    attenuation: float = 0.0
    """dB between the port and the chip."""
    full_scale: float = 0.0
    """dBm at the port for full scale 1."""


class QubitDescription(_Table):
    """One qubit: its three lines and what the design sheet says of it."""

    drive: str
    """Port that drives it."""
    readout: str
    """Port of its readout tone."""
    acquire: str
    """Port that records it."""
    design_frequency: Hertz = Field(gt=0)
    """f01 of the design sheet, Hz: used until a value is calibrated."""
    design_readout_frequency: Hertz = Field(gt=0)
    """Readout frequency of the design sheet, Hz."""
    design_anharmonicity: Hertz = Field(default=-300e6)
    """f12 - f01 of the design sheet, Hz."""


class CouplingDescription(_Table):
    """One pair: a cross-resonance tone leaves the control's drive port, or a flux pulse tunes the pair's coupler."""

    control: NonNegativeInt
    """The qubit whose port the tone leaves."""
    target: NonNegativeInt
    """The qubit at whose frequency the tone is."""
    flux: str | None = None
    """Baseband port of the pair's coupler; None: a cross-resonance tone."""


class Timing(_Table):
    """The grid of the pulse language, in dt."""

    granularity: PositiveInt = 1
    """Lengths of pulses are multiples of this."""
    min_length: PositiveInt = 1
    """Shortest pulse."""
    pulse_alignment: PositiveInt = 1
    """Starts of pulses are multiples of this."""
    acquire_alignment: PositiveInt = 1
    """Starts of acquisitions are multiples of this."""
    feedback_latency: NonNegativeInt | None = None
    """dt from the end of an acquisition at the digitizer until the AWGs can play what its bit decides; None: the rack
    has no feedback, and circuits with `if_test` are refused."""


class Limits(_Table):
    """What one job may ask for."""

    max_shots: PositiveInt = 100_000
    """Most shots of one job."""
    max_circuits: PositiveInt = 1000
    """Most circuits and schedules of one job."""
    default_shots: PositiveInt = 1024
    """Shots of a job that does not say."""
    max_payload: PositiveInt = 256 * 2**20
    """Bytes of one submission."""
    rep_delay: Seconds = Field(default=500e-6, gt=0)
    """Time from the end of a program to the next shot, in which qubits relax."""
    rep_delay_min: Seconds = Field(default=1e-6, gt=0)
    """Shortest repetition delay a job may ask for."""
    rep_delay_max: Seconds = Field(default=10e-3, gt=0)
    """Longest repetition delay."""
    job_seconds: float = Field(default=3600.0, gt=0)
    """Longest time on the rack of one job."""
    compile_seconds: float = Field(default=300.0, gt=0)
    """Longest time that compiling one job may take."""


class Maintenance(_Table):
    """When the daemon has the rack looked after by itself, with what `pulsed cal maintain` does."""

    every: Seconds | None = Field(default=None, gt=0)
    """Time from the last measurement of a calibration to the next pass; None: only by hand."""
    idle: Seconds = Field(default=10.0, ge=0)
    """Only when no job has waited or played for so long. Jobs that come in between have their turn."""
    limit: Seconds = Field(default=3600.0, gt=0)
    """How long one pass may take, jobs that it lets pass included; the next one goes on where it was stopped."""


class DeviceDescription(_Table):
    """Everything about one rack that a person writes down."""

    name: str = Field(pattern=r"[A-Za-z][A-Za-z0-9_-]*")
    """What the backend is called."""
    description: str = ""
    """A sentence for people."""
    version: str = Field(default="0.1.0", pattern=r"\d+\.\d+\.\d+")
    """X.Y.Z of this description."""
    online_date: str = "2026-11-21"
    """ISO date on which the rack went into service."""
    sample_name: str = ""
    """Name of the chip."""
    dt: ExactSeconds = Field(gt=0)
    """Time step of schedules: an exact number of seconds."""
    timing: Timing = Timing()
    """The grid of schedules."""
    limits: Limits = Limits()
    """What one job may ask for."""
    maintenance: Maintenance = Maintenance()
    """Calibration without a person."""
    meas_map: tuple[tuple[NonNegativeInt, ...], ...]
    """Groups of qubits that one acquisition measures together."""
    simulator: str | None = None
    """Chip file of a simulated rack that `pulsed serve` starts beside the daemon; None for a real one."""
    calibration: str | None = None
    """Calibration set to start from when the store has none; None for the design sheet's frequencies alone."""
    instruments: dict[str, InstrumentDescription]
    """The instruments by name."""
    oscillators: dict[str, OscillatorDescription]
    """The local oscillators by name."""
    ports: dict[str, PortDescription]
    """The ports by name."""
    qubits: tuple[QubitDescription, ...] = Field(min_length=1)
    """The qubits, in order."""
    couplings: tuple[CouplingDescription, ...] = ()
    """The pairs that have a tone or a flux line; number k plays on channel u_k."""

    @property
    def num_qubits(self) -> int:
        """How many qubits there are."""
        return len(self.qubits)

    def lo_frequency(self, port: str) -> float:
        """Return the frequency (Hz) that ``port`` is mixed with; 0 on a flux line."""
        lo = self.ports[port].lo
        return 0.0 if lo is None else self.oscillators[lo].frequency

    def with_addresses(self, addresses: dict[str, str]) -> DeviceDescription:
        """Return this description with the VISA addresses of some instruments replaced."""
        for name in addresses:
            known(f"instruments.{name}", name, self.instruments)
        instruments = {
            name: item.model_copy(update={"address": addresses.get(name, item.address)})
            for name, item in self.instruments.items()
        }
        return self.model_copy(update={"instruments": instruments})

    def with_settings(self, settings: Mapping[str, float]) -> DeviceDescription:
        """Return this description with ``"oscillators.NAME.frequency"`` (Hz) or ``".power"`` (dBm) replaced.

        ``"ports.NAME.bias"`` (A), and 0 for ``"compensation.crosstalk"`` or ``".distortion"``, are settings too; they
        replace calibrated values, so they stay out of the description.
        Raises :class:`ConfigError` for a name that is none.
        """
        oscillators = dict(self.oscillators)
        for key, value in settings.items():
            known("settings", key, dict.fromkeys(self.setting_names))
            if key.startswith("oscillators."):
                name, what = key.removeprefix("oscillators.").rsplit(".", 1)
                oscillators[name] = oscillators[name].model_copy(update={what: value})
        return self.model_copy(update={"oscillators": oscillators}) if settings else self

    @property
    def setting_names(self) -> tuple[str, ...]:
        """What a job may set for itself."""
        los = [f"oscillators.{name}.{what}" for name in self.oscillators for what in ("frequency", "power")]
        biases = [f"ports.{name}.bias" for name, port in self.ports.items() if port.bias is not None]
        return (*los, *biases, "compensation.crosstalk", "compensation.distortion")

    @model_validator(mode="after")
    def _wiring_is_whole(self) -> DeviceDescription:
        problems = list(wiring_problems(self))
        if problems:
            raise _WiringError(problems)
        return self


class _WiringError(ValueError):
    def __init__(self, problems: list[ConfigError]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


def _problems(error: ValidationError) -> list[ConfigError]:
    problems: list[ConfigError] = []
    for item in error.errors():
        cause = item.get("ctx", {}).get("error")
        if isinstance(cause, _WiringError):
            problems.extend(cause.problems)
            continue
        key = ".".join(map(str, item["loc"])) or "(file)"
        if item["type"] == "missing":
            problems.append(ConfigError("this key is missing", subject=key))
        elif item["type"] == "extra_forbidden":
            legal = ", ".join(sorted(_fields_at(item["loc"][:-1])))
            problems.append(ConfigError("no such key", subject=key, value=str(item["loc"][-1]), legal=legal))
        else:
            legal = str(item.get("ctx", {}).get("expected", "")) if item["type"] == "literal_error" else ""
            problems.append(
                ConfigError(
                    item["msg"].removeprefix("Value error, "), subject=key, value=repr(item["input"]), legal=legal
                )
            )
    return problems


def _fields_at(loc: tuple[int | str, ...]) -> list[str]:
    """Legal keys of the table at ``loc``, found by walking the models."""
    tables: dict[str, type[_Table]] = {
        "timing": Timing, "limits": Limits, "maintenance": Maintenance, "instruments": InstrumentDescription,
        "oscillators": OscillatorDescription, "ports": PortDescription, "qubits": QubitDescription,
        "couplings": CouplingDescription,
    }  # fmt: skip
    if not loc:
        return list(DeviceDescription.model_fields)
    nested: dict[str, type[_Table]] = {"identity": Identity, "bias": BiasDescription}
    if loc[-1] in nested:
        return list(nested[str(loc[-1])].model_fields)
    return list(tables[str(loc[0])].model_fields) if str(loc[0]) in tables else []


def check_device(path: Path) -> tuple[DeviceDescription | None, list[ConfigError]]:
    """Read a device description; return it, or None and everything that is wrong with it."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        return None, [ConfigError(f"cannot be read: {error.strerror or error}", subject=str(path))]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return None, [ConfigError(f"is not TOML: {error}", subject=str(path))]
    try:
        return DeviceDescription.model_validate(data), []
    except ValidationError as error:
        return None, _problems(error)


def load_device(path: Path) -> DeviceDescription:
    """Read a device description. Raises the first :class:`ConfigError` and says how many more there are."""
    device, problems = check_device(path)
    if device is None:
        if len(problems) > 1:
            first = problems[0]
            message = f"{first.message} (and {len(problems) - 1} more: see `pulsed config check {path}`)"
            raise ConfigError(message, subject=first.subject, value=first.value, legal=first.legal)
        raise problems[0]
    return device


def samples_per_dt(device: DeviceDescription, port: PortDescription) -> Fraction:
    """Return the samples of ``port``'s clock in one dt, exactly."""
    return port.clock * device.dt
