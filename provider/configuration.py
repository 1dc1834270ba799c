"""What a backend of Qiskit's first generation tells about itself: configuration, defaults, status.

Attributes are SI; ``to_dict`` has the units of Qiskit 1.4. A thing that this rack does not have is None.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pulsed.provider.options import frequency_range

if TYPE_CHECKING:
    from pulsed.model.calibration import CalibrationSet
    from pulsed.model.device import DeviceDescription
    from pulsed.provider.backend import PulsedBackend
    from pulsed.pulse.instruction_schedule_map import InstructionScheduleMap

FIELDS = (
    "backend_name", "backend_version", "n_qubits", "basis_gates", "gates", "local", "simulator", "conditional",
    "open_pulse", "memory", "max_shots", "coupling_map", "supported_instructions", "dynamic_reprate_enabled",
    "rep_delay_range", "default_rep_delay", "n_uchannels", "u_channel_lo", "meas_levels", "qubit_lo_range",
    "meas_lo_range", "dt", "dtm", "rep_times", "meas_kernels", "discriminators", "hamiltonian", "channel_bandwidth",
    "acquisition_latency", "conditional_latency", "meas_map", "max_circuits", "max_experiments", "sample_name",
    "n_registers", "register_map", "configurable", "credits_required", "online_date", "display_name", "description",
    "tags", "channels", "parametric_pulses", "processor_type", "timing_constraints", "multi_meas_enabled",
)  # fmt: skip
"""The fields of a configuration; each is a flat attribute of the backend too."""

_SCALES = {
    "dt": 1e9, "dtm": 1e9, "rep_delay_range": 1e6, "default_rep_delay": 1e6, "qubit_lo_range": 1e-9,
    "meas_lo_range": 1e-9,
}  # fmt: skip
"""SI to the units of ``to_dict``: ns, µs, GHz."""

_ABSENT = (
    "rep_times", "meas_kernels", "discriminators", "hamiltonian", "channel_bandwidth", "acquisition_latency",
    "conditional_latency", "register_map",
)  # fmt: skip


_PULSE_INSTRUCTIONS = ("play", "acquire", "setf", "shiftf", "setp", "shiftp")


@dataclass(frozen=True)
class BackendStatus:
    """How a backend is."""

    backend_name: str
    backend_version: str
    operational: bool
    pending_jobs: int
    status_msg: str

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a dictionary."""
        return asdict(self)


@dataclass(frozen=True)
class GateConfig:
    """One gate: its name, parameters, and where it is calibrated."""

    name: str
    parameters: list[str]
    coupling_map: list[list[int]]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a dictionary."""
        return asdict(self)


@dataclass(frozen=True)
class UchannelLO:
    """The qubit whose frequency a control channel has, and the factor."""

    q: int
    scale: complex = 1.0

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a dictionary."""
        return asdict(self)


def _scaled(value: Any, scale: float) -> Any:
    return [_scaled(item, scale) for item in value] if isinstance(value, list) else value * scale


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if hasattr(value, "to_dict"):
        return value.to_dict()
    return value.isoformat() if isinstance(value, datetime) else value


class Configuration:
    """The fields of ``FIELDS`` as attributes."""

    def __init__(self, backend: PulsedBackend) -> None:
        device, target = backend.device, backend.target
        pairs = [[pair.control, pair.target] for pair in device.couplings]
        gates = backend.basis_gates
        fields: dict[str, Any] = dict.fromkeys(_ABSENT)
        fields.update(
            backend_name=backend.name,
            backend_version=backend.backend_version,
            n_qubits=device.num_qubits,
            basis_gates=gates,
            gates=[
                GateConfig(
                    name,
                    [parameter.name for parameter in target.operation_from_name(name).params],
                    [list(qubits) for qubits in target[name]],
                )
                for name in gates
            ],
            local=False,
            simulator=False,
            conditional="if_else" in target.operation_names,
            open_pulse=True,
            memory=True,
            max_shots=device.limits.max_shots,
            coupling_map=pairs,
            supported_instructions=[
                *target.operation_names,
                "barrier",
                "play",
                "acquire",
                "setf",
                "shiftf",
                "setp",
                "shiftp",
            ],
            dynamic_reprate_enabled=True,
            rep_delay_range=[device.limits.rep_delay_min, device.limits.rep_delay_max],
            default_rep_delay=device.limits.rep_delay,
            n_uchannels=len(pairs),
            u_channel_lo=[[] if pair.flux else [UchannelLO(pair.target)] for pair in device.couplings],
            meas_levels=[0, 1, 2],
            qubit_lo_range=[list(frequency_range(device, qubit.drive)) for qubit in device.qubits],
            meas_lo_range=[list(frequency_range(device, qubit.readout)) for qubit in device.qubits],
            dt=float(device.dt),
            dtm=backend.dtm,
            meas_map=backend.meas_map,
            max_circuits=backend.max_circuits,
            max_experiments=backend.max_circuits,
            sample_name=backend.sample_name,
            n_registers=0,
            configurable=False,
            credits_required=False,
            online_date=backend.online_date,
            display_name=backend.display_name,
            description=backend.description,
            tags=backend.tags,
            channels=_channels(backend),
            parametric_pulses=_parametric_pulses(),
            processor_type=backend.processor_type,
            timing_constraints=device.timing.model_dump(),
            multi_meas_enabled=True,
        )
        self._fields = fields

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._fields:
            raise AttributeError(f"the configuration has no field {name!r}")
        return self._fields[name]

    @property
    def num_qubits(self) -> int:
        """Number of qubits."""
        return int(self._fields["n_qubits"])

    def to_dict(self) -> dict[str, Any]:
        """Return all fields in the units of Qiskit 1.4: dt and dtm in ns, repetition delays in µs, LOs in GHz."""
        return {
            name: _scaled(value, _SCALES[name]) if name in _SCALES else _plain(value)
            for name, value in self._fields.items()
        }


def _channels(backend: PulsedBackend) -> dict[str, Any]:
    n = backend.device.num_qubits
    result: dict[str, Any] = {}
    for kind, prefix in (("drive", "d"), ("measure", "m"), ("acquire", "a")):
        for q in range(n):
            result[f"{prefix}{q}"] = {"operates": {"qubits": [q]}, "purpose": kind, "type": kind}
    for k, pair in enumerate(backend.device.couplings):
        qubits = [pair.control, pair.target]
        purpose = "coupler flux" if pair.flux else "cross-resonance"
        result[f"u{k}"] = {"operates": {"qubits": qubits}, "purpose": purpose, "type": "control"}
    return result


def _parametric_pulses() -> list[str]:
    from pulsed.pulse.library import ScalableSymbolicPulse, symbolic_pulses

    return sorted(
        name
        for name, item in vars(symbolic_pulses).items()
        if isinstance(item, type)
        and issubclass(item, ScalableSymbolicPulse)
        and item is not ScalableSymbolicPulse
        and not name.startswith("_")
    )


class Defaults:
    """Calibrated frequencies in hertz and schedules, in the form of Qiskit's PulseDefaults."""

    def __init__(
        self, device: DeviceDescription, calibration: CalibrationSet, schedules: InstructionScheduleMap
    ) -> None:
        qubits = range(device.num_qubits)
        self.instruction_schedule_map = schedules
        self.qubit_freq_est = [calibration.get(f"Q{q}.f01", device.qubits[q].design_frequency) for q in qubits]
        self.meas_freq_est = [
            calibration.get(f"Q{q}.readout.frequency", device.qubits[q].design_readout_frequency) for q in qubits
        ]
        self.buffer = 0
        self.kernel = None
        self.discriminator = None

    def to_dict(self) -> dict[str, Any]:
        """Return the frequencies in GHz and the names of the calibrated gates."""
        return {
            "qubit_freq_est": _scaled(self.qubit_freq_est, 1e-9),
            "meas_freq_est": _scaled(self.meas_freq_est, 1e-9),
            "buffer": self.buffer,
            "cmd_def": [
                {"name": name, "qubits": list(qubits) if isinstance(qubits, tuple) else [qubits]}
                for name in self.instruction_schedule_map.instructions
                for qubits in self.instruction_schedule_map.qubits_with_instruction(name)
            ],
        }
