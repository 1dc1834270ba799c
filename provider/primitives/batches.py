"""Sweeps packed into as few jobs of the daemon as its limits allow, and the bits that they bring back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from pulsed.model.payload import read_stacked

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

    from pulsed.provider.backend import PulsedBackend
    from pulsed.provider.job import PulsedJob

Bits = npt.NDArray[np.uint8]


class Sweep(NamedTuple):
    """One circuit, to be run for each row of ``values``, float64 (bindings, parameters), named by ``parameters``."""

    circuit: QuantumCircuit
    parameters: tuple[str, ...]
    values: npt.NDArray[np.float64]
    shots: int


class _Piece(NamedTuple):
    """Bindings ``first`` to ``last`` (exclusive) of a sweep."""

    sweep: int
    first: int
    last: int


class Submission:
    """Sweeps that were handed in.

    Args:
        backend: to run on.
        sweeps: what is to be run. Those of as many shots share jobs, each of at most ``backend.max_circuits`` results.
        options: of every run; a job that cannot be handed in takes back those before it.

    """

    def __init__(self, backend: PulsedBackend, sweeps: Sequence[Sweep], options: Mapping[str, Any]) -> None:
        self._sweeps = sweeps
        self._pieces: list[list[_Piece]] = []
        self.jobs: list[PulsedJob] = []
        try:
            for shots in dict.fromkeys(sweep.shots for sweep in sweeps):
                for pieces in self._packed(shots, backend.max_circuits):
                    programs, binds = self._programs(pieces)
                    self.jobs.append(backend.run(programs, shots=shots, parameter_binds=binds, **options))
                    self._pieces.append(pieces)
        except BaseException:
            for job in self.jobs:
                job.cancel()
            raise

    def _packed(self, shots: int, most: int) -> list[list[_Piece]]:
        """Return which pieces of the sweeps of ``shots`` go into each job."""
        jobs: list[list[_Piece]] = []
        room = 0
        for number, sweep in enumerate(self._sweeps):
            first = 0 if sweep.shots == shots else len(sweep.values)
            while first < len(sweep.values):
                if not room:
                    jobs.append([])
                    room = most
                last = min(len(sweep.values), first + room)
                jobs[-1].append(_Piece(number, first, last))
                room -= last - first
                first = last
        return jobs

    def _programs(self, pieces: Sequence[_Piece]) -> tuple[list[QuantumCircuit], list[dict[str, Any]]]:
        """Return programs and bindings of one job: without parameters a program for each result."""
        programs, binds = [], []
        for number, first, last in pieces:
            sweep = self._sweeps[number]
            times = 1 if sweep.parameters else last - first
            programs += [sweep.circuit] * times
            binds += [dict(zip(sweep.parameters, sweep.values[first:last].T, strict=True))] * times
        return programs, binds

    def bits(self, timeout: float | None = None) -> list[Bits]:
        """Wait for all jobs and return the bits of each sweep: uint8 (bindings, shots, bytes).

        Memory slot k is bit k % 8 of byte k // 8. Raises what :meth:`pulsed.provider.PulsedJob.result` does.
        """
        return self._arrays("bits", timeout)

    def points(self, timeout: float | None = None) -> list[npt.NDArray[np.complex64]]:
        """Wait for all jobs and return the points of each sweep.

        They are complex64 (bindings, shots, memory slots) in units of full scale, without shots when averaged.
        """
        return self._arrays("iq", timeout)

    def _arrays(self, name: Literal["bits", "iq"], timeout: float | None) -> list[npt.NDArray[Any]]:
        found: list[list[npt.NDArray[Any]]] = [[] for _ in self._sweeps]
        for job, pieces in zip(self.jobs, self._pieces, strict=True):
            programs, parts = job.arrays(timeout)
            done = 0
            for number, first, last in pieces:
                several = programs[done : done + last - first]
                refs = [ref for one in several if (ref := getattr(one, name)) is not None]
                if refs:
                    found[number].append(read_stacked(refs, parts))
                done += last - first
        return [arrays[0] if len(arrays) == 1 else np.concatenate(arrays) for arrays in found]
