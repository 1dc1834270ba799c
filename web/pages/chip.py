"""The chip: a map of qubits and pairs coloured by any value, and a page for each of them."""

from __future__ import annotations

import statistics
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pulsed.model.calibration import CalibrationSet, Value
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import InvalidValueError, NotFoundError
from pulsed.model.units import format_quantity, parse_quantity
from pulsed.model.wording import show_value
from pulsed.web.drawing.colours import ColourScale, ink, scale_of
from pulsed.web.drawing.history import draw
from pulsed.web.drawing.places import Place, places
from pulsed.web.site import Site
from pulsed.web.wording import age, span
from pulsed.wire.messages import CommitCalibration
from pulsed.wire.note_messages import AddNote

AGE = "age"
"""What is no calibrated value, but how long ago the oldest of those was measured."""
FIRST = (
    "f01", "t1", "t2", "t2star", "readout.error", "x.error", "sx.error", "ecr.error", "cz.error", "zz", "anharmonicity",
)  # fmt: skip
"""What is chosen from first, where a set has it."""
MANY = 30
"""Qubits beyond which numbers in the map are shorter, and pairs have none."""
OLD = 86400.0
"""Seconds after which a value is marked as old."""
_FRESH = 30.0
"""Seconds for which a layer is kept."""
_MOST = 64
"""Layers that are kept."""


@dataclass(frozen=True)
class Shown:
    """A qubit or a pair in the map."""

    name: str
    text: str
    """Its value, short; empty where there is none."""
    said: str
    """Its value, in full."""
    number: float | None
    colour: str
    ink: str
    states: tuple[str, ...]
    """``faulty``, ``suspect``, ``design``, ``set``, ``old``: as far as they hold."""


@dataclass(frozen=True)
class Layer:
    """All qubits, or all pairs, by one value."""

    parameter: str
    unit: str
    """With its prefix, of the short texts."""
    shown: tuple[Shown, ...]
    scale: ColourScale
    legend: tuple[tuple[float, str], ...]
    """Colours of the scale, as shares, and what they mean."""
    median: str
    worst: str
    """The names of the lowest and the highest, in words."""


def chosen_from(calibration: CalibrationSet, subjects: Iterable[str]) -> list[str]:
    """Return what the map can be coloured by: parameters of these subjects that are one number."""
    wanted = set(subjects)
    found = {
        name.partition(".")[2] for name, value in calibration.values.items()
        if name.partition(".")[0] in wanted and not isinstance(value.value, tuple)
    }  # fmt: skip
    return [*(name for name in FIRST if name in found), *sorted(found - set(FIRST)), AGE]


def layer(calibration: CalibrationSet, subjects: list[str], parameter: str, now: float) -> Layer:
    """Return the subjects with their values of one parameter, or with their age (hours)."""
    values = {name: _value(calibration, name, parameter, now) for name in subjects}
    numbers = {name: float(v.value) for name, v in values.items() if v is not None and not isinstance(v.value, tuple)}
    unit, scaled = _unit(parameter, [v for v in values.values() if v is not None], list(numbers.values()))
    colours = scale_of(list(numbers.values()), logarithmic="error" in parameter)
    shown = []
    for name in subjects:
        value, number = values[name], numbers.get(name)
        colour = "" if number is None else colours.colour(number)
        said = "not known" if value is None else _said(value, parameter)
        text = "" if number is None else scaled(number)
        states = tuple(_states(calibration, name, value, parameter, now))
        shown.append(Shown(name, text, said, number, colour, ink(colour) if colour else "", states))
    return Layer(parameter, unit, tuple(shown), colours, _legend(colours, scaled) if numbers else (),
                 *_summary(numbers, scaled, unit))  # fmt: skip


def _value(calibration: CalibrationSet, subject: str, parameter: str, now: float) -> Value | None:
    if parameter != AGE:
        return calibration.values.get(f"{subject}.{parameter}")
    own = [v for name, v in calibration.values.items() if name.partition(".")[0] == subject and v.routine != "design"]
    ages = [past for v in own if (past := age(v.time, now)) is not None]
    return Value(max(ages), "s") if ages else None


def _unit(parameter: str, values: list[Value], numbers: list[float]) -> tuple[str, Callable[[float], str]]:
    """Return the unit that all share, and how to write one of them without it."""
    unit = values[0].unit if values else ""
    if parameter == AGE:
        return "", span
    if unit in ("Hz", "s") and numbers:
        prefixed = format_quantity(max(map(abs, numbers)), unit).partition(" ")[2]
        scale = float(parse_quantity(f"1 {prefixed}", unit))
        digits = 4 if len(numbers) <= MANY else 3
        return prefixed, lambda number: f"{number / scale:.{digits}g}"
    if "error" in parameter:
        return "%", lambda number: f"{100 * number:.2g}"
    return unit, lambda number: f"{number:.3g}"


def _said(value: Value, parameter: str) -> str:
    if parameter == AGE:
        return f"oldest value measured {span(float(value.value))} ago" if not isinstance(value.value, tuple) else ""
    return show_value(value)


def _states(calibration: CalibrationSet, name: str, value: Value | None, parameter: str, now: float) -> Iterable[str]:
    if calibration.faulty(name) is not None:
        yield "faulty"
    if value is not None and parameter != AGE:
        if value.quality != "good":
            yield value.quality
        past = age(value.time, now)
        if past is not None and past > OLD and value.quality == "good":
            yield "old"


def _legend(scale: ColourScale, scaled: Callable[[float], str]) -> tuple[tuple[float, str], ...]:
    if scale.high <= scale.low:
        return ((0.5, scaled(scale.low)),)
    middle = (scale.low * scale.high) ** 0.5 if scale.logarithmic else (scale.low + scale.high) / 2
    return ((0.0, scaled(scale.low)), (0.5, scaled(middle)), (1.0, scaled(scale.high)))


def _summary(numbers: dict[str, float], scaled: Callable[[float], str], unit: str) -> tuple[str, str]:
    if not numbers:
        return "", ""
    low, high = min(numbers, key=numbers.__getitem__), max(numbers, key=numbers.__getitem__)
    words = f"{low} {scaled(numbers[low])} … {high} {scaled(numbers[high])} {unit}".rstrip()
    return f"{scaled(statistics.median(numbers.values()))} {unit}".rstrip(), words


def names(device: DeviceDescription) -> tuple[list[str], list[str]]:
    """Return the names of the qubits and of the pairs, control first."""
    qubits = [f"Q{q}" for q in range(device.num_qubits)]
    return qubits, [f"Q{pair.control}-Q{pair.target}" for pair in device.couplings]


def ends(name: str, where: dict[int, Place]) -> tuple[Place, Place]:
    """Return where a pair begins and ends."""
    control, target = (int(part[1:]) for part in name.split("-"))
    return where[control], where[target]


@lru_cache(maxsize=4)
def _places(qubits: int, pairs: tuple[tuple[int, int], ...]) -> dict[int, Place]:
    return places(qubits, list(pairs))


class _Layers:
    """Layers that were computed last. What only has to be computed is not asked of the daemon: it may be away."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: OrderedDict[tuple[str, str, str], tuple[float, Layer]] = OrderedDict()

    def get(self, calibration: CalibrationSet, what: str, subjects: list[str], parameter: str, now: float) -> Layer:
        """Return the layer of these values, at most :data:`_FRESH` seconds old: ages grow."""
        key = calibration.calibration_id, what, parameter
        with self._lock:
            at, found = self._made.get(key, (0.0, None))
        if found is None or not 0 <= now - at <= _FRESH:
            found = layer(calibration, subjects, parameter, now)
            with self._lock:
                self._made[key] = now, found
                self._made.move_to_end(key)
                while len(self._made) > _MOST:
                    self._made.popitem(last=False)
        return found


def routes(site: Site) -> list[Route]:
    """Return the routes."""
    lab, layers = site.lab, _Layers()

    def chosen(request: Request, field: str, choices: list[str]) -> str:
        wanted = request.query_params.get(field) or choices[0]
        if wanted not in choices:
            raise InvalidValueError("no such value", subject=field, value=wanted, legal=", ".join(choices))
        return wanted

    def show(request: Request) -> Response:
        device, calibration, now = lab.device(), lab.calibration(), time.time()
        qubits, pairs = names(device)
        of_qubits, of_pairs = chosen_from(calibration, qubits), chosen_from(calibration, pairs)
        where = _places(device.num_qubits, tuple((pair.control, pair.target) for pair in device.couplings))
        by_qubit, by_pair = chosen(request, "qubit", of_qubits), chosen(request, "pair", of_pairs)
        first = layers.get(calibration, "qubits", qubits, by_qubit, now)
        second = layers.get(calibration, "pairs", pairs, by_pair, now)
        xs, ys = zip(*where.values(), strict=True)
        box = min(xs) - 0.75, min(ys) - 0.75, max(xs) - min(xs) + 1.5, max(ys) - min(ys) + 1.5
        return site.page(
            request, "chip.html", calibration=calibration, qubits=first, pairs=second, of_qubits=of_qubits,
            of_pairs=of_pairs, where=where, ends=lambda name: ends(name, where), box=box,
            colour_at=ColourScale(0.0, 1.0).colour, many=len(qubits) > MANY,
            faults=sorted(calibration.faults.items()),
        )  # fmt: skip

    def subject(request: Request) -> Response:
        device, calibration, name = lab.device(), lab.calibration(), request.path_params["name"]
        qubits, pairs = names(device)
        if name not in (*qubits, *pairs):
            raise NotFoundError("no such qubit or pair", value=name, legal=", ".join((*qubits, *pairs)))
        own = {n.partition(".")[2]: v for n, v in calibration.values.items() if n.partition(".")[0] == name}
        numbers = chosen_from(calibration, [name])[:-1]
        plotted = chosen(request, "value", numbers) if numbers else ""
        full = f"{name}.{plotted}"
        history = lab.keep(f"calibration of {full}", lambda client: client.value_history(full)) if plotted else []
        runs = lab.keep(f"calibration runs of {name}", lambda client: client.runs(target=name, limit=20), 30.0)
        qubit = device.qubits[int(name[1:])] if name in qubits else None
        return site.page(
            request, "subject.html", name=name, values=own, numbers=numbers, plotted=plotted, history=history,
            picture=draw(history, time.time()), runs=runs, qubit=qubit, device=device,
            notes=lab.notes(name), may_note=lab.may(request.state.visitor, AddNote(0, "", "")),
            may_commit=lab.may(request.state.visitor, CommitCalibration(0, "", "")), calibration=calibration,
            fault=calibration.faulty(name), beside=[pair for pair in pairs if name in pair.split("-")],
            order=[n for n in FIRST if n in own] + sorted(n for n in own if n not in FIRST),
            old=lambda value: (age(value.time, time.time()) or 0.0) > OLD,
        )  # fmt: skip

    return [Route("/chip", show), Route("/chip/{name}", subject)]
