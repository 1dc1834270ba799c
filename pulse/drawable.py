"""What can draw itself: pulses, schedules and blocks."""

from __future__ import annotations

from typing import Any, ClassVar

from pulsed.model.errors import PulsedError


class Drawable:
    """Gives ``draw()`` to pulses and programs, which lie below the module that draws them.

    Attributes:
        drawer: draws any of them, ``drawer(thing, **options)``. Set by the package ``pulsed.pulse``, which knows both
            sides; a drawing is made of schedules and pulses, so that these cannot import it.

    """

    __slots__ = ()
    drawer: ClassVar[Any]

    def draw(self, **options: Any) -> Any:
        """Return a matplotlib figure, or with ``interactive=True`` a sheet that one can zoom.

        For the options see :func:`pulsed.pulse.draw.draw`.
        """
        return type(self).drawer(self, **options)

    def _repr_png_(self) -> bytes | None:
        """Return the picture for a notebook; None, which has it show the text, where there is none to draw."""
        try:
            return self.draw().png(80)  # type: ignore[no-any-return]
        except PulsedError:
            return None
