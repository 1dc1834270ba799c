"""The builder that is active in this thread or task, with the blocks that are open in it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any

from pulsed.pulse import alignments
from pulsed.pulse.alignments import AlignmentKind
from pulsed.pulse.exceptions import NoActiveBuilder, PulseError
from pulsed.pulse.schedule.block import ScheduleBlock

_ACTIVE: ContextVar[Builder | None]
_ALIGNMENTS: dict[str, Callable[[], AlignmentKind]] = {
    "left": alignments.AlignLeft,
    "right": alignments.AlignRight,
    "sequential": alignments.AlignSequential,
}


class Builder:
    """The state of one ``build``: its backend and the stack of blocks that are open."""

    def __init__(
        self, backend: Any, schedule: ScheduleBlock | None, name: str | None, alignment: str | AlignmentKind | None
    ) -> None:
        if isinstance(alignment, str) and alignment in _ALIGNMENTS:
            alignment = _ALIGNMENTS[alignment]()
        if alignment is not None and not isinstance(alignment, AlignmentKind):
            legal = ", ".join(_ALIGNMENTS) + " or an AlignmentKind"
            raise PulseError("not an alignment context", subject="default_alignment", value=alignment, legal=legal)
        if schedule is not None and not isinstance(schedule, ScheduleBlock):
            raise PulseError("only a ScheduleBlock can be continued", subject="build", value=type(schedule).__name__)
        self.backend = backend
        self._root = ScheduleBlock(name=name if schedule is None else None, alignment_context=alignment)
        self._continued = schedule
        self._name = name
        self.stack = [self._root]
        self._token: Token[Builder | None] | None = None

    def __enter__(self) -> ScheduleBlock:
        self._token = _ACTIVE.set(self)
        return self._root if self._continued is None else self._continued

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._token is not None:
            _ACTIVE.reset(self._token)
        if kind is None and self._continued is not None:
            self._continued.rename(self._name)
            if len(self._root):
                self._continued.append(self._root)

    @property
    def block(self) -> ScheduleBlock:
        """The innermost open block."""
        return self.stack[-1]

    @contextmanager
    def aligned(self, alignment: AlignmentKind) -> Generator[None, None, None]:
        """Open a block; append it to the one around it when it closes without an exception and is not empty."""
        inner = ScheduleBlock(alignment_context=alignment)
        self.stack.append(inner)
        try:
            yield
        finally:
            self.stack.pop()
        if len(inner):
            self.block.append(inner)


_ACTIVE = ContextVar("pulsed_pulse_builder", default=None)


def active_builder() -> Builder:
    """Return the builder that is active. Raises :class:`NoActiveBuilder` outside of ``build``."""
    active = _ACTIVE.get()
    if active is None:
        raise NoActiveBuilder("a builder function was called outside of a builder context; use with pulse.build()")
    return active
