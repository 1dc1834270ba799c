"""The picture of a preview has the samples of each port, whole, and what is recorded."""

import numpy as np
import pytest

from pulsed.compiler.preview_drawing import PortRow, draw_rows
from pulsed.compiler.render import Segment


def drawn(rows, duration=1e-6):
    return draw_rows(rows, duration, "title").axes[0]


def test_what_is_drawn_is_what_is_played():
    samples = 0.5 * np.exp(1j * np.linspace(0, 7, 40))
    axis = drawn(
        [PortRow("d0", [Segment(100, samples)], [], 1e9), PortRow("in", [], [("a0", 10, 50), ("a1", 10, 50)], 5e8)]
    )
    real, imaginary = (line for line in axis.lines if len(line.get_xdata()) == 40)
    assert real.get_xdata() == pytest.approx(np.arange(100, 140))  # ns
    assert real.get_ydata() == pytest.approx(0.45 * samples.real)
    assert imaginary.get_ydata() == pytest.approx(0.45 * samples.imag)
    assert [label.get_text() for label in axis.get_yticklabels()] == ["d0", "in"]
    (window,) = axis.texts[:-1]
    assert window.get_text() == "a0, a1"
    assert window.get_position() == pytest.approx((70, -1))  # the middle of 20 to 120 ns
    assert axis.get_xlim() == pytest.approx((0, 1000))


def test_no_peak_of_a_long_waveform_is_lost():
    samples = np.zeros(100_001, complex)
    samples[77_777], samples[3] = 0.9, -0.8
    axis = drawn([PortRow("d0", [Segment(0, samples)], [], 1e9)], 100_001e-9)
    line = max(axis.lines, key=lambda one: np.max(one.get_ydata()))
    assert len(line.get_xdata()) <= 4000
    assert (line.get_ydata().max(), line.get_ydata().min()) == pytest.approx((0.45 * 0.9, -0.45 * 0.8))
    assert line.get_xdata()[np.argmax(line.get_ydata())] == pytest.approx(77.777, abs=0.06)  # µs


def test_what_is_recorded_after_the_last_pulse_is_shown():
    assert drawn([PortRow("in", [], [("a0", 900, 200)], 1e9)]).get_xlim() == pytest.approx((0, 1100))
