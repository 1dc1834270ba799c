"""Values and tables as the text of a TOML file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def toml_lines(data: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of a TOML file: its values, then its tables, a table of tables as one each."""
    tables: list[tuple[str, dict[str, Any]]] = []
    values: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            tables += [(f"\n[[{_key(key)}]]", row) for row in value]
        elif isinstance(value, dict) and all(isinstance(item, dict) for item in value.values()):
            tables += [(f"\n[{_key(key)}.{_key(name)}]", table) for name, table in value.items()]
        elif isinstance(value, dict):
            tables.append((f"\n[{_key(key)}]", value))
        else:
            values[key] = value
    yield from _assignments(values)
    for head, table in tables:
        yield head
        yield from _assignments(table)


def _assignments(table: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each key whose value is not None."""
    return (f"{_key(key)} = {_inline(value)}" for key, value in table.items() if value is not None)


def _key(name: str) -> str:
    """Return a name as a key: in quotes where it has more than letters, digits and dashes."""
    return name if _BARE.fullmatch(name) else json.dumps(name)


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(_assignments(value)) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return json.dumps(value)
