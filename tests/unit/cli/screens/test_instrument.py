"""A record of an input as characters."""

import numpy as np
import pytest
from rich.console import Console

from pulsed.cli.screens.instrument import record_screen


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("samples", [3, 100, 5000])
def test_a_record_has_its_scale_and_fits(width, samples):
    time = np.linspace(0, 1, samples)
    values = (0.5 * np.sin(2 * np.pi * time) + 0.25j).astype(np.complex64)
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    with console.file:
        console.print(record_screen("in", values, 1e-9, 7, width))
        lines = console.export_text().splitlines()
    assert all(len(line) <= width for line in lines)
    assert "mean of 7 shots" in lines[0]
    assert len([line for line in lines if "│" in line]) == 12
    assert lines[7].split()[0] == "0.25"
    assert any(0x2800 < ord(letter) <= 0x28FF for letter in lines[7]), "the constant Q is at the top of its half"
    assert not any(0x2800 < ord(letter) <= 0x28FF for line in lines[8:13] for letter in line)


def test_a_sine_goes_up_first_and_down_then():
    values = np.sin(np.linspace(0, 2 * np.pi, 1000)).astype(np.complex64)
    console = Console(width=82, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    with console.file:
        console.print(record_screen("in", values, 1e-9, 1, 82))
        lines = console.export_text().splitlines()
    upper, lower = lines[1][11:], lines[6][11:]
    assert upper[: len(upper) // 2].strip()
    assert not upper[40:].strip()
    assert lower[40:].strip()
    assert not lower[:30].strip()
