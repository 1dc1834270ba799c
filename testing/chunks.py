"""A small chunk for tests of drivers: pulses on two drive ports, a multiplexed readout, two acquisitions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np

from pulsed.compiler.program import (
    ACQUISITION,
    EVENT,
    PARAMETER,
    Block,
    Chunk,
    ChunkHead,
    ChunkSettings,
    IqDiscriminator,
    PartWriter,
    Program,
    Slot,
)  # fmt: skip
from pulsed.model.device import DeviceDescription

READOUT = 1000
"""Samples."""


def gaussian(samples: int, width: float = 4.0) -> np.ndarray[Any, Any]:
    """Return a Gaussian with ``samples`` / ``width`` as sigma: complex128 (samples,), sampled at midpoints."""
    n = np.arange(samples) + 0.5 - samples / 2
    return np.exp(-0.5 * (n * width / samples) ** 2).astype(np.complex128)


def make_chunk(
    device: DeviceDescription,
    angles: Sequence[float] = (0.1,),
    shots: int = 64,
    rep_delay: Fraction = Fraction(500, 10**6),
    **settings: Any,
) -> Chunk:
    """Return a chunk with one program per element of ``angles``, the amplitude of the pulse on qubit 0.

    Qubits 0 and 1 are driven with a pulse of 40 samples each, then read out at once for ``READOUT`` samples.
    ``settings`` are fields of :class:`ChunkSettings`.
    """
    slots = tuple(
        Slot(port, oscillator, channel)
        for q in (0, 1)
        for port, oscillator, channel in (
            (device.qubits[q].drive, 0, f"d{q}"),
            (device.qubits[q].readout, q, f"m{q}"),
            (device.qubits[q].acquire, q, f"a{q}"),
        )
    )
    writer = PartWriter()
    shapes = [gaussian(40), np.ones(READOUT, np.complex128)]
    envelopes = tuple(writer.add(shape) for shape in shapes)
    keys = tuple(hashlib.sha256(shape.tobytes()).digest() for shape in shapes)
    programs = tuple(_program(device, writer, f"circuit-{i}", slots, angle) for i, angle in enumerate(angles))
    fixed: dict[str, Any] = {"discriminators": {q: IqDiscriminator(0j, 1e-3 + 0j) for q in (0, 1)}, **settings}
    head = ChunkHead(slots, programs, ChunkSettings(shots, rep_delay, **fixed), keys, envelopes, "made-for-a-test")
    return Chunk(head, writer.parts)


def swept_chunk(
    chunk: Chunk, sweeps: Mapping[int, tuple[Sequence[tuple[int, int, int, float]], np.ndarray[Any, Any]]]
) -> Chunk:
    """Return ``chunk`` with bindings for some of its programs, by number: rows of PARAMETER and values."""
    writer, programs = PartWriter(), list(chunk.programs)
    writer.parts = list(chunk.parts)
    for number, (rows, values) in sweeps.items():
        programs[number] = msgspec.structs.replace(
            programs[number], parameters=writer.add(np.array(rows, PARAMETER)), bindings=writer.add(values)
        )
    return Chunk(msgspec.structs.replace(chunk.head, programs=tuple(programs)), writer.parts)


def _program(device: DeviceDescription, writer: PartWriter, name: str, slots: Sequence[Slot], angle: float) -> Program:
    events, acquisitions = [], []
    for q in (0, 1):
        qubit = device.qubits[q]
        drive, readout, acquire = 3 * q, 3 * q + 1, 3 * q + 2
        ports = device.ports
        drive_if = qubit.design_frequency - device.lo_frequency(qubit.drive)
        readout_if = qubit.design_readout_frequency - device.lo_frequency(qubit.readout)
        events.append((drive, 0, ports[qubit.drive].delay, angle if q == 0 else 0.05, 0.0, drive_if))
        events.append((readout, 1, 40 + ports[qubit.readout].delay, 0.1, 0.0, readout_if))
        acquisitions.append((acquire, q, q, 40 + ports[qubit.acquire].delay, READOUT, readout_if, -1))
    duration = 40 + READOUT
    return Program(
        name,
        (Block((0, len(events)), (0, len(acquisitions)), duration),),
        writer.add(np.array(events, EVENT)),
        writer.add(np.array(acquisitions, ACQUISITION)),
        writer.add(np.empty(0, PARAMETER)),
        memory_slots=2,
        duration=duration,
    )
