"""Circuits and schedules as the bytes of one submission."""

from __future__ import annotations

import io
import uuid
import warnings
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
from qiskit import qpy
from qiskit.circuit import ParameterExpression, QuantumCircuit

from pulsed import old_names
from pulsed.compiler.canonical import CONTROL_FLOW
from pulsed.compiler.metadata import MetadataEncoder
from pulsed.model.errors import IncompatibleError
from pulsed.model.job import JobRequest
from pulsed.model.payload import Part
from pulsed.model.qpy import QPY_MIN
from pulsed.provider.errors import UnsupportedCircuitError
from pulsed.provider.programs import named
from pulsed.provider.pulse_gates import GateKey
from pulsed.provider.validation import CheckedInput

__getattr__ = old_names(__name__)

_LATE_LENGTHS = 17
"""The newest QPY in which a delay of late length is read back: Qiskit's compiled reader of later ones refuses it."""


def qpy_version(readable: tuple[int, int]) -> int:
    """Return the highest QPY version that we write and a peer that reads ``readable`` (low, high) reads.

    Raises :class:`IncompatibleError` when that is below 13 or there is none.
    """
    lowest = max(QPY_MIN, readable[0], qpy.QPY_COMPATIBILITY_VERSION)
    version: int = min(qpy.QPY_VERSION, readable[1])
    if version < lowest:
        raise IncompatibleError(
            "no QPY version that this Qiskit writes and the daemon reads",
            subject="Qiskit",
            value=f"writes {qpy.QPY_COMPATIBILITY_VERSION} to {qpy.QPY_VERSION}",
            legal=f"{max(QPY_MIN, readable[0])} to {readable[1]}",
        )
    return version


def _bare(circuit: QuantumCircuit) -> QuantumCircuit:
    """Return ``circuit`` without attached pulse gates, in bodies too: a reader on Qiskit 2 drops them in silence."""
    if not hasattr(type(circuit), "calibrations"):
        return circuit
    bodies: dict[int, Any] = {}
    for place, item in enumerate(circuit.data):
        blocks = tuple(getattr(item.operation, "blocks", ())) if item.name in CONTROL_FLOW else ()
        bare = [_bare(body) for body in blocks]
        if any(new is not old for new, old in zip(bare, blocks, strict=True)):
            bodies[place] = item.replace(operation=item.operation.replace_blocks(bare))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        if not circuit.calibrations and not bodies:
            return circuit
        copy = circuit.copy_empty_like()
        copy.calibrations = {}
    for place, item in enumerate(circuit.data):
        copy.append(bodies.get(place, item))
    return copy


def _waits_late(circuit: QuantumCircuit) -> bool:
    """Return whether a delay in a body has an expression for its length, that of the parameter of a loop."""
    if not CONTROL_FLOW & circuit.count_ops().keys():
        return False
    bodies = [
        body for item in circuit.data if item.name in CONTROL_FLOW for body in getattr(item.operation, "blocks", ())
    ]
    return any(
        _waits_late(body)
        or any(item.name == "delay" and isinstance(item.params[0], ParameterExpression) for item in body.data)
        for body in bodies
    )


def _dump(circuits: Sequence[QuantumCircuit], version: int, first: int) -> bytes:
    """Return circuits as QPY; ``first`` is the number of the first. Raises :class:`UnsupportedCircuitError`."""
    buffer = io.BytesIO()
    try:
        qpy.dump(circuits, buffer, metadata_serializer=MetadataEncoder, use_symengine=False, version=version)
    except Exception as error:
        if len(circuits) == 1:
            raise UnsupportedCircuitError(
                "the circuit cannot be written as bytes (QPY)", subject=named("circuit", circuits[0].name, first),
                value=f"{type(error).__name__}: {error}"[:200],
                legal="metadata of text, numbers and lists; gates of the backend, with numbers",
            ) from error  # fmt: skip
        for number, circuit in enumerate(circuits):
            _dump([circuit], version, first + number)
        raise
    return buffer.getvalue()


def serialize(
    checked: CheckedInput,
    readable: tuple[int, int],
    *,
    name: str = "",
    tags: tuple[str, ...] = (),
    priority: int = 0,
    session_id: str = "",
    due: float | None = None,
) -> tuple[JobRequest, list[Part]]:
    """Return a checked job as what is submitted: the request, under a new id, and its parts.

    Circuits that stand together share one part. ``readable`` is the range of QPY versions that the daemon reads; the
    other arguments are those of the request. Raises what :func:`qpy_version` does, and
    :class:`UnsupportedCircuitError` for a circuit that Qiskit cannot write.
    """
    binds = checked.binds
    kinds: list[str] = []
    parts: list[Part] = []
    done = 0
    for is_circuit, group in groupby(checked.programs, key=lambda item: isinstance(item, QuantumCircuit)):
        if is_circuit:
            circuits = [_bare(circuit) for circuit in group]
            version = qpy_version(readable)
            if binds or (not checked.plain and any(map(_waits_late, circuits))):
                version = min(version, _LATE_LENGTHS)
            kinds.append("qpy")
            parts.append(_dump(circuits, version, done))
            done += len(circuits)
        else:
            for schedule in group:
                kinds.append("schedule")
                parts.append(_dumps(schedule))
                done += 1
    for schedule in checked.gates.values():
        kinds.append("gate")
        parts.append(_dumps(schedule))
    for _, values in binds:
        kinds.append("values")
        parts.append(np.ascontiguousarray(values, dtype="<f8").tobytes())
    request = JobRequest(
        job_id=str(uuid.uuid4()),
        kinds=tuple(kinds),
        num_programs=sum(checked.counts),
        options=checked.options,
        gates=tuple(checked.gates),
        bindings=tuple(item for item, _ in binds),
        name=name,
        tags=tags,
        priority=priority,
        session_id=session_id,
        due=due,
    )
    return request, parts


def deserialize(request: JobRequest, parts: Sequence[Part]) -> tuple[list[tuple[Any, Any]], dict[GateKey, Any]]:
    """Return what :func:`serialize` made bytes of: programs and pulse gates.

    Each program comes with the table of its bindings, or None.

    The table is ``(parameters, values)``, names and float64 (bindings, parameters).
    """
    from pulsed.pulse.serialize import loads

    programs: list[Any] = []
    gates: list[Any] = []
    tables: list[Any] = []
    for kind, part in zip(request.kinds, parts, strict=True):
        if kind == "qpy":
            programs += qpy.load(io.BytesIO(part))
        elif kind == "values":
            names = request.bindings[len(tables)].parameters
            tables.append((names, np.frombuffer(part, dtype="<f8").reshape(-1, len(names))))
        else:
            (programs if kind == "schedule" else gates).append(loads(bytes(part)))
    bound = {item.program: table for item, table in zip(request.bindings, tables, strict=True)}
    found = [(program, bound.get(number)) for number, program in enumerate(programs)]
    return found, dict(zip(request.gates, gates, strict=True))


def _dumps(schedule: Any) -> bytes:
    from pulsed.pulse.serialize import dumps  # only runs with pulses need it

    return bytes(dumps(schedule, late=True))
