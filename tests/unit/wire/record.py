"""Keep the structs of the wire and the keys of the device description as they are now, for later versions' tests.

At a release ``python tests/unit/wire/record.py`` writes ``recorded/release_X_Y_Z.py``; the tests of other versions play
that side of the wire from then on.
"""

from __future__ import annotations

import ast
import pprint
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import pulsed

_MODULES = (
    ("model/errors.py", {"ErrorCause", "ErrorInfo"}),
    ("model/job.py", {"JobState", "Spectrum", "RunOptions", "Bindings", "JobRequest", "JobInfo", "JobLogEntry"}),
    ("model/calibration.py", {"Value", "Fault", "CalibrationSet", "RunRecord", "Pruned", "LogEntry", "PastValue"}),
    ("model/payload.py", {"ArrayRef"}),
    ("model/result.py", {"ProgramResult", "JobResult"}),
    ("wire/base.py", None),
    ("model/session.py", {"SessionMode", "SessionState", "SessionEnd", "SessionInfo"}),
    ("model/chunk_results.py", {"ChunkResult"}),
    ("wire/job_messages.py", None),
    ("model/queue.py", {"QueueMode", "QueueControl", "QueueEntry", "UserShare"}),
    ("wire/queue_messages.py", None),
    ("wire/session_messages.py", None),
    ("wire/rack_messages.py", None),
    ("model/alerts.py", None),
    ("wire/observation_messages.py", None),
    ("wire/instrument_messages.py", None),
    ("wire/messages.py", None),
)
_ALIASES = {"Number", "RunKind", "RunOutcome", "PROTOCOL", "REVISION", "AnyRequest", "AnyReply", "AnyEvent"}
_HEAD = '''"""The structs of the wire and the keys of the device description as version {version} had them.

Written by record.py; nobody edits it.
"""

# ruff: noqa
from __future__ import annotations

from enum import StrEnum
from typing import Literal, NamedTuple

import msgspec

'''


class _Bare(ast.NodeTransformer):
    """Leaves the type of a field that is annotated with more than it."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        if isinstance(node.value, ast.Name) and node.value.id == "Annotated" and isinstance(node.slice, ast.Tuple):
            return node.slice.elts[0]
        return self.generic_visit(node)


def structs(root: Path) -> str:
    """Return the source of every struct that crosses the wire, without its words and methods."""
    found = []
    for name, wanted in _MODULES:
        for node in ast.parse((root / name).read_text()).body:
            if isinstance(node, ast.ClassDef) and (wanted is None or node.name in wanted):
                node.body = [one for one in node.body if isinstance(one, ast.AnnAssign | ast.Assign)] or [ast.Pass()]
                found.append(ast.unparse(_Bare().visit(node)))
            elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in _ALIASES:
                found.append(ast.unparse(node))
    return "\n\n\n".join(found)


def keys(kind: Any) -> Any:
    """Return the keys of a pydantic model as a tree; ``"*"`` stands for any name and any place in a list."""
    if get_origin(kind) in (Union, UnionType):
        trees = [tree for one in get_args(kind) if (tree := keys(one)) is not None]
        return trees[0] if trees else None
    if get_origin(kind) in (dict, tuple, list):
        tree = keys(get_args(kind)[1 if get_origin(kind) is dict else 0])
        return None if tree is None else {"*": tree}
    fields = getattr(kind, "model_fields", None)
    return None if fields is None else {name: keys(field.annotation) for name, field in fields.items()}


def main() -> None:
    """Write the file of the present version."""
    from pulsed.model.device import DeviceDescription

    root = Path(__file__).parents[3]
    version = pulsed.__version__
    tree = pprint.pformat(keys(DeviceDescription), width=120, sort_dicts=True)
    text = f"{_HEAD.format(version=version)}VERSION = {version!r}\n\n{structs(root)}\n\nDEVICE_KEYS = {tree}\n"
    (Path(__file__).parent / "recorded" / f"release_{version.replace('.', '_')}.py").write_text(text)


if __name__ == "__main__":
    main()
