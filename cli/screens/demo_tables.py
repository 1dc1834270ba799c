"""What the demo shows of the backend's own values: tables for the terminal and arrays for the pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pulsed.cli.screens.daemon import identity
from pulsed.cli.screens.terminal import plain_table
from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import DeviceDescription
from pulsed.model.job import JobInfo
from pulsed.model.wording import show_value
from pulsed.wire.messages import Status

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

    from pulsed.cli.screens.demo_pictures import Cloud, Label, Trace
    from pulsed.compiler.preview import Preview
    from pulsed.provider import PulsedBackend

_OF_QUBIT = (
    ("f01", "frequency"), ("t1", "T1"), ("t2", "T2 echo"), ("x.amplitude", "x amplitude"), ("x.duration", "x duration"),
    ("readout.frequency", "readout frequency"), ("readout.p01", "reads 0 after 1"), ("readout.p10", "reads 1 after 0"),
)  # fmt: skip
_ROOM = 100.0
"""ns of a pulse that has room for its frequency in the picture."""
_OF_PAIR = (("ecr.duration", "half of ecr"), ("ecr.amplitude", "amplitude"), ("ecr.error", "error"))


def instruments(status: Status) -> Table:
    """Return the instruments with what they say they are."""
    table = plain_table("instrument", "what it says it is")
    for name, item in status.instruments.items():
        table.add_row(Text(name, "bold"), identity(item.identity))
    return table


def calibration(values: CalibrationSet, qubits: Sequence[int]) -> RenderableType:
    """Return the values that the circuit will use."""
    head = Text.assemble(
        ("calibration_id ", "dim"),
        (values.calibration_id, "bold"),
        (f"  {len(values.values)} values, made {values.created}", "dim"),
    )
    names = [f"Q{q}" for q in qubits]
    table = plain_table("", *names, right=names)
    for parameter, title in _OF_QUBIT:
        table.add_row(Text(title, "dim"), *(_value(values, f"{name}.{parameter}") for name in names))
    pair = next((f"{a}-{b}" for a in names for b in names if f"{a}-{b}.ecr.duration" in values.values), None)
    parts: list[RenderableType] = [head, table]
    if pair is not None:
        found = ", ".join(f"{title} {_value(values, f'{pair}.{parameter}')}" for parameter, title in _OF_PAIR)
        parts.append(Text.assemble((f"cross resonance {pair}: ", "dim"), found))
    return Group(*parts)


def _value(values: CalibrationSet, name: str) -> str:
    return show_value(values.values[name]) if name in values.values else "-"


@dataclass(frozen=True)
class Named:
    """One pulse of the shot: ``start`` and ``length`` in ns; frequency at the chip in Hz."""

    port: str
    channel: str
    name: str
    start: float
    length: float
    amplitude: float
    frequency: float

    @property
    def gate(self) -> str:
        """The name without the qubits: ``x`` of ``x_q0``; with the qubit for a measurement."""
        gate, _, qubits = self.name.partition("_")
        return f"{gate} {qubits.upper()}" if gate == "measure" else gate


@dataclass(frozen=True)
class Pulses:
    """The circuit as pulses, with the names that the schedule gives them and the samples that the ports play."""

    device: DeviceDescription
    preview: Preview
    named: tuple[Named, ...]

    @classmethod
    def of(cls, backend: PulsedBackend, circuit: QuantumCircuit) -> Pulses:
        """Schedule and lower ``circuit``."""
        from pulsed.pulse.instructions import Play

        preview = backend.preview(circuit)
        names = {
            (item.channel.name, time): item.pulse.name or ""
            for time, item in backend.schedule(circuit).instructions
            if isinstance(item, Play)
        }
        device = backend.device
        named = []
        for port in preview.ports:
            clock = float(device.ports[port].clock)
            lo = device.lo_frequency(port)
            for pulse in preview.pulses(port):
                time = round(pulse.start / clock / float(device.dt))
                name = names.get((pulse.channel, time), "")
                named.append(Named(port, pulse.channel, name, pulse.start / clock * 1e9, pulse.length / clock * 1e9,
                                   pulse.amplitude, lo + pulse.frequency))  # fmt: skip
        return cls(device, preview, tuple(named))

    @property
    def summary(self) -> str:
        """How many pulses, on how many ports, and how many samples of envelopes there are to upload."""
        pulses, ports = len(self.named), len(self.preview.ports)
        return f"{pulses} pulses, {ports} ports, {self.preview.memory} samples"

    def table(self) -> Table:
        """Return the pulses, channel by channel."""
        numbers = ("at ns", "ns long", "amplitude", "GHz", "MHz from LO")
        table = plain_table("channel", "pulse", *numbers, right=numbers)
        last = ""
        for item in sorted(self.named, key=lambda item: (item.channel, item.start)):
            lo = self.device.lo_frequency(item.port)
            where = item.channel if item.channel == item.port else f"{item.channel} on {item.port}"
            table.add_row(
                Text(where if item.channel != last else "", "bold"), item.name, f"{item.start:.0f}",
                f"{item.length:.0f}", f"{item.amplitude:.4f}", f"{item.frequency / 1e9:.4f}",
                f"{(item.frequency - lo) / 1e6:+.2f}",
            )  # fmt: skip
            last = item.channel
        return table

    def traces(self) -> list[Trace]:
        """Return what each port plays, for the picture."""
        from pulsed.cli.screens.demo_pictures import Label, Trace

        windows = [(start, start + length) for _, start, length in self.preview.windows()]
        traces = []
        for port in self.preview.ports:
            rate = float(self.device.ports[port].clock) / 1e9
            mine = [item for item in self.named if item.port == port]
            readout = any(qubit.readout == port for qubit in self.device.qubits)
            traces.append(Trace(
                port,
                [(segment.start / rate, segment.samples) for segment in self.preview.segments(port)],
                list(_labels(mine)),
                [Label(a, b, "digitizer records") for a, b in sorted(set(windows))] if readout else [],
            ))  # fmt: skip
        return traces


def _labels(pulses: Iterable[Named]) -> Iterable[Label]:
    """One label for all pulses of a port that start together: the tones of a multiplexed readout."""
    from pulsed.cli.screens.demo_pictures import Label

    together: dict[tuple[float, float], list[Named]] = {}
    for pulse in pulses:
        together.setdefault((pulse.start, pulse.length), []).append(pulse)
    for (start, length), group in together.items():
        if length < _ROOM:
            text = ", ".join(item.gate for item in group)
        else:
            text = ", ".join(f"{item.gate} {item.frequency / 1e9:.3f} GHz" for item in group)
        yield Label(start, start + length, text)


def full_scales(result: Any) -> npt.NDArray[np.complex64]:
    """Return the points beside the counts of the first program, (shots, slots), as parts of full scale."""
    points: npt.NDArray[np.complex64] = result.data(0)["iq"] * result.results[0].header["iq_unit"]
    return points


def clouds(points: npt.NDArray[np.complex64], values: CalibrationSet, qubits: Sequence[int]) -> list[Cloud]:
    """Return the points (shots, qubits) with the decision that the rack worker takes: the nearer centroid."""
    from pulsed.cli.screens.demo_pictures import Cloud

    found = []
    for column, q in enumerate(qubits):
        re0, im0, re1, im1, *_ = values.numbers(f"Q{q}.readout.discriminator")
        zero, one = complex(re0, im0), complex(re1, im1)
        bits = abs(points[:, column] - one) < abs(points[:, column] - zero)
        found.append(Cloud(f"Q{q}", points[:, column], bits, zero, one))
    return found


def predicted_shares(prediction: Mapping[str, Any], values: CalibrationSet) -> dict[str, float]:
    """Return the share of each outcome that the truth predicts, with the reading errors of the calibration set.

    ``prediction`` holds the true joint populations of the three levels of each qubit as the readout starts, and the
    populations at the start of a shot; a qubit in its third level is read as 1. In the keys the last qubit comes
    first, as in Qiskit's counts.
    """
    joint = np.asarray(prediction["populations"], dtype=float)
    for axis, q in enumerate(prediction["qubits"]):
        measured = values.number(f"Q{q}.readout.p01"), values.number(f"Q{q}.readout.p10")
        p01, p10 = _reading_errors(*measured, excited=1 - prediction["initial"][q][0])
        reads = np.array([[1 - p10, p01, p01], [p10, 1 - p01, 1 - p01]])
        joint = np.moveaxis(np.tensordot(reads, joint, axes=(1, axis)), 0, axis)
    order = np.argsort(prediction["qubits"])[::-1]
    joint = np.transpose(joint, order)
    return {"".join(map(str, bits)): float(share) for bits, share in np.ndenumerate(joint)}


def _reading_errors(p01: float, p10: float, excited: float) -> tuple[float, float]:
    """Return p(0 | 1) and p(1 | 0) of the reading alone, from those measured after preparing 1 and 0.

    A shot starts excited with a probability e, and preparing 1 is a good x. So, with a and b the errors of the
    reading, p10 = a (1 - e) + (1 - b) e and p01 = b (1 - e) + (1 - a) e.
    """
    both = (p01 + p10 - 2 * excited) / (1 - 2 * excited)
    return p01 - excited * (1 - both), p10 - excited * (1 - both)


def inside(job: JobInfo) -> list[tuple[str, float]]:
    """Return what happened between submission and result: the steps, then the kinds of work."""
    steps = sorted((when, name) for name, when in job.times.items() if not name.startswith("seconds."))
    found = []
    last = job.created
    for when, name in steps:
        found.append((f"until {name}", when - last))
        last = when
    work = [(name.removeprefix("seconds."), value) for name, value in job.times.items() if name.startswith("seconds.")]
    return found + [(f"  {name}", seconds) for name, seconds in work]
