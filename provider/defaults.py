"""Calibrated frequencies and pulses of the gates, in the form of Qiskit's PulseDefaults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import chain, count
from typing import TYPE_CHECKING, Any

import numpy as np
from qiskit.circuit import Parameter, ParameterExpression

from pulsed.model.errors import LoweringError
from pulsed.pulse import instructions as ins
from pulsed.pulse import library
from pulsed.pulse.configuration import CALIBRATED, Discriminator, Kernel
from pulsed.pulse.exceptions import PulseError

if TYPE_CHECKING:
    from pulsed.model.calibration import CalibrationSet
    from pulsed.model.device import DeviceDescription
    from pulsed.pulse.instruction_schedule_map import InstructionScheduleMap

_SHAPES: dict[type[Any], str] = {
    library.Drag: "drag", library.Gaussian: "gaussian", library.GaussianSquare: "gaussian_square",
    library.Constant: "constant",
}  # fmt: skip
"""What Qiskit calls the shapes that a command gives by parameters; others are samples of the pulse library."""


@dataclass(frozen=True)
class GateCommand:
    """One gate on its qubits; ``sequence`` holds its instructions as Qiskit's pulse Qobj writes them down."""

    name: str
    qubits: list[int]
    sequence: list[dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a dictionary."""
        return asdict(self)


class Defaults:
    """Calibrated frequencies in hertz and schedules.

    Attributes:
        qubit_freq_est, meas_freq_est: Hz, one per qubit; of the design sheet where nothing is calibrated.
        instruction_schedule_map: the schedules of all gates, in the language of this Qiskit.
        cmd_def: the same as :class:`GateCommand`; ``pulse_library`` has the pulses that are samples there.
        kernel, meas_kernel, discriminator: those that act where an acquisition gives none.
        buffer: dt between gates; none is needed.

    """

    def __init__(
        self,
        device: DeviceDescription,
        calibration: CalibrationSet,
        schedules: InstructionScheduleMap,
        shown: Any = None,
    ) -> None:
        qubits = range(device.num_qubits)
        self._schedules = schedules
        self.instruction_schedule_map = schedules if shown is None else shown
        self.qubit_freq_est = [calibration.get(f"Q{q}.f01", device.qubits[q].design_frequency) for q in qubits]
        self.meas_freq_est = [
            calibration.get(f"Q{q}.readout.frequency", device.qubits[q].design_readout_frequency) for q in qubits
        ]
        self.buffer = 0
        self.kernel = self.meas_kernel = Kernel(CALIBRATED)
        self.discriminator = Discriminator(CALIBRATED)

    @property
    def cmd_def(self) -> list[GateCommand]:
        """Each gate on its qubits as a command."""
        return self._written()[0]

    def _in_order(self, name: str, qubits: Any) -> Any:
        """Return a schedule whose parameters are P0, P1, ...: a reader of commands takes them in the order of names."""
        schedule = self._schedules.get(name, qubits)
        found = {parameter.name: parameter for parameter in schedule.parameters}
        wanted = self._schedules.get_parameters(name, qubits)
        late = {found[old]: Parameter(f"P{number}") for number, old in enumerate(wanted) if old in found}
        return schedule.assign_parameters(late, inplace=False) if late else schedule

    @property
    def pulse_library(self) -> list[dict[str, Any]]:
        """Name and samples of the pulses that commands give by name."""
        return self._written()[1]

    def _written(self) -> tuple[list[GateCommand], list[dict[str, Any]]]:
        samples: dict[str, Any] = {}
        commands = []
        for name in self._schedules.instructions:
            for qubits in self._schedules.qubits_with_instruction(name):
                try:
                    schedule = self._in_order(name, qubits)
                    added: dict[str, Any] = dict(samples)
                    sequence = [_written(time, part, added) for time, part in schedule.instructions]
                except (PulseError, LoweringError, _NoCommandError):  # its length or pulses depend on its angle
                    continue
                samples = added
                commands.append(GateCommand(name, list(qubits) if isinstance(qubits, tuple) else [qubits], sequence))
        return commands, [{"name": name, "samples": values} for name, values in samples.items()]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as the ``PulseDefaults.from_dict`` of Qiskit 1.4 reads it, frequencies in GHz."""
        commands, pulses = self._written()
        return {
            "qubit_freq_est": [frequency * 1e-9 for frequency in self.qubit_freq_est],
            "meas_freq_est": [frequency * 1e-9 for frequency in self.meas_freq_est],
            "buffer": self.buffer,
            "pulse_library": pulses,
            "cmd_def": [command.to_dict() for command in commands],
            "meas_kernel": {"name": self.meas_kernel.name, "params": self.meas_kernel.params},
            "discriminator": {"name": self.discriminator.name, "params": self.discriminator.params},
        }


class _NoCommandError(Exception):
    """A command cannot say this."""


def _number(value: Any) -> Any:
    """Return a value as a number, of an expression its text with its parameters."""
    return value if isinstance(value, int | float | complex) else f"({value})"


def _play(part: Any, samples: dict[str, Any]) -> dict[str, Any]:
    pulse = part.pulse
    shape = _SHAPES.get(type(pulse))
    if shape is None:
        if pulse.is_parameterized():
            raise _NoCommandError
        values, first = pulse.envelope().tolist(), pulse.name or "pulse"
        names = chain([first], (f"{first}_{number}" for number in count(1)))
        name = next(one for one in names if samples.get(one, values) == values)
        samples[name] = values
        return {"name": name}
    parameters = {"duration": pulse.duration, **pulse.parameters}
    if any(isinstance(value, ParameterExpression) for value in parameters.values()):
        raise _NoCommandError
    parameters["amp"] = complex(parameters["amp"] * np.exp(1j * parameters.pop("angle")))  # as Qobj has it
    return {"name": "parametric_pulse", "label": part.name, "pulse_shape": shape, "parameters": parameters}


def _acquire(part: Any, _samples: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"name": "acquire", "duration": part.duration, "qubits": [part.channel.index]}
    if part.mem_slot is not None:
        found["memory_slot"] = [part.mem_slot.index]
    return found


_WRITERS: dict[type[Any], Callable[[Any, dict[str, Any]], dict[str, Any]]] = {
    ins.Play: _play,
    ins.Acquire: _acquire,
    ins.Delay: lambda part, _: {"name": "delay", "duration": part.duration},
    ins.ShiftPhase: lambda part, _: {"name": "fc", "phase": _number(part.phase)},
    ins.SetPhase: lambda part, _: {"name": "setp", "phase": _number(part.phase)},
    ins.ShiftFrequency: lambda part, _: {"name": "shiftf", "frequency": part.frequency * 1e-9},
    ins.SetFrequency: lambda part, _: {"name": "setf", "frequency": part.frequency * 1e-9},
}


def _written(time: int, part: Any, samples: dict[str, Any]) -> dict[str, Any]:
    if type(part) not in _WRITERS:
        raise _NoCommandError
    found = _WRITERS[type(part)](part, samples)
    return found | {"t0": time} | ({} if isinstance(part, ins.Acquire) else {"ch": part.channel.name})
