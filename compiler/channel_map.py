"""Which oscillator of which port each channel plays on, and at which frequency."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pulsed import old_names
from pulsed.compiler.crosstalk import Compensation, compensation
from pulsed.compiler.predistortion import Distortion, distortions
from pulsed.compiler.program import IqDiscriminator, PortSettings, Slot
from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import DeviceDescription, samples_per_dt
from pulsed.model.errors import ConfigError, InvalidValueError, LoweringError
from pulsed.pulse.channels import AcquireChannel, Channel, ControlChannel, DriveChannel, MeasureChannel

__getattr__ = old_names(__name__)

_KINDS = {"d": DriveChannel, "u": ControlChannel, "m": MeasureChannel, "a": AcquireChannel}


LINE = np.dtype(
    [
        ("frequency", "<f8"),
        ("intermediate", "<f8"),
        ("bandwidth", "<f8"),
        ("lag", "<f8"),
        ("delay", "<i8"),
        ("samples", "<i8"),
        ("steps", "<i8"),
        ("granularity", "<i8"),
        ("min_length", "<i8"),
        ("max_length", "<i8"),
        ("qubit", "<i8"),
    ]
)
"""A :class:`PhysicalChannel` for compiled code. Frequencies in Hz, intermediate is frame minus LO; lag: the delay in
seconds; ``samples`` of the port's clock are ``steps`` dt; lengths in samples."""


@dataclass(frozen=True)
class PhysicalChannel:
    """One channel as it is wired. ``frequency`` is the frame's in Hz, ``lo`` the local oscillator's."""

    channel: Channel
    slot: Slot
    qubit: int
    """The qubit whose frequency the frame has: the target's for a control channel, -1 on a flux line."""
    frequency: float
    lo: float
    bandwidth: float
    ratio: Fraction
    """Samples of the port's clock in one dt."""
    delay: int
    """Samples between the shot's start and the port's sample 0, so that all ports line up."""
    baseband: bool = False
    """A flux line: real samples, no carrier; its frequency and LO are 0."""


class ChannelMap:
    """The channels of one device under one calibration set. A channel's row is its slot's number.

    ``qubit_frequencies`` and ``readout_frequencies`` (Hz, one per qubit) replace the calibrated ones. With
    ``compensated`` crosstalk is undone where the set knows it, with ``straightened`` the distortion of flux lines.
    """

    def __init__(
        self,
        device: DeviceDescription,
        calibration: CalibrationSet,
        qubit_frequencies: Sequence[float] | None = None,
        readout_frequencies: Sequence[float] | None = None,
        compensated: bool = True,
        straightened: bool = True,
    ) -> None:
        self.device = device
        self.calibration = calibration
        self._compensated = compensated
        self._straightened = straightened
        self._qubit = _per_qubit("qubit_lo_freq", device, calibration, "f01", qubit_frequencies)
        self._readout = _per_qubit("meas_lo_freq", device, calibration, "readout.frequency", readout_frequencies)

    @cached_property
    def lines(self) -> tuple[PhysicalChannel, ...]:
        """All channels: drive, control, measure, acquire; a row is a slot number."""
        device = self.device
        rows: list[tuple[str, int, int, str, float]] = []
        for q, qubit in enumerate(device.qubits):
            rows.append(("d", q, q, qubit.drive, self._qubit[q]))
        for k, pair in enumerate(device.couplings):
            if pair.flux is not None:
                rows.append(("u", k, -1, pair.flux, 0.0))
            else:
                rows.append(("u", k, pair.target, device.qubits[pair.control].drive, self._qubit[pair.target]))
        for q, qubit in enumerate(device.qubits):
            rows.append(("m", q, q, qubit.readout, self._readout[q]))
        for q, qubit in enumerate(device.qubits):
            rows.append(("a", q, q, qubit.acquire, self._readout[q]))
        used: dict[str, int] = {}
        return tuple(self._line(used, *row) for row in rows)

    def _flight(self, port_name: str, ratio: Fraction) -> int:
        """Return the measured time of flight to an input in its samples. Raises ConfigError for none that can be."""
        flight = self.calibration.get(f"{port_name}.delay", 0.0)
        if not 0 <= flight < math.inf:
            subject = f"{port_name}.delay"
            raise ConfigError("a record cannot begin before its pulse", subject=subject, value=flight, legal=">= 0 dt")
        return round(flight * ratio)

    def _line(
        self, used: dict[str, int], kind: str, index: int, qubit: int, port_name: str, frequency: float
    ) -> PhysicalChannel:
        port = self.device.ports[port_name]
        oscillator = used.get(port_name, 0)
        used[port_name] = oscillator + 1
        name = f"{kind}{index}"
        if oscillator >= port.oscillators:
            raise LoweringError(
                "more channels than the port has oscillators",
                subject=f"port {port_name}, channel {name}",
                value=oscillator + 1,
                legal=f"at most {port.oscillators}",
            )
        ratio = samples_per_dt(self.device, port)
        delay = port.delay
        if kind == "a":
            # The time of flight is a measured time: the nearest sample of the digitizer's clock will do.
            delay += self._flight(port_name, ratio)
        return PhysicalChannel(
            channel=_KINDS[kind](index),
            slot=Slot(port_name, oscillator, name),
            qubit=qubit,
            frequency=frequency,
            lo=self.device.lo_frequency(port_name),
            bandwidth=port.bandwidth,
            ratio=ratio,
            delay=delay,
            baseband=port.lo is None,
        )

    @cached_property
    def rows(self) -> dict[Channel, int]:
        """Channel → row of :attr:`lines`."""
        return {line.channel: row for row, line in enumerate(self.lines)}

    @cached_property
    def name_order(self) -> npt.NDArray[np.int64]:
        """Place of each line when they are sorted by the names of their channels."""
        return np.argsort(np.argsort([line.slot.channel for line in self.lines]))

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """One slot per line, and those that compensate crosstalk where it is known."""
        return self._own_slots if self.compensation is None else self.compensation.slots

    @cached_property
    def _own_slots(self) -> tuple[Slot, ...]:
        return tuple(line.slot for line in self.lines)

    @cached_property
    def compensation(self) -> Compensation | None:
        """How crosstalk of the drive lines is undone; None where it is not. Raises :class:`ConfigError`."""
        if not self._compensated:
            return None
        return compensation(self.device, self.calibration, self._own_slots, tuple(line.delay for line in self.lines))

    @cached_property
    def table(self) -> npt.NDArray[np.void]:
        """The lines as an array of LINE, for compiled code."""
        table = np.zeros(len(self.lines), dtype=LINE)
        for row, line in zip(table, self.lines, strict=True):
            row["frequency"], row["intermediate"] = line.frequency, line.frequency - line.lo
            port = self.device.ports[line.slot.port]
            row["bandwidth"], row["qubit"] = line.bandwidth, line.qubit
            row["delay"], row["lag"] = line.delay, float(line.delay / port.clock)
            row["samples"], row["steps"] = line.ratio.numerator, line.ratio.denominator
            row["granularity"], row["min_length"], row["max_length"] = (
                port.granularity,
                port.min_length,
                port.max_length,
            )
        return table

    @cached_property
    def dt(self) -> float:
        """Seconds."""
        return float(self.device.dt)

    @cached_property
    def upconverted_ports(self) -> list[str]:
        """The output ports that are played sample by sample: without an NCO, or with a distortion to undo."""
        return [
            name
            for name, port in self.device.ports.items()
            if port.direction == "output" and (not port.nco or name in self.distortions)
        ]

    @cached_property
    def distortions(self) -> dict[str, Distortion]:
        """Flux port → what its line does to a step, where that is undone. Raises :class:`ConfigError`."""
        return distortions(self.device, self.calibration) if self._straightened else {}

    @cached_property
    def calibration_id(self) -> str:
        """The id of the calibration set."""
        return self.calibration.calibration_id

    @cached_property
    def los(self) -> dict[str, tuple[float, float]]:
        """Local oscillator → (frequency Hz, power dBm)."""
        return {name: (lo.frequency, lo.power) for name, lo in self.device.oscillators.items()}

    @cached_property
    def biases(self) -> dict[str, float]:
        """Flux port → direct current in its line (A), of those that have a bias source."""
        return {
            name: self.calibration.get(f"{name}.bias", port.bias.level)
            for name, port in self.device.ports.items()
            if port.bias is not None
        }

    @cached_property
    def port_settings(self) -> dict[str, PortSettings]:
        """Mixer correction of each output port; none where none is calibrated. Raises :class:`ConfigError`."""
        result = {}
        for name, port in self.device.ports.items():
            if port.direction == "output":
                plain = PortSettings()
                a, b, c, d = self._mixer(f"{name}.mixer.correction", plain.correction)
                i, q = self._mixer(f"{name}.mixer.offset", plain.offset)
                result[name] = PortSettings((a, b, c, d), (i, q))
        return result

    def _mixer(self, name: str, default: tuple[float, ...]) -> tuple[float, ...]:
        values = self._numbers(name, default)
        if len(values) != len(default) or not np.isfinite(values).all():
            raise ConfigError(
                "not a valid setting of a mixer",
                subject=name,
                value=str(values),
                legal=f"{len(default)} finite numbers",
            )
        return values

    def _numbers(self, name: str, default: tuple[float, ...]) -> tuple[float, ...]:
        return self.calibration.numbers(name) if self.calibration.has(name) else default

    @cached_property
    def discriminators(self) -> dict[int, IqDiscriminator]:
        """Qubit → discriminator, of those that have one. Raises :class:`ConfigError`."""
        result = {}
        for q in range(self.device.num_qubits):
            name = f"Q{q}.readout.discriminator"
            values = self._numbers(name, ())
            if values:
                result[q] = _discriminator(name, values)
        return result

    @cached_property
    def kernels(self) -> dict[int, npt.NDArray[np.complex128]]:
        """Qubit → integration weights (samples,), of those that have some: a boxcar where not.

        Raises :class:`ConfigError`.
        """
        result = {}
        for q in range(self.device.num_qubits):
            name = f"Q{q}.readout.kernel"
            values = np.array(self._numbers(name, (0.0,)))
            if values.tolist() == [0.0]:
                continue
            if len(values) % 2 or not np.isfinite(values).all() or not values.any():
                raise ConfigError(
                    "not valid integration weights", subject=name, value=f"{len(values)} numbers",
                    legal="0 for a boxcar, or re and im of each sample in turn, all finite, not all 0",
                )  # fmt: skip
            result[q] = values.view(np.complex128)
        return result

    @cached_property
    def frames_of_qubit(self) -> tuple[npt.NDArray[np.int64], ...]:
        """Per qubit the rows whose frame rz(qubit) turns: its drive and every control channel that targets it."""
        return tuple(
            np.array([row for row, line in enumerate(self.lines) if line.qubit == q and line.slot.channel[0] in "du"])
            for q in range(self.device.num_qubits)
        )

    def row(self, channel: Channel) -> int:
        """Return the row of ``channel``. Raises :class:`LoweringError` for one that the rack does not have."""
        try:
            return self.rows[channel]
        except KeyError:
            names = ", ".join(line.slot.channel for line in self.lines)
            raise LoweringError("no such channel", subject=channel.name, value=channel.name, legal=names) from None

    def control_channel(self, control: int, target: int) -> ControlChannel | None:
        """Return the control channel of a pair, or None when the rack has none."""
        for k, pair in enumerate(self.device.couplings):
            if (pair.control, pair.target) == (control, target):
                return ControlChannel(k)
        return None


def _per_qubit(
    option: str, device: DeviceDescription, calibration: CalibrationSet, name: str, given: Sequence[float] | None
) -> list[float]:
    if given is None:
        sheet = "design_frequency" if name == "f01" else "design_readout_frequency"
        return [calibration.get(f"Q{q}.{name}", getattr(qubit, sheet)) for q, qubit in enumerate(device.qubits)]
    if len(given) != device.num_qubits:
        raise InvalidValueError(
            "one frequency per qubit", subject=option, value=len(given), legal=f"{device.num_qubits} values in Hz"
        )
    return [float(value) for value in given]


def _discriminator(name: str, values: tuple[float, ...]) -> IqDiscriminator:
    """Return the discriminator of a calibrated value: re0, im0, re1, im1, variance, and re2, im2, variance of 2."""
    if len(values) not in (5, 8) or not np.isfinite(values).all() or min(values[4::3]) <= 0:
        raise ConfigError(
            "not a valid discriminator", subject=name, value=str(values),
            legal="re0, im0, re1, im1, variance, and for a third state re2, im2, variance; variances above 0",
        )  # fmt: skip
    re0, im0, re1, im1, variance = values[:5]
    zero, one = complex(re0, im0), complex(re1, im1)
    if len(values) == 5:
        return IqDiscriminator(zero, one)
    re2, im2, other = values[5:]
    return IqDiscriminator(zero, one, complex(re2, im2), (variance, variance, other))
