"""Expressions in text, such as ``P1 * exp(1j * pi / 3)``, as functions of their parameters; nothing in them is run."""

from __future__ import annotations

import ast
import cmath
import operator
from collections.abc import Callable, Mapping
from typing import Any

from pulsed.pulse.exceptions import PulseError

MAX_TEXT = 4096
"""Longest expression that is read, in characters."""

MAX_BITS = 4096
"""Longest integer that an expression may lead to."""

CONSTANTS: dict[str, float] = {"pi": cmath.pi, "e": cmath.e}
_NAMES = "acos acosh asin asinh atan atanh cos cosh exp log log10 sin sinh sqrt tan tanh"
FUNCTIONS: dict[str, Callable[..., complex]] = {name: getattr(cmath, name) for name in _NAMES.split()}
_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}
SUPPORTED = f"numbers, names, +, -, *, /, **, {', '.join((*CONSTANTS, *FUNCTIONS))}"


class PulseExpression:
    """A function of the parameters that a text names, in alphabetical order.

    Args:
        source: the text, or a tree of Python's ``ast``.
        partial_binding: let a call with fewer values return an expression of the rest.

    Raises:
        PulseError: a text that is no such expression.

    """

    def __init__(self, source: str | ast.Expression, partial_binding: bool = False) -> None:
        self._partial = partial_binding
        self._values: dict[str, complex] = {}
        self._tree = source if isinstance(source, ast.Expression) else _parsed(source)
        self._names: set[str] = set()
        try:
            self._check(self._tree.body)
        except RecursionError:
            raise PulseError("is nested too deep", subject="expression", value=str(source)[:200]) from None

    def _check(self, node: ast.expr) -> None:
        if isinstance(node, ast.Constant) and type(node.value) in (int, float, complex):
            return
        if isinstance(node, ast.Name):
            self._names |= {node.id} - CONSTANTS.keys()
        elif isinstance(node, ast.UnaryOp) and type(node.op) in _UNARY:
            self._check(node.operand)
        elif isinstance(node, ast.BinOp) and type(node.op) in {*_BINARY, ast.Pow}:
            self._check(node.left)
            self._check(node.right)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
            if len(node.args) != 1 or node.keywords:
                raise PulseError("a function of one argument", subject=node.func.id, value=ast.unparse(node))
            self._check(node.args[0])
        else:
            raise PulseError("not supported in an expression", value=ast.unparse(node)[:200], legal=SUPPORTED)

    @property
    def params(self) -> list[str]:
        """The names without a value, in alphabetical order."""
        return sorted(self._names - self._values.keys())

    def __call__(self, *args: complex, **kwargs: complex) -> complex | PulseExpression:
        """Return the value of the expression.

        Args:
            *args: values of the parameters in order.
            **kwargs: values by name.

        Raises:
            PulseError: values for names that there are not, or that it cannot be computed for.

        """
        names = self.params
        values: dict[str, complex] = dict(zip(names, args, strict=False))
        twice = sorted(values.keys() & kwargs.keys())
        unknown = sorted(kwargs.keys() - set(names))
        if len(args) > len(names) or twice or unknown:
            given = ", ".join((*map(str, args), *twice, *unknown))
            raise PulseError("not one value for each parameter", subject=self._text(), value=given, legal=names)
        values = {**self._values, **values, **kwargs}
        if values.keys() < self._names:
            if not self._partial:
                raise PulseError("parameters without a value", subject=self._text(), value=names, legal="all of them")
            rest = PulseExpression(self._tree, partial_binding=True)
            rest._values = values
            return rest
        try:
            found: complex = _value(self._tree.body, values)
        except (ArithmeticError, ValueError, TypeError, RecursionError) as error:
            raise PulseError(f"cannot be computed: {error}", subject=self._text(), value=values) from error
        return found

    def _text(self) -> str:
        return ast.unparse(self._tree)[:200]

    def __repr__(self) -> str:
        return f"PulseExpression({self._text()!r}, {self._partial})"


def parse_string_expr(source: str, partial_binding: bool = False) -> PulseExpression:
    """Return the function that a text such as ``"P1 + P2 * pi"`` is; see :class:`PulseExpression`."""
    return PulseExpression(source, partial_binding)


def _parsed(source: str) -> ast.Expression:
    if not isinstance(source, str) or len(source) > MAX_TEXT:
        raise PulseError("not an expression", value=repr(source)[:200], legal=f"text of at most {MAX_TEXT} characters")
    try:
        return ast.parse(source.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise PulseError("not an expression", value=source[:200], legal=SUPPORTED) from error


def _value(node: ast.expr, values: Mapping[str, complex]) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return CONSTANTS[node.id] if node.id in CONSTANTS else values[node.id]
    if isinstance(node, ast.UnaryOp):
        return _UNARY[type(node.op)](_value(node.operand, values))
    if isinstance(node, ast.Call):
        assert isinstance(node.func, ast.Name)
        found = FUNCTIONS[node.func.id](_value(node.args[0], values))
        return found.real if found.imag == 0 else found
    assert isinstance(node, ast.BinOp)
    left, right = _value(node.left, values), _value(node.right, values)
    if isinstance(node.op, ast.Pow):
        return _power(left, right)
    return _BINARY[type(node.op)](left, right)


def _power(base: Any, exponent: Any) -> Any:
    """Return a power; integers that would grow beyond bounds are floats."""
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * abs(exponent) > MAX_BITS:
        base = float(base)
    return base**exponent
