"""What a backend of Qiskit's first generation tells about itself: configuration and status.

Attributes are SI; ``to_dict`` has the units of Qiskit 1.4. A thing that this rack does not have is None.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pulsed import old_names
from pulsed.model.option_readers import frequency_range
from pulsed.provider.errors import ChannelNotFoundError
from pulsed.provider.pulse_language import channel
from pulsed.pulse.configuration import DISCRIMINATOR_NAMES, KERNEL_NAMES

if TYPE_CHECKING:
    from qiskit.transpiler import Target

    from pulsed.model.device import DeviceDescription

__getattr__ = old_names(__name__)

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
    "meas_lo_range": 1e-9, "channel_bandwidth": 1e-9,
}  # fmt: skip
"""SI to the units of ``to_dict``: ns, µs, GHz."""

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
    qasm_def: str = ""
    """Empty: a gate of the rack is its pulses."""

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
    if isinstance(value, dict) and "vars" in value:  # of the Hamiltonian: rad/ns there
        return {**value, "vars": {name: number * 1e-9 for name, number in value["vars"].items()}}
    if hasattr(value, "to_dict"):
        return value.to_dict()
    return value.isoformat() if isinstance(value, datetime) else value


class Configuration:
    """The fields of ``FIELDS`` as attributes, and which channels belong to which qubits.

    ``rep_times`` is empty: on a rack the time from a program's end to the next shot can be chosen, and no whole time.
    The registers of ``register_map`` are the digitizer's last bit of each qubit, on which a circuit can act;
    ``conditional_latency`` is the whole time (dt) from the end of an acquisition until a pulse can depend on its bit,
    so that nothing is left for ``acquisition_latency``. All three are None where the rack has no feedback.
    """

    def __init__(
        self,
        device: DeviceDescription,
        target: Target,
        gates: list[str],
        hamiltonian: dict[str, Any] | None = None,
    ) -> None:
        pairs = [(pair.control, pair.target) for pair in device.couplings]
        self._pairs = pairs
        self._rate = float(1 / device.dt)
        self._fields: dict[str, Any] = {
            "backend_name": device.name,
            "backend_version": device.version,
            "n_qubits": device.num_qubits,
            "basis_gates": gates,
            "gates": [_gate_config(name, target) for name in gates],
            "local": False,
            "simulator": False,
            "conditional": "if_else" in target.operation_names,
            "open_pulse": True,
            "memory": True,
            "max_shots": device.limits.max_shots,
            "coupling_map": [list(pair) for pair in pairs],
            "supported_instructions": [*target.operation_names, "barrier", *_PULSE_INSTRUCTIONS],
            "dynamic_reprate_enabled": True,
            "rep_delay_range": [device.limits.rep_delay_min, device.limits.rep_delay_max],
            "default_rep_delay": device.limits.rep_delay,
            "n_uchannels": len(pairs),
            "u_channel_lo": [[] if pair.flux else [UchannelLO(pair.target)] for pair in device.couplings],
            "meas_levels": [0, 1, 2],
            "qubit_lo_range": [list(frequency_range(device, qubit.drive)) for qubit in device.qubits],
            "meas_lo_range": [list(frequency_range(device, qubit.readout)) for qubit in device.qubits],
            "dt": float(device.dt),
            "dtm": device.record_step,
            "rep_times": [],
            "meas_kernels": list(KERNEL_NAMES),
            "discriminators": list(DISCRIMINATOR_NAMES),
            "hamiltonian": hamiltonian,
            "channel_bandwidth": _bandwidths(device),
            "meas_map": [list(group) for group in device.meas_map],
            "max_circuits": device.limits.max_circuits,
            "max_experiments": device.limits.max_circuits,
            "sample_name": device.sample_name or None,
            "configurable": False,
            "credits_required": False,
            "online_date": device.online_since,
            "display_name": device.name,
            "description": device.description,
            "tags": list(device.tags),
            "channels": _channels(device),
            "parametric_pulses": _parametric_pulses(),
            "processor_type": processor_type(device),
            "timing_constraints": device.timing.model_dump(exclude={"feedback_latency"}),
            "multi_meas_enabled": True,
            **_registers(device),
        }

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._fields:
            raise AttributeError(f"the configuration has no field {name!r}")
        return self._fields[name]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._fields]

    @property
    def num_qubits(self) -> int:
        """Number of qubits."""
        return int(self._fields["n_qubits"])

    @property
    def sample_rate(self) -> float:
        """Steps of schedules per second: 1 / dt."""
        return self._rate

    # Channels

    def _line(self, kind: str, qubit: int) -> Any:
        if not 0 <= qubit < self.num_qubits:
            raise ChannelNotFoundError(
                f"no {kind} channel for this qubit", subject=f"backend {self.backend_name}", value=qubit,
                legal=f"0 to {self.num_qubits - 1}",
            )  # fmt: skip
        return channel(kind, qubit)

    def drive(self, qubit: int) -> Any:
        """Return the drive channel of ``qubit``. Raises :class:`ChannelNotFoundError`, as the others do."""
        return self._line("drive", qubit)

    def measure(self, qubit: int) -> Any:
        """Return the measure channel of ``qubit``."""
        return self._line("measure", qubit)

    def acquire(self, qubit: int) -> Any:
        """Return the acquire channel of ``qubit``."""
        return self._line("acquire", qubit)

    @property
    def control_channels(self) -> dict[tuple[int, int], list[Any]]:
        """The control channels of each pair (control, target)."""
        found: dict[tuple[int, int], list[Any]] = {}
        for k, pair in enumerate(self._pairs):
            found.setdefault(pair, []).append(channel("control", k))
        return found

    def control(self, qubits: Iterable[int]) -> list[Any]:
        """Return the control channels of a pair (control, target)."""
        pair = tuple(qubits)
        if pair not in self._pairs:
            raise ChannelNotFoundError(
                "no control channel for this pair (control, target)", subject=f"backend {self.backend_name}",
                value=pair, legal=", ".join(map(str, self._pairs)) or "none: the chip has no couplings",
            )  # fmt: skip
        return self.control_channels[pair]

    def get_qubit_channels(self, qubit: int | Iterable[int]) -> list[Any]:
        """Return the drive, measure and acquire channel of a qubit and the control channels of its pairs.

        For several qubits, those that operate on exactly these.
        """
        if isinstance(qubit, Iterable):
            wanted = sorted(qubit)
            return [found for pair, found_all in self.control_channels.items() if sorted(pair) == wanted
                    for found in found_all] if len(wanted) > 1 else self.get_qubit_channels(wanted[0])  # fmt: skip
        lines = [self._line(kind, qubit) for kind in ("drive", "measure", "acquire")]
        return lines + [channel("control", k) for k, pair in enumerate(self._pairs) if qubit in pair]

    def get_channel_qubits(self, channel: Any) -> list[int]:
        """Return the qubits that a channel operates on. Raises :class:`ChannelNotFoundError`."""
        return list(self._operates(channel))

    def _operates(self, one: Any) -> list[int]:
        name = str(getattr(one, "name", one))
        known = self._fields["channels"].get(re.sub(r"^a(?=\d)", "acquire", name))  # as IBM's backends call it
        if known is None:
            raise ChannelNotFoundError(
                "the backend has no such channel", subject=f"backend {self.backend_name}", value=one,
                legal=", ".join(self._fields["channels"]),
            )  # fmt: skip
        return known["operates"]["qubits"]  # type: ignore[no-any-return]

    def describe(self, channel: Any) -> dict[Any, complex]:
        """Return the drive channels of whose frequencies that of a control channel is made, with their factors."""
        self._operates(channel)
        if not str(channel.name).startswith("u"):
            raise ChannelNotFoundError(
                "only a control channel has the frequency of others", subject=f"backend {self.backend_name}",
                value=channel, legal=", ".join(f"u{k}" for k in range(len(self._pairs))),
            )  # fmt: skip
        return {self.drive(lo.q): lo.scale for lo in self._fields["u_channel_lo"][channel.index]}

    def to_dict(self) -> dict[str, Any]:
        """Return all fields in the units of Qiskit 1.4: dt and dtm in ns, repetition delays in µs, LOs in GHz."""
        return {
            name: _scaled(value, _SCALES[name]) if name in _SCALES else _plain(value)
            for name, value in self._fields.items()
        }


def processor_type(device: DeviceDescription) -> dict[str, str] | None:
    """Return ``family``, ``revision`` and ``segment`` of the chip as far as the description says them, None without."""
    kind = device.processor_type
    return None if kind is None else {name: text for name, text in kind.model_dump().items() if text}


def _gate_config(name: str, target: Target) -> GateConfig:
    parameters = [parameter.name for parameter in target.operation_from_name(name).params]
    return GateConfig(name, parameters, [list(qubits) for qubits in target[name]])


def _bandwidths(device: DeviceDescription) -> list[list[float]]:
    """Return the range of intermediate frequencies (Hz) of each drive, control and measure channel, in this order."""
    ports = [qubit.drive for qubit in device.qubits]
    ports += [pair.flux or device.qubits[pair.control].drive for pair in device.couplings]
    ports += [qubit.readout for qubit in device.qubits]
    widths = [device.ports[port].bandwidth for port in ports]
    return [[-width, width] for width in widths]


def _registers(device: DeviceDescription) -> dict[str, Any]:
    """Return what is known of acting on results within a shot."""
    latency, n = device.timing.feedback_latency, device.num_qubits
    if latency is None:
        return {"n_registers": 0} | dict.fromkeys(("register_map", "acquisition_latency", "conditional_latency"))
    return {
        "n_registers": n,
        "register_map": [[int(q == register) for register in range(n)] for q in range(n)],
        "acquisition_latency": [[0] * n for _ in range(n)],
        "conditional_latency": [[latency] * n for _ in range(2 * n + len(device.couplings))],
    }


def _channels(device: DeviceDescription) -> dict[str, Any]:
    n = device.num_qubits
    result: dict[str, Any] = {}
    for kind, prefix in (("drive", "d"), ("measure", "m"), ("acquire", "acquire")):
        for q in range(n):
            result[f"{prefix}{q}"] = {"operates": {"qubits": [q]}, "purpose": kind, "type": kind}
    for k, pair in enumerate(device.couplings):
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
