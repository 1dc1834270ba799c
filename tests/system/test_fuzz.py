"""Random circuits through the whole stack, on the simulated rack without noise, against their exact distribution.

The way is whole: the provider packs bytes, the daemon's compile worker decodes and lowers them, the rack worker's
drivers send them to the virtual instruments, the chip feels the samples, and the counts come back as a user gets them.
`make test` plays 500 circuits of a seed that belongs to the tree, `make fuzz` 10,000 of a fresh one. FUZZ_PROGRAMS and
FUZZ_SEED choose others.
"""

import itertools
import json
import math
import os
import secrets
import time

import numpy as np
import pytest
from qiskit.circuit import Parameter
from qiskit.circuit.library import RZGate

from pulsed.cli.processes import OwnDaemon
from pulsed.provider import PulsedProvider
from pulsed.testing.conditions import Condition
from pulsed.testing.exact_counts import exact_counts
from pulsed.testing.fuzz import LAST_SHOTS, TOGETHER, Fuzz, too_far, write_fuzz_rack
from pulsed.testing.random_circuits import Recipe, RecipeStep, random_recipe
from pulsed.testing.read_back import AwgMemory, spans

PROGRAMS = int(os.environ.get("FUZZ_PROGRAMS", "500"))
SEED = int(os.environ.get("FUZZ_SEED") or secrets.randbelow(10**9))
MOST_WRONG = 5
"""Wrong circuits after which the search ends."""
HELD = 60
"""Circuits whose samples are read back."""
SWEPT, BOUND = 5, 40
"""Circuits whose angles are bound, and how many times each."""


@pytest.fixture(scope="module")
def ideal(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ideal")
    with OwnDaemon(folder / "home", str(write_fuzz_rack(folder / "rack"))) as daemon:
        client = daemon.wait(600)
        yield daemon, PulsedProvider(client=client).get_backend("ideal5")
        client.close()


def test_random_circuits_give_what_they_should(ideal):
    """No circuit is farther from its exact distribution than right ones are, with a probability of 1e-6, in all."""
    print(f"FUZZ_SEED={SEED} FUZZ_PROGRAMS={PROGRAMS}")
    fuzz, wrong, start = Fuzz(ideal[1], SEED, PROGRAMS), [], time.monotonic()
    for first in range(0, PROGRAMS, TOGETHER):
        for found in fuzz.run(range(first, min(PROGRAMS, first + TOGETHER))):
            print(f"\n{found}", flush=True)
            wrong.append(found)
        seconds = time.monotonic() - start
        done = min(PROGRAMS, first + TOGETHER)
        print(f"{done} circuits, {len(wrong)} wrong, {fuzz.looked_again} looked at again, {fuzz.refused} refused as "
              f"they may be, {seconds:.0f} s", flush=True)  # fmt: skip
        if len(wrong) >= MOST_WRONG:
            break
    shown = "\n\n".join(map(str, wrong))
    assert not wrong, f"FUZZ_SEED={SEED}: {len(wrong)} circuits are wrong\n{shown}"


def _H(qubit):
    return RecipeStep("rz", (qubit,), math.pi / 2), RecipeStep("sx", (qubit,)), RecipeStep("rz", (qubit,), math.pi / 2)


def _CX(control, target):
    half = RecipeStep("rz", (target,), math.pi)
    before = RecipeStep("rz", (control,), -math.pi / 2), half, RecipeStep("sx", (target,)), half
    return (*before, RecipeStep("ecr", (control, target)), RecipeStep("x", (control,)))


BY_HAND = {
    # Two readouts without a gap tell both bits at once: when the conditional ecr follows the other.
    "a pulse on a bit behind one that is always played": (
        (4,), (3, 1), (
            RecipeStep("sx", (1,)), RecipeStep("measure", (1,), bit=3), RecipeStep("ecr", (2, 3)),
            RecipeStep("if", condition=Condition(0, bit=3), bodies=((RecipeStep("ecr", (2, 3)),),)),
            RecipeStep("measure", (1,), bit=0),
            RecipeStep("if", condition=Condition(1, bit=0), bodies=((RecipeStep("sx", (3,)),),)),
            RecipeStep("measure", (2,), bit=1), RecipeStep("measure", (3,), bit=2),
        ),
    ),
    # Q0 in a state of its own, Bell pair of Q2 and Q1, both corrections by the value of one register.
    "teleportation": (
        (3,), (2, 1), (
            RecipeStep("sx", (0,)), RecipeStep("rz", (0,), 0.9), RecipeStep("sx", (0,)),
            *_H(2), *_CX(2, 1), *_CX(0, 1), *_H(0),
            RecipeStep("measure", (0,), bit=0), RecipeStep("measure", (1,), bit=1),
            RecipeStep("switch", condition=Condition(register=0), cases=(1, 2, 3), bodies=(
                (RecipeStep("rz", (2,), math.pi),),
                (RecipeStep("x", (2,)),),
                (RecipeStep("x", (2,)), RecipeStep("rz", (2,), math.pi)),
            )),
            RecipeStep("rz", (2,), math.pi), RecipeStep("sx", (2,)), RecipeStep("rz", (2,), -0.9),
            RecipeStep("sx", (2,)),
            RecipeStep("measure", (2,), bit=2),
        ),
    ),
    "repeat until success": (
        (2,), (1, 1), (
            RecipeStep("for", value=5, bodies=((
                RecipeStep("reset", (1,)), RecipeStep("sx", (1,)), RecipeStep("measure", (1,), bit=0),
                RecipeStep("if", condition=Condition(1, bit=0), bodies=((RecipeStep("break_loop"),),)),
                RecipeStep("x", (0,)),
            ),)),
            RecipeStep("measure", (0,), bit=1),
        ),
    ),
    "ten rounds of active reset": (
        (1,), (1, 1), (
            RecipeStep("for", value=10, bodies=((
                RecipeStep("sx", (0,)), RecipeStep("measure", (0,), bit=0),
                RecipeStep("if", condition=Condition(1, bit=0), bodies=((RecipeStep("x", (0,)),),)),
            ),)),
            RecipeStep("measure", (0,), bit=1),
        ),
    ),
    "a reset of some shots leaves the others": (
        (3,), (1, 2), (
            RecipeStep("sx", (0,)), RecipeStep("measure", (0,), bit=0), RecipeStep("sx", (1,)), RecipeStep("x", (2,)),
            RecipeStep("if", condition=Condition(1, bit=0), bodies=(
                (RecipeStep("reset", (1,)), RecipeStep("measure", (2,), bit=2)), (RecipeStep("sx", (1,)),),
            )),
            RecipeStep("if", condition=Condition(0, bit=0, how="or", others=(2,)), bodies=((RecipeStep("x", (2,)),),)),
            RecipeStep("measure", (1,), bit=1),
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BY_HAND)
def test_circuits_by_hand_give_what_they_should(ideal, name):
    recipe = Recipe(name, *BY_HAND[name])
    counts, exact = ideal[1].run(recipe.circuit(), shots=LAST_SHOTS).result(600).get_counts(), exact_counts(recipe)
    assert not too_far(counts, exact, 1e-9), (counts, exact)


def test_what_is_shown_is_what_the_instruments_hold(ideal):
    """The samples that the AWGs hold are those of `preview`; schedule, `job.schedules` and circuit show the same."""
    daemon, backend = ideal
    recipes = [random_recipe(SEED, k) for k in range(HELD)]
    circuits = [recipe.circuit() for recipe in recipes]
    plain = [k for k, recipe in enumerate(recipes) if not any(step.bodies for step in recipe.steps)]
    assert plain
    backend.run(circuits, shots=1).result(600)
    memories = {name: AwgMemory(name, address).read() for name, address in awgs(daemon, backend.device)}
    for recipe, circuit in zip(recipes, circuits, strict=True):
        preview = backend.preview(circuit)
        for name, sequences in memories.items():
            assert any(holds(sequence, preview, backend.device, name) for sequence in sequences), (
                f"FUZZ_SEED={SEED}: {name} does not hold the samples of\n{recipe.source()}"
            )
    job = backend.run([circuits[k] for k in plain], shots=1)
    job.result(600)
    for k, told in zip(plain, job.schedules(), strict=True):
        shown = backend.schedule(circuits[k])
        assert told == shown, f"FUZZ_SEED={SEED}\n{recipes[k].source()}"
        ours, theirs = backend.preview(circuits[k]), backend.preview(shown)
        assert sorted(ours.windows()) == sorted(theirs.windows()), f"FUZZ_SEED={SEED}\n{recipes[k].source()}"
        assert ours.ports == theirs.ports
        for port in ours.ports:
            a, b = ours.segments(port), theirs.segments(port)
            assert spans(a) == spans(b), f"FUZZ_SEED={SEED}\n{recipes[k].source()}"
            assert all(np.abs(x.samples - y.samples).max() < 1e-9 for x, y in zip(a, b, strict=True))


def turned(circuit, theta):
    """Return ``circuit`` with ``theta`` on top of every angle of rz, more of it in each."""
    found = circuit.copy_empty_like()
    for number, item in enumerate(circuit.data, 1):
        angle = [item.params[0] + number * theta] if item.name == "rz" else item.params
        found.append(item.replace(operation=RZGate(*angle)) if item.name == "rz" else item)
    return found


def test_what_is_shown_of_a_binding_is_what_the_instruments_play(ideal):
    """A sweep is one sequence and values: what an entry plays is what `preview` shows of its bound circuit."""
    daemon, backend = ideal
    theta = Parameter("theta")
    plain = (random_recipe(SEED, k) for k in itertools.count())
    plain = (recipe for recipe in plain if not any(step.bodies for step in recipe.steps))
    turning = (recipe for recipe in plain if 2 < sum(step.name == "rz" for step in recipe.steps) < BOUND)
    handed_down = 0
    for recipe in itertools.islice(turning, SWEPT):
        circuit = turned(recipe.circuit(), theta)
        angles = np.linspace(-3, 3, BOUND)
        job = backend.run(circuit, shots=1, parameter_binds=[{theta: angles}])
        job.result(600)
        memories = [(name, AwgMemory(name, address)) for name, address in awgs(daemon, backend.device)]
        held = {name: memory.played() for name, memory in memories}
        handed_down += max(memory.values() for _, memory in memories) > 0
        schedules = job.schedules()
        for k in (0, BOUND // 3, BOUND - 1):
            bound = circuit.assign_parameters({theta: angles[k]})
            preview = backend.preview(bound)
            for name, sequences in held.items():
                assert holds(sequences[k], preview, backend.device, name), f"FUZZ_SEED={SEED}, {k}: {recipe.source()}"
            assert schedules[k] == backend.schedule(bound), f"FUZZ_SEED={SEED}\n{recipe.source()}"
    assert handed_down == SWEPT


def awgs(daemon, device):
    """Yield name and address of each AWG of the simulated rack."""
    lines = (daemon.home / "logs" / "companion.log").read_text().splitlines()
    addresses = next(json.loads(line)["addresses"] for line in reversed(lines) if line.startswith('{"addresses"'))
    return [(name, addresses[name]) for name, item in device.instruments.items() if item.driver == "awg"]


def holds(sequence, preview, device, name):
    """Return whether a sequence plays what ``preview`` shows of an AWG's ports, but for the rounding of envelopes."""
    shown = {}
    for port in preview.ports:
        if device.ports[port].instrument == name:
            moved = device.ports[port].delay
            shown[device.ports[port].pair] = [(s.start + moved, s.samples) for s in preview.segments(port)]
    held = {pair: [(s.start, s.samples) for s in found] for pair, found in sequence.pairs.items()}
    when = [{pair: [(start, len(x)) for start, x in runs] for pair, runs in of.items()} for of in (shown, held)]
    if when[0] != when[1]:
        return False
    # Half a code in I and in Q of each of the eight tones that a port can play at once.
    most = 8 * np.sqrt(0.5) / 8191
    pairs = ((x, y) for pair, runs in shown.items() for (_, x), (_, y) in zip(runs, held[pair], strict=True))
    return all(np.abs(x - y).max() <= most for x, y in pairs)
