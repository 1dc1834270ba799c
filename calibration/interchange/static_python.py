"""Python that describes a platform, read and never run: assignments, loops and calls of a small part of the language.

Nothing is imported, no function of the file's world is called. A call of what the file imports is a :class:`Call`, a
record of name and arguments, unless the reader of the format has a function of its own for that name. What cannot be
read is an :class:`Unknown` that says why and where; it spoils what is made of it and nothing else.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from pulsed.calibration.interchange.static_expressions import (
    Call,
    ExpressionReader,
    FileFunction,
    Handler,
    ReturnedError,
    Symbol,
    TooMuchError,
    Unknown,
    hashable,
)
from pulsed.model.errors import ConfigError

__all__ = ["Call", "Handler", "StaticReader", "Symbol", "Unknown"]


class StaticReader(ExpressionReader):
    """Reads one file.

    Args:
        text: of the file.
        file: its name, for errors.
        handlers: functions of the format, by the last parts of their names: ``"Qubit.default"``, ``"map_ports"``.

    """

    def __init__(self, text: str, file: str, handlers: Mapping[str, Handler]) -> None:
        super().__init__(file, handlers)
        try:
            self._tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise ConfigError(f"is not Python: {error}", subject=file) from error

    def call(self, name: str) -> Any:
        """Return what the function ``name`` of the file returns; Unknown where that cannot be read."""
        try:
            self.block(self._tree.body, self.outermost)
            found = self.outermost.get(name)
            if not isinstance(found, FileFunction):
                return Unknown(f"{self.file} has no function {name}")
            return self.invoke(found, (), {})
        except TooMuchError as error:
            return Unknown(f"{self.file}: {error}")
        except RecursionError:
            return Unknown(f"{self.file} is nested too deeply")

    # --- statements --------------------------------------------------------------------------------------------------

    def block(self, body: list[ast.stmt], scope: dict[str, Any]) -> None:
        """Run statements one after the other. Raises :class:`ReturnedError` where one returns."""
        for statement in body:
            self.count()
            reader = getattr(self, f"_{type(statement).__name__.lower()}", None)
            if reader is None:
                self.unknown(statement, f"a {type(statement).__name__.lower()} statement is not read")
            else:
                reader(statement, scope)

    def _import(self, node: ast.Import | ast.ImportFrom, scope: dict[str, Any]) -> None:
        for item in node.names:
            scope[(item.asname or item.name).partition(".")[0]] = Symbol(item.name)

    _importfrom = _import

    def _functiondef(self, node: ast.FunctionDef, scope: dict[str, Any]) -> None:
        scope[node.name] = FileFunction(node)

    def _return(self, node: ast.Return, scope: dict[str, Any]) -> None:
        raise ReturnedError(None if node.value is None else self.value(node.value, scope))

    def _assign(self, node: ast.Assign, scope: dict[str, Any]) -> None:
        value = self.value(node.value, scope)
        for target in node.targets:
            self.assign(target, value, scope)

    def _annassign(self, node: ast.AnnAssign, scope: dict[str, Any]) -> None:
        if node.value is not None:
            self.assign(node.target, self.value(node.value, scope), scope)

    def _augassign(self, node: ast.AugAssign, scope: dict[str, Any]) -> None:
        old = self.value(_loaded(node.target), scope)
        self.assign(node.target, self.binary(node, node.op, old, self.value(node.value, scope)), scope)

    def _expr(self, node: ast.Expr, scope: dict[str, Any]) -> None:
        self.value(node.value, scope)

    def _for(self, node: ast.For, scope: dict[str, Any]) -> None:
        for item in self.iterate(node.iter, scope):
            self.assign(node.target, item, scope)
            self.block(node.body, scope)

    def _if(self, node: ast.If, scope: dict[str, Any]) -> None:
        test = self.value(node.test, scope)
        if not isinstance(test, Unknown):
            self.block(node.body if test else node.orelse, scope)

    def _pass(self, node: ast.Pass, scope: dict[str, Any]) -> None:
        pass

    def assign(self, target: ast.expr, value: Any, scope: dict[str, Any]) -> None:
        """Bind names, entries or attributes to a value."""
        match target:
            case ast.Name():
                scope[target.id] = value
            case ast.Tuple() | ast.List():
                parts = list(value) if isinstance(value, list | tuple) else []
                for k, part in enumerate(target.elts):
                    missing = Unknown(f"line {target.lineno}: nothing to unpack")
                    self.assign(part, parts[k] if k < len(parts) else missing, scope)
            case ast.Subscript():
                self._put(target, value, scope)
            case ast.Attribute():
                holder = self.value(target.value, scope)
                if isinstance(holder, Call):
                    holder.keywords[target.attr] = value
                else:
                    self.unknown(target, f"an assignment to {target.attr} of what is not known")
            case _:
                self.unknown(target, "an assignment that is not read")

    def _put(self, target: ast.Subscript, value: Any, scope: dict[str, Any]) -> None:
        holder, key = self.value(target.value, scope), self.value(target.slice, scope)
        fits = isinstance(holder, list) and isinstance(key, int) and -len(holder) <= key < len(holder)
        if fits or (isinstance(holder, dict) and hashable(key)):
            holder[key] = value
        else:
            self.unknown(target, "an assignment to an entry of what is not known")


def _loaded(target: ast.expr) -> ast.expr:
    """Return the target of ``x += 1`` as what is read."""
    return ast.parse(ast.unparse(target), mode="eval").body
