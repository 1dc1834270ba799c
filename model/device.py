"""The device description: what a person writes about a rack in TOML, as checked values.

Qubits are wired to ports; a port is one IQ pair of one instrument with its clock and its local oscillator.
A wrong file gives one :class:`ConfigError` per mistake with the key, the bad value and the legal ones.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import UTC, date, datetime
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from pulsed.model.draft import Draft, asked, draft, named, respelt, whole
from pulsed.model.errors import ConfigError
from pulsed.model.interlocks import Interlock, InterlockName
from pulsed.model.observation import Alerts, Mail, Metrics
from pulsed.model.policies import (
    Limits,
    Maintenance,
    Quota,
    Quotas,
    Retention,
    RoleQuotas,
    RoleShares,
    Sharing,
    Table,
    Timing,
)
from pulsed.model.references import known
from pulsed.model.rules import wiring_problems
from pulsed.model.units import Amperes, ExactHertz, ExactSeconds, Hertz


def _iso_date(value: object) -> str:
    text = value.isoformat() if isinstance(value, date) else str(value)
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("not a date: write for example '2026-11-21'") from None
    return text


IsoDate = Annotated[str, BeforeValidator(_iso_date)]


NOT_TOLD = {"metrics", "alerts", "interlocks"}
"""Keys that concern the daemon alone: neither clients nor compile workers get them, who might read a secret there."""

AS_IT_IS: dict[str, bool] = {}
"""The context of a validation that leaves out the rules between keys: for a description that a daemon has accepted,
whose rules may be those of another version."""


class Identity(Table):
    """What ``*IDN?`` has to answer; an empty field is not compared."""

    vendor: str = ""
    """First field of the answer to `*IDN?`."""
    model: str = ""
    """Second field."""
    serial: str = ""
    """Third field."""


class InstrumentDescription(Table):
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
    oscillator_waveform_memory: PositiveInt | None = None
    """Samples of waveforms that one oscillator of a port holds at once, where each has a memory of its own."""
    oscillator_event_memory: PositiveInt | None = None
    """Events, and windows, of sequences that one oscillator of a port holds at once."""
    program_memory: PositiveInt | None = None
    """Programs that it holds at once, where each takes of its memory whatever is in it."""
    record_memory: PositiveInt | None = None
    """Bytes of data that a digitizer holds at once; jobs that return more are split."""
    raw_only: bool = False
    """Whether a digitizer returns nothing but records of each shot, so that they count also where the host integrates
    them."""
    options: dict[str, str | int | float | bool] = Field(default={})
    """Settings of this driver alone."""


class OscillatorDescription(Table):
    """A local oscillator: the instrument that makes it, and its setting."""

    instrument: str
    """The instrument that makes it."""
    frequency: Hertz = Field(gt=0)
    """Hz."""
    power: float = 10.0
    """dBm."""
    max_power: float | None = None
    """dBm that no job, scan or person may exceed; None: what the instrument can do."""


class BiasDescription(Table):
    """The direct current that a source adds to a flux line."""

    instrument: str
    """The bias source."""
    level: Amperes = 0.0
    """A: used until a value is calibrated."""
    range: Amperes = Field(gt=0)
    """Largest current, either sign, A."""
    slew: float | None = Field(default=None, gt=0)
    """A/s at which the current changes, also on the way to off; None: at once."""


class PortSafety(Table):
    """What a port may never put out, whoever asks: checked on the samples before they are sent."""

    amplitude: float | None = Field(default=None, gt=0, le=1)
    """Largest sum of all tones with mixer correction and offset, of full scale."""
    power: float | None = None
    """Largest power of all tones together, dBm at the port."""
    average_power: float | None = None
    """Largest power averaged over a shot and the wait after it, dBm at the port."""
    duty_cycle: float | None = Field(default=None, gt=0, le=1)
    """Largest share of a shot and the wait after it in which something plays."""


class PortDescription(Table):
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
    """Sample rate: an exact number of Hz, such as `"2.4 GHz"` or `"10/3 GHz"`."""
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
    safety: PortSafety | None = None
    """What it may never put out; None: what the instrument can do."""


class QubitDescription(Table):
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


class CouplingDescription(Table):
    """One pair: a cross-resonance tone leaves the control's drive port, or a flux pulse tunes the pair's coupler."""

    control: NonNegativeInt
    """The qubit whose port the tone leaves."""
    target: NonNegativeInt
    """The qubit at whose frequency the tone is."""
    flux: str | None = None
    """Baseband port of the pair's coupler; None: a cross-resonance tone."""


class ProcessorType(Table):
    """What kind of chip it is, as Qiskit's ``processor_type`` says it."""

    family: str
    """The design, for example `"fixed-frequency transmons"`."""
    revision: str = ""
    """Its revision."""
    segment: str = ""
    """The part of it that this is."""


class DeviceDescription(Table):
    """Everything about one rack that a person writes down."""

    name: str = Field(pattern=r"[A-Za-z][A-Za-z0-9_-]*")
    """What the backend is called."""
    description: str = ""
    """A sentence for people."""
    version: str = Field(default="0.1.0", pattern=r"\d+\.\d+\.\d+")
    """X.Y.Z of this description."""
    online_date: IsoDate = "2026-11-21"
    """ISO date on which the rack went into service."""
    sample_name: str = ""
    """Name of the chip."""
    processor_type: ProcessorType | None = None
    """What kind of chip it is; None: it is not said."""
    tags: tuple[str, ...] = ()
    """Words by which people choose among backends."""
    dt: ExactSeconds = Field(gt=0)
    """Time step of schedules: an exact number of seconds, such as `"1 ns"` or `"2/9 ns"`."""
    timing: Timing = Timing()
    """The grid of schedules."""
    limits: Limits = Limits()
    """What one job may ask for."""
    maintenance: Maintenance = Maintenance()
    """Automatic maintenance of the calibration."""
    retention: Retention = Retention()
    """How long jobs and their results are kept."""
    metrics: Metrics = Metrics()
    """Where Prometheus finds figures about the daemon."""
    alerts: Alerts = Alerts()
    """Who is told when something needs a person."""
    sharing: Sharing = Sharing()
    """How users share the rack."""
    quotas: Quotas = Quotas()
    """What users may ask for."""
    interlocks: dict[InterlockName, Interlock] = Field(default={})
    """By name, the values that stop all output when they are out of limits."""
    meas_map: tuple[tuple[NonNegativeInt, ...], ...]
    """Groups of qubits that one acquisition measures together."""
    simulator: str | None = None
    """Chip file of a simulated rack that `pulsed serve` starts beside the daemon; None for a real one."""
    emulator: str | None = None
    """Chip file behind the emulated instruments that `pulsed serve --emulated` starts in place of a real rack's."""
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

    @property
    def online_since(self) -> datetime:
        """``online_date`` as a time in UTC."""
        return datetime.fromisoformat(self.online_date).replace(tzinfo=UTC)

    @property
    def record_step(self) -> float:
        """Time step of acquired records, seconds."""
        return float(1 / min(port.clock for port in self.ports.values() if port.direction == "input"))

    def lo_frequency(self, port: str) -> float:
        """Return the frequency (Hz) that ``port`` is mixed with; 0 on a flux line."""
        lo = self.ports[port].lo
        return 0.0 if lo is None else self.oscillators[lo].frequency

    def emulated(self) -> DeviceDescription:
        """Return this description as that of a simulated rack. Raises :class:`ConfigError` when it names no chip."""
        chip = self.simulator or self.emulator
        if chip is None:
            raise ConfigError("names no chip to emulate the rack with", subject="emulator", value="absent",
                              legal="a chip file, relative to the configuration")  # fmt: skip
        return self.model_copy(update={"simulator": chip})

    def with_addresses(self, addresses: dict[str, str]) -> DeviceDescription:
        """Return this description with the addresses of some instruments replaced, and of ``"interlocks.NAME"``."""
        interlocks = {f"interlocks.{name}": item for name, item in self.interlocks.items()}
        for name in addresses:
            known(f"instruments.{name}", name, {**self.instruments, **interlocks})

        def at(name: str, item: Any) -> Any:
            return item.model_copy(update={"address": addresses.get(name, item.address)})

        instruments = {name: at(name, item) for name, item in self.instruments.items()}
        watched = {name: at(f"interlocks.{name}", item) for name, item in self.interlocks.items()}
        return self.model_copy(update={"instruments": instruments, "interlocks": watched})

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
    def _wiring_is_whole(self, info: ValidationInfo) -> DeviceDescription:
        problems = [] if info.context is AS_IT_IS else wiring_problems(self)
        if problems:
            raise _WiringError(problems)
        return self


class _WiringError(ValueError):
    def __init__(self, problems: list[ConfigError]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


def device_problems(error: ValidationError, data: object) -> list[ConfigError]:
    """Return everything that is wrong with ``data``, of which ``error`` says why it is no device description.

    What can be read of it is checked against each other although the rest cannot be read.
    """
    problems: list[ConfigError] = []
    for item in error.errors():
        cause = item.get("ctx", {}).get("error")
        if isinstance(cause, _WiringError):
            return cause.problems
        problems.append(_problem(item))
    return problems + wiring_problems(draft(DeviceDescription, data))


def _problem(item: Any, meant: str = "") -> ConfigError:
    key = ".".join(map(str, item["loc"])) or "(file)"
    if item["type"] == "missing":
        return ConfigError("this key is missing", subject=key)
    if item["type"] == "extra_forbidden":
        legal = ", ".join(sorted(_fields_at(item["loc"][:-1])))
        message = f"no such key: did you mean {meant}?" if meant else "no such key"
        return ConfigError(message, subject=key, value=str(item["loc"][-1]), legal=legal)
    legal = str(item.get("ctx", {}).get("expected", "")) if item["type"] == "literal_error" else ""
    return ConfigError(item["msg"].removeprefix("Value error, "), subject=key, value=repr(item["input"]), legal=legal)


def _fields_at(loc: tuple[int | str, ...]) -> list[str]:
    """Legal keys of the table at ``loc``, found by walking the models."""
    tables: dict[str, type[Table]] = {
        "timing": Timing, "limits": Limits, "maintenance": Maintenance, "retention": Retention,
        "instruments": InstrumentDescription, "oscillators": OscillatorDescription, "ports": PortDescription,
        "qubits": QubitDescription, "couplings": CouplingDescription, "metrics": Metrics,
        "alerts": Alerts, "sharing": Sharing, "interlocks": Interlock,
    }  # fmt: skip
    if not loc:
        return list(DeviceDescription.model_fields)
    nested: dict[str, type[Table]] = {
        "identity": Identity,
        "bias": BiasDescription,
        "safety": PortSafety,
        "processor_type": ProcessorType,
        "mail": Mail,
    }
    if loc[0] == "quotas":
        named = len(loc) > 2
        return list((Quota if named else RoleQuotas if loc[-1] == "roles" else Quotas).model_fields)
    if loc[:2] == ("sharing", "roles"):
        return list(RoleShares.model_fields)
    if loc[-1] in nested:
        return list(nested[str(loc[-1])].model_fields)
    return list(tables[str(loc[0])].model_fields) if str(loc[0]) in tables else []


class Reading(NamedTuple):
    """What came of reading a file."""

    device: DeviceDescription | None
    """None when there are problems."""
    problems: list[ConfigError]
    readable: Any = None
    """What the tables of instruments, oscillators and ports say that can be read, whatever is wrong elsewhere: a
    description of those alone, or a draft of one. None when the file is no TOML."""


def read_device(path: Path) -> Reading:
    """Read a device description and find everything that is wrong with it, as far as no driver has to be asked."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        return Reading(None, [ConfigError(f"cannot be read: {error.strerror or error}", subject=str(path))])
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        return Reading(None, [ConfigError(f"is not TOML: {error}", subject=str(path))])
    return read_tables(data)


def read_tables(data: dict[str, Any]) -> Reading:
    """Return what the parsed TOML of a device description says, and everything that is wrong with it."""
    try:
        device = DeviceDescription.model_validate(data)
        return Reading(device, [], device)
    except ValidationError as error:
        for item in error.errors():
            if item["type"] != "extra_forbidden":
                continue
            better, name = respelt(data, item["loc"], _fields_at(item["loc"][:-1]))
            if name:  # what else is wrong is what is wrong with the file that is meant
                rest = read_tables(better)
                return Reading(None, [_problem(item, name), *rest.problems], rest.readable)
        return Reading(None, device_problems(error, data), _readable(data))


def _readable(data: dict[str, Any]) -> Draft:
    tables: dict[str, type[Table]] = {
        "instruments": InstrumentDescription,
        "oscillators": OscillatorDescription,
        "ports": PortDescription,
    }
    seen = draft(DeviceDescription, data)
    values: dict[str, Any] = {
        key: {name: item for name in named(seen, key) if (item := whole(table, data[key][name])) is not None}
        for key, table in tables.items()
    }
    values |= {
        key: value
        for key in ("dt", "timing", "simulator", "emulator", "calibration")
        if (value := asked(seen, key)) is not None
    }
    return Draft(values)


def check_device(path: Path) -> tuple[DeviceDescription | None, list[ConfigError]]:
    """Read a device description; return it, or None and everything that is wrong with it."""
    reading = read_device(path)
    return reading.device, reading.problems


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
