"""Jobs for a daemon with a scripted rack, as its tests submit them."""

from __future__ import annotations

import io
import uuid
from typing import Any

from qiskit import QuantumCircuit, qpy

from pulsed.client import Client
from pulsed.model.job import JobInfo, JobRequest, RunOptions

PATIENCE = 120.0
"""Seconds to wait for what has to come: a crowded machine may be slow, and who fails waits once."""


def packed(*programs: QuantumCircuit, version: int = 13) -> bytes:
    """Return circuits as the bytes of one part."""
    file = io.BytesIO()
    qpy.dump(list(programs), file, version=version)
    return file.getvalue()


def flip(name: str = "flip", *, clbits: int = 1) -> QuantumCircuit:
    """Return an x gate and a measurement into the last of ``clbits``."""
    circuit = QuantumCircuit(1, clbits, name=name)
    circuit.x(0)
    circuit.measure(0, clbits - 1)
    return circuit


def job(num_programs: int = 1, kinds: tuple[str, ...] = ("qpy",), *, shots: int = 10, **fields: Any) -> JobRequest:
    """Return a request with an id of its own; ``options`` among ``fields`` are those of the run beside ``shots``."""
    options = RunOptions(**{"shots": shots, **fields.pop("options", {})})
    return JobRequest(uuid.uuid4().hex, kinds, num_programs, options, **fields)


def submit(client: Client, **options: Any) -> str:
    """Submit a flip with these options and return the job's id."""
    return client.submit(job(options=options), [packed(flip())]).job_id


def run(client: Client, request: JobRequest, *parts: bytes) -> JobInfo:
    """Submit a job, wait for its result and return what became of it."""
    client.submit(request, parts)
    client.result(request.job_id, PATIENCE)
    return client.job(request.job_id)
