"""Pictures of pulse programs: one row per channel, envelopes, frame changes, acquisitions, on one time axis."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from pulsed import old_names
from pulsed.model.picture import new_picture
from pulsed.pulse.channels import (
    AcquireChannel,
    Channel,
    ClassicalIOChannel,
    ControlChannel,
    DriveChannel,
    MeasureChannel,
)
from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.instructions import (
    Acquire,
    Delay,
    FrameChange,
    FrameUse,
    Instruction,
    Play,
)
from pulsed.pulse.painter import Painter, Row, length_text
from pulsed.pulse.schedule.block import ScheduleBlock
from pulsed.pulse.schedule.timeline import Schedule
from pulsed.pulse.sheet import sheet_of
from pulsed.pulse.timeaxis import TimeAxis
from pulsed.pulse.transforms import block_to_schedule

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__getattr__ = old_names(__name__)

_ORDER = (DriveChannel, ControlChannel, MeasureChannel, AcquireChannel)
_OPTIONS = (
    "channels, time_range, dt, backend, time_unit, disable_channels, show_framechange, show_snapshot, show_barrier, "
    "show_waveform_info, title, axis, filename, interactive"
)


def draw(
    program: Schedule | ScheduleBlock,
    *,
    channels: Iterable[Channel] | None = None,
    time_range: tuple[float, float] | None = None,
    dt: float | None = None,
    backend: Any = None,
    time_unit: str = "dt",
    disable_channels: Iterable[Channel] = (),
    show_framechange: bool = True,
    show_snapshot: bool = True,
    show_barrier: bool = True,
    show_waveform_info: bool = True,
    title: str | None = None,
    axis: Axes | None = None,
    filename: str | None = None,
    interactive: bool = False,
    **accepted: Any,
) -> Figure | Any:
    """Return a matplotlib figure of ``program``, or with ``interactive`` a sheet that one can zoom.

    One row per channel, in the order drive, control, measure, acquire. Filled envelopes, real and imaginary part, each
    row scaled to its largest sample, whose modulus stands at the right; marks for phase and frequency changes; windows
    for acquisitions with their memory slots. Idle times much longer than all the rest are cut short, with a mark.

    Args:
        program: a schedule, or a block whose durations are known.
        channels: draw these rows only, in this order.
        time_range: (start, stop), in ``time_unit``.
        dt: length of dt in s: adds an axis in s; by default that of ``backend``.
        backend: where dt comes from.
        time_unit: "dt" or "ns", of ``time_range``.
        disable_channels: leave these rows out.
        show_framechange: mark changes of phase and frequency.
        show_snapshot: mark snapshots.
        show_barrier: mark barriers.
        show_waveform_info: write the names of pulses where there is room.
        title: by default name and duration.
        axis: draw into these axes instead of a new figure.
        filename: also write the figure there; a sheet becomes a page that needs nothing else (HTML).
        interactive: return a :class:`~pulsed.model.sheet.PulseSheet`: a notebook shows it, ``save(path)`` writes it.
            ``axis`` and the ``show_`` options are of figures alone.
        **accepted: ``style``, ``plotter`` and ``plot_barrier`` of old programs, without effect.

    Raises:
        PulseError: nothing to draw, or ``time_range`` without its unit's meaning.

    """
    unknown = accepted.keys() - {"style", "plotter", "plot_barrier"}
    if unknown:
        raise PulseError("unknown option of draw", value=", ".join(sorted(unknown)), legal=_OPTIONS)
    schedule = block_to_schedule(program) if isinstance(program, ScheduleBlock) else program
    if dt is None and backend is not None:
        from pulsed.pulse.backends import dt_of

        dt = dt_of(backend)
    start, stop = _range(schedule, time_range, time_unit, dt)
    rows = _rows(schedule, channels, set(disable_channels), start, stop)
    if not rows:
        raise PulseError("no channel to draw", subject=f"Schedule {schedule.name!r}", legal=list(schedule.channels))
    if interactive:
        sheet = sheet_of(rows, start, stop, dt, title or _title(schedule, dt))
        if filename is not None:
            sheet.save(filename)
        return sheet
    busy = [(time, time + instruction.duration) for row in rows for time, instruction in (*row.plays, *row.acquires)]
    time_axis = TimeAxis(busy, start, stop)
    figure: Figure
    if axis is None:
        figure, axis = new_figure(len(rows))
    else:
        figure = axis.figure  # type: ignore[assignment]
    painter = Painter(axis, time_axis, rows)
    painter.background()
    painter.envelopes(show_waveform_info)
    painter.acquisitions()
    if show_framechange:
        painter.frame_changes()
    painter.marks(schedule, show_barrier, show_snapshot, dt)
    painter.axes(dt)
    axis.set_title(title or _title(schedule, dt), fontsize=10, loc="left", pad=6)
    if filename is not None:
        figure.savefig(filename, dpi=150)
    return figure


def draw_pulse(pulse: Any, **options: Any) -> Figure | Any:
    """Return a figure of one pulse; options as for :func:`draw`."""
    options.setdefault("title", repr(pulse) if len(repr(pulse)) < 100 else type(pulse).__name__)
    return draw(Schedule((0, Play(pulse, DriveChannel(0)))), **options)


def _range(schedule: Schedule, given: tuple[float, float] | None, unit: str, dt: float | None) -> tuple[int, int]:
    if unit not in ("dt", "ns"):
        raise PulseError("unknown time_unit", value=unit, legal="dt or ns")
    if given is None:
        return 0, schedule.duration
    if unit == "ns":
        if dt is None:
            raise PulseError("time_range in ns needs dt or a backend", value=given)
        given = (given[0] * 1e-9 / dt, given[1] * 1e-9 / dt)
    if not given[0] < given[1]:
        raise PulseError("time_range must be (start, stop) with start < stop", value=given)
    return int(given[0]), int(np.ceil(given[1]))


def _rows(
    schedule: Schedule, wanted: Iterable[Channel] | None, hidden: set[Channel], start: int, stop: int
) -> list[Row]:
    if wanted is None:
        order = {kind: rank for rank, kind in enumerate(_ORDER)}
        lines = [line for line in schedule.channels if not isinstance(line, ClassicalIOChannel)]
        lines.sort(key=lambda line: (order[type(line)], str(line.index) if line.is_parameterized() else line.index))
    else:
        lines = list(wanted)
    rows = {line: Row(line) for line in lines if line not in hidden}
    for time, instruction in schedule.instructions:
        if time > stop or time + instruction.duration < start:
            continue
        for line in instruction.channels:
            row = rows.get(line)
            if row is not None:
                _sort_into(row, time, instruction)
    return list(rows.values())


def _sort_into(row: Row, time: int, instruction: Instruction) -> None:
    if isinstance(instruction, Play):
        row.plays.append((time, instruction))
    elif isinstance(instruction, (FrameChange, FrameUse)):
        row.frames.append((time, instruction))
    elif isinstance(instruction, Acquire):
        row.acquires.append((time, instruction))
    elif isinstance(instruction, Delay):
        row.delays.append((time, instruction))


def new_figure(rows: int) -> tuple[Any, Any]:
    """Return a figure and its axes, as high as so many rows need. Raises :class:`MissingPackageError`."""
    per_row = max(0.62, 1.8 / rows) if rows <= 12 else max(0.24, 7.5 / rows)
    figure = new_picture(12, 1.5 + per_row * rows)
    return figure, figure.add_subplot()


def _title(schedule: Schedule, dt: float | None) -> str:
    text = f"{schedule.name}, {schedule.duration} dt"
    return text if dt is None else f"{text} = {length_text(schedule.duration, dt)}"
