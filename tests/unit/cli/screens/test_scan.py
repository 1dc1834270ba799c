"""A scan on the terminal: numbers in handy units, and as many lines as there is room for."""

import io

import numpy as np
import pytest
import xarray
from rich.console import Console

from pulsed.cli.screens.scan import ScanScreen, scan_screen
from pulsed.model.calibration import RunRecord
from pulsed.model.errors import NotAllowedError


def scan(*axes):
    """Return a scan of which every point is measured: axes by name, values and unit."""
    shape = [len(values) for _, values, _ in axes]
    plane = np.linspace(0.1, 0.9, int(np.prod(shape))).reshape(shape)
    names = tuple(name for name, _, _ in axes)
    values = {"i": plane, "q": 0 * plane, "i_error": 0 * plane + 0.01, "q_error": 0 * plane + 0.01}
    data = xarray.Dataset({name: (names, one) for name, one in values.items()}, attrs={"target": "Q0"})
    return data.assign_coords({name: (name, values, {"units": unit}) for name, values, unit in axes})


FREQUENCY = ("frequency", np.linspace(4.9e9, 5.1e9, 41), "Hz")
WAIT = ("wait", np.linspace(0, 800e-9, 31), "s")


def shown(data, width=80, height=24, **more):
    console = Console(width=width, record=True, file=io.StringIO(), **more)
    console.print(scan_screen(data, width, height))
    return console.export_text().splitlines()


def test_a_map_has_engineering_units_on_both_axes():
    lines = shown(scan(FREQUENCY, WAIT))
    assert lines[1].strip() == "frequency (GHz)"
    assert lines[-1].split() == ["0", "wait", "(ns)", "800"]
    numbers = [float(line.split("│")[0]) for line in lines if "│" in line]
    assert numbers == sorted(numbers, reverse=True)
    assert numbers[-1] == 4.9
    assert 5.08 < numbers[0] <= 5.1


@pytest.mark.parametrize("axes", [(WAIT,), (FREQUENCY, WAIT)])
@pytest.mark.parametrize("height", [12, 24, 60])
def test_a_scan_fits_the_terminal(axes, height):
    lines = shown(scan(*axes), height=height)
    assert len(lines) <= min(height, 20)
    assert len([line for line in lines if "│" in line]) == min(14, height - 6)
    assert max(map(len, lines)) <= 80


def test_long_slow_axes_share_a_row_between_two_values():
    data = scan(("frequency", np.linspace(1e6, 5e6, 5), "Hz"), ("wait", np.array([0.0]), "s"))
    rows = [line.split("│") for line in shown(data, height=10) if "│" in line]
    assert [float(number) for number, _ in rows] == [5, 3, 1]
    assert [cells.strip() for _, cells in rows] == ["▄", "▄", "▄"]
    single = [line.split("│") for line in shown(data) if "│" in line]
    assert [(float(number), cells.strip()) for number, cells in single] == [(k, "█") for k in (5, 4, 3, 2, 1)]


def test_what_has_not_been_measured_is_blank():
    data = scan(("frequency", np.linspace(1e6, 6e6, 6), "Hz"), ("wait", np.array([0.0]), "s"))
    for name in ("i", "q"):
        data[name][3:] = np.nan
    rows = [line.split("│")[1].strip() for line in shown(data, height=10) if "│" in line]
    assert rows == ["", "▄", "▄"]


def test_nobody_who_listens_can_end_a_scan(tmp_path):
    asked = []

    def refusing(info):
        asked.append(info.target)
        raise NotAllowedError("the measurement is somebody else's")

    screen = ScanScreen(None, tmp_path, refusing)
    screen.latest["Q0"] = scan(WAIT)
    records, record = [], RunRecord("r", "scan", "Q0", "scan", "good", 1.0, 2.0)
    screen.ended(records, record)
    assert (asked, records) == (["Q0"], [record])
