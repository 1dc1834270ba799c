"""The Program: a schedule lowered to one rack, as arrays.

Per oscillator slot of a port there are events: at a sample of the port's clock, an envelope of the table is
played with an amplitude and with the slot's oscillator at a phase and a frequency. Events lie in blocks, which
repeat and branch; delays are never samples. With t the time since the shot's start on the port's own clock,

    z(t) = sum over events of amplitude * envelope[n] * exp(i phase) * exp(-i 2 pi frequency t)

is the complex baseband of the port. The oscillator runs through: phases are absolute, so a hop in frequency
that shall be continuous carries its phase in the event.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from pulsed import old_names
from pulsed.model.job import Spectrum
from pulsed.model.payload import ArrayRef, Part, PartWriter, read_array

__getattr__ = old_names(__name__)

EVENT = np.dtype(
    [
        ("slot", "<u2"),
        ("envelope", "<i4"),
        ("time", "<i8"),
        ("amplitude", "<f8"),
        ("phase", "<f8"),
        ("frequency", "<f8"),
    ]
)
"""slot: row of ``slots``; envelope: row of the table, or -1: nothing is played, and what the slot plays from then on to
the shot's end has ``phase`` more, so a frame can depend on a bit; time: samples of the port's clock since the block's
start; amplitude: full scale 1, never negative; phase: rad; frequency: intermediate frequency in Hz, either sign."""

ACQUISITION = np.dtype(
    [
        ("slot", "<u2"),
        ("qubit", "<u2"),
        ("memory_slot", "<i4"),
        ("time", "<i8"),
        ("length", "<i8"),
        ("frequency", "<f8"),
        ("kernel", "<i4"),
    ]
)
"""slot: row of ``slots``; memory_slot: -1 when the bit is thrown away; time, length: samples of the port's clock;
frequency: Hz, to demodulate with; kernel: row of the envelope table, -1 for a boxcar."""

PARAMETER = np.dtype([("event", "<i4"), ("field", "<u2"), ("parameter", "<u2"), ("coefficient", "<f8")])
"""An unbound parameter: field (an index into ``FIELDS``) of the event grows by coefficient times the parameter."""

FIELDS = ("time", "amplitude", "phase", "frequency")


class Slot(msgspec.Struct, frozen=True):
    """One oscillator of one port."""

    port: str
    oscillator: int
    channel: str
    """The name of the channel that plays here (``"d0"``, ``"u1"``), for people."""


class Branch(msgspec.Struct, frozen=True):
    """Play the block only when the classified bit in ``memory_slot`` has ``value``, and all ``others`` have theirs."""

    memory_slot: int
    value: int
    others: tuple[tuple[int, int], ...] = ()
    """More (memory slot, value)."""

    @property
    def literals(self) -> tuple[tuple[int, int], ...]:
        """Every (memory slot, value) that must hold."""
        return ((self.memory_slot, self.value), *self.others)


class MadeBit(msgspec.Struct, frozen=True):
    """A bit of the result that is not measured into one slot in all shots: a readout that waits for bits leaves it."""

    memory_slot: int
    writes: tuple[tuple[int, tuple[tuple[int, int], ...]], ...]
    """Memory slots, each with some (memory slot, value). In a shot the last one counts of which all these hold; where
    there is none, nothing was measured, and the bit is 0."""


class Block(msgspec.Struct, frozen=True):
    """A run of events: rows ``events[0]:events[1]`` and ``acquisitions[0]:acquisitions[1]``."""

    events: tuple[int, int]
    acquisitions: tuple[int, int]
    duration: int
    """In dt, until the next block begins; events may last longer: so blocks on different bits play side by side."""
    repeat: int = 1
    branch: Branch | None = None


class Program(msgspec.Struct, frozen=True):
    """One schedule, lowered. Envelopes and slots are those of its :class:`Chunk`."""

    name: str
    blocks: tuple[Block, ...]
    events: ArrayRef
    acquisitions: ArrayRef
    parameters: ArrayRef
    """Rows of PARAMETER: what each column of ``bindings`` changes."""
    memory_slots: int
    duration: int
    """In dt, repeats included."""
    creg_sizes: tuple[tuple[str, int], ...] = ()
    metadata: bytes = b"{}"
    bindings: ArrayRef | None = None
    """float64 (bindings, columns): the program is played once for each row."""
    made: tuple[MadeBit, ...] = ()
    """What acquisitions into slots from ``memory_slots`` on are for: these bits, and what waits for them."""

    @property
    def count(self) -> int:
        """How many results the program brings back: one, or one per binding."""
        return 1 if self.bindings is None else self.bindings.shape[0]


class PortSettings(msgspec.Struct, frozen=True):
    """What is fixed on an output port during a chunk."""

    correction: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 1.0)
    """2 x 2 matrix, row by row, that (I, Q) is multiplied with before the DAC."""
    offset: tuple[float, float] = (0.0, 0.0)
    """Added to (I, Q) after the correction, full scale 1."""


class IqDiscriminator(msgspec.Struct, frozen=True):
    """Two or three centroids in the IQ plane; a point belongs to the nearest one, or to the likeliest Gaussian."""

    zero: complex
    one: complex
    two: complex | None = None
    variances: tuple[float, float, float] | None = None
    """Of I, which is that of Q too, around each of three centroids: makes Gaussians of them."""


class ChunkSettings(msgspec.Struct, frozen=True):
    """What is fixed on the rack during a chunk."""

    shots: int
    rep_delay: Fraction
    """Seconds between the end of a program and the start of the next shot."""
    meas_level: int = 2
    meas_return: str = "single"
    iq: bool = False
    los: dict[str, tuple[float, float]] = {}
    """Oscillator name → (frequency Hz, power dBm)."""
    biases: dict[str, float] = {}
    """Flux port → direct current in its line, A."""
    ports: dict[str, PortSettings] = {}
    discriminators: dict[int, IqDiscriminator] = {}
    """Qubit → discriminator."""
    spectrum: Spectrum | None = None
    """What the spectrum analyser looks at; nothing is recorded then."""


class ChunkHead(msgspec.Struct, frozen=True):
    """A chunk without its arrays."""

    slots: tuple[Slot, ...]
    programs: tuple[Program, ...]
    settings: ChunkSettings
    keys: tuple[bytes, ...]
    """Content hash of each envelope of the table."""
    envelopes: tuple[ArrayRef, ...]
    calibration_id: str
    first_program: int = 0
    """Which result of the job the first one of this chunk is."""
    first_shot: int = 0


def _encode_special(value: object) -> object:
    if isinstance(value, Fraction):
        return [str(value.numerator), str(value.denominator)]
    if isinstance(value, complex):
        return [value.real, value.imag]
    raise NotImplementedError(type(value))


def _decode_special(kind: type, value: object) -> object:
    if not (isinstance(value, list | tuple) and len(value) == 2):
        raise ValueError(f"expected two numbers for a {kind.__name__}")
    if kind is Fraction:
        return Fraction(int(value[0]), int(value[1]))
    if kind is complex:
        return complex(float(value[0]), float(value[1]))
    raise NotImplementedError(kind)


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_encode_special)
_DECODER = msgspec.msgpack.Decoder(ChunkHead, dec_hook=_decode_special)


_SMALL_LIST = 1 << 20
"""Bytes of a list of values that are sent whatever they are for."""


class Chunk:
    """The programs and shots that the instruments hold at once: a head and the arrays it refers to."""

    def __init__(self, head: ChunkHead, parts: Sequence[Part]) -> None:
        self.head = head
        self.parts = parts

    @property
    def programs(self) -> tuple[Program, ...]:
        """The programs, in the order of the job."""
        return self.head.programs

    @property
    def settings(self) -> ChunkSettings:
        """What is fixed during the chunk."""
        return self.head.settings

    def array(self, ref: ArrayRef) -> npt.NDArray[Any]:
        """Return the array ``ref`` refers to: events, acquisitions or parameters of a program."""
        return read_array(ref, self.parts)

    def envelope(self, row: int) -> npt.NDArray[Any]:
        """Return row ``row`` of the envelope table: complex128 (samples,), |envelope| <= 1."""
        return read_array(self.head.envelopes[row], self.parts)

    def unrolled(self, binding: bool = False) -> Chunk:
        """Return the chunk with every binding a program of its own, for instruments that cannot bind.

        ``binding``: they can. Programs then stay as they are, but for those with a time that is bound, and those whose
        parameters are more than the events that they save.
        """
        bound = self._bound() if binding else set[int]()
        if all(program.bindings is None or number in bound for number, program in enumerate(self.programs)):
            return self
        parts, programs = list(self.parts), []
        for number, program in enumerate(self.programs):
            if program.bindings is None or number in bound:
                programs.append(program)
                continue
            bindings = self.array(program.bindings)
            events = bind(self.array(program.events), self.array(program.parameters), bindings)
            writer = PartWriter()
            everything = writer.add(events.reshape(-1))
            everything = msgspec.structs.replace(everything, part=len(parts))
            parts += writer.parts
            size = events.shape[1]
            plain = msgspec.structs.replace(program, parameters=program.parameters.rows(0, 0), bindings=None)
            programs += [
                msgspec.structs.replace(plain, events=everything.rows(i * size, (i + 1) * size))
                for i in range(program.count)
            ]
        return Chunk(msgspec.structs.replace(self.head, programs=tuple(programs)), parts)

    def _bound(self) -> set[int]:
        """Return the programs that are sent with the values of their bindings.

        A list of values has a row for each entry and the columns of the widest program: one with many parameters beside
        many entries is cheaper binding by binding.
        """
        columns = {
            number: program.bindings.shape[1] for number, program in enumerate(self.programs)
            if program.bindings is not None and self._binds_well(program)
        }  # fmt: skip
        order = sorted(columns, key=lambda number: -columns[number])
        each = (self.programs[number] for number in order)
        events = [0, *accumulate(p.count * p.events.shape[0] * EVENT.itemsize for p in each)]
        row = 8 * sum(program.count for program in self.programs)
        values = [*(max(0, row * columns[number] - _SMALL_LIST) for number in order), 0]
        cut = min(range(len(order) + 1), key=lambda k: events[k] + values[k])
        return set(order[cut:])

    def _binds_well(self, program: Program) -> bool:
        """Whether events, parameters and bindings are less than the events of all bindings, for any of the events."""
        rows = self.array(program.parameters)
        most = int(np.bincount(rows["event"]).max(initial=0))
        return most < program.count and not (rows["field"] == FIELDS.index("time")).any()

    def content(self) -> bytes:
        """Return a hash of all that the chunk says: two that have the same one are the same."""
        result = hashlib.blake2b(digest_size=16)
        for part in self.encode():
            result.update(memoryview(part).nbytes.to_bytes(8, "little"))
            result.update(part)
        return result.digest()

    @property
    def size(self) -> int:
        """Bytes of its arrays."""
        return sum(memoryview(part).nbytes for part in self.parts)

    def encode(self) -> list[Part]:
        """Return the chunk as parts, the head first."""
        return [_ENCODER.encode(self.head), *self.parts]

    @classmethod
    def decode(cls, parts: Sequence[Part]) -> Chunk:
        """Read what :meth:`encode` wrote."""
        return cls(_DECODER.decode(parts[0]), parts[1:])


def changes(count: int, parameters: npt.NDArray[Any], bindings: npt.NDArray[Any]) -> dict[str, npt.NDArray[np.float64]]:
    """Return what bindings add to each field of ``count`` events that they change: float64 (bindings, events)."""
    found = {}
    for index, name in enumerate(FIELDS):
        rows = parameters[parameters["field"] == index]
        if len(rows):
            change = np.zeros((count, bindings.shape[1]))
            np.add.at(change, (rows["event"], rows["parameter"]), rows["coefficient"])
            found[name] = bindings @ change.T
    return found


def bind(events: npt.NDArray[Any], parameters: npt.NDArray[Any], bindings: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the events of each binding, in the type of ``events``, which has :data:`FIELDS`: (bindings, events)."""
    bound: npt.NDArray[Any] = np.repeat(events[None], len(bindings), axis=0)
    for name, change in changes(len(events), parameters, bindings).items():
        bound[name] += change.astype(bound[name].dtype)
    # An amplitude is never negative: a half turn stands for its sign.
    bound["phase"] = np.remainder(bound["phase"] + np.where(bound["amplitude"] < 0, np.pi, 0.0), 2 * np.pi)
    bound["amplitude"] = np.abs(bound["amplitude"])
    return bound


__all__ = [
    "ACQUISITION", "EVENT", "FIELDS", "PARAMETER", "ArrayRef", "Block", "Branch", "Chunk", "ChunkHead", "ChunkSettings",
    "IqDiscriminator", "MadeBit", "PartWriter", "PortSettings", "Program", "Slot", "bind", "changes",
]  # fmt: skip
