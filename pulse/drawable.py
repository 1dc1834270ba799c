"""What can draw itself: pulses, schedules and blocks."""

from __future__ import annotations

from typing import Any, ClassVar


class Drawable:
    """Gives ``draw()`` to pulses and programs, which lie below the module that draws them.

    Attributes:
        drawer: draws any of them, ``drawer(thing, **options)``. Set by the package ``pulsed.pulse``, which knows both
            sides; a drawing is made of schedules and pulses, so that these cannot import it.

    """

    __slots__ = ()
    drawer: ClassVar[Any]

    def draw(self, **options: Any) -> Any:
        """Return a matplotlib figure; see :func:`pulsed.pulse.draw.draw` for the options."""
        return type(self).drawer(self, **options)
