"""Expressions of Python, evaluated without anything of the file being called; see :mod:`.static_python`."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

MOST_STEPS = 200_000
"""Of a whole file."""
MOST_ITEMS = 10_000
"""Of one container, and characters of one text."""
_DEPTH = 40


@dataclass(frozen=True)
class Unknown:
    """A value that cannot be read."""

    why: str


@dataclass
class Call:
    """A call that was not made."""

    name: str
    """Of what would have been called, with the class it belongs to: ``"Platform.load"``."""
    positional: tuple[Any, ...] = ()
    keywords: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Symbol:
    """Something imported, by its dotted name."""

    name: str


@dataclass(frozen=True)
class FileFunction:
    """A function of the file."""

    node: ast.FunctionDef


class ReturnedError(Exception):
    """The way out of a function of the file."""

    def __init__(self, value: Any) -> None:
        self.value = value


class TooMuchError(Exception):
    """The file asks for more steps, or larger things, than are read."""


Handler = Callable[..., Any]

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.BitOr: operator.or_,
}  # fmt: skip
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge, ast.Is: operator.is_, ast.IsNot: operator.is_not,
    ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b,
}  # fmt: skip
_PLAIN: dict[str, Callable[..., Any]] = {
    "range": range, "enumerate": enumerate, "zip": zip, "dict": dict, "list": list, "tuple": tuple, "set": set,
    "str": str, "int": int, "float": float, "len": len, "sorted": sorted, "reversed": reversed, "min": min, "max": max,
    "bool": bool, "abs": abs, "round": round,
}  # fmt: skip
_METHODS: dict[type, tuple[str, ...]] = {
    dict: ("items", "keys", "values", "get", "update", "copy", "setdefault"),
    list: ("append", "extend", "copy", "index"),
    str: ("split", "lower", "upper", "strip", "startswith", "endswith", "removeprefix", "removesuffix"),
    set: ("add", "union"),
}


class ExpressionReader:
    """Evaluates expressions within bounds of steps, sizes and depth.

    Args:
        file: its name, for errors.
        handlers: functions of the format, by the last parts of their names: ``"Qubit.default"``, ``"map_ports"``.

    """

    def __init__(self, file: str, handlers: Mapping[str, Handler]) -> None:
        self.file = file
        self.problems: list[str] = []
        """What could not be read, each with its line."""
        self.outermost: dict[str, Any] = {}
        """Names of the module."""
        self._handlers = handlers
        self._steps = 0
        self._depth = 0

    def block(self, body: list[ast.stmt], scope: dict[str, Any]) -> None:
        """Run the statements of a function. Of :class:`pulsed.calibration.interchange.static_python.StaticReader`."""
        raise NotImplementedError

    def assign(self, target: ast.expr, value: Any, scope: dict[str, Any]) -> None:
        """Bind a name, as :meth:`block`."""
        raise NotImplementedError

    # --- expressions -------------------------------------------------------------------------------------------------

    def value(self, node: ast.expr, scope: dict[str, Any]) -> Any:
        """Return what an expression is under the names of ``scope``; Unknown, with a line, where that is not read."""
        self.count()
        reader = getattr(self, f"_{type(node).__name__.lower()}", None)
        return self.unknown(node, f"{type(node).__name__} is not read") if reader is None else reader(node, scope)

    def _constant(self, node: ast.Constant, scope: dict[str, Any]) -> Any:
        return node.value

    def _name(self, node: ast.Name, scope: dict[str, Any]) -> Any:
        return scope[node.id] if node.id in scope else self.outermost.get(node.id, Symbol(node.id))

    def _list(self, node: ast.List | ast.Tuple | ast.Set, scope: dict[str, Any]) -> Any:
        return self._bounded(self._arguments(node.elts, scope))

    def _tuple(self, node: ast.Tuple, scope: dict[str, Any]) -> Any:
        return tuple(self._list(node, scope))

    def _set(self, node: ast.Set, scope: dict[str, Any]) -> Any:
        return {item for item in self._list(node, scope) if hashable(item)}

    def _arguments(self, nodes: list[ast.expr], scope: dict[str, Any]) -> list[Any]:
        items: list[Any] = []
        for item in nodes:
            if isinstance(item, ast.Starred):
                items += self.iterate(item.value, scope)
            else:
                items.append(self.value(item, scope))
        return items

    def _binop(self, node: ast.BinOp, scope: dict[str, Any]) -> Any:
        return self.binary(node, node.op, self.value(node.left, scope), self.value(node.right, scope))

    def _listcomp(self, node: ast.ListComp | ast.GeneratorExp | ast.SetComp, scope: dict[str, Any]) -> Any:
        return [self.value(node.elt, inner) for inner in self._loops(node.generators, scope)]

    _generatorexp = _listcomp
    _setcomp = _listcomp

    def _dictcomp(self, node: ast.DictComp, scope: dict[str, Any]) -> Any:
        pairs = [
            (self.value(node.key, inner), self.value(node.value, inner))
            for inner in self._loops(node.generators, scope)
        ]
        return {key: value for key, value in pairs if hashable(key)}

    def _dict(self, node: ast.Dict, scope: dict[str, Any]) -> Any:
        found: dict[Any, Any] = {}
        for key, item in zip(node.keys, node.values, strict=True):
            value = self.value(item, scope)
            name = None if key is None else self.value(key, scope)
            if key is None:
                found |= value if isinstance(value, dict) else {}
            elif hashable(name):
                found[name] = value
        return self._bounded(found)

    def _joinedstr(self, node: ast.JoinedStr, scope: dict[str, Any]) -> Any:
        parts = []
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                value = self.value(part.value, scope)
                if not isinstance(value, str | int | float) or part.format_spec is not None:
                    return self.unknown(node, "a text made of what is not known")
                parts.append(str(value))
            elif isinstance(part, ast.Constant):
                parts.append(str(part.value))
        return self._bounded("".join(parts))

    def binary(self, node: ast.AST, kind: ast.operator, left: Any, right: Any) -> Any:
        """Return what an operator makes of two values."""
        for side in (left, right):
            if isinstance(side, Unknown):
                return side
        numbers = all(isinstance(side, int | float) for side in (left, right))
        alike = type(left) is type(right) and isinstance(left, str | list | tuple | dict | set)
        fits = numbers or (alike and isinstance(kind, ast.Add | ast.BitOr))
        if type(kind) not in _BINARY or not fits:
            if isinstance(left, Symbol | Call):  # paths: FOLDER / "kernels.npz"
                return Unknown(f"line {getattr(node, 'lineno', 0)}: made of what is imported")
            return self.unknown(node, "an operation that is not read")
        try:
            return self._bounded(_BINARY[type(kind)](left, right))
        except (ArithmeticError, TypeError, ValueError) as error:
            return self.unknown(node, str(error))

    def _unaryop(self, node: ast.UnaryOp, scope: dict[str, Any]) -> Any:
        value = self.value(node.operand, scope)
        if isinstance(node.op, ast.Not) and not isinstance(value, Unknown):
            return not value
        if isinstance(value, int | float) and isinstance(node.op, ast.USub | ast.UAdd):
            return -value if isinstance(node.op, ast.USub) else value
        return value if isinstance(value, Unknown) else self.unknown(node, "an operation that is not read")

    def _ifexp(self, node: ast.IfExp, scope: dict[str, Any]) -> Any:
        test = self.value(node.test, scope)
        return test if isinstance(test, Unknown) else self.value(node.body if test else node.orelse, scope)

    def _boolop(self, node: ast.BoolOp, scope: dict[str, Any]) -> Any:
        value: Any = None
        for part in node.values:
            value = self.value(part, scope)
            if isinstance(value, Unknown) or bool(value) == isinstance(node.op, ast.Or):
                return value
        return value

    def _compare(self, node: ast.Compare, scope: dict[str, Any]) -> Any:
        sides = [self.value(item, scope) for item in (node.left, *node.comparators)]
        if lost := [side for side in sides if isinstance(side, Unknown)]:
            return lost[0]
        try:
            return all(
                _COMPARE[type(kind)](left, right)
                for kind, left, right in zip(node.ops, sides[:-1], sides[1:], strict=True)
            )
        except TypeError as error:
            return self.unknown(node, str(error))

    def _subscript(self, node: ast.Subscript, scope: dict[str, Any]) -> Any:
        holder, key = self.value(node.value, scope), self.value(node.slice, scope)
        if isinstance(holder, Unknown):
            return holder
        try:
            if isinstance(holder, dict | list | tuple | str) and hashable(key):
                return holder[key]
        except (KeyError, IndexError, TypeError):
            pass
        return self.unknown(node, f"no entry {str(key)[:40]!r}")

    def _attribute(self, node: ast.Attribute, scope: dict[str, Any]) -> Any:
        holder = self.value(node.value, scope)
        if isinstance(holder, Symbol):
            return Symbol(f"{holder.name}.{node.attr}")
        if isinstance(holder, Call):
            return holder.keywords.get(node.attr)
        return holder if isinstance(holder, Unknown) else self.unknown(node, f"{node.attr} of what is not known")

    def _loops(self, generators: list[ast.comprehension], scope: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield a scope for each turn of a comprehension."""
        first, rest = generators[0], generators[1:]
        for item in self.iterate(first.iter, scope):
            inner = dict(scope)
            self.assign(first.target, item, inner)
            tests = [self.value(test, inner) for test in first.ifs]
            if any(isinstance(test, Unknown) or not test for test in tests):
                continue
            if rest:
                yield from self._loops(rest, inner)
            else:
                yield inner

    def iterate(self, node: ast.expr, scope: dict[str, Any]) -> list[Any]:
        """Return what a loop goes over; nothing, where that is not known."""
        value = self.value(node, scope)
        if isinstance(value, dict | list | tuple | set | str):
            return list(value)
        if not isinstance(value, Unknown):
            self.unknown(node, "a loop over what is not known")
        return []

    # --- calls -------------------------------------------------------------------------------------------------------

    def _call(self, node: ast.Call, scope: dict[str, Any]) -> Any:
        positional = self._arguments(node.args, scope)
        keywords: dict[str, Any] = {}
        for keyword in node.keywords:
            value = self.value(keyword.value, scope)
            if keyword.arg is not None:
                keywords[keyword.arg] = value
            elif isinstance(value, dict):
                keywords |= {str(key): item for key, item in value.items()}
        if isinstance(node.func, ast.Attribute):
            holder = self.value(node.func.value, scope)
            if not isinstance(holder, Symbol):
                return self._method(node, holder, node.func.attr, positional, keywords)
        target = self.value(node.func, scope)
        if isinstance(target, FileFunction):
            return self.invoke(target, tuple(positional), keywords)
        if isinstance(target, Symbol):
            return self._known(node, target.name, positional, keywords)
        return target if isinstance(target, Unknown) else self.unknown(node, "a call of what is not known")

    def _known(self, node: ast.Call, name: str, positional: list[Any], keywords: dict[str, Any]) -> Any:
        parts = name.split(".")
        for known in (".".join(parts[-2:]), parts[-1]):
            if known in self._handlers:
                return self._tried(node, self._handlers[known], positional, keywords)
        if name in _PLAIN:
            if any(isinstance(item, Unknown) for item in positional):
                return next(item for item in positional if isinstance(item, Unknown))
            found = self._tried(node, _PLAIN[name], positional, keywords)
            if isinstance(found, range) and len(found) > MOST_ITEMS:
                raise TooMuchError(f"line {node.lineno}: a loop of {len(found)} turns")
            return found if isinstance(found, str | int | float | dict | tuple | set | Unknown) else list(found)
        return Call(".".join(parts[-2:]) if parts[-1][:1].islower() else parts[-1], tuple(positional), keywords)

    def _method(self, node: ast.Call, holder: Any, name: str, positional: list[Any], keywords: dict[str, Any]) -> Any:
        if isinstance(holder, Unknown):
            return holder
        if isinstance(holder, Call) and name == "model_copy" and isinstance(update := keywords.get("update"), dict):
            return Call(holder.name, holder.positional, {**holder.keywords, **update})
        if name in _METHODS.get(type(holder), ()):
            found = self._tried(node, getattr(holder, name), positional, keywords)
            self._bounded(holder)
            return (
                found if isinstance(found, str | int | float | dict | list | Unknown) or found is None else list(found)
            )
        return self.unknown(node, f"a call of {name} is not read")

    def _tried(self, node: ast.AST, function: Callable[..., Any], positional: list[Any], keywords: Any) -> Any:
        try:
            return self._bounded(function(*positional, **keywords))
        except (TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError) as error:
            return self.unknown(node, f"a call that cannot be: {error}")

    def invoke(self, function: FileFunction, positional: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
        """Return what a function of the file returns."""
        arguments, scope = function.node.args, dict[str, Any]()
        names = [item.arg for item in arguments.args]
        for name, default in zip(names[::-1], arguments.defaults[::-1], strict=False):
            scope[name] = self.value(default, self.outermost)
        scope |= {**dict(zip(names, positional, strict=False)), **keywords}
        self._depth += 1
        if self._depth > _DEPTH:
            raise TooMuchError(f"line {function.node.lineno}: functions call each other too deeply")
        try:
            self.block(function.node.body, scope)
        except ReturnedError as end:
            return end.value
        finally:
            self._depth -= 1
        return None

    # --- bounds ------------------------------------------------------------------------------------------------------

    def count(self) -> None:
        """Count a step. Raises :class:`TooMuchError`."""
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise TooMuchError(f"more than {MOST_STEPS} steps")

    def _bounded(self, value: Any) -> Any:
        if isinstance(value, dict | list | tuple | set | str) and len(value) > MOST_ITEMS:
            raise TooMuchError(f"a {type(value).__name__} of {len(value)} items")
        if isinstance(value, int) and value.bit_length() > 256:
            raise TooMuchError("a number of more than 256 bits")
        return value

    def unknown(self, node: ast.AST, why: str) -> Unknown:
        """Note that something is not read, and return it as unknown."""
        text = f"line {getattr(node, 'lineno', 0)}: {why}"
        self.problems.append(text)
        return Unknown(text)


def hashable(value: Any) -> bool:
    """Return whether a value can be a key."""
    try:
        hash(value)
    except TypeError:
        return False
    return not isinstance(value, Unknown)
