"""The daemon's result as a :class:`qiskit.result.Result`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from datetime import datetime
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt
from qiskit.circuit import QuantumCircuit
from qiskit.result import Result
from qiskit.result.models import ExperimentResult, ExperimentResultData

from pulsed.model.payload import Part, read_array
from pulsed.model.result import JobResult, ProgramResult, count_bits
from pulsed.provider.errors import NothingMeasuredError

IQ_UNIT = 1e-6
"""What integrated values count in, of the digitizer's full scale: as numbers of order 1 to 1e5 they suit what fits and
classifies points, such as scikit-learn, which takes variances below 1e-4 for none."""


class Header(dict[str, Any]):
    """Header of one result: a dictionary as Qiskit 2 wants it, with attributes and ``to_dict`` as 1.4 does."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the header has no field {name!r}; it has {', '.join(self)}") from None

    def to_dict(self) -> dict[str, Any]:
        """Return the header as a plain dictionary."""
        return dict(self)


class IQMemory(np.ndarray[Any, np.dtype[np.float64]]):
    """Memory of level 1, shape (shots, memory_slots, 2), without the first axis when averaged.

    An array that is true when it has values: Qiskit's BackendSamplerV2 asks its memory for a truth value as it would a
    list. A list of Python numbers takes over a second per million of them. What is computed from it is a plain array.
    """

    def __bool__(self) -> bool:
        return self.size > 0

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        return array[()] if return_scalar else np.asarray(array)


def _words(packed: npt.NDArray[np.uint8]) -> list[int]:
    """Return the memory of each shot as an integer."""
    shots, width = packed.shape
    if width > 8:
        return [int.from_bytes(row.tobytes(), "little") for row in packed]
    padded = np.zeros((shots, 8), dtype=np.uint8)
    padded[:, :width] = packed
    words: list[int] = padded.view("<u8")[:, 0].tolist()
    return words


def _pairs(values: npt.NDArray[np.complexfloating[Any, Any]]) -> npt.NDArray[np.float64]:
    """Return complex values with a last axis (real, imaginary), the form of Qiskit's memory."""
    return np.ascontiguousarray(values, dtype=np.complex128).view(np.float64).reshape(*values.shape, 2)


def _points(program: ProgramResult, parts: Sequence[Part]) -> npt.NDArray[np.complex128] | None:
    """Return the integrated values in units of IQ_UNIT, None when there are none."""
    if program.iq is None:
        return None
    points: npt.NDArray[np.complex128] = np.divide(read_array(program.iq, parts), IQ_UNIT, dtype=np.complex128)
    return points


def _data(program: ProgramResult, parts: Sequence[Part], memory: bool) -> ExperimentResultData:
    fields: dict[str, Any] = {}
    if program.bits is not None:
        packed = read_array(program.bits, parts)
        counts = count_bits(packed)
        fields["counts"] = {hex(value): count for value, count in counts.items()}
        if memory:
            text = {value: hex(value) for value in counts}
            fields["memory"] = [text[word] for word in _words(packed)]
    points = _points(program, parts)
    if points is not None and program.meas_level == 1:
        fields["memory"] = _pairs(points).view(IQMemory)
    elif points is not None:
        fields["iq"] = points
    if program.meas_level == 0 and program.records is not None:
        fields["memory"] = _pairs(read_array(program.records, parts))
    if program.levels is not None:
        fields["levels"] = read_array(program.levels, parts)
    return ExperimentResultData(**fields)


class Labels(NamedTuple):
    """What of a circuit goes to the header of its results and not to the daemon."""

    num_qubits: int
    registers: list[tuple[str, int]]
    """Name and size of each quantum register."""
    global_phase: float | None
    """None for one that is another in each result."""
    metadata: dict[Any, Any]


def labels_of(program: Any) -> Labels | None:
    """Return the labels of a circuit as it is now, None for a schedule."""
    if not isinstance(program, QuantumCircuit):
        return None
    phase = program.global_phase
    return Labels(
        program.num_qubits,
        [(register.name, register.size) for register in program.qregs],
        None if getattr(phase, "parameters", None) else float(phase),
        deepcopy(program.metadata) if program.metadata else {},
    )


def _header(program: ProgramResult, labels: Labels | None, num_qubits: int) -> Header:
    header = Header(
        name=program.name,
        memory_slots=program.memory_slots,
        creg_sizes=[[name, size] for name, size in program.creg_sizes],
        clbit_labels=[[name, k] for name, size in program.creg_sizes for k in range(size)],
        n_qubits=num_qubits,
        metadata=json.loads(program.metadata or b"{}"),
    )
    if program.iq is not None:
        header["iq_unit"] = IQ_UNIT
    if labels is not None:
        header["n_qubits"] = labels.num_qubits
        header["qreg_sizes"] = [[name, size] for name, size in labels.registers]
        header["qubit_labels"] = [[name, k] for name, size in labels.registers for k in range(size)]
        if labels.global_phase is not None:
            header["global_phase"] = labels.global_phase
        header["metadata"] = labels.metadata
    return header


class DryRunResult(Result):  # type: ignore[misc]
    """The result of a job that was compiled and checked and not played: it has no data, and says so."""

    def data(self, experiment: Any = None) -> NoReturn:
        """Raise :class:`NothingMeasuredError`, as all that asks for data does."""
        raise NothingMeasuredError(
            "a dry run plays nothing and so measures nothing; schedules() of the job shows what would be played",
            subject=f"job {self.job_id}",
        )  # fmt: skip

    def get_counts(self, experiment: Any = None) -> NoReturn:
        """Raise :class:`NothingMeasuredError`."""
        self.data(experiment)

    def get_memory(self, experiment: Any = None) -> NoReturn:
        """Raise :class:`NothingMeasuredError`."""
        self.data(experiment)


def build_result(
    result: JobResult,
    parts: Sequence[Part],
    *,
    memory: bool,
    num_qubits: int,
    labels: Sequence[Labels | None] | None = None,
    tags: Sequence[str] = (),
    date: datetime | None = None,
) -> Result:
    """Return the Qiskit Result of a job.

    Level 2 has counts, and its memory when ``memory`` is true; level 1 has memory of shape (shots, memory_slots),
    level 0 of (shots, memory_slots, samples), without the first axis when averaged. IQ values beside level 2
    are ``data(i)["iq"]``, three-state classes ``data(i)["levels"]``. Level 1 and IQ values count in the header's
    ``iq_unit``, 1e-6 of the digitizer's full scale; level 0 is in units of full scale. The Result also has
    ``calibration_id``, the set it ran with, and ``seconds``, the time spent by activity. That of a dry run is a
    :class:`DryRunResult`.

    Args:
        result: what the daemon sent.
        parts: the arrays it refers to.
        memory: whether the run asked for the memory of each shot.
        num_qubits: of the backend.
        labels: of the program of each result, when this process still knows it: what headers carry of its circuit.
        tags: of the job.
        date: when it ended.

    """
    experiments = []
    for i, program in enumerate(result.programs):
        known = labels[i] if labels is not None and i < len(labels) else None
        experiments.append(
            ExperimentResult(
                shots=program.shots,
                success=True,
                data=_data(program, parts, memory),
                meas_level=program.meas_level,
                status="DONE",
                meas_return=program.meas_return,
                header=_header(program, known, num_qubits),
                **({"overrange": True} if program.overrange else {}),
            )
        )
    kind = Result if experiments else DryRunResult
    return kind(
        backend_name=result.backend,
        backend_version=result.backend_version,
        job_id=result.job_id,
        success=True,
        results=experiments,
        status="COMPLETED",
        header=None,
        date=date,
        calibration_id=result.calibration_id,
        seconds=dict(result.times),
        tags=list(tags),
    )
