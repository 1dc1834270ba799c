"""Virtual instruments without sockets, and a chip that only writes down what it is asked to play."""

from __future__ import annotations

import queue
import struct
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from pulsed.simulator.dynamics.sequence import AcquiredData, Prediction, PulseSequence
from pulsed.simulator.instruments.awg8 import EVENT, VirtualAwg
from pulsed.simulator.instruments.conductor import Conductor
from pulsed.simulator.instruments.connection import ScpiConnection
from pulsed.simulator.instruments.dig2 import RECORD, VirtualDigitizer
from pulsed.simulator.instruments.run import OutputCable
from pulsed.simulator.instruments.sgs100a import VirtualSgs100a
from pulsed.simulator.instruments.virtual_instrument import LIST_ENTRY, RunState, VirtualIdentity, VirtualInstrument


class RecordingChip:
    """Answers with numbers that name shot, kernel and sample, and keeps the sequences."""

    def __init__(self) -> None:
        self.seed = 0
        self.played: list[tuple[PulseSequence, int, tuple[int, ...], str]] = []
        self.failure: Exception | None = None

    def play(self, sequence: PulseSequence, shots: int, stream: tuple[int, ...], mode: str) -> AcquiredData:
        self.played.append((sequence, shots, stream, mode))
        if self.failure:
            raise self.failure
        kernels = sum(len(window.kernels) for window in sequence.windows)
        samples = sum(window.length for window in sequence.windows)
        if mode == "integrated":
            values = np.arange(shots)[:, None] + 1j * np.arange(kernels)
            return AcquiredData(integrated=values.astype(np.complex64))
        if mode == "raw":
            codes = np.arange(shots * samples * 2).reshape(shots, samples, 2) % 2048
            return AcquiredData(raw=codes.astype(np.int16), clipped=frozenset({0}))
        return AcquiredData(averaged=np.arange(samples * 2).reshape(samples, 2) / 4)

    def predict(self, sequence: PulseSequence) -> Prediction:
        return Prediction((0,), np.array([0.9, 0.1, 0.0]), np.array([[0.99, 0.01, 0.0]]))

    def truth(self) -> dict[str, object]:
        return {"name": "recording"}


class Client:
    """One connection to one instrument, without a socket."""

    def __init__(self, instrument: VirtualInstrument) -> None:
        self.instrument = instrument
        self.connection = ScpiConnection(instrument)

    def write(self, text: str, block: bytes | np.ndarray | None = None) -> None:
        assert self.query(text, block) == "", text

    def query(self, text: str, block: bytes | np.ndarray | None = None) -> str:
        return self.ask(text, block).decode().removesuffix("\n")

    def ask(self, text: str, block: bytes | np.ndarray | None = None) -> bytes:
        line = text.encode()
        if block is not None:
            data = block.tobytes() if isinstance(block, np.ndarray) else block
            line += f"#{len(str(len(data)))}{len(data)}".encode() + data
        return self.connection.feed(line + b"\n")

    def block(self, text: str) -> bytes:
        answer = self.ask(text)
        assert answer[:1] == b"#", answer
        digits = int(answer[1:2])
        length = int(answer[2 : 2 + digits])
        assert len(answer) == 2 + digits + length + 1
        assert answer.endswith(b"\n")
        return answer[2 + digits : -1]

    def error(self) -> int:
        """Return the code of the only entry of the error queue."""
        entry = self.query("SYST:ERR?")
        assert self.query("SYST:ERR?") == '0,"No error"', entry
        return int(entry.split(",")[0])

    def clean(self) -> None:
        assert self.query("SYST:ERR?") == '0,"No error"'


class Bench:
    """awg1 leads awg2 and the digitizer; pairs 1 and 2 of awg1 drive, pair 1 of awg2 reads out."""

    def __init__(self) -> None:
        self.chip = RecordingChip()
        self.posted: queue.Queue[tuple[Callable[..., None], tuple[object, ...]]] = queue.Queue()
        self.conductor = Conductor(self.chip, lambda function, *args: self.posted.put((function, args)))
        self.awg1 = VirtualAwg(VirtualIdentity("pulsed", "AWG8", "1"), self.conductor)
        self.awg2 = VirtualAwg(VirtualIdentity("pulsed", "AWG8", "2"), self.conductor)
        self.digitizer = VirtualDigitizer(VirtualIdentity("pulsed", "DIG2", "3"), self.conductor)
        self.lo = VirtualSgs100a(VirtualIdentity("Rohde&Schwarz", "SGS100A", "4"))
        self.readout_lo = VirtualSgs100a(VirtualIdentity("Rohde&Schwarz", "SGS100A", "5"))
        self.conductor.outputs = (
            OutputCable("d0", self.awg1, 1, self.lo),
            OutputCable("d1", self.awg1, 2, self.lo),
            OutputCable("ro", self.awg2, 1, self.readout_lo),
        )
        self.conductor.followers = {self.awg1: (self.awg2, self.digitizer)}

    def client(self, instrument: VirtualInstrument) -> Client:
        return Client(instrument)

    def settle(self) -> None:
        """Hand out what the chip's thread posts until no leader is running."""
        while RunState.RUN in (self.awg1.state, self.digitizer.state):
            function, args = self.posted.get(timeout=10)
            function(*args)

    @staticmethod
    def wave(samples: int = 16, value: int = 4000) -> np.ndarray:
        codes = np.zeros((samples, 2), "<i2")
        codes[:, 0] = value
        return codes

    @staticmethod
    def events(*rows: tuple[int, int, int, int, float, float, float]) -> bytes:
        """Pack (pair, oscillator, waveform, time, amplitude, phase, frequency)."""
        return b"".join(struct.pack("<BBHIqddd", p, o, 0, *rest) for p, o, *rest in rows)

    @staticmethod
    def records(*rows: tuple[int, int, int, int, float]) -> bytes:
        """Pack (window, kernel, start, length, frequency)."""
        return b"".join(struct.pack("<IIqqdd", *row, 0.0) for row in rows)

    @staticmethod
    def entries(*rows: tuple[int, int, int]) -> bytes:
        """Pack (table, shots, period)."""
        return b"".join(struct.pack("<IIQ", *row) for row in rows)


assert (EVENT.itemsize, RECORD.itemsize, LIST_ENTRY.itemsize) == (40, 40, 16)


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Two AWGs, a digitizer and two LOs around a recording chip."""
    bench = Bench()
    yield bench
    bench.conductor.close()


@pytest.fixture
def awg(bench: Bench) -> Client:
    return bench.client(bench.awg1)


@pytest.fixture
def digitizer(bench: Bench) -> Client:
    return bench.client(bench.digitizer)
