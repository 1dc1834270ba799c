"""Random circuits through a backend, beside what they should give.

A circuit is played with few shots first. One that looks wrong is played again by itself with many, and is wrong when
these are too far from the exact distribution; a refusal of a legal circuit is wrong, too. The bounds are on the total
variation distance between counts of n shots and probabilities of K outcomes: it is (K - 1)^(1/2) n^(-1/2) / 2 at most
in the mean, and by McDiarmid's inequality exceeds its mean by t with a probability of exp(-2 n t^2) at most. Shots that
came to what is impossible are counted beside it: of right ones they are no more than what gates err, binomially.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from qiskit import transpile
from scipy.stats import binom

from pulsed.model.errors import PulsedError
from pulsed.simulator.chip.chip_file import chip_toml
from pulsed.testing.exact_counts import exact_counts
from pulsed.testing.ideal_rack import ideal_chip, write_ideal_rack
from pulsed.testing.random_circuits import RELAXING, Recipe, random_recipe
from pulsed.testing.smaller_circuits import shrink

FIRST_SHOTS, FIRST_ALARM = 100, 1e-3
"""Of the first look at a circuit, and how often a right one is looked at again."""
LAST_SHOTS = 2000
TOGETHER = 100
"""Circuits of one job."""
GATE_ERRORS = 0.04
"""Most that a right rack's distribution may be away from the exact one.

Of 300 circuits with four ECRs or more, 4000 shots each, the worst was 0.03 away, half of them less than 0.001.
"""
WAYS = (
    ("as it is",) * 10
    + tuple(f"transpiled at level {level}" for level in range(4))
    + ("parameter_binds", "schedule") * 2
)
"""How circuits reach the rack, each as often as it stands here.

With parameter_binds every angle and length is a parameter that is bound late, twice, the right values last. A schedule
is that of `backend.schedule`, where a circuit has one.
"""

_REP_DELAY = 1e-6
"""Seconds between shots: in the ideal rack all begin in the ground state."""
_LASTING = 20e-3
"""T1 of the qubit that resets by itself in the fuzz's rack, seconds: 0.1 % of a state is lost in 20 us."""

Outcome = Mapping[str, int] | Exception
Program = tuple[Any, dict[str, list[float]]]
"""A circuit or a schedule, and the values of its parameters."""


def distance(counts: Mapping[str, int], exact: Mapping[str, float]) -> float:
    """Return the total variation distance of counts from probabilities."""
    shots = sum(counts.values())
    keys = {*counts, *exact}
    return sum(abs(counts.get(key, 0) / shots - exact.get(key, 0.0)) for key in keys) / 2


def strays(counts: Mapping[str, int], exact: Mapping[str, float]) -> int:
    """Return how many shots came to something impossible."""
    return sum(number for key, number in counts.items() if key not in exact)


def too_far(counts: Mapping[str, int], exact: Mapping[str, float], alarm: float) -> bool:
    """Return whether counts are wrong; for right ones it says so with a probability of ``alarm`` at most."""
    shots = sum(counts.values())
    most = binom.isf(alarm / 2, shots, GATE_ERRORS)
    return strays(counts, exact) > most or distance(counts, exact) > bound(shots, len(exact), alarm / 2)


def bound(shots: int, outcomes: int, alarm: float) -> float:
    """Return the distance that right counts exceed with a probability of ``alarm`` at most."""
    return GATE_ERRORS + math.sqrt((outcomes - 1) / shots) / 2 + math.sqrt(-math.log(alarm) / (2 * shots))


class RefusedError(Exception):
    """A circuit was refused before it was queued."""


@dataclass(frozen=True)
class Wrong:
    """A circuit, which of :data:`WAYS` it went, and what came of it."""

    recipe: Recipe
    way: str
    exact: Mapping[str, float]
    got: Outcome

    def __str__(self) -> str:
        exact = {key: round(p, 4) for key, p in sorted(self.exact.items()) if p > 1e-4}
        if isinstance(self.got, Exception):
            got = f"{type(self.got).__name__}: {self.got}"
        else:
            got = str(dict(sorted(self.got.items())))
        return f"# {self.recipe.name}, {self.way}: expected {exact}, got {got}\n{self.recipe.source()}"


def write_fuzz_rack(folder: Path) -> Path:
    """Write the ideal rack with one qubit that relaxes within ten of its T1, as a reset needs; return its file.

    The daemon resets by waiting. The other qubits keep their states meanwhile: they last for minutes.
    """
    path = write_ideal_rack(folder)
    chip = ideal_chip()
    qubits = list(chip.qubits)
    qubits[RELAXING] = replace(qubits[RELAXING], t1=_LASTING, t2_echo=2 * _LASTING, t2_star=2 * _LASTING)
    path.with_name("chip.toml").write_text(chip_toml(replace(chip, qubits=tuple(qubits))), encoding="utf-8")
    text = path.read_text(encoding="utf-8")
    for key, new in (("rep_delay", "200 ms"), ("rep_delay_max", "1 s")):
        text, count = re.subn(rf'(?m)^{key} = ".*"$', f'{key} = "{new}"', text)
        assert count == 1, key
    # A reset takes 200 ms of the rack's time, which costs the simulated one nothing.
    text = text.replace("[limits]\n", '[limits]\nrack_time = "100000 s"\njob_seconds = 100000.0\n')
    path.write_text(text, encoding="utf-8")
    return path


def way_of(recipe: Recipe) -> str:
    """Return which of :data:`WAYS` a circuit goes."""
    way = random.Random(recipe.name).choice(WAYS)
    branches = any(step.bodies for step in recipe.steps)
    return WAYS[0] if way == "schedule" and branches else way


class Fuzz:
    """Circuits of one seed through one backend.

    Args:
        backend: of a rack without noise.
        seed: of the circuits; the same seed gives the same ones.
        programs: how many in all; the probability of a false alarm among them is ``alarm``.
        alarm: that probability.

    """

    def __init__(self, backend: Any, seed: int, programs: int, alarm: float = 1e-6) -> None:
        self.backend = backend
        self.seed = seed
        self.programs = programs
        self._alarm = alarm / programs
        self.looked_again = 0
        """Circuits that looked wrong at first."""
        self.refused = 0
        """Circuits that were refused as they may be."""

    def run(self, numbers: Iterable[int]) -> Iterator[Wrong]:
        """Play the circuits of these numbers; yield those that are wrong, as small as they can be made."""
        left = iter(numbers)
        while recipes := [random_recipe(self.seed, number) for number in islice(left, TOGETHER)]:
            ways = [way_of(recipe) for recipe in recipes]
            outcomes = self._play(recipes, ways, FIRST_SHOTS)
            for recipe, way, outcome in zip(recipes, ways, outcomes, strict=True):
                if self._looks_wrong(recipe, outcome) and (wrong := self._again(recipe, way)):
                    yield self.smallest(wrong)

    def smallest(self, wrong: Wrong) -> Wrong:
        """Return a smaller circuit that is wrong in the same way."""
        kind, way = type(wrong.got), wrong.way

        def fails(recipe: Recipe) -> bool:
            again = self._again(recipe, way)
            return again is not None and type(again.got) is kind

        recipe = shrink(wrong.recipe, fails)
        return self._again(recipe, way) or wrong

    def _again(self, recipe: Recipe, way: str) -> Wrong | None:
        """Look at a circuit alone, long enough to be sure; return it when it is wrong."""
        self.looked_again += 1
        (outcome,) = self._play([recipe], [way], LAST_SHOTS)
        exact = exact_counts(recipe)
        if isinstance(outcome, Exception):
            return None if self._well_refused(recipe, outcome) else Wrong(recipe, way, exact, outcome)
        return Wrong(recipe, way, exact, outcome) if too_far(outcome, exact, self._alarm) else None

    @staticmethod
    def _well_refused(recipe: Recipe, error: Exception) -> bool:
        """Return whether it was refused before it was queued, by name, for too many cases of a decision."""
        return isinstance(error, RefusedError) and recipe.name in str(error) and "too many cases" in str(error)

    def _looks_wrong(self, recipe: Recipe, outcome: Outcome) -> bool:
        if isinstance(outcome, Exception):
            well = self._well_refused(recipe, outcome)
            self.refused += well
            return not well
        return too_far(outcome, exact_counts(recipe), FIRST_ALARM)

    def _play(self, recipes: Sequence[Recipe], ways: Sequence[str], shots: int) -> list[Outcome]:
        found: dict[int, Outcome] = {}
        programs: dict[int, Program] = {}
        for place, (recipe, way) in enumerate(zip(recipes, ways, strict=True)):
            try:
                programs[place] = self._program(recipe, way)
            except Exception as error:  # noqa: BLE001 - a circuit without a schedule is wrong, and ends nothing
                found[place] = error
        for place, got in zip(programs, self._counts(list(programs.values()), shots), strict=True):
            if not isinstance(got, Exception):  # a schedule knows bits, no registers
                outcome = recipes[place].outcome
                found[place] = {outcome(int(key.replace(" ", ""), 2)): number for key, number in got.items()}
            else:
                found[place] = got
        return [found[place] for place in range(len(recipes))]

    def _program(self, recipe: Recipe, way: str) -> Program:
        """Return what is run."""
        if way == "parameter_binds":
            circuit, values = recipe.late()
            return circuit, {name: [2 * value, value] for name, value in values.items()}
        circuit = recipe.circuit()
        if way == "schedule":
            return self.backend.schedule(circuit), {}
        if way.startswith("transpiled"):
            layout = list(range(recipe.num_qubits))
            circuit = transpile(circuit, self.backend, optimization_level=int(way[-1]), initial_layout=layout)
        return circuit, {}

    def _counts(self, programs: Sequence[Program], shots: int) -> list[Outcome]:
        """Play programs in one job; when it fails, in halves, to find which of them do."""
        if not programs:
            return []
        try:
            result = self._run(programs, shots).result(600)
            last, found = -1, []
            for _, values in programs:
                last += 2 if values else 1
                found.append(result.get_counts(last))
            return found
        except Exception as error:  # noqa: BLE001 - whatever the stack raises is what the circuit came to
            if len(programs) == 1:
                return [error]
            half = len(programs) // 2
            return self._counts(programs[:half], shots) + self._counts(programs[half:], shots)

    def _run(self, programs: Sequence[Program], shots: int) -> Any:
        try:
            return self.backend.run(
                [program for program, _ in programs], parameter_binds=[values for _, values in programs], shots=shots,
                rep_delay=_REP_DELAY,
            )  # fmt: skip
        except PulsedError as error:
            raise RefusedError(str(error)) from error
