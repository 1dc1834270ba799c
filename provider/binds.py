"""Values for the parameters of circuits and schedules: one program, many bindings, lowered once by the daemon."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit.circuit import QuantumCircuit

from pulsed.compiler.canonical import free_parameters
from pulsed.model.job import Bindings
from pulsed.provider.errors import OptionValueError, UnsupportedCircuitError

Binds = Sequence[tuple[Bindings, npt.NDArray[np.float64]]]
"""Which program has which parameters, and their values: float64 (bindings, parameters)."""


def read_binds(given: Any, programs: Sequence[Any], limit: int) -> Binds:
    """Return the keyword ``parameter_binds`` of run: per program {parameter: values}, empty for one without.

    A parameter is given itself or by name, with one value per binding; a ParameterVector with rows of them. Raises
    :class:`OptionValueError` that names the program and what is missing, :class:`UnsupportedCircuitError` for more
    results than ``limit``.
    """
    if given is None:
        return []
    each = [given] if isinstance(given, Mapping) else list(given)
    if len(each) != len(programs) or not all(isinstance(one, Mapping) for one in each):
        raise OptionValueError(
            "needs one dictionary per program", subject="parameter_binds", value=len(each), legal=len(programs)
        )
    binds = [_of_one(number, one, program) for number, (one, program) in enumerate(zip(each, programs, strict=True))]
    found = [bind for bind in binds if bind is not None]
    results = len(programs) + sum(item.count - 1 for item, _ in found)
    if results > limit:
        raise UnsupportedCircuitError(
            "too many programs and bindings in one job", subject="run", value=results, legal=f"1 to {limit}"
        )
    return found


def counts(binds: Binds, number: int) -> list[int]:
    """Return how many results each of ``number`` programs has."""
    found = [1] * number
    for item, _ in binds:
        found[item.program] = item.count
    return found


def _of_one(number: int, given: Mapping[Any, Any], program: Any) -> tuple[Bindings, npt.NDArray[np.float64]] | None:
    subject = f"parameter_binds of program {number}"
    columns: dict[str, npt.NDArray[np.float64]] = {}
    for key, values in given.items():
        columns |= _columns(subject, key, values)
    own = free_parameters(program) if isinstance(program, QuantumCircuit) else program.parameters
    wanted = sorted(parameter.name for parameter in own)
    if sorted(columns) != wanted:
        raise OptionValueError(
            "does not match the parameters of the program", subject=subject, value=", ".join(sorted(columns)) or "none",
            legal=", ".join(wanted) or "none",
        )  # fmt: skip
    if not wanted:
        return None
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) != 1 or not max(lengths.values()):
        raise OptionValueError("needs one value per binding and parameter", subject=subject, value=lengths)
    table = np.stack([columns[name] for name in wanted], axis=1)
    if not np.isfinite(table).all():
        raise OptionValueError("values must be finite", subject=subject, value=table[~np.isfinite(table)][0].item())
    return Bindings(number, tuple(wanted), len(table)), table


def _columns(subject: str, key: Any, values: Any) -> dict[str, npt.NDArray[np.float64]]:
    """Return the values of one parameter, or of each of a vector's, by name."""
    vector = not isinstance(key, str) and isinstance(key, Iterable)
    try:
        array = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise OptionValueError("values must be numbers", subject=subject, value=values) from None
    names = [one.name for one in key] if vector else [key if isinstance(key, str) else key.name]
    array = array.reshape(-1, len(names)) if array.ndim < 2 else array
    if array.ndim != 2 or array.shape[1] != len(names):
        raise OptionValueError(
            "needs one value per binding and parameter", subject=f"{subject}, {key}", value=array.shape,
            legal=f"(bindings, {len(names)})",
        )  # fmt: skip
    return {name: array[:, column] for column, name in enumerate(names)}
