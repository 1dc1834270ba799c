"""Expressions of parameters as trees of plain values, and back: where one is read nothing is parsed or executed.

A tree is a number, the name of a parameter, or a list of an operator and its operands, which are trees.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from typing import Any, TypeAlias

from qiskit.circuit import Parameter, ParameterExpression

from pulsed.pulse.exceptions import SerialisationError

Tree: TypeAlias = Any

MAX_DEPTH = 200
"""Deepest tree that is written or read."""
MAX_EXPONENT = 64
"""Largest number that stands as an exponent."""

_BINARY: dict[str, tuple[type[ast.operator], Callable[[Any, Any], Any]]] = {
    "+": (ast.Add, operator.add),
    "-": (ast.Sub, operator.sub),
    "*": (ast.Mult, operator.mul),
    "/": (ast.Div, operator.truediv),
    "**": (ast.Pow, operator.pow),
}
_SIGNS = {kind: sign for sign, (kind, _) in _BINARY.items()}
_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "neg": operator.neg,
    "abs": abs,
    "conjugate": lambda x: x.conjugate(),
    **{
        name: operator.methodcaller(name)
        for name in ("sin", "cos", "tan", "arcsin", "arccos", "arctan", "exp", "log", "sign")
    },
}
_OF_NUMBERS: dict[str, Callable[[float], float]] = {
    **{name: getattr(math, name) for name in ("sin", "cos", "tan", "exp", "log")},
    **{f"arc{name}": getattr(math, f"a{name}") for name in ("sin", "cos", "tan")},
    "neg": operator.neg, "abs": abs, "conjugate": lambda x: x, "sign": lambda x: (x > 0) - (x < 0),
}  # fmt: skip
"""The same of numbers: what Qiskit 1.4 makes of a parameter that gets a value keeps its functions, as sin(1)."""
_PRINTED = {"Abs": "abs", "conj": "conjugate", "asin": "arcsin", "acos": "arccos", "atan": "arctan"}
"""Functions whose name in print, which is Qiskit's choice, is not that of the method."""


def tree_of(expression: ParameterExpression) -> Tree:
    """Return ``expression`` as a tree. Raises :class:`SerialisationError` for one with other operators than ours.

    Qiskit prints an expression in the notation of Python, with a parameter's name as it is: here each gets a name that
    Python can read first.
    """
    if isinstance(expression, Parameter):
        return expression.name
    short = {parameter: Parameter(f"p{i}") for i, parameter in enumerate(expression.parameters)}
    names = {item.name: parameter.name for parameter, item in short.items()}
    try:
        body = ast.parse(str(expression.subs(short)), mode="eval").body
        tree = _tree(body, names)
        # What has cancelled is a parameter still: whoever binds the others binds it too.
        for short_name in sorted(names.keys() - {node.id for node in ast.walk(body) if isinstance(node, ast.Name)}):
            tree = ["+", tree, ["*", 0, names[short_name]]]
        return tree
    except (SyntaxError, KeyError, RecursionError) as error:
        raise SerialisationError("an expression that has no form as bytes", value=str(expression)[:120]) from error


def _tree(node: ast.AST, names: dict[str, str]) -> Tree:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return node.value
    if isinstance(node, ast.Name):
        return names[node.id]
    if isinstance(node, ast.BinOp):
        return [_SIGNS[type(node.op)], _tree(node.left, names), _tree(node.right, names)]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return ["neg", _tree(node.operand, names)]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1:
        if node.func.id == "re":
            return _tree(
                node.args[0], names
            )  # Qiskit 1.4 prints abs(exp(a)) as exp(re(a)); parameters have real values
        name = _PRINTED.get(node.func.id, node.func.id)
        return [name if name in _FUNCTIONS else names[name], _tree(node.args[0], names)]
    raise KeyError(type(node).__name__)


def expression_of(tree: Tree, parameters: dict[str, Parameter], depth: int = 0) -> Any:
    """Return the expression that ``tree`` is. Raises :class:`SerialisationError` for any other value.

    ``parameters`` by name; those that are new are added.
    """
    if type(tree) in (int, float):
        if not math.isfinite(tree) or (type(tree) is int and abs(tree) >= 2**63):
            raise SerialisationError("not a number of an expression", value=tree)
        return tree
    if type(tree) is str:
        return parameters.setdefault(tree, Parameter(tree))
    if type(tree) is not list or not tree or type(tree[0]) is not str or depth > MAX_DEPTH:
        raise SerialisationError("not an expression", value=str(tree)[:120], legal=f"at most {MAX_DEPTH} deep")
    sign, *operands = tree
    values = [expression_of(operand, parameters, depth + 1) for operand in operands]
    plain = not any(isinstance(value, ParameterExpression) for value in values)
    if sign in _BINARY and len(values) == 2:
        if sign == "**" and isinstance(values[1], int | float) and abs(values[1]) > MAX_EXPONENT:
            raise SerialisationError("too large an exponent", value=values[1], legal=f"at most {MAX_EXPONENT}")
        return _BINARY[sign][1](*map(float, values)) if plain else _BINARY[sign][1](*values)
    if sign in _FUNCTIONS and len(values) == 1:
        return _of_number(sign, values[0]) if plain else _FUNCTIONS[sign](values[0])
    raise SerialisationError(
        "no such operator of expressions", value=str(sign)[:40], legal=", ".join((*_BINARY, *_FUNCTIONS))
    )


def _of_number(sign: str, value: float) -> float:
    try:
        return _OF_NUMBERS[sign](value)
    except (ValueError, OverflowError) as error:
        raise SerialisationError("not a number of an expression", value=f"{sign} of {value}") from error
