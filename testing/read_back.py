"""What an AWG8 holds, read back over its own SCPI, as the samples that it will play."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pulsed.compiler.render import Segment
from pulsed.drivers.contract import after
from pulsed.drivers.scpi.session import Session

Complex = npt.NDArray[np.complex128]

_EVENT = np.dtype(
    [
        ("pair", "u1"), ("oscillator", "u1"), ("condition", "<i2"), ("waveform", "<u4"), ("time", "<i8"),
        ("amplitude", "<f8"), ("phase", "<f8"), ("frequency", "<f8"),
    ]
)  # fmt: skip
"""A record of SEQuence:DATA, as docs/instruments/awg8.md has it."""
_TURN, _OSCILLATORS, _FULL_SCALE, _CLOCK = 0xFFFFFFFF, 8, 8191, 1e9
_SECONDS = 60.0

Spans = tuple[tuple[int, int], ...]
"""Start and stop of each run of samples."""


@dataclass(frozen=True)
class Sequence:
    """One sequence: by pair the runs of samples that it plays, before mixer correction, full scale 1."""

    pairs: Mapping[int, tuple[Segment, ...]]

    def spans(self) -> dict[int, Spans]:
        """Return when each pair plays."""
        return {pair: spans(found) for pair, found in self.pairs.items()}


def spans(segments: tuple[Segment, ...] | list[Segment]) -> Spans:
    """Return start and stop of each run of samples."""
    return tuple((segment.start, segment.start + len(segment.samples)) for segment in segments)


class AwgMemory:
    """The sequences of one AWG8. ``address`` is its VISA address."""

    def __init__(self, name: str, address: str) -> None:
        self._session = Session(name, address)

    def read(self) -> list[Sequence]:
        """Return every sequence that the instrument holds, those of sweeps without their values."""
        return self._read(lambda deadline: [f"SEQ:DATA? {number}" for number in self._numbers("SEQ:CAT?", deadline)])

    def played(self) -> list[Sequence]:
        """Return what each entry of its list plays, with the values of a sweep."""
        return self._read(
            lambda deadline: [f"LIST:EVEN? {k}" for k in range(int(self._session.query("LIST:COUN?", deadline)))]
        )

    def values(self) -> int:
        """Return how many values each entry of its list has."""
        deadline = after(_SECONDS)
        self._session.connect(deadline)
        try:
            return int.from_bytes(self._block("LIST:VAL?", deadline)[:4], "little")
        finally:
            self._session.close()

    def _read(self, queries: Callable[[float], list[str]]) -> list[Sequence]:
        deadline = after(_SECONDS)
        self._session.connect(deadline)
        try:
            waveforms: dict[int, Complex] = {}
            for number in self._numbers("WAV:CAT?", deadline):
                codes = np.frombuffer(self._block(f"WAV:DATA? {number}", deadline), "<i2").reshape(-1, 2)
                waveforms[number] = (codes[:, 0] + 1j * codes[:, 1]) / _FULL_SCALE
            return [
                _sequence(np.frombuffer(self._block(query, deadline), _EVENT), waveforms) for query in queries(deadline)
            ]
        finally:
            self._session.close()

    def _numbers(self, query: str, deadline: float) -> list[int]:
        text = self._session.query(query, deadline)
        return [int(number) for number in text.split(",")[::3]] if text else []

    def _block(self, query: str, deadline: float) -> bytes:
        (answer,), errors = self._session.exchange([], [query], deadline)
        assert not errors, errors
        return bytes(answer) if not isinstance(answer, str) else answer.encode()


def _sequence(events: npt.NDArray[np.void], waveforms: Mapping[int, Complex]) -> Sequence:
    found = {}
    for pair in np.unique(events["pair"]).tolist():
        mine = events[(events["pair"] == pair) & (events["oscillator"] < _OSCILLATORS) & (events["waveform"] != _TURN)]
        played = [(int(event["time"]), _samples(event, waveforms[int(event["waveform"])])) for event in mine]
        if played:
            found[pair] = _joined(played)
    return Sequence(found)


def _samples(event: np.void, envelope: Complex) -> Complex:
    time = (event["time"] + np.arange(len(envelope))) / _CLOCK
    turns = event["phase"] - 2 * np.pi * event["frequency"] * time
    return np.asarray(event["amplitude"] * envelope * np.exp(1j * turns), dtype=complex)


def _joined(played: list[tuple[int, Complex]]) -> tuple[Segment, ...]:
    """Return the sum of pulses, as runs between which nothing plays."""
    runs: list[list[int]] = []
    for start, samples in sorted(played, key=lambda item: item[0]):
        if runs and start <= runs[-1][1]:
            runs[-1][1] = max(runs[-1][1], start + len(samples))
        else:
            runs.append([start, start + len(samples)])
    found = []
    for first, last in runs:
        total = np.zeros(last - first, dtype=complex)
        for start, samples in played:
            if first <= start < last:
                total[start - first : start - first + len(samples)] += samples
        found.append(Segment(first, total))
    return tuple(found)
