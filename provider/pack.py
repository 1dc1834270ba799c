"""Circuits and schedules as the bytes of one submission."""

from __future__ import annotations

import io
import json
import uuid
import warnings
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from qiskit import qpy
from qiskit.circuit import QuantumCircuit

from pulsed.model.errors import IncompatibleError
from pulsed.model.job import JobRequest, RunOptions
from pulsed.model.payload import Part
from pulsed.model.qpy import QPY_MIN
from pulsed.provider.binds import Binds, counts
from pulsed.provider.submission import GateKey

_LATE_LENGTHS = 17
"""The newest QPY in which a delay of late length is read back: Qiskit's compiled reader of later ones refuses it."""


class _Metadata(json.JSONEncoder):
    """JSON of a circuit's metadata: arrays as lists, what is left as text."""

    def default(self, o: Any) -> Any:
        if isinstance(o, np.ndarray | np.generic):
            return o.tolist() if not np.iscomplexobj(o) else str(o)
        return str(o)


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
    """Return ``circuit`` without attached pulse gates: a reader on Qiskit 2 would drop them in silence."""
    if not hasattr(type(circuit), "calibrations"):
        return circuit
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        if not circuit.calibrations:
            return circuit
        copy = circuit.copy()
        copy.calibrations = {}
    return copy


def pack(
    programs: Sequence[Any],
    readable: tuple[int, int],
    options: RunOptions,
    gates: Mapping[GateKey, Any] | None = None,
    binds: Binds = (),
    **about: Any,
) -> tuple[JobRequest, list[Part]]:
    """Return the request and the parts of one job.

    Args:
        programs: circuits and pulse schedules in any order.
        readable: lowest and highest QPY version that the daemon reads.
        options: of the run.
        gates: pulse gates.
        binds: values of parameters.
        about: ``name``, ``tags`` and ``priority`` of the job.

    """
    kinds: list[str] = []
    parts: list[Part] = []
    for is_circuit, group in groupby(programs, key=lambda item: isinstance(item, QuantumCircuit)):
        if is_circuit:
            buffer = io.BytesIO()
            circuits = [_bare(circuit) for circuit in group]
            version = qpy_version(readable) if not binds else min(qpy_version(readable), _LATE_LENGTHS)
            qpy.dump(circuits, buffer, metadata_serializer=_Metadata, use_symengine=False, version=version)
            kinds.append("qpy")
            parts.append(buffer.getvalue())
        else:
            for schedule in group:
                kinds.append("schedule")
                parts.append(_dumps(schedule))
    for schedule in (gates or {}).values():
        kinds.append("gate")
        parts.append(_dumps(schedule))
    for _, values in binds:
        kinds.append("values")
        parts.append(np.ascontiguousarray(values, dtype="<f8").tobytes())
    request = JobRequest(
        job_id=str(uuid.uuid4()),
        kinds=tuple(kinds),
        num_programs=sum(counts(binds, len(programs))),
        options=options,
        gates=tuple(gates or ()),
        bindings=tuple(item for item, _ in binds),
        **about,
    )
    return request, parts


def _dumps(schedule: Any) -> bytes:
    from pulsed.pulse.serialize import dumps  # only runs with pulses need it

    return bytes(dumps(schedule))
