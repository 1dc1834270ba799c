"""Paints the rows of a drawing of a pulse program into one pair of axes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pulsed.pulse.channels import (
    AcquireChannel,
    Channel,
    ControlChannel,
    DriveChannel,
    MeasureChannel,
)
from pulsed.pulse.instructions import (
    Acquire,
    Delay,
    EnterFrame,
    FrameChange,
    FrameUse,
    Play,
    RelativeBarrier,
    SetFrequency,
    SetPhase,
    ShiftFrequency,
    ShiftPhase,
    Snapshot,
)
from pulsed.pulse.schedule.timeline import Schedule
from pulsed.pulse.timeaxis import TimeAxis, scaled_unit

if TYPE_CHECKING:
    pass

REAL, IMAGINARY = "#1f5fa8", "#e07b00"
ACQUIRE, FRAME, FREQUENCY, IDLE, MARK = "#2a8a5f", "#a3195b", "#6a3d9a", "#c9ced6", "#555555"
_TINTS = {DriveChannel: "#f3f7fc", ControlChannel: "#f7f3fb", MeasureChannel: "#f2f9f5", AcquireChannel: "#f8f8f6"}
_PHASES = (SetPhase, ShiftPhase)
_FREQUENCIES = (SetFrequency, ShiftFrequency, FrameUse)
HALF = 0.42
"""Height of a row's largest envelope above its middle; rows are one apart."""
MOST_POINTS = 1500
"""Longer envelopes are drawn by this many of their samples."""
_WIDTH = 11
"""Of the axis, about, in."""
MOST_LABELS = 60
"""With more frame changes than this only their marks are drawn."""


@dataclass
class Row:
    """What is drawn for one channel."""

    channel: Channel
    plays: list[tuple[int, Play]] = field(default_factory=list)
    frames: list[tuple[int, FrameChange | FrameUse]] = field(default_factory=list)
    acquires: list[tuple[int, Acquire]] = field(default_factory=list)
    delays: list[tuple[int, Delay]] = field(default_factory=list)


def length_text(duration: int, dt: float | None) -> str:
    """Return a duration as it is written: in dt, or in a unit of time when dt (s) is known."""
    if dt is None:
        return f"{duration} dt"
    unit, name = scaled_unit(duration * dt)
    return f"{duration * dt / unit:.6g} {name}"


class Painter:
    """Draws the rows into one pair of axes; row i has its middle at y = -i."""

    def __init__(self, axis: Any, time_axis: TimeAxis, rows: list[Row]) -> None:
        self._axis = axis
        self._x = time_axis
        self._rows = rows
        self._font = 8 if len(rows) <= 16 else 6

    def background(self) -> None:
        """Tint the rows by kind of channel, draw their zero lines, explicit delays and names."""
        for i, row in enumerate(self._rows):
            tint = _TINTS.get(type(row.channel), "#ffffff")
            self._axis.axhspan(-i - 0.5, -i + 0.5, color=tint if i % 2 == 0 else "#ffffff", zorder=0, linewidth=0)
            self._axis.axhline(-i, color=IDLE, linewidth=0.6, zorder=1)
            for time, delay in row.delays:
                self._axis.hlines(-i, *self._x((time, time + delay.duration)), colors=IDLE, linewidths=3, zorder=1)
        self._axis.set_ylim(-len(self._rows) + 0.5, 0.5)
        self._axis.set_xlim(0, self._x.length)
        self._axis.set_yticks([-i for i in range(len(self._rows))], [row.channel.name for row in self._rows])
        self._axis.tick_params(axis="y", length=0, labelsize=self._font + 1)
        for side in ("left", "right", "top"):
            self._axis.spines[side].set_visible(False)

    def envelopes(self, with_names: bool) -> None:
        """Fill the real and imaginary parts of all pulses; outline what still has parameters."""
        from matplotlib.collections import PolyCollection

        polygons: dict[str, list[Any]] = {REAL: [], IMAGINARY: []}
        boxes = []
        for i, row in enumerate(self._rows):
            samples = {id(play): _drawn(play) for _, play in row.plays if not play.pulse.is_parameterized()}
            peak = max((float(np.abs(values).max(initial=0.0)) for _, values in samples.values()), default=0.0)
            for time, play in row.plays:
                found = samples.get(id(play))
                if found is None:
                    left, right = self._x((time, time + play.duration))
                    boxes.append([(left, -i - HALF), (left, -i + HALF), (right, -i + HALF), (right, -i - HALF)])
                else:
                    edges, values = found
                    x = np.repeat(self._x(time + edges), 2)
                    for color, part in ((REAL, values.real), (IMAGINARY, values.imag)):
                        if peak > 0 and np.abs(part).max(initial=0.0) > 1e-3 * peak:
                            y = np.concatenate(([0.0], np.repeat(part, 2), [0.0])) * HALF / peak - i
                            polygons[color].append(np.column_stack((x, y)))
                if with_names:
                    self._pulse_name(time, play, i)
            if peak > 0:
                self._beside(f"{peak:.3g}", (len(self._rows) - i - 0.5) / len(self._rows))
        for color, shapes in polygons.items():
            filled: dict[str, Any] = {"facecolors": color, "edgecolors": color, "alpha": 0.55, "linewidths": 0.6}
            self._axis.add_collection(PolyCollection(shapes, **filled))
        outlined: dict[str, Any] = {"facecolors": "none", "edgecolors": REAL, "hatch": "///", "linewidths": 0.8}
        self._axis.add_collection(PolyCollection(boxes, **outlined))
        self._beside("max |d|", 1.0)

    def _beside(self, text: str, height: float) -> None:
        place = {"xycoords": "axes fraction", "fontsize": self._font, "color": MARK, "va": "center"}
        self._axis.annotate(text, (1.003, height), **place)

    def _pulse_name(self, time: int, play: Play, i: int) -> None:
        name = play.name
        if name is None and play.pulse.is_parameterized():
            name = ", ".join(sorted(parameter.name for parameter in play.pulse.free_parameters))
        left, right = self._x((time, time + play.duration))
        if name and (right - left) / self._x.length * _WIDTH > self._inches(name, self._font):
            place = {"fontsize": self._font - 1, "color": MARK, "ha": "center", "va": "bottom", "zorder": 5}
            self._axis.text((left + right) / 2, -i - 0.47, name, **place)

    @staticmethod
    def _inches(text: str, font: int) -> float:
        """Return how long a text is, about: 0.006 in per point and character, and some room."""
        return 0.0075 * font * len(text)

    def acquisitions(self) -> None:
        """Draw the acquisition windows with their slots."""
        from matplotlib.patches import Rectangle

        for i, row in enumerate(self._rows):
            for time, acquire in row.acquires:
                left, right = self._x((time, time + acquire.duration))
                look: dict[str, Any] = {"facecolor": ACQUIRE, "alpha": 0.22, "edgecolor": ACQUIRE, "linewidth": 0.8}
                box = Rectangle((left, -i - 0.34), right - left, 0.68, **look)
                self._axis.add_patch(box)
                slots = [f"mem {acquire.mem_slot.index}"] if acquire.mem_slot else []
                slots += [f"reg {acquire.reg_slot.index}"] if acquire.reg_slot else []
                place = {"fontsize": self._font, "color": ACQUIRE, "ha": "center", "va": "center"}
                self._axis.text((left + right) / 2, -i, f"→ {', '.join(slots)}", **place)

    def frame_changes(self) -> None:
        """Mark changes of phase and frequency; with few of them, write their values."""
        at: dict[tuple[float, int], list[FrameChange | FrameUse]] = {}
        for i, row in enumerate(self._rows):
            for time, change in row.frames:
                at.setdefault((float(self._x(time)), i), []).append(change)
        size = 18 if len(self._rows) <= 16 else 7
        for kinds, marker, color in ((_PHASES, "o", FRAME), (_FREQUENCIES, "D", FREQUENCY)):
            points = [(x, -i) for (x, i), changes in at.items() if any(isinstance(c, kinds) for c in changes)]
            if points:
                xs, ys = zip(*points, strict=True)
                self._axis.scatter(xs, ys, s=size, marker=marker, color=color, zorder=6, linewidths=0, clip_on=False)
        if len(at) > MOST_LABELS or len(self._rows) > 24:
            return
        for i in range(len(self._rows)):
            self._frame_labels(i, sorted((x, changes) for (x, row), changes in at.items() if row == i))

    def _frame_labels(self, i: int, labels: list[tuple[float, list[FrameChange | FrameUse]]]) -> None:
        """Write what changes of one row are, below its line or, where the last one is in the way, above it.

        Where neither has room the mark stands alone.
        """
        box = {"boxstyle": "square,pad=0.1", "facecolor": "white", "alpha": 0.7, "linewidth": 0}
        style = {"textcoords": "offset points", "fontsize": self._font - 1, "bbox": box, "zorder": 7}
        free = {"top": -np.inf, "bottom": -np.inf}
        for x, changes in labels:
            text = ", ".join(map(frame_text, summed(changes)))
            side = next((va for va, end in free.items() if x >= end), None)
            if side is None or not text:
                continue
            free[side] = x + (self._inches(text, self._font - 1) + 0.1) * self._x.length / _WIDTH
            color = FREQUENCY if isinstance(changes[0], _FREQUENCIES) else FRAME
            offset = (3, -4 if side == "top" else 4)
            self._axis.annotate(text, (x, -i), offset, color=color, va=side, **style)

    def marks(self, schedule: Schedule, show_barrier: bool, show_snapshot: bool, dt: float | None) -> None:
        """Draw barriers, snapshots and cuts of the time axis."""
        y_of = {row.channel: -i for i, row in enumerate(self._rows)}
        barriers: dict[float, set[int]] = {}
        for time, instruction in schedule.instructions:
            if not self._x.start <= time <= self._x.stop:
                continue
            x = float(self._x(time))
            if isinstance(instruction, RelativeBarrier) and show_barrier:
                held = [y_of[line] for line in instruction.channels if line in y_of]
                barriers.setdefault(x, set()).update(range(min(held, default=0), max(held, default=-1) + 1))
            elif isinstance(instruction, Snapshot) and show_snapshot:
                self._axis.axvline(x, color=MARK, linewidth=0.8)
                place = {"textcoords": "offset points", "fontsize": self._font}
                self._axis.annotate(instruction.label, (x, 0.5), (2, 2), **place)
        for x, rows in barriers.items():
            for y in rows:
                self._axis.vlines(x, y - 0.5, y + 0.5, colors=MARK, linestyles=(0, (2, 3)), linewidths=0.8)
        for cut in self._x.cuts:
            left, right = self._x(cut)
            look = {"facecolor": "white", "edgecolor": IDLE, "hatch": "xx", "linewidth": 0, "zorder": 4}
            self._axis.axvspan(left, right, **look)
            text = f" {length_text(cut[1] - cut[0], dt)} idle "
            box = {"boxstyle": "square,pad=0.1", "facecolor": "white", "linewidth": 0}
            middle = (1 - len(self._rows)) / 2
            place = {"rotation": 90, "ha": "center", "va": "center", "fontsize": 7, "color": MARK, "bbox": box}
            self._axis.text((left + right) / 2, middle, text, zorder=5, **place)

    def axes(self, dt: float | None) -> None:
        """Label the time axes: dt below, and s above when dt is known; and say what the colours are."""
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        ticks = self._x.ticks(1.0, 10)
        self._axis.set_xticks([x for x, _ in ticks], [label for _, label in ticks], fontsize=8)
        self._axis.set_xlabel("time (dt)", fontsize=9)
        if dt is not None:
            unit, name = scaled_unit(self._x.length * dt)
            top = self._axis.secondary_xaxis("top")
            ticks = self._x.ticks(unit / dt, 10)
            top.set_xticks([x for x, _ in ticks], [label for _, label in ticks], fontsize=8)
            top.set_xlabel(f"time ({name})", fontsize=9, labelpad=3)
        handles = [
            Patch(color=REAL, alpha=0.55, label="real"),
            Patch(color=IMAGINARY, alpha=0.55, label="imaginary"),
            Patch(color=ACQUIRE, alpha=0.3, label="acquire"),
            Line2D([], [], color=IDLE, linewidth=3, label="delay"),
            Line2D([], [], marker="o", linestyle="", color=FRAME, label="phase"),
            Line2D([], [], marker="D", linestyle="", color=FREQUENCY, label="frequency"),
        ]
        self._axis.get_figure().legend(handles=handles, loc="outside lower right", ncols=6, fontsize=8, frameon=False)


def _drawn(play: Play) -> tuple[Any, Any]:
    """Return the edges of the steps, in dt from the pulse's start, and the value of each step."""
    values = play.pulse.envelope()
    edges = np.arange(len(values) + 1, dtype=float)
    if len(values) <= MOST_POINTS:
        return edges, values
    kept = np.linspace(0, len(values), MOST_POINTS + 1).astype(int)
    return edges[kept], values[kept[:-1]]


def summed(changes: list[FrameChange | FrameUse]) -> list[FrameChange | FrameUse]:
    """Return changes of one moment with phase shifts that follow one another as one, none where they add up to 0."""
    found: list[FrameChange | FrameUse] = []
    for change in changes:
        last = found[-1] if found else None
        if isinstance(change, ShiftPhase) and isinstance(last, ShiftPhase):
            both = change.phase, last.phase
            if all(isinstance(value, (int, float)) for value in both):
                found[-1] = ShiftPhase(float(np.remainder(sum(both) + np.pi, 2 * np.pi) - np.pi), change.channel)
                continue
        found.append(change)
    return [one for one in found if not (isinstance(one, ShiftPhase) and one.phase == 0)]


def frame_text(change: FrameChange | FrameUse) -> str:
    """Return a change of a frame in words."""
    if isinstance(change, FrameUse):
        if not isinstance(change, EnterFrame):
            return f"leave {change.frequency / 1e9:.6g} GHz"
        phase = f", {change.phase / np.pi:+.3g}π" if change.phase else ""
        return f"enter {change.frequency / 1e9:.6g} GHz{phase}".replace("-", "−")
    return _plain_frame_text(change).replace("-", "−")


def _plain_frame_text(change: FrameChange) -> str:
    value, absolute = change.operands[0], isinstance(change, (SetFrequency, SetPhase))
    sign = "=" if absolute else "+"
    if not isinstance(value, (int, float)):
        return f"{sign}{value}"
    if isinstance(change, (SetFrequency, ShiftFrequency)):
        return f"={value / 1e9:.6g} GHz" if absolute else f"{value / 1e6:+.6g} MHz"
    return f"={value / np.pi:.3g}π" if absolute else f"{value / np.pi:+.3g}π"
