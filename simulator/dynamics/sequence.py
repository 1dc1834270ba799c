"""Pulse sequences: one circuit as the instruments hold it, and the data that it gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator.dynamics.report import Report

BURST = np.dtype(
    [
        ("line", "<u2"),
        ("start", "<i8"),
        ("envelope", "<i4"),
        ("amplitude", "<f8"),
        ("phase", "<f8"),
        ("frequency", "<f8"),
    ]
)
"""One waveform as an AWG plays it: z(t) += amplitude envelope[n] exp(i phase) exp(-2 pi i frequency t).

``line`` and ``envelope`` are indices into the Sequence, ``start`` is in samples of 1 ns from the shot's start,
``phase`` in rad, ``frequency`` (of the NCO) in Hz; t counts from the shot's start and is taken at the start of each
sample.
"""

Mode = Literal["integrated", "raw", "averaged"]
Correction = tuple[float, float, float, float]


@dataclass(frozen=True)
class LineSettings:
    """One physical output as the instruments are set: LO, on or off, the AWG's IQ correction and offset.

    A flux line has ``lo_frequency`` 0 and, when a source is connected to it, its direct current ``bias`` (A).
    """

    name: str
    lo_frequency: float
    on: bool = True
    correction: Correction = (1.0, 0.0, 0.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)
    bias: float | None = None


@dataclass(frozen=True)
class IntegrationKernel:
    """An integration kernel: sum_n w_n z_n exp(2 pi i frequency t_n), t_n from the shot's start."""

    frequency: float
    weights: NDArray[np.complex128]


@dataclass(frozen=True)
class Window:
    """One acquisition window as a digitizer sees it: start and length in samples from the shot's start.

    ``section``: of the chip whose readout line it hears.
    """

    start: int
    length: int
    kernels: tuple[IntegrationKernel, ...] = ()
    section: int = 0

    def same(self, other: Window) -> bool:
        """Return whether another window has the same content."""
        if (self.start, self.length, len(self.kernels)) != (other.start, other.length, len(other.kernels)):
            return False
        return all(
            a.frequency == b.frequency and (a.weights is b.weights or np.array_equal(a.weights, b.weights))
            for a, b in zip(self.kernels, other.kernels, strict=True)
        )


@dataclass(frozen=True)
class ClassifiedBit:
    """A classified bit: 1 where Re(v exp(-i angle)) > threshold, v a window's integral under one of its kernels."""

    window: int
    kernel: int
    angle: float
    threshold: float

    def of(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        """Return the bit of each of ``values``, complex (shots,)."""
        return above(values, self.angle, self.threshold)


@dataclass(frozen=True)
class Decision:
    """The conjunction of other bits: a term is 1 + the index of a bit that must be 1, negative for one that must be 0.

    ``window``: the last one among theirs.
    """

    window: int
    terms: tuple[int, ...]


@dataclass(frozen=True)
class ConditionalPhase:
    """Some bursts, by index, have ``phase`` (rad) more in the shots where the condition holds."""

    condition: int
    bursts: NDArray[np.int64]
    phase: float


def above(values: NDArray[Any], angle: Any, threshold: Any) -> NDArray[np.bool_]:
    """Return where Re(v exp(-i angle)) > threshold, in the digitizer's single precision."""
    turned = values.astype(np.complex64) * np.exp(-1j * np.asarray(angle)).astype(np.complex64)
    out: NDArray[np.bool_] = turned.real > np.asarray(threshold, np.float32)
    return out


@dataclass(frozen=True)
class PulseSequence:
    """One circuit as the instruments hold it.

    Attributes:
        lines: the outputs.
        bursts: array of BURST.
        envelopes: complex samples in full scales, as quantised by the AWG.
        keys: content hash of each envelope.
        windows: acquisition windows, in order of time; those of one section do not overlap.
        period: samples from one shot's start to the next.
        bits: what the digitizer tells the AWGs during the shot.
        conditions: (bursts,) 0 for a burst that is always played, else 1 + the index of the bit that must be 1, or
            the negative of that when it must be 0; None when all are always played.
        turns: phases that depend on a bit.

    """

    lines: tuple[LineSettings, ...]
    bursts: NDArray[np.void]
    envelopes: tuple[NDArray[np.complex128], ...]
    keys: tuple[bytes, ...]
    windows: tuple[Window, ...]
    period: int
    bits: tuple[ClassifiedBit | Decision, ...] = ()
    conditions: NDArray[np.int64] | None = None
    turns: tuple[ConditionalPhase, ...] = ()

    def under(self, known: Mapping[int, bool]) -> PulseSequence:
        """Return what is played when some bits are ``known`` (index to value), without what depends on the others."""
        if self.conditions is None:
            return self
        true = [0] + [index + 1 if value else -index - 1 for index, value in known.items()]
        bursts = self.bursts.copy()
        for turn in self.turns:
            if turn.condition in true:
                bursts["phase"][turn.bursts] += turn.phase
        return replace(self, bursts=bursts[np.isin(self.conditions, true)], conditions=None, turns=())


@dataclass(frozen=True)
class AcquiredData:
    """What the digitizer gets.

    Attributes:
        integrated: complex64 (shots, kernels of all windows), in ADC full scales; None in the other modes.
        raw: int16 (shots, samples of all windows, 2), ADC codes, I then Q.
        averaged: float64 (samples of all windows, 2), ADC codes averaged over the shots.
        clipped: the sections whose ADC clipped.
        report: how it was simulated; no instrument reports it.

    """

    integrated: NDArray[np.complex64] | None = None
    raw: NDArray[np.int16] | None = None
    averaged: NDArray[np.float64] | None = None
    clipped: frozenset[int] = frozenset()
    report: Report | None = None

    @property
    def overrange(self) -> bool:
        """Whether an ADC clipped."""
        return bool(self.clipped)

    def of_section(self, section: int, windows: Sequence[Window]) -> AcquiredData:
        """Return what the digitizer of one section gets; ``windows``: those of the sequence."""
        wide = [len(w.kernels) if self.integrated is not None else w.length for w in windows]
        mine = np.repeat([w.section == section for w in windows], wide)
        return AcquiredData(
            None if self.integrated is None else self.integrated[:, mine],
            None if self.raw is None else self.raw[:, mine],
            None if self.averaged is None else self.averaged[mine],
            self.clipped & {section},
        )


@dataclass(frozen=True)
class Prediction:
    """The truth about a sequence, without sampling.

    Attributes:
        qubits: those measured by the last readout.
        populations: (3,) * len(qubits) joint populations when that readout starts.
        initial: (chip qubits, 3) populations at the shot's start (thermal, and what the passive reset left).

    """

    qubits: tuple[int, ...]
    populations: NDArray[np.float64]
    initial: NDArray[np.float64]
