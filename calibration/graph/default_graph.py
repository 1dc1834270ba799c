"""The usual order in which a machine is tuned up: one row per routine, and what it depends on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pulsed import old_names
from pulsed.calibration.graph.graph import DAY, HOUR, Step
from pulsed.calibration.routine import find_routine, routine_names
from pulsed.model.errors import InvalidValueError

__getattr__ = old_names(__name__)


@dataclass(frozen=True)
class GraphEntry:
    """A row as a person writes it; what the routine itself says of its targets and values is asked of it."""

    routine: str
    after: tuple[str, ...] = ()
    age: float = DAY
    vital: bool = False
    oscillator: bool = False
    attempts: tuple[Mapping[str, object], ...] = ({},)
    mend: Mapping[str, object] | None = None
    moves: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    rough: bool = True


SMALL_RAMSEY: Mapping[str, object] = {"short_span": None, "points": 25, "shots": 150}
"""For a frequency that has moved by less than the fringes: the long waits alone."""

FINER_ECR = {"rounds": 4, "shots": 400}

DEFAULT_GRAPH = (
    GraphEntry("mixer", age=7 * DAY, oscillator=True),
    GraphEntry("time-of-flight", age=7 * DAY),
    GraphEntry("resonator-spectroscopy", ("time-of-flight",), vital=True),
    GraphEntry("qubit-spectroscopy", ("resonator-spectroscopy",), vital=True),
    GraphEntry("rabi", ("qubit-spectroscopy", "mixer"), vital=True),
    GraphEntry("ramsey", ("rabi",), age=HOUR, vital=True, mend=SMALL_RAMSEY, moves={"f01": (3e5, 0.0)}),
    GraphEntry("discriminator", ("ramsey",), age=6 * HOUR, vital=True, oscillator=True,
               moves={"readout.error": (0.01, 0.3)}, rough=False),
    GraphEntry("readout-optimum", ("discriminator",),
               moves={"readout.frequency": (2e5, 0.0), "readout.error": (0.01, 0.3)}),
    GraphEntry("anharmonicity", ("ramsey", "readout-optimum"), age=7 * DAY, moves={"anharmonicity": (1e6, 0.0)}),
    GraphEntry("drag", ("anharmonicity",), moves={"x.beta": (0.1, 0.0)}),
    GraphEntry("fine-amplitude", ("rabi", "drag"), age=6 * HOUR, vital=True, moves={"x.amplitude": (0.0, 0.01)}),
    GraphEntry("fine-drag", ("drag", "fine-amplitude"), moves={"x.beta": (0.1, 0.0)}),
    GraphEntry("fine-frequency", ("ramsey", "fine-drag"), age=HOUR, attempts=({"shots": 300},),
               moves={"f01": (3e5, 0.0)}),
    GraphEntry("t1", ("fine-amplitude",), age=2 * HOUR, attempts=({"shots": 1500},)),
    GraphEntry("echo", ("fine-amplitude",), age=2 * HOUR),
    GraphEntry("cr-amplitude", ("fine-frequency", "readout-optimum"), age=7 * DAY, vital=True, oscillator=True),
    GraphEntry("cr-phase", ("cr-amplitude",), vital=True, oscillator=True),
    GraphEntry("cr-cancel", ("cr-phase",), vital=True, oscillator=True),
    GraphEntry("fine-ecr", ("cr-cancel",), age=6 * HOUR, vital=True, oscillator=True, attempts=({}, FINER_ECR)),
    GraphEntry("cz-chevron", ("fine-frequency", "readout-optimum"), age=7 * DAY, vital=True),
    GraphEntry("cz-leakage", ("cz-chevron",), vital=True),
    GraphEntry("cz-phase", ("cz-leakage",), age=6 * HOUR, vital=True),
    GraphEntry("cz-virtual-z", ("cz-phase",), age=6 * HOUR, vital=True),
    GraphEntry("rb", ("fine-frequency", "t1", "echo")),
    GraphEntry("rb-ecr", ("fine-ecr", "rb"), oscillator=True),
)  # fmt: skip
"""From mixers to benchmarking. Ages are those after which drift is to be expected in a lab."""


def default_steps(rows: Sequence[GraphEntry] = DEFAULT_GRAPH, without: Sequence[str] = ()) -> tuple[Step, ...]:
    """Return the rows with what their routines say of themselves.

    A row whose routine is not installed, or named in ``without``, is left out, and what depended on it depends on
    what it depended on. Raises :class:`InvalidValueError` for a name in ``without`` that has no row.
    """
    if unknown := sorted(set(without) - {row.routine for row in rows}):
        legal = ", ".join(row.routine for row in rows)
        raise InvalidValueError("no such row to leave out", subject="calibration order", value=unknown[0], legal=legal)
    installed = set(routine_names()) - set(without)
    before: dict[str, tuple[str, ...]] = {}
    for row in rows:
        after = tuple(dict.fromkeys(name for parent in row.after for name in before.get(parent, (parent,))))
        before[row.routine] = (row.routine,) if row.routine in installed else after
    return tuple(_step(row, before) for row in rows if row.routine in installed)


def _step(row: GraphEntry, before: Mapping[str, tuple[str, ...]]) -> Step:
    routine = find_routine(row.routine)
    return Step(
        row.routine,
        routine.subject,
        tuple(dict.fromkeys(name for parent in row.after for name in before[parent])),
        routine.gives,
        row.age,
        row.vital,
        row.oscillator,
        row.attempts,
        row.mend,
        row.moves,
        row.rough,
        routine.checkable(),
        routine.targets,
    )
