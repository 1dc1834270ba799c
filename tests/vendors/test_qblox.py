"""Random circuits as Q1ASM: to the maker's assembler, and executed by other people's simulator of a sequencer.

``make test-vendors`` has 200 of them (``VENDOR_PROGRAMS``) and installs q1simulator; without it that part is skipped.
"""

import importlib.util
import os
import sys
import types
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from qiskit import QuantumCircuit, transpile

import pulsed.configs
from pulsed.compiler.compile import Compiler
from pulsed.drivers.instruments.qblox.modules import read_modules
from pulsed.drivers.instruments.qblox.plan import make_plan
from pulsed.drivers.rack.partition import partition_chunk
from pulsed.model.calibration import load_calibration
from pulsed.model.device import load_device
from pulsed.model.job import RunOptions
from pulsed.provider.target import build_target
from pulsed.simulator.instruments.qblox.interpreter import Sequencer
from pulsed.simulator.instruments.qblox.pipeline import QUARTERS

pytest.importorskip("qblox_instruments", reason="the maker's package comes with pulsed[qblox]")

from pulsed.simulator.instruments.qblox.assembler import assemble

FULL_SCALE = 0.5
"""Of a QRM, V."""
COUNT = int(os.environ.get("VENDOR_PROGRAMS") or "5")
EXAMPLES = Path(pulsed.configs.__file__).parent / "examples"
DEVICE = load_device(EXAMPLES / "qblox.toml")
CALIBRATION = load_calibration(EXAMPLES / "calibrations" / "qblox5.json")
MODULES = read_modules("cluster", DEVICE.instruments["cluster"].options)
TARGET = build_target(DEVICE, CALIBRATION)


def random_circuit(rng):
    """Return gates, delays, readouts and pulses on bits, in random order.

    Each qubit waits for one bit alone, and three bits decide at most: that is what the example's latency is for.
    """
    circuit = QuantumCircuit(5, 5)
    measured, waits = [], {}
    for _ in range(int(rng.integers(3, 25))):
        kind = rng.choice(["rz", "sx", "x", "cx", "delay", "measure", "if"], p=[0.2, 0.2, 0.1, 0.2, 0.1, 0.1, 0.1])
        qubit = int(rng.integers(0, 5))
        if kind == "rz":
            circuit.rz(float(rng.uniform(-4, 4)), qubit)
        elif kind in ("sx", "x"):
            getattr(circuit, kind)(qubit)
        elif kind == "cx":
            circuit.cx(*((qubit, qubit + 1) if qubit < 4 else (4, 3)))
        elif kind == "delay":
            circuit.delay(int(rng.integers(1, 20_000)) * 4, qubit, "dt")
        elif kind == "measure" and qubit not in measured and len(measured) < 3:
            circuit.measure(qubit, qubit)
            measured.append(qubit)
        elif kind == "if" and measured:
            bit = waits.setdefault(qubit, int(rng.choice(measured)))
            with circuit.if_test((circuit.clbits[bit], int(rng.integers(0, 2)))):
                circuit.sx(qubit)
                circuit.rz(float(rng.uniform(-4, 4)), qubit)
    circuit.barrier()
    circuit.measure(range(5), range(5))
    return circuit


def plan_of(seed, shots=None):
    """Return the plan of a job of one to six random circuits."""
    rng = np.random.default_rng(seed)
    circuits = [random_circuit(rng) for _ in range(int(rng.integers(1, 7)))]
    mapped = transpile(circuits, target=TARGET, optimization_level=1, seed_transpiler=1, initial_layout=range(5))
    options = RunOptions(shots=shots or int(rng.integers(1, 2000)), rep_delay=2e-6)
    chunk, *_ = Compiler(DEVICE, CALIBRATION).compile(mapped, options)
    return make_plan(partition_chunk(chunk, DEVICE).work["cluster"], MODULES, "instrument cluster")


@pytest.mark.parametrize("seed", range(COUNT))
def test_random_programs_assemble_without_a_warning(seed):
    for one in plan_of(seed).sequencers:
        good, log = assemble(one.text)
        assert good, f"seed {seed}, {one.title}: {log}"
        assert "warning" not in log.lower(), f"seed {seed}, {one.title}: {log}"


# --- q1simulator -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def simulator():
    """q1simulator's sequencers, without its windows: importing the package itself wants a Qt binding."""
    found = importlib.util.find_spec("q1simulator")
    if found is None:
        pytest.skip("q1simulator is not installed; make test-vendors installs it")
    package = types.ModuleType("q1simulator")
    package.__path__, package.__version__ = list(found.submodule_search_locations), version("q1simulator")
    sys.modules["q1simulator"] = package
    from q1simulator.q1simulator import Q1Simulator

    return Q1Simulator


def rendered(shots, waveforms, came):
    """Return I + iQ of what our interpreter plays where all triggers came, or none, in steps of the converter."""
    total = shots[-1].start + shots[-1].count * shots[-1].period
    out = np.zeros(total, complex)
    for group in shots:
        for turn in range(group.count):
            for burst in group.bursts:
                if any(value != came for _, value in burst.condition):
                    continue
                at = group.start + turn * group.period + burst.time
                z = waveforms[burst.i] + 1j * waveforms[burst.q]
                turns = burst.phase / QUARTERS + burst.frequency / 4 * 1e-9 * np.arange(len(z))
                out[at : at + len(z)] += burst.gain[0] * z * np.exp(2j * np.pi * turns) * np.sqrt(0.5)
    return out


@pytest.mark.parametrize("came", [True, False])
@pytest.mark.parametrize("seed", range(COUNT))
def test_another_interpreter_plays_the_same_samples(simulator, seed, came):
    """Of each sequencer, two shots, where all triggers come and where none does.

    It cuts off to whole steps three times: waveform, gain and what the oscillator makes of them.
    """
    for number, one in enumerate(plan_of(seed, shots=2).sequencers):
        waveforms = dict(enumerate(one.waveforms.values()))
        weights = {index: len(data) for index, data in enumerate(one.weights.values())}
        shots = Sequencer({k: len(data) for k, data in waveforms.items()}, weights=weights).run(one.text)
        ours = rendered(shots, waveforms, came)
        played = simulator(f"q{seed}_{came}_{number}", 1, "QRM")
        other = played.sequencers[0]
        other.config("max_render_time", len(ours) + 10_000)
        other.sync_en(True)
        other.mod_en_awg(True)
        other.connect_sequencer("out0_1")
        other.sequence(one.sequence())
        other.set_forced_condition_value(int(came))
        other.arm_sequencer()
        other.start_sequencer()
        assert not played.get_sequencer_status(0, 1).err_flags
        found = other.get_output()
        theirs = (found["I"].data + 1j * found["Q"].data) * 2**15 / FULL_SCALE
        # It begins when all have met, 4 ns after that is asked for.
        assert len(theirs) == len(ours) - 4
        assert np.abs(theirs - ours[4:]).max() < 4
