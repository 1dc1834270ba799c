"""The chip of sim5 as a backend under Qiskit 1.4, made of Qiskit's own classes: what these programs were written for.

It has what a pulse program asks of a hardware backend, and no more: target, schedules of the gates, channels.
"""

from pathlib import Path

from qiskit import pulse
from qiskit.providers import BackendV2, Options
from qiskit.transpiler import InstructionProperties, Target

import pulsed.configs
from pulsed.provider import PulsedBackend

CONFIGS = Path(pulsed.configs.__file__).parent


class Backend(BackendV2):
    """A BackendV2 of Qiskit 1.4 with pulse gates, after ``model``."""

    def __init__(self, model: PulsedBackend) -> None:
        super().__init__(name=model.name)
        self._meas_map = model.meas_map
        self._pairs = [(pair.control, pair.target) for pair in model.device.couplings]
        self._target = Target(dt=model.dt, num_qubits=model.num_qubits, qubit_properties=model.target.qubit_properties)
        gates = model.instruction_schedule_map
        for name in ("x", "sx", "ecr", "measure"):
            properties = {
                qubits: InstructionProperties(known.duration, known.error, gates.get(name, qubits))
                for qubits, known in model.target[name].items()
            }
            self._target.add_instruction(model.target.operation_from_name(name), properties)

    @property
    def target(self) -> Target:
        return self._target

    @property
    def instruction_schedule_map(self) -> pulse.InstructionScheduleMap:
        return self._target.instruction_schedule_map()

    @property
    def max_circuits(self) -> None:
        return None

    @property
    def meas_map(self) -> list[list[int]]:
        return self._meas_map

    @classmethod
    def _default_options(cls) -> Options:
        return Options()

    def drive_channel(self, qubit: int) -> pulse.DriveChannel:
        return pulse.DriveChannel(qubit)

    def measure_channel(self, qubit: int) -> pulse.MeasureChannel:
        return pulse.MeasureChannel(qubit)

    def acquire_channel(self, qubit: int) -> pulse.AcquireChannel:
        return pulse.AcquireChannel(qubit)

    def control_channel(self, qubits: tuple[int, int]) -> list[pulse.ControlChannel]:
        return [pulse.ControlChannel(k) for k, pair in enumerate(self._pairs) if pair == tuple(qubits)]

    def run(self, run_input: object, **options: object) -> None:
        raise NotImplementedError("there is no rack behind this backend")


class Provider:
    """Where the backend comes from."""

    def get_backend(self, name: str) -> Backend:
        model = PulsedBackend.from_export(CONFIGS / f"{name}.toml", CONFIGS / "calibrations" / f"{name}.json")
        return Backend(model)
