"""The tree of a QUAM state, in which a text that begins with # stands for what is somewhere else."""

from __future__ import annotations

from typing import Any

from pulsed.calibration.interchange.fields import Field, Ledger

_MOST = 32
"""References that are followed for one field."""


class Tree:
    """A state and its wiring as one tree.

    ``#/a/b`` is from the root, ``#./a`` beside the reference, ``#../a`` one level above. What leads nowhere, or in a
    circle, is not there; a name that QUAM works out as it runs (``inferred_…``) is not there without a line.

    Args:
        data: the tree.
        files: by first key, the file that it is from.
        ledger: for what leads nowhere.

    """

    def __init__(self, data: dict[str, Any], files: dict[str, str], ledger: Ledger) -> None:
        self._data, self._files, self._ledger = data, files, ledger

    def at(self, *path: str | int) -> Field:
        """Return what stands at a path, references on the way followed."""
        return self._field(self._resolved(tuple(map(str, path)), path))

    def names(self, *path: str | int) -> list[str]:
        """Return the keys of a table."""
        value = self.at(*path).value
        return [str(key) for key in value] if isinstance(value, dict) else []

    def place(self, *path: str | int) -> tuple[str, ...]:
        """Return where a path leads in the end."""
        return self._resolved(tuple(map(str, path)), path)

    def _field(self, path: tuple[str, ...]) -> Field:
        value = self._raw(path)
        return Field(self._files.get(path[0], "state.json") if path else "state.json", ".".join(path),
                     None if isinstance(value, str) and value.startswith("#") else value, self._ledger)  # fmt: skip

    def _resolved(self, path: tuple[str, ...], asked: tuple[str | int, ...]) -> tuple[str, ...]:
        done: tuple[str, ...] = ()
        left, followed = list(path), 0
        while True:
            value = self._raw(done)
            if isinstance(value, str) and value.startswith("#"):
                followed += 1
                if followed > _MOST:
                    self._lost(asked, "a reference that leads in circles", value)
                    return ("#",)
                start, step = self._aim(done, value)
                left, done = [*start, *step, *left], ()
                if "inferred_" in value:
                    return ("#",)
                aim = (*start, *step)
                if self._raw(aim) is None and not self._through(aim):
                    self._lost(asked, "a reference that leads nowhere", value)
                    return ("#",)
                continue
            if not left:
                return done
            done = (*done, left.pop(0))

    @staticmethod
    def _aim(at: tuple[str, ...], reference: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return where a reference that stands at ``at`` begins, and the keys from there."""
        head, _, rest = reference.partition("/")
        keys = tuple(key for key in rest.split("/") if key)
        if head == "#":
            return (), keys
        up = 1
        while keys and keys[0] == "..":
            keys, up = keys[1:], up + 1
        return (at[: -(up + 1)] if head == "#.." else at[:-up]), keys

    def _through(self, path: tuple[str, ...]) -> bool:
        """Whether there is a reference on the way, so that what is behind it may be there."""
        return any(isinstance(value := self._raw(path[:k]), str) and value.startswith("#") for k in range(len(path)))

    def _raw(self, path: tuple[str, ...]) -> Any:
        value: Any = self._data
        for key in path:
            if isinstance(value, dict):
                value = value.get(key)
            elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
                value = value[int(key)]
            else:
                return None
        return value

    def _lost(self, asked: tuple[str | int, ...], why: str, reference: str) -> None:
        path = ".".join(map(str, asked))
        known = {line.field for line in self._ledger.lines if line.outcome == "left out"}
        if path not in known:
            file = self._files.get(str(asked[0]), "state.json")
            self._ledger.leave(Field(file, path, None, self._ledger), why, reference)
