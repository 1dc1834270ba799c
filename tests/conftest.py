"""No test speaks to a machine but its own; pictures are judged by what they show."""

import importlib.util
import ipaddress
import sys

import numpy as np
import pytest

if importlib.util.find_spec("hypothesis"):  # the environment of `make test-tools` has none
    from hypothesis import settings

    # A test that is timed fails where another process needs the processor.
    settings.register_profile("untimed", deadline=None)
    settings.load_profile("untimed")

_DIALLING = {"socket.connect", "socket.sendto"}


def _stay_here(event, arguments):
    if event not in _DIALLING or not isinstance(arguments[1], tuple):
        return
    host = str(arguments[1][0])
    try:
        here = ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        here = host in ("localhost", "")
    if not here:
        raise PermissionError(f"a test dials {host}: tests speak to loopback alone")


sys.addaudithook(_stay_here)


def _dots(artist):
    """Return the points of a line or cloud in pixels of the figure."""
    from matplotlib.collections import PathCollection
    from matplotlib.lines import Line2D

    if isinstance(artist, Line2D) and {artist.get_marker(), artist.get_linestyle()} != {"None"}:
        values = artist.get_xydata()
        return artist.get_transform().transform(values[np.isfinite(values).all(axis=1)])
    if isinstance(artist, PathCollection):
        values = np.ma.getdata(artist.get_offsets())
        return artist.get_offset_transform().transform(values[np.isfinite(values).all(axis=1)])
    return np.empty((0, 2))


def _shows(figure):
    """Return how many points each axes of a figure shows: there is colour where they are."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.collections import QuadMesh

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[::-1, :, :3].astype(int)
    counts = []
    for axes in figure.axes:
        dots = np.concatenate([_dots(artist) for artist in axes.get_children()] or [np.empty((0, 2))])
        box = axes.get_window_extent()
        inside = dots[[box.contains(*dot) for dot in dots]] if len(dots) else dots
        for x, y in inside.astype(int):
            around = pixels[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3]
            assert around.min() < 250, f"nothing is drawn at {x}, {y}"
        cells = [mesh.get_array() for mesh in axes.get_children() if isinstance(mesh, QuadMesh)]
        counts.append(len(inside) + sum(np.isfinite(np.ma.getdata(cell)).sum() for cell in cells))
    return counts


def _has_numbers(axis):
    """Return whether an axis shows numbers, which mean nothing without a name and a unit."""
    texts = [label.get_text().replace("\N{MINUS SIGN}", "-") for label in axis.get_ticklabels() if label.get_visible()]
    return any(text.strip("-").replace(".", "").isdigit() or "\\mathdefault" in text for text in texts)


def _nameless(figure):
    """Return the axes of a drawn figure that show numbers and no name; one of a row or of a column names them all."""
    found, places = [], {axes: axes.get_position() for axes in figure.axes if axes.axison and axes.get_visible()}
    for axes, place in places.items():
        for axis, ends in ((axes.xaxis, ("x0", "x1")), (axes.yaxis, ("y0", "y1"))):
            beside = [
                other for other, there in places.items()
                if all(abs(getattr(there, end) - getattr(place, end)) < 1e-3 for end in ends)
            ]  # fmt: skip
            names = [getattr(other, axis.axis_name + "axis").get_label_text() for other in beside]
            if _has_numbers(axis) and not any(names):
                found.append(f"{axis.axis_name} of {axes.get_title() or 'axes'} at {place.bounds}")
    return found


@pytest.fixture
def drawn():
    """Draws a run and checks the picture: points where they belong, numbers with names, target and origin told."""
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    from pulsed.calibration.results.run_plots import draw_run

    def draw(routine, data, outcome):
        figure = Figure(figsize=(7, 5), layout="constrained")
        draw_run(routine, data, outcome, figure)
        counts = _shows(figure)
        assert counts
        assert max(counts) >= data.sizes[next(iter(data.dims))], f"{routine.name}: {counts} points"
        texts = [text.get_text() for text in figure.findobj(Text)]
        assert any(str(data.attrs["target"]) in text for text in texts), texts
        assert not _nameless(figure), f"{routine.name}: {_nameless(figure)}"
        for key in ("device", "run_id"):
            assert any(str(data.attrs.get(key, "")) in text for text in texts), (key, texts)
        return figure

    return draw
