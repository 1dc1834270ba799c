"""The law of `pulsed config check`: it names what is wrong at that key, or rack and clients can use the file."""

import math
import re
import tomllib
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from pulsed.cli import config_check
from pulsed.compiler.compile import Compiler
from pulsed.drivers.rack.rack import Rack
from pulsed.model.calibration import design_sheet
from pulsed.model.device import read_tables
from pulsed.model.job import RunOptions
from pulsed.model.units import parse_quantity
from pulsed.provider.backend import PulsedBackend
from pulsed.pulse import Acquire, AcquireChannel, ControlChannel, DriveChannel, MeasureChannel, MemorySlot, Play
from pulsed.pulse import Schedule as PulseSchedule
from pulsed.pulse.library import Constant

CONFIGS = Path(__file__).parents[3] / "configs"
RACKS = {name: tomllib.loads((CONFIGS / f"{name}.toml").read_text()) for name in ("sim5", "coupler2")}
FREE = {"description", "sample_name", "serial", "vendor", "model"}
"""Keys whose text may be anything."""


def paths(data, at=()):
    """Yield the path of every key and every table of a table."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*at, key)
        yield from paths(value, (*at, key))


def at(data, path):
    for key in path:
        data = data[key]
    return data


def unit_of(value):
    """The unit of a quantity, None for another text."""
    found = re.fullmatch(r"[-\d.]+ [numkMG]?(Hz|s|A)", value) if isinstance(value, str) else None
    return found and found.group(1)


@dataclass(frozen=True)
class Mutant:
    """A configuration, and which of its keys was changed how."""

    name: str
    path: tuple[str | int, ...]
    action: str
    data: dict[str, Any] = field(repr=False)


@st.composite
def mutants(draw):
    """A good configuration of which one key was dropped, swapped, scaled or given another's value; and that key."""
    name = draw(st.sampled_from(sorted(RACKS)))
    data = deepcopy(RACKS[name])
    keys = [path for path in paths(data) if path[0] not in ("simulator", "calibration", "name", "meas_map")]
    path = draw(st.sampled_from(keys))
    owner, value = at(data, path[:-1]), at(data, path)
    actions = ["drop"]
    number = not isinstance(value, bool) and isinstance(value, int | float)
    if number or unit_of(value):
        actions += ["scale", "bare"]
    twins = [other for other in keys if other[-1] == path[-1] and at(data, other) != value]
    if twins and not isinstance(value, dict | list):
        actions.append("twin")
    if isinstance(value, str) and not unit_of(value) and path[-1] not in FREE:
        actions.append("swap")
    action = draw(st.sampled_from(actions))
    if action == "drop":
        del owner[path[-1]]
    elif action == "scale":
        factor = draw(st.sampled_from([0, -1, 0.5, 2, 1.3, 1000, 1e-9, 1e9]))
        amount = value * factor if number else float(parse_quantity(value, unit_of(value))) * factor
        owner[path[-1]] = int(amount) if isinstance(value, int) and amount == int(amount) else amount
    elif action == "bare":
        owner[path[-1]] = draw(st.sampled_from([math.nan, math.inf, 5.1, 7, 0, True, "x"]))
    elif action == "twin":
        owner[path[-1]] = at(data, draw(st.sampled_from(twins)))
    else:
        names = ["", "nobody", *data["instruments"], *data["ports"], *data["oscillators"]]
        owner[path[-1]] = draw(st.sampled_from(names))
    return Mutant(name, path, action, data)


def everything(device):
    """A schedule that plays on every channel what the grid allows at the least, and records it."""
    timing = device.timing
    length = math.ceil(timing.min_length / timing.granularity) * timing.granularity
    grid = math.lcm(timing.pulse_alignment, timing.acquire_alignment)
    late = math.ceil(length / grid) * grid
    schedule = PulseSchedule(name="everything")
    qubits = range(device.num_qubits)
    for channel in [*map(DriveChannel, qubits), *map(ControlChannel, range(len(device.couplings)))]:
        schedule = schedule.insert(0, Play(Constant(length, 0.1), channel))
    for q in qubits:
        schedule = schedule.insert(late, Play(Constant(length, 0.01), MeasureChannel(q)))
        schedule = schedule.insert(late, Acquire(length, AcquireChannel(q), MemorySlot(q)))
    return schedule


def use(device):
    """Do what daemon and client do with a description: make the drivers, open the backend, compile, validate."""
    calibration = design_sheet(device)
    backend = PulsedBackend(device, calibration)
    assert backend.configuration().n_qubits == device.num_qubits
    assert backend.target.num_qubits == device.num_qubits
    rack = Rack(device)
    try:
        options = RunOptions(shots=backend.options.shots, meas_level=1)
        for chunk in Compiler(device, calibration).compile([everything(device)], options):
            rack.validate(chunk.unrolled())
    finally:
        rack.close()


@given(mutants())
@settings(max_examples=40, deadline=None)
def test_a_mutant_is_named_at_its_key_or_can_be_used(mutant):
    key = ".".join(map(str, mutant.path))
    note(f"{key} is {at(mutant.data, mutant.path) if mutant.action != 'drop' else 'gone'}")
    reading = read_tables(mutant.data)
    problems = config_check.problems_of(reading, CONFIGS / f"{mutant.name}.toml")
    if not problems:
        use(reading.device)
        return
    words = [str(problem) for problem in problems]
    note("\n".join(words))
    table = ".".join(map(str, mutant.path[:-1])) if len(mutant.path) > 1 else key
    names = [part for part in mutant.path[1:] if isinstance(part, str)]
    owner = names[0] if names else key  # of ports.d0.pair: d0
    assert any(re.search(rf"\b{re.escape(name)}\b", text) for text in words for name in (key, table, owner))


@pytest.mark.parametrize("name", sorted(RACKS))
def test_a_good_rack_can_be_used(name):
    use(read_tables(RACKS[name]).device)


@pytest.mark.parametrize(
    ("key", "least"), [("waveform_memory", "a shortest waveform for each"), ("event_memory", "one event for each")]
)
def test_a_memory_without_room_for_a_pulse_is_refused(key, least):
    """Found as a rack that loads and can play nothing."""
    data = deepcopy(RACKS["coupler2"])
    data["instruments"]["awg1"][key] = 3
    [problem] = config_check.problems_of(read_tables(data), CONFIGS / "coupler2.toml")
    assert problem.subject == f"instruments.awg1.{key}"
    assert least in str(problem)
