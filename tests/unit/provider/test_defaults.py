"""Calibrated frequencies and pulses in the form of Qiskit's PulseDefaults."""

import pickle
from typing import Any

import numpy as np
import pytest
from qiskit.circuit import Parameter

from pulsed.provider import PulsedBackend, PulsedProvider
from pulsed.provider.defaults import Defaults
from pulsed.pulse.channels import DriveChannel
from pulsed.pulse.configuration import Discriminator, Kernel
from pulsed.pulse.instruction_schedule_map import InstructionScheduleMap
from pulsed.pulse.instructions import Delay, Play, SetFrequency, SetPhase, ShiftFrequency, ShiftPhase, Snapshot
from pulsed.pulse.library import Constant, Sin, Waveform
from pulsed.pulse.schedule import Schedule


def test_commands_are_the_schedules(backend: PulsedBackend) -> None:
    """That Qiskit 1.4 reads them as the same schedules is tested with it."""
    defaults = backend.defaults()
    assert defaults.kernel == defaults.meas_kernel == Kernel("calibrated")
    assert defaults.discriminator == Discriminator("calibrated")
    assert (defaults.buffer, defaults.pulse_library) == (0, [])
    found = {(command.name, tuple(command.qubits)): command.sequence for command in defaults.cmd_def}
    (x,) = found["x", (3,)]
    assert (x["name"], x["pulse_shape"], x["ch"], x["t0"]) == ("parametric_pulse", "drag", "d3", 0)
    pulse = next(
        part.pulse for _, part in backend.calibrated.schedules.get("x", 3).instructions if hasattr(part, "pulse")
    )
    amplitude = x["parameters"].pop("amp")
    assert amplitude == pytest.approx(pulse.parameters["amp"] * np.exp(1j * pulse.parameters["angle"]))
    assert x["parameters"] == {"duration": 40, "sigma": 10.0, "beta": 0.5}
    assert found["rz", (0,)][0]["phase"] == "(-P0)"
    measured = [part for part in found["measure", (0, 1, 2, 3, 4)] if part["name"] == "acquire"]
    assert sorted((part["qubits"], part["memory_slot"]) for part in measured) == [([q], [q]) for q in range(5)]
    written = defaults.to_dict()
    assert written["cmd_def"] == [command.to_dict() for command in defaults.cmd_def]


def test_other_shapes_are_samples_and_frames_are_commands(device, calibration) -> None:
    line, gates = DriveChannel(0), InstructionScheduleMap()
    parts = [
        Play(Sin(16, 0.1, 0.0, 0.125, name="s"), line), Delay(8, line), SetPhase(0.5, line), SetFrequency(5e9, line),
        ShiftFrequency(1e6, line),
    ]  # fmt: skip
    gates.add("own", 0, Schedule(*((16 * k, part) for k, part in enumerate(parts))))
    defaults = Defaults(device, calibration, gates)
    (command,) = defaults.cmd_def
    assert [part["name"] for part in command.sequence] == ["s", "delay", "setp", "setf", "shiftf"]
    assert [command.sequence[3]["frequency"], command.sequence[4]["frequency"]] == pytest.approx([5.0, 1e-3])
    assert defaults.pulse_library == [{"name": "s", "samples": parts[0].pulse.envelope().tolist()}]


def test_pulses_of_one_name_stay_two(device, calibration) -> None:
    gates = InstructionScheduleMap()
    for q, level in enumerate((0.1, 0.3, 0.1)):
        gates.add("own", q, Schedule((0, Play(Waveform([level] * 16, name="w"), DriveChannel(q)))))
    defaults = Defaults(device, calibration, gates)
    assert [command.sequence[0]["name"] for command in defaults.cmd_def] == ["w", "w_1", "w"]
    assert {pulse["name"]: pulse["samples"][0] for pulse in defaults.pulse_library} == {"w": 0.1, "w_1": 0.3}


def test_what_no_command_can_say_is_left_out(device, calibration) -> None:
    line, late, gates = DriveChannel(0), Parameter("late"), InstructionScheduleMap()
    gates.add("mark", 0, Schedule((0, Snapshot("here"))))
    gates.add("shape", 0, Schedule((0, Play(Constant(16, late), line))))
    gates.add("samples", 0, Schedule((0, Play(Sin(16, late, 0.0, 0.125), line))))
    gates.add("turn", 0, Schedule((0, ShiftPhase(late, line))))
    defaults = Defaults(device, calibration, gates)
    assert [command.name for command in defaults.cmd_def] == ["turn"]
    assert defaults.to_dict()["pulse_library"] == []


def test_fractional_gates_have_no_commands(daemon) -> None:
    backend = PulsedProvider(client=daemon).get_backend("sim5", use_fractional_gates=True)
    assert {"x", "sx", "ecr", "measure"} <= {command.name for command in backend.defaults().cmd_def}


@pytest.mark.parametrize("fractional", [False, True])
def test_the_map_of_gates_can_be_pickled(device: Any, calibration: Any, fractional: bool) -> None:
    gates = PulsedBackend(device, calibration, use_fractional_gates=fractional).instruction_schedule_map
    read = pickle.loads(pickle.dumps(gates))
    assert read.instructions == gates.instructions
    for name in gates.instructions:
        for qubits in gates.qubits_with_instruction(name):
            values = (0.3, 0.4, 0.5)[: len(gates.get_parameters(name, qubits))]
            assert read.get_parameters(name, qubits) == gates.get_parameters(name, qubits)
            assert read.get(name, qubits, *values) == gates.get(name, qubits, *values)
