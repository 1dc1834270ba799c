"""Figures that need no display, and that a notebook shows by themselves."""

from __future__ import annotations

from io import BytesIO

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


class Picture(Figure):
    """A figure of so many inches. IPython shows one of matplotlib's own only once pyplot was imported."""

    def __init__(self, width: float, height: float) -> None:
        super().__init__(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(self)

    def _repr_png_(self) -> bytes:
        return self.png(80)

    def png(self, dpi: int = 110) -> bytes:
        """Return the figure as a PNG of ``dpi`` dots per inch."""
        target = BytesIO()
        self.savefig(target, format="png", dpi=dpi)
        return target.getvalue()
