"""The daemon's result as a :class:`qiskit.result.Result`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from qiskit.result import Result
from qiskit.result.models import ExperimentResult, ExperimentResultData

from pulsed.model.payload import Part, read_array
from pulsed.model.result import JobResult, ProgramResult, count_bits

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit


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


def _pairs(values: npt.NDArray[np.complex64]) -> npt.NDArray[np.float64]:
    """Return complex values with a last axis (real, imaginary), the form of Qiskit's memory."""
    return np.ascontiguousarray(values, dtype=np.complex128).view(np.float64).reshape(*values.shape, 2)


def _data(program: ProgramResult, parts: Sequence[Part], memory: bool) -> ExperimentResultData:
    fields: dict[str, Any] = {}
    if program.bits is not None:
        packed = read_array(program.bits, parts)
        counts = count_bits(packed)
        fields["counts"] = {hex(value): count for value, count in counts.items()}
        if memory:
            text = {value: hex(value) for value in counts}
            fields["memory"] = [text[word] for word in _words(packed)]
    if program.meas_level == 1 and program.iq is not None:
        fields["memory"] = _pairs(read_array(program.iq, parts)).view(IQMemory)
    elif program.iq is not None:
        fields["iq"] = read_array(program.iq, parts)
    if program.meas_level == 0 and program.records is not None:
        fields["memory"] = _pairs(read_array(program.records, parts))
    if program.levels is not None:
        fields["levels"] = read_array(program.levels, parts)
    return ExperimentResultData(**fields)


def _header(program: ProgramResult, circuit: QuantumCircuit | None, num_qubits: int) -> Header:
    header = Header(
        name=program.name,
        memory_slots=program.memory_slots,
        creg_sizes=[[name, size] for name, size in program.creg_sizes],
        clbit_labels=[[name, k] for name, size in program.creg_sizes for k in range(size)],
        n_qubits=num_qubits,
        metadata=json.loads(program.metadata or b"{}"),
    )
    if circuit is not None:
        header["n_qubits"] = circuit.num_qubits
        header["qreg_sizes"] = [[register.name, register.size] for register in circuit.qregs]
        header["qubit_labels"] = [[register.name, k] for register in circuit.qregs for k in range(register.size)]
        if not getattr(circuit.global_phase, "parameters", None):  # another one in each result
            header["global_phase"] = float(circuit.global_phase)
        header["metadata"] = circuit.metadata or {}
    return header


def build_result(
    result: JobResult,
    parts: Sequence[Part],
    *,
    memory: bool,
    num_qubits: int,
    circuits: Sequence[Any] | None = None,
    tags: Sequence[str] = (),
    date: datetime | None = None,
) -> Result:
    """Return the Qiskit Result of a job.

    Level 2 has counts, and its memory when ``memory`` is true; level 1 has memory of shape (shots, memory_slots),
    level 0 of (shots, memory_slots, samples), without the first axis when averaged. IQ values beside level 2
    are ``data(i)["iq"]``, three-state classes ``data(i)["levels"]``. The Result also has ``calibration_id``,
    the set it ran with, and ``seconds``, the time spent by activity.

    Args:
        result: what the daemon sent.
        parts: the arrays it refers to.
        memory: whether the run asked for the memory of each shot.
        num_qubits: of the backend.
        circuits: what was run, when this process still knows it: headers then carry its quantum registers.
        tags: of the job.
        date: when it ended.

    """
    from qiskit.circuit import QuantumCircuit

    experiments = []
    for i, program in enumerate(result.programs):
        known = circuits[i] if circuits is not None and i < len(circuits) else None
        circuit = known if isinstance(known, QuantumCircuit) else None
        experiments.append(
            ExperimentResult(
                shots=program.shots,
                success=True,
                data=_data(program, parts, memory),
                meas_level=program.meas_level,
                status="DONE",
                meas_return=program.meas_return,
                header=_header(program, circuit, num_qubits),
                **({"overrange": True} if program.overrange else {}),
            )
        )
    return Result(
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
