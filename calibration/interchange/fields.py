"""Fields of other people's files, and the record of what became of each: nothing is dropped without a line.

A :class:`Field` is a value with where it stands. It is asked for what it has to be; what it is not is one line in the
:class:`Ledger` and None for the reader, who goes on with the rest of the file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pulsed.model.calibration import Number, Value
from pulsed.model.errors import ConfigError
from pulsed.model.parameters import FINITE, row_of

Outcome = Literal["taken over", "left out", "to do"]
IMPORTED = "import"
"""The routine of values that come from a file; their ``run_id`` is the file and the field."""
UNVERIFIED = "unverified"
_SHOWN = 60
"""Characters of a bad value that a line shows."""
_BYTES = 64 * 2**20
"""Of one file."""


@dataclass(frozen=True)
class Line:
    """What became of one field of a file."""

    outcome: Outcome
    file: str
    field: str
    text: str
    """How it was converted, or why it was left out, or what a person has to do."""
    name: str = ""
    """Of what it became."""
    value: Number | str | None = None
    """What it became, or what stands in the file."""
    unit: str = ""


@dataclass
class Ledger:
    """Every field that was looked at, in order, and the values that came of them."""

    time: str
    """ISO 8601, of the values."""
    lines: list[Line] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)

    def take(
        self, name: str, value: Number, source: Field, how: str = "as it is", *, stderr: float | None = None
    ) -> None:
        """Enter ``value``, in the unit of the calibrated value ``name``; one out of bounds is left out."""
        row, numbers = row_of(name), value if isinstance(value, tuple) else (value,)
        unit, limit = ("", FINITE) if row is None else (row.unit, row.limit)
        if not all(map(math.isfinite, numbers)):
            self.leave(source, "not a finite number", value)
            return
        if not isinstance(value, tuple) and not limit.low <= value <= limit.high:
            why = f"{value:.6g} {unit} for {name} is outside {limit.low:g} to {limit.high:g}: is its unit another?"
            self.leave(source, why, value)
            return
        where = f"{source.file}: {source.path}"
        good = stderr is not None and math.isfinite(stderr) and stderr > 0
        self.values[name] = Value(
            value, unit, stderr if good else None, self.time, IMPORTED, where, UNVERIFIED
        )  # fmt: skip
        self.lines.append(Line("taken over", source.file, source.path, how, name, value, unit))

    def use(self, name: str, value: str | float, source: Field, how: str = "as it is") -> None:
        """Note that a field became ``name`` of the rack's description."""
        self.lines.append(Line("taken over", source.file, source.path, how, name, value))

    def leave(self, source: Field, why: str, value: object = None) -> None:
        """Note that a field was left out."""
        shown = source.value if value is None else value
        text = "" if shown is None or isinstance(shown, dict | list) else str(shown)[:_SHOWN]
        self.lines.append(Line("left out", source.file, source.path, why, value=text))

    def ask(self, subject: str, text: str) -> None:
        """Note something that a person has to do or to know before the rack starts."""
        self.lines.append(Line("to do", "", "", text, subject))


@dataclass(frozen=True)
class Field:
    """A value of a file, and where it stands."""

    file: str
    path: str
    value: Any
    ledger: Ledger = field(repr=False, compare=False)

    @property
    def there(self) -> bool:
        """Whether the file has it, and it is not null."""
        return self.value is not None

    def __getitem__(self, key: str | int) -> Field:
        """Return what stands under ``key``: a field that is not there, when it does not."""
        value = None
        if isinstance(self.value, dict) and isinstance(key, str):
            value = self.value.get(key)
        elif isinstance(self.value, list) and isinstance(key, int) and -len(self.value) <= key < len(self.value):
            value = self.value[key]
        return self._child(key, value)

    def at(self, *keys: str | int) -> Field:
        """Return what stands under one key after the other."""
        found = self
        for key in keys:
            found = found[key]
        return found

    def items(self) -> Iterator[tuple[str, Field]]:
        """Yield the entries of a table; one that is no table is left out."""
        if isinstance(self.value, dict):
            yield from ((str(key), self._child(key, value)) for key, value in self.value.items())
        elif self.there:
            self.ledger.leave(self, f"a table is expected here, this is a {type(self.value).__name__}")

    def rows(self) -> Iterator[Field]:
        """Yield the entries of a list; one that is no list is left out."""
        if isinstance(self.value, list):
            yield from (self._child(k, value) for k, value in enumerate(self.value))
        elif self.there:
            self.ledger.leave(self, f"a list is expected here, this is a {type(self.value).__name__}")

    def number(self, low: float = -math.inf, high: float = math.inf) -> float | None:
        """Return it as a number between ``low`` and ``high``; None, with a line unless it is not there or null."""
        if not self.there:
            return None
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            self.ledger.leave(self, f"a number is expected here, this is a {type(self.value).__name__}")
        elif not math.isfinite(self.value):
            self.ledger.leave(self, "not a finite number")
        elif not low <= self.value <= high:
            self.ledger.leave(self, f"outside {low:g} to {high:g}: is its unit another?")
        else:
            return float(self.value)
        return None

    def text(self) -> str | None:
        """Return it as a text; None, with a line unless it is not there."""
        if self.there and not isinstance(self.value, str):
            self.ledger.leave(self, f"a text is expected here, this is a {type(self.value).__name__}")
        return self.value if isinstance(self.value, str) else None

    def _child(self, key: object, value: Any) -> Field:
        return Field(self.file, f"{self.path}.{key}" if self.path else str(key), value, self.ledger)


def read_text(path: Path) -> str:
    """Return a file as text. Raises :class:`ConfigError` for one that cannot be read, is too long or is no text."""
    try:
        if path.stat().st_size > _BYTES:
            raise ConfigError("larger than any such file", subject=str(path), value=path.stat().st_size, legal="64 MiB")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}", subject=str(path)) from error
    except UnicodeDecodeError as error:
        raise ConfigError("is no text in UTF-8", subject=str(path), value=f"byte {error.start}") from error


def read_json(path: Path) -> Any:
    """Return what a JSON file says; NaN and infinities are read, and refused where a number is asked for.

    Raises :class:`ConfigError`.
    """
    try:
        return json.loads(read_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise ConfigError(f"is not JSON: {error}", subject=str(path)) from error
