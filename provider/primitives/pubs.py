"""PUBs as a user gives them, read by Qiskit and refused by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt
from qiskit.circuit import QuantumCircuit
from qiskit.primitives import DataBin

from pulsed.compiler.canonical import free_parameters
from pulsed.model.errors import PulsedError
from pulsed.provider.errors import PubError

if TYPE_CHECKING:
    from qiskit.primitives.containers.bindings_array import BindingsArray

Pub = TypeVar("Pub")


def read_pubs(pubs: Iterable[Any], read: Callable[[Any], Pub], form: str) -> list[Pub]:
    """Return ``pubs`` as ``read`` makes them; ``form`` says what one looks like.

    Raises :class:`PubError` that names the one that ``read`` refuses.
    """
    if isinstance(pubs, QuantumCircuit | str) or not isinstance(pubs, Iterable):
        raise PubError("needs a list of PUBs", subject="run", value=type(pubs).__name__, legal=f"[{form}, ...]")
    found = []
    for number, pub in enumerate(pubs):
        try:
            found.append(read(pub))
        except PulsedError:
            raise
        except (ValueError, TypeError) as error:
            raise PubError(str(error).rstrip("."), subject=f"PUB {number}", legal=form) from error
    return found


def values_of(
    circuit: QuantumCircuit, bindings: BindingsArray, number: int
) -> tuple[tuple[str, ...], npt.NDArray[np.float64]]:
    """Return names and values of a PUB's parameters: float64 (bindings, parameters).

    Raises :class:`PubError` for values of other parameters than the circuit's.
    """
    names = tuple(parameter.name for parameter in free_parameters(circuit))
    try:
        table = bindings.as_array(names)
    except ValueError:
        given = [name for several in bindings.data for name in several]
        raise PubError(
            "values for other parameters than the circuit's", subject=f"PUB {number}",
            value=", ".join(given) or "none", legal=", ".join(names) or "none",
        ) from None  # fmt: skip
    return names, np.ascontiguousarray(table, dtype=float).reshape(bindings.size, len(names))


def check_registers(circuit: QuantumCircuit, number: int) -> None:
    """Raise :class:`PubError` for a classical register whose name the data of a result do not take."""
    for register in circuit.cregs:
        try:
            DataBin(**{register.name: None})
        except (TypeError, ValueError, AttributeError) as error:
            raise PubError(
                "a classical register of this name cannot be one of the data of a result", subject=f"PUB {number}",
                value=register.name, legal="a name that is none of DataBin's own",
            ) from error  # fmt: skip
