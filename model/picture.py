"""New figures, where matplotlib is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pulsed.model.errors import MissingPackageError

if TYPE_CHECKING:
    from pulsed.model.figure import Picture


def new_picture(width: float, height: float) -> Picture:
    """Return a figure of so many inches. Raises :class:`MissingPackageError` without matplotlib."""
    try:
        from pulsed.model.figure import Picture
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            "drawing needs matplotlib: pip install matplotlib", subject="draw", value="no package matplotlib"
        ) from error
    return Picture(width, height)
