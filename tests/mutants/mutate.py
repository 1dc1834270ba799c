"""Mutants of a module: one small change each, of the kind that a slip of the pen makes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
COUNTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.LShift: ast.RShift, ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
NO_BEHAVIOUR = ("logs.", "log.", "super().__init__")
"""Calls that are not taken out: nobody is promised a line of the log."""


@dataclass(frozen=True)
class Mutant:
    """One change of one module."""

    path: str
    place: str
    """The function, method or class that it is in."""
    line: int
    kind: str
    old: str
    new: str
    text: str
    """The whole module with the change."""

    def __str__(self) -> str:
        """Return what is changed, and nothing that another change of the module would move."""
        return f"{self.path} | {self.place} | {self.old} -> {self.new}"


def changes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield the kind of a change, and what takes the place of ``node``."""
    match node:
        case ast.Compare(left, [operator], right) if type(operator) in COMPARED:
            yield "comparison", ast.Compare(left, [COMPARED[type(operator)]()], right)
        case ast.BinOp(left, operator, right) if type(operator) in COUNTED and not _is_text(left):
            yield "arithmetic", ast.BinOp(left, COUNTED[type(operator)](), right)
        case ast.BoolOp(operator, values):
            yield "boolean", ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values)
        case ast.UnaryOp(ast.Not(), operand):
            yield "boolean", operand
        case ast.Constant(bool() as value):
            yield "constant", ast.Constant(not value)
        case ast.Constant(int() as value):
            yield "constant", ast.Constant(value + 1)
        case ast.Constant(float() as value):
            yield "constant", ast.Constant(2 * value if value else 1.0)
        case ast.Return(value) if value is not None and not _is_none(value):
            yield "return", ast.Return(ast.Constant(None))
        case ast.Expr(ast.Call() as call) if not ast.unparse(call).startswith(NO_BEHAVIOUR):
            yield "call removal", ast.Pass()
        case ast.Expr(ast.Await(ast.Call() as call)) if not ast.unparse(call).startswith(NO_BEHAVIOUR):
            yield "call removal", ast.Pass()


def mutants(path: str, text: str) -> list[Mutant]:
    """Return every mutant of the module ``text``, in the order of the places."""
    lines = text.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line.encode()))
    raw, found = text.encode(), []
    for node, place in _behaviour(ast.parse(text), ()):
        for kind, other in changes(node):
            begin = starts[node.lineno - 1] + node.col_offset
            end = starts[node.end_lineno - 1] + node.end_col_offset
            new = ast.unparse(other)
            written = f"({new})" if isinstance(other, ast.expr) else new
            whole = (raw[:begin] + written.encode() + raw[end:]).decode()
            found.append(Mutant(path, ".".join(place), node.lineno, kind, ast.unparse(node), new, whole))
    return found


def _behaviour(node: ast.AST, place: tuple[str, ...]) -> Iterator[tuple[ast.AST, tuple[str, ...]]]:
    """Yield all that is run, and where: neither annotations and decorators nor words, nor what is for checkers."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or isinstance(child, ast.JoinedStr | ast.Assert):
                continue
            if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
                continue
            inside = place
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inside = (*place, child.name)
            yield child, inside
            yield from _behaviour(child, inside)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
