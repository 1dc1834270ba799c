"""Programs of another pulse language where ours are expected: those of ``qiskit.pulse`` on Qiskit 1.4.

The module that converts them is above the schedules that take them, so it enters its function here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_readers: list[Callable[[Any], Any]] = []


def add_reader(reader: Callable[[Any], Any]) -> None:
    """Have ``reader`` asked, too: it returns a program of its language as ours, anything else as it is."""
    _readers.append(reader)


def adopted(program: Any) -> Any:
    """Return a program of another language as ours, anything else as it is."""
    for reader in _readers:
        program = reader(program)
    return program
