"""The fuzz's own parts: recipes, their exact distribution against Qiskit's simulator, and what makes them smaller."""

import math
import random

import pytest
from qiskit.providers.basic_provider import BasicSimulator

from pulsed.testing.exact_counts import exact_counts
from pulsed.testing.fuzz import bound, distance, too_far
from pulsed.testing.random_circuits import (
    BITWISE,
    COMPARED,
    OTHERWISE,
    PASSES,
    Condition,
    Recipe,
    RecipeStep,
    random_recipe,
    walk,
)
from pulsed.testing.smaller_circuits import measured_first, shrink


def test_the_same_seed_and_number_make_the_same_circuit_and_its_source_makes_it_again():
    for number in range(60):
        recipe = random_recipe(7, number)
        assert recipe == random_recipe(7, number)
        made = {}
        exec(recipe.source(), made)
        assert made["circuit"] == recipe.circuit(), recipe.source()


def test_recipes_hold_all_that_the_fuzz_is_for():
    """Each kind of step, unit and condition is in one of 500 circuits or more, and most outcomes are certain."""
    recipes = [random_recipe(7, number) for number in range(500)]
    steps = [step for recipe in recipes for step in walk(recipe.steps)]
    assert {step.name for step in steps} == {
        "x", "sx", "rz", "ecr", "delay", "barrier", "measure", "reset", "if", "switch", "for", "break_loop",
        "continue_loop",
    }  # fmt: skip
    assert {step.unit for step in steps if step.name == "delay"} == {"dt", "ps", "ns", "us", "ms", "s"}
    decided = [step for step in steps if step.name == "if"]
    assert {step.condition.register >= 0 for step in decided} == {True, False}
    assert {len(step.bodies) for step in decided} == {1, 2}
    assert any(inner.name == "if" for step in decided for body in step.bodies for inner in walk(body))
    assert {step.condition.how for step in decided} == {"", *BITWISE, *COMPARED}
    bodies = [inner for step in decided for body in step.bodies for inner in walk(body)]
    assert {"measure", "reset", "break_loop"} <= {inner.name for inner in bodies}
    assert any(step.unit == PASSES for step in steps)
    assert {len(recipe.qregs) for recipe in recipes} == {len(recipe.cregs) for recipe in recipes} == {1, 2}
    assert all(measured_first(recipe) for recipe in recipes)
    assert sum(max(exact_counts(recipe).values()) > 0.999 for recipe in recipes) > 200


def test_exact_counts_are_those_of_qiskit_where_it_knows_the_circuit():
    """BasicSimulator has no conditions: 40 circuits without. The bound is the fuzz's own, 1e-6 in all."""
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    simulator, seen, number, shots = BasicSimulator(), 0, -1, 200
    while seen < 40:
        number += 1
        recipe = random_recipe(seed, number)
        if any(step.bodies for step in recipe.steps):
            continue
        exact = exact_counts(recipe)
        counts = simulator.run(recipe.circuit(), shots=shots, seed_simulator=number).result().get_counts()
        assert sum(exact.values()) == pytest.approx(1)
        assert distance(counts, exact) <= bound(shots, len(exact), 1e-6 / 40), f"seed {seed}\n{recipe.source()}"
        seen += 1


def test_exact_counts_of_conditions():
    """By hand: a coin, then what its value, or that of two coins, decides."""
    coin = (RecipeStep("sx", (0,)), RecipeStep("measure", (0,), bit=0))
    flip = RecipeStep("if", condition=Condition(1, bit=0), bodies=((RecipeStep("x", (1,)),), (RecipeStep("x", (2,)),)))
    ends = tuple(RecipeStep("measure", (q,), bit=q) for q in (1, 2))
    assert exact_counts(Recipe("a", (3,), (3,), (*coin, flip, *ends))) == pytest.approx({"100": 0.5, "011": 0.5})
    other = (RecipeStep("sx", (1,)), RecipeStep("measure", (1,), bit=1))
    both = RecipeStep("if", condition=Condition(2, register=0), bodies=((RecipeStep("x", (2,)),),))
    found = exact_counts(Recipe("b", (3,), (2, 1), (*coin, *other, both, RecipeStep("measure", (2,), bit=2))))
    assert found == pytest.approx({"0 00": 0.25, "0 01": 0.25, "1 10": 0.25, "0 11": 0.25})
    inner = RecipeStep("if", condition=Condition(0, bit=1), bodies=((RecipeStep("x", (0,)),),))
    outer = RecipeStep("if", condition=Condition(1, bit=0), bodies=((inner,),))
    found = exact_counts(Recipe("c", (2,), (2,), (*coin, *other, outer, RecipeStep("measure", (0,), bit=0))))
    assert found == pytest.approx({"00": 0.5, "10": 0.25, "11": 0.25})
    loop = RecipeStep("for", value=3, bodies=((RecipeStep("x", (2,)),),))
    cases = ((RecipeStep("x", (0,)),), (RecipeStep("reset", (0,)),))
    switch = RecipeStep("switch", condition=Condition(bit=0), bodies=cases, cases=(1, OTHERWISE))
    ends = (RecipeStep("measure", (2,), bit=2), RecipeStep("measure", (0,), bit=1))
    assert exact_counts(Recipe("d", (3,), (3,), (*coin, loop, switch, *ends))) == pytest.approx(
        {"100": 0.5, "101": 0.5}
    )


def test_exact_counts_of_loops_that_are_left():
    """By hand: a coin until it shows 1, at most three times; and one that is thrown twice, the second time unless 1."""
    toss = (RecipeStep("sx", (0,)), RecipeStep("measure", (0,), bit=0))
    on_one = RecipeStep("if", condition=Condition(1, bit=0), bodies=((RecipeStep("break_loop"),),))
    flip = RecipeStep("x", (1,))
    ends = (RecipeStep("measure", (1,), bit=1),)
    body = (RecipeStep("reset", (0,)), *toss, on_one, flip)
    found = exact_counts(Recipe("a", (2,), (2,), (RecipeStep("for", value=3, bodies=(body,)), *ends)))
    assert found == pytest.approx({"01": 0.5 + 0.125, "11": 0.25, "10": 0.125})
    skip = RecipeStep("if", condition=Condition(1, bit=0), bodies=((RecipeStep("continue_loop"),),))
    body = (RecipeStep("reset", (0,)), *toss, skip, flip)
    found = exact_counts(Recipe("b", (2,), (2,), (RecipeStep("for", value=2, bodies=(body,)), *ends)))
    assert found == pytest.approx({"00": 0.25, "01": 0.25, "10": 0.25, "11": 0.25})
    turns = RecipeStep("for", value=3, bodies=((RecipeStep("rz", (1,), math.pi / 3, PASSES),),))
    steps = (RecipeStep("sx", (1,)), turns, RecipeStep("sx", (1,)), *ends)
    assert exact_counts(Recipe("c", (2,), (2,), steps)) == pytest.approx({"00": 1.0})


def test_exact_counts_of_functions_of_bits():
    coins = [step for q in (0, 1) for step in (RecipeStep("sx", (q,)), RecipeStep("measure", (q,), bit=q))]
    wanted = {
        Condition(1, bit=0, how="and", others=(1,)): {3}, Condition(0, bit=0, how="or", others=(1,)): {0},
        Condition(1, bit=0, how="xor", others=(1,)): {1, 2}, Condition(2, register=0, how="less"): {0, 1},
        Condition(2, register=0, how="not_equal"): {0, 1, 3}, Condition(1, register=0, how="greater_equal"): {1, 2, 3},
    }  # fmt: skip
    for condition, values in wanted.items():
        decided = RecipeStep("if", condition=condition, bodies=((RecipeStep("x", (2,)),),))
        found = exact_counts(Recipe("a", (3,), (2, 1), (*coins, decided, RecipeStep("measure", (2,), bit=2))))
        assert found == pytest.approx({f"{int(v in values)} {v:02b}": 0.25 for v in range(4)})


def test_a_failure_is_made_as_small_as_it_can_be():
    """What fails is an x on qubit 0 anywhere before a measurement of it: these two steps are left."""

    def fails(recipe):
        names = [(step.name, step.qubits) for step in walk(recipe.steps)]
        wanted = [("x", (0,)), ("measure", (0,))]
        places = [names.index(item) if item in names else None for item in wanted]
        return None not in places and places[0] < places[1]

    recipe = next(r for number in range(1000) if fails(r := random_recipe(3, number)) and len(r.steps) > 15)
    smallest = shrink(recipe, fails, tries=500)
    assert [(step.name, step.qubits) for step in smallest.steps] == [("x", (0,)), ("measure", (0,))]


def test_what_a_smaller_circuit_looks_at_was_measured_before():
    """Without its measurement a condition is not legal: shrinking keeps both or drops both."""
    asked = []

    def fails(recipe):
        asked.append(recipe)
        return True

    recipes = (random_recipe(3, number) for number in range(1000))
    recipe = next(recipe for recipe in recipes if any(step.name == "if" for step in recipe.steps))
    smallest = shrink(recipe, fails, tries=500)
    assert all(measured_first(each) for each in asked)
    assert [step.name for step in smallest.steps] == ["measure"]


def test_distance_sees_what_is_wrong_and_bounds_what_is_right():
    exact = {"00": 0.5, "11": 0.5}
    assert distance({"00": 50, "11": 50}, exact) == 0
    assert distance({"00": 100}, exact) == 0.5
    assert distance({"01": 7}, exact) == 1
    assert bound(100, 1, 1e-3) < 0.25 < 0.5
    assert not too_far({"00": 93, "01": 7}, {"00": 1.0}, 1e-3)
    assert too_far({"00": 86, "01": 14}, {"00": 1.0}, 1e-3)
    assert too_far({"00": 80, "11": 20}, exact, 1e-3)
    assert bound(2000, 4, 1e-6 / 500) < 0.15
