"""How cost grows with qubits, depth and shots; draws docs/images/growth.png, which docs/reference/benchmarks.md shows.

All are CPU times of one thread, so that other work on the machine does not bend the curves. The chip is a line of
random transmons under layers of rotations and tones of cross resonance. Circuits that are compiled have layers of sx,
rz and ecr on every qubit of racks wired like the shipped one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

from matplotlib.figure import Figure as Picture

from benchmarks.figures import Figure
from benchmarks.rack import cpu_seconds, layered
from benchmarks.workloads import layers, rack
from pulsed.compiler.compile import Compiler
from pulsed.model.job import RunOptions
from pulsed.provider.target import build_target
from pulsed.simulator.chip.random_chip import random_chip
from pulsed.simulator.engine.engine import Engine

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "growth.png"
SHOTS = 1000
QUBITS, DEPTHS, MANY = (1, 2, 3, 4, 5, 6, 7, 8), (1, 2, 4, 8, 16, 32), (100, 1000, 10_000, 100_000)
RACKS = (5, 20, 50, 127)
Curve = dict[int, float]
"""Milliseconds, or microseconds, by what grows."""


def run() -> Iterator[Figure]:
    """Yield the ends of each curve, and draw all of them."""
    curves: dict[str, dict[str, Curve]] = {"qubits": {"the first time": {}, "of known pulses": {}}}
    Engine(random_chip(7, 5)).warm_up()
    for qubits in QUBITS:
        curves["qubits"]["the first time"][qubits], curves["qubits"]["of known pulses"][qubits] = _physics(qubits, 4)
    curves["depth"] = {f"{qubits} qubits": {d: _physics(qubits, d)[1] for d in DEPTHS} for qubits in (2, 5)}
    curves["shots"] = {
        "of known pulses": {shots: _physics(5, 4, shots)[1] for shots in MANY},
        "the same sequence again": _again(),
    }
    curves["racks"] = {"compiling, per instruction (us)": {}, "Target (ms)": {}}
    for qubits in RACKS:
        curves["racks"]["compiling, per instruction (us)"][qubits], target = _stack(qubits)
        curves["racks"]["Target (ms)"][qubits] = target
    for what, group in curves.items():
        for name, curve in group.items():
            unit = "us" if "us" in name else "ms"
            for at in (min(curve), max(curve)):
                grows = {"racks": "qubits", "depth": "layers"}.get(what, what)
                yield Figure(f"growth: {name.partition(' (')[0]}, {at} {grows}", curve[at], unit, None, None, "", True)
    draw(curves).savefig(PICTURE, dpi=110)


def _least(work: Callable[[], object], times: int = 3) -> float:
    return 1e3 * min(cpu_seconds(work) for _ in range(times))


def _physics(qubits: int, depth: int, shots: int = SHOTS) -> tuple[float, float]:
    """Return ms for a sequence that is played the first time, and for others of the same pulses."""
    chip = random_chip(7, qubits)
    engine, sequence, longer = Engine(chip), layered(chip, depth), count()

    def play() -> None:  # another period each time: the results of the same sequence would be kept
        engine.play(replace(sequence, period=sequence.period + next(longer)), shots, (0, 0), "integrated")

    return _least(play, 1), _least(play)


def _again() -> Curve:
    """Return ms for a sequence whose populations are kept, by shots."""
    chip = random_chip(7, 5)
    engine, sequence, streams = Engine(chip), layered(chip, 4), count()
    engine.play(sequence, SHOTS, (next(streams), 0), "integrated")
    return {s: _least(lambda s=s: engine.play(sequence, s, (next(streams), 0), "integrated")) for s in MANY}  # type: ignore[misc]


def _stack(qubits: int) -> tuple[float, float]:
    """Return us of compiling per instruction of ten layers, and ms of a Target, of a rack of so many qubits."""
    backend = rack(qubits)
    compiler, circuit = Compiler(backend.device, backend.calibration_set), layers(backend)
    compiler.compile([circuit], RunOptions(shots=SHOTS))
    compiling = _least(lambda: compiler.compile([circuit], RunOptions(shots=SHOTS)))
    target = _least(lambda: build_target(backend.device, backend.calibration_set))
    return 1e3 * compiling / circuit.size(), target


def draw(curves: dict[str, dict[str, Curve]]) -> Picture:
    """Return the four pictures."""
    figure = Picture(figsize=(9, 6.6), layout="constrained")
    words = {
        "qubits": ("transmons on the line", "CPU time of 1000 shots (ms)", "the chip: 4 layers"),
        "depth": ("layers", "CPU time of 1000 shots (ms)", "the chip: known pulses"),
        "shots": ("shots", "CPU time (ms)", "the chip: 5 transmons, 4 layers"),
        "racks": ("qubits of the rack", "CPU time", "compiler and Target: 10 layers"),
    }
    for axes, (what, (x, y, title)) in zip(figure.subplots(2, 2).flat, words.items(), strict=True):
        for name, curve in curves[what].items():
            axes.plot(list(curve), list(curve.values()), "o-", ms=4, label=name)
        axes.set(xlabel=x, ylabel=y, title=title, yscale="log")
        if what == "qubits":
            axes.set_xticks(QUBITS)
        else:
            axes.set_xscale("log")
            ticks = list(next(iter(curves[what].values())))
            axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
            axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=8)
    return figure
