"""Pictures: what is drawn is what is played; rows, ranges, cuts and ticks."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.figure import Figure
from qiskit.circuit import Parameter

from pulsed.pulse import (
    Acquire,
    AcquireChannel,
    Constant,
    ControlChannel,
    Delay,
    Drag,
    DriveChannel,
    Gaussian,
    MeasureChannel,
    MemorySlot,
    Play,
    PulseError,
    Schedule,
    ScheduleBlock,
    SetFrequency,
    ShiftPhase,
    Snapshot,
)
from pulsed.pulse.instructions import EnterFrame, LeaveFrame, RelativeBarrier
from pulsed.pulse.painter import HALF, IMAGINARY, REAL
from pulsed.pulse.timeaxis import TimeAxis, scaled_unit

D0, U0, M0, A0 = DriveChannel(0), ControlChannel(0), MeasureChannel(0), AcquireChannel(0)


def program():
    return Schedule(
        (0, ShiftPhase(np.pi / 2, D0)),
        (0, Play(Drag(40, 0.4, 10, 3.0, name="x90"), D0)),
        (40, RelativeBarrier(D0, U0)),
        (40, Play(Constant(100, -0.2), U0)),
        (140, SetFrequency(7e9, M0)),
        (140, Play(Constant(300, 0.1), M0)),
        (140, Delay(50, A0)),
        (190, Acquire(250, A0, MemorySlot(3))),
        (200, Snapshot("state")),
        name="demo",
    )


def labels(figure):
    return [tick.get_text() for tick in figure.axes[0].get_yticklabels()]


def texts(figure):
    return " ".join(text.get_text() for text in figure.axes[0].texts)


def polygons(figure, color):
    import matplotlib.colors

    wanted = matplotlib.colors.to_rgb(color)
    return [
        path.vertices
        for collection in figure.axes[0].collections
        if isinstance(collection, PolyCollection) and len(collection.get_facecolor())
        for path in collection.get_paths()
        if tuple(collection.get_facecolor()[0][:3]) == wanted
    ]


def test_rows_are_ordered_by_kind_and_index():
    figure = program().draw(dt=1e-9)
    assert isinstance(figure, Figure)
    assert labels(program().draw(style={}, plotter="mpl2d", plot_barrier=True)) == labels(figure)
    assert labels(figure) == ["d0", "u0", "m0", "a0"]
    many = Schedule(*((0, Play(Constant(5, 0.1), DriveChannel(i))) for i in (10, 2, 1)))
    assert labels(many.draw()) == ["d1", "d2", "d10"]


def test_envelopes_are_drawn_to_scale():
    pulse = program().instructions[1][1].pulse
    figure = program().draw()
    envelope = pulse.envelope()
    peak = np.abs(envelope).max()
    for color, part in ((REAL, envelope.real), (IMAGINARY, envelope.imag)):
        first = polygons(figure, color)[0]
        assert first[:, 1].max() == pytest.approx(part.max() / peak * HALF)
        assert first[:, 1].min() == pytest.approx(min(part.min(), 0.0) / peak * HALF)
        assert (first[:, 0].min(), first[:, 0].max()) == (0, 40)
    control = polygons(figure, REAL)[1]
    assert control[:, 1].min() == pytest.approx(-1 - HALF)
    assert len(polygons(figure, IMAGINARY)) == 1


def test_frames_of_text_are_marked_where_they_begin_and_end():
    frame = (5.1e9, -np.pi / 2, DriveChannel(0))
    made = Schedule(EnterFrame(*frame), (0, Play(Constant(40, 0.1), DriveChannel(0))), (40, LeaveFrame(*frame)))
    shown = texts(made.draw())
    assert "enter 5.1 GHz, −0.5π" in shown
    assert "leave 5.1 GHz" in shown


def test_frames_acquisitions_and_snapshots_are_marked():
    figure = program().draw(dt=1e-9)
    shown = texts(figure)
    for text in ("+0.5π", "=7 GHz", "→ mem 3", "state", "x90", "0.2"):
        assert text in shown
    marks = [c for c in figure.axes[0].collections if isinstance(c, PathCollection)]
    assert sorted(tuple(point) for c in marks for point in c.get_offsets()) == [(0.0, 0.0), (140.0, -2.0)]
    plain = texts(program().draw(show_framechange=False, show_snapshot=False, show_waveform_info=False))
    assert not any(text in plain for text in ("π", "GHz", "state", "x90"))


def test_labels_of_frame_changes_do_not_run_into_each_other():
    """Virtual Z of a transpiled circuit: many shifts at one moment are one label, and moments stand close together."""
    schedule = Schedule((1000, Play(Constant(1600, 0.2), D0)), (0, Play(Constant(2600, 0.2), U0)))
    for time in (0, 0, 0, 40, 40, 300, 320, 340, 900):
        schedule = schedule.insert(time, ShiftPhase(np.pi / 8, D0))
    figure = schedule.draw()
    axis = figure.axes[0]
    figure.canvas.draw()
    labels = [text for text in axis.texts if "π" in text.get_text()]
    assert [text.get_text() for text in labels][:2] == ["+0.375π", "+0.25π"]
    assert labels[-1].get_text() == "+0.125π"
    boxes = [text.get_window_extent() for text in labels]
    assert not any(one.overlaps(other) for k, one in enumerate(boxes) for other in boxes[:k])
    assert len(labels) < 6, "there is no room for all"
    (marks,) = [c for c in axis.collections if isinstance(c, PathCollection)]
    assert len(marks.get_offsets()) == 6


def test_both_time_axes_with_dt():
    figure = program().draw(dt=2e-9)
    (top,) = figure.axes[0].child_axes
    assert figure.axes[0].get_xlabel() == "time (dt)"
    assert top.get_xlabel() == "time (ns)"
    below = {
        t.get_text(): x for t, x in zip(figure.axes[0].get_xticklabels(), figure.axes[0].get_xticks(), strict=True)
    }
    above = {t.get_text(): x for t, x in zip(top.get_xticklabels(), top.get_xticks(), strict=True)}
    assert below["200"] == above["400"] == 200
    assert "440 dt = 880 ns" in figure.axes[0].get_title(loc="left")
    assert not program().draw().axes[0].child_axes


def test_channels_and_time_can_be_chosen():
    assert labels(program().draw(channels=[M0, D0])) == ["m0", "d0"]
    assert labels(program().draw(disable_channels=[M0])) == ["d0", "u0", "a0"]
    figure = program().draw(time_range=(100, 200))
    assert figure.axes[0].get_xlim() == (0, 100)
    assert len(polygons(figure, REAL)) == 2
    same = program().draw(time_range=(200, 400), time_unit="ns", dt=2e-9)
    assert same.axes[0].get_xlim() == (0, 100)
    for wrong in (
        {"channels": []},
        {"time_range": (5, 5)},
        {"time_range": (0, 5), "time_unit": "ns"},
        {"time_range": (0, 5), "time_unit": "s"},
        {"colour": "red"},
    ):
        with pytest.raises(PulseError):
            program().draw(**wrong)
    with pytest.raises(PulseError, match="no channel"):
        Schedule().draw()


def test_long_idle_times_are_cut():
    schedule = Schedule((0, Play(Constant(40, 0.1), D0)), (100_040, Play(Constant(400, 0.1), M0)))
    figure = schedule.draw(dt=1e-9)
    assert figure.axes[0].get_xlim()[1] < 600
    assert "100 µs idle" in texts(figure)
    assert "100000 dt idle" in texts(schedule.draw())


def test_blocks_pulses_and_parameters_are_drawn(tmp_path):
    block = ScheduleBlock()
    block.append(Play(Constant(5, 0.1), D0))
    block.append(Play(Gaussian(50, Parameter("amp"), 10), D0))
    figure = block.draw(filename=str(tmp_path / "a.png"))
    assert (tmp_path / "a.png").stat().st_size > 5000
    assert "amp" in texts(figure)
    assert "Drag" in Drag(40, 0.4, 10, 3.0).draw().axes[0].get_title(loc="left")
    other = Figure()
    assert block.draw(axis=other.add_subplot()) is other


def test_fifty_channels_and_thousands_of_pulses(tmp_path):
    lines = [DriveChannel(i) for i in range(50)]
    schedule = Schedule(
        *(
            (60 * k, item)
            for k in range(60)
            for line in lines
            for item in (ShiftPhase(0.1, line), Play(Constant(50, 0.1), line))
        )
    )
    figure = schedule.draw(dt=1e-9, filename=str(tmp_path / "b.png"))
    assert len(labels(figure)) == 50
    assert len(polygons(figure, REAL)) == 3000
    assert figure.get_size_inches()[1] < 20


busy = st.lists(
    st.tuples(st.integers(0, 10**6), st.integers(1, 1000)).map(lambda pair: (pair[0], sum(pair))),
    min_size=1,
    max_size=8,
)


@given(busy)
@settings(deadline=None)
def test_time_axis_keeps_order_and_lengths_of_what_is_busy(intervals):
    axis = TimeAxis(intervals, 0, max(stop for _, stop in intervals))
    points = sorted({0, *(end for interval in intervals for end in interval)})
    positions = axis(points)
    assert np.all(np.diff(positions) > 0)
    for start, stop in intervals:
        assert axis(stop) - axis(start) == pytest.approx(stop - start)
    for cut in axis.cuts:
        assert not any(start < cut[1] and stop > cut[0] for start, stop in intervals)
    for unit in (1.0, 0.45):
        ticks = axis.ticks(unit, 10)
        assert len(ticks) <= 40
        for position, label in ticks:
            assert position == pytest.approx(float(axis(float(label) * unit)), rel=1e-6, abs=1e-3)


def test_units():
    assert [scaled_unit(s)[1] for s in (1e-9, 5e-6, 50e-6, 0.03, 30)] == ["ns", "ns", "µs", "ms", "s"]


def test_importing_the_language_does_not_import_matplotlib():
    code = "import sys, pulsed.pulse; print([m for m in ('matplotlib', 'numba', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
