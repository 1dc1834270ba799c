"""Pulse programs as plain values, the same for :mod:`pulsed.pulse` and ``qiskit.pulse``: to compare, print or store."""

from __future__ import annotations

from typing import Any

import numpy as np
from qiskit.circuit import ParameterExpression


def timed_values(program: Any) -> list[list[Any]]:
    """Return [time, instruction] for all instructions of a program of either language, in their order."""
    return [[int(time), _value(instruction)] for time, instruction in program.instructions]


def program_values(program: Any, root: bool = True) -> list[Any]:
    """Return all of a program of either language: nesting, names, metadata, contexts, subroutines.

    Args:
        program: a Schedule or ScheduleBlock.
        root: whether it is a scope of its own, whose references are listed; a nested block's are its root's.

    """
    if hasattr(program, "children"):
        parts = [[int(time), _part(child)] for time, child in program.children]
        return ["Schedule", program.name, _value(program.metadata), parts]
    context = program.alignment_context
    subroutines = [
        [list(keys), None if block is None else program_values(block)]
        for keys, block in sorted(program.references.items() if root else ())
    ]
    head = [program.name, _value(program.metadata), type(context).__name__, _value(list(context._context_params))]
    return ["ScheduleBlock", *head, subroutines, [_part(part) for part in program.blocks]]


def _part(part: Any) -> Any:
    return program_values(part, root=False) if hasattr(part, "metadata") else _value(part)


def _value(thing: Any) -> Any:
    """Return an operand as numbers, strings, lists and dictionaries."""
    if isinstance(thing, ParameterExpression):
        return str(thing)
    if isinstance(thing, dict):
        return {str(key): _value(thing[key]) for key in sorted(thing)}
    if isinstance(thing, (list, tuple)):
        return [_value(item) for item in thing]
    if isinstance(thing, (np.ndarray, np.generic)):
        return _value(thing.tolist())
    if isinstance(thing, complex):
        return [thing.real, thing.imag]
    return _named(thing)


def _named(thing: Any) -> Any:
    """Return an instruction, pulse, channel or kernel with the name of its kind; a plain value as it is."""
    if hasattr(thing, "operands"):
        operands = _value(thing.operands)
        if type(thing).__name__ == "RelativeBarrier":  # its channels have no order
            operands.sort()
        return [type(thing).__name__, operands, thing.name]
    if hasattr(thing, "samples"):
        return ["Waveform", _value(thing.samples), thing.name]
    if hasattr(thing, "get_waveform"):
        return [thing.pulse_type, _value(thing.parameters), thing.name]
    if hasattr(thing, "index") and hasattr(thing, "prefix"):
        return f"{type(thing).__name__}({thing.index})"
    return [type(thing).__name__, thing.name, _value(thing.params)] if hasattr(thing, "params") else thing
