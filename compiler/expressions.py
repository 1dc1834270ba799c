"""Expressions of parameters, evaluated over arrays of values at once."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit.circuit import Parameter, ParameterExpression

from pulsed.model.errors import InvalidValueError

Values = Mapping[Parameter, npt.NDArray[np.float64]]

_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_UNARY: dict[type, Callable[[Any], Any]] = {ast.USub: operator.neg, ast.UAdd: operator.pos}
_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "exp": np.exp, "log": np.log, "abs": np.abs, "Abs": np.abs,
    "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "sign": np.sign, "conj": np.conj, "conjugate": np.conj,
}  # fmt: skip


def evaluate(expression: ParameterExpression, values: Values) -> npt.NDArray[np.float64]:
    """Return the value of ``expression`` for each set of ``values``: float64 (bindings,).

    Qiskit prints an expression in the notation of Python; its tree is walked, nothing is executed. Raises
    :class:`InvalidValueError` for a parameter without values, and for a result that is not finite and real.
    """
    missing = [parameter for parameter in expression.parameters if parameter not in values]
    if missing:
        raise InvalidValueError(
            "no values for a parameter",
            subject=str(expression),
            value=", ".join(sorted(p.name for p in missing)),
            legal=", ".join(sorted(p.name for p in values)) or "none given",
        )
    if isinstance(expression, Parameter):
        return np.asarray(values[expression], dtype=np.float64)
    # A name may be any text; in the printed expression it has to be a name of Python's.
    short = {parameter: Parameter(f"p{i}") for i, parameter in enumerate(expression.parameters)}
    arrays = {item.name: np.asarray(values[parameter]) for parameter, item in short.items()}
    try:
        tree = ast.parse(str(expression.subs(short)), mode="eval").body
        with np.errstate(all="ignore"):
            result = np.broadcast_to(_walk(tree, arrays), next(iter(arrays.values())).shape)
    except (SyntaxError, KeyError) as error:
        raise InvalidValueError("an expression that cannot be evaluated over arrays", value=str(expression)) from error
    if np.iscomplexobj(result) and not np.any(np.imag(result)):
        result = np.real(result)
    if np.iscomplexobj(result) or not np.isfinite(result).all():
        raise InvalidValueError("not a finite real number for every binding", subject=str(expression))
    return np.asarray(result, dtype=np.float64)


def _walk(node: ast.AST, names: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return names[node.id]
    if isinstance(node, ast.BinOp):
        return _BINARY[type(node.op)](_walk(node.left, names), _walk(node.right, names))
    if isinstance(node, ast.UnaryOp):
        return _UNARY[type(node.op)](_walk(node.operand, names))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1:
        return _FUNCTIONS[node.func.id](_walk(node.args[0], names))
    raise KeyError(type(node).__name__)
