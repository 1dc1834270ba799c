"""Takes away from a circuit that fails what its failure does not need."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from pulsed.testing.random_circuits import Recipe, RecipeStep


def _smaller(steps: tuple[RecipeStep, ...]) -> Iterator[tuple[RecipeStep, ...]]:
    """Yield what is left without one part: long runs of steps first, then single ones, then parts of bodies."""
    size = len(steps)
    while size:
        for first in range(0, len(steps), size):
            yield steps[:first] + steps[first + size :]
        size //= 2
    for place, step in enumerate(steps):
        before, after = steps[:place], steps[place + 1 :]
        if step.name == "if" and len(step.bodies) > 1:
            yield (*before, replace(step, bodies=step.bodies[:1]), *after)
        for number, body in enumerate(step.bodies):
            for less in _smaller(body):
                bodies = (*step.bodies[:number], less, *step.bodies[number + 1 :])
                yield (*before, replace(step, bodies=bodies), *after)


def shrink(recipe: Recipe, fails: Callable[[Recipe], bool], tries: int = 60) -> Recipe:
    """Return a recipe with as few steps as ``tries`` attempts find that still ``fails``."""
    found = True
    while found and tries > 0:
        found = False
        for steps in _smaller(recipe.steps):
            less = replace(recipe, steps=steps)
            if tries <= 0:
                break
            if not measured_first(less):
                continue
            tries -= 1
            if fails(less):
                recipe, found = less, True
                break
    return recipe


def measured_first(recipe: Recipe) -> bool:
    """Return whether something is measured, and every condition looks at bits that some shot has measured before."""
    known: set[int] = set()

    def legal(steps: Sequence[RecipeStep]) -> bool:
        for step in steps:
            if step.name == "measure":
                known.add(step.bit)
            if step.condition is not None:
                looked_at = set(step.condition.bits)
                if step.condition.register >= 0:
                    looked_at = set(recipe.bits_of(step.condition.register))
                if not looked_at <= known:
                    return False
            if not all(map(legal, step.bodies)):
                return False
        return True

    return legal(recipe.steps) and any(step.name == "measure" for step in recipe.steps)
