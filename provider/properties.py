"""Measured properties of qubits and gates, from one calibration set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from pulsed.model.errors import NotFoundError
from pulsed.model.parameters import qubit_properties
from pulsed.provider.errors import PropertyNotFoundError
from pulsed.provider.programs import places
from pulsed.provider.target import has_frame, seconds_of

if TYPE_CHECKING:
    from pulsed.model.calibration import CalibrationSet
    from pulsed.model.device import DeviceDescription
    from pulsed.provider.target import GateTable

_GATE_VALUES = ("gate_error", "gate_length")


class Measured(tuple[Any, datetime]):
    """A pair (value, time of measurement), with the value's ``unit`` (SI) and standard error ``stderr``."""

    unit: str
    stderr: float | None

    def __new__(cls, value: Any, time: datetime, unit: str = "", stderr: float | None = None) -> Self:
        """Make the pair."""
        self = super().__new__(cls, (value, time))
        self.unit = unit
        self.stderr = stderr
        return self

    @property
    def value(self) -> Any:
        """The value."""
        return self[0]

    @property
    def time(self) -> datetime:
        """When it was measured."""
        return self[1]


@dataclass(frozen=True)
class Nduv:
    """Name, date, unit and value of one measured property, SI, as Qiskit's BackendProperties hold them."""

    name: str
    value: Any
    unit: str
    date: datetime
    stderr: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that Qiskit's have, which reads no others; the date as ISO 8601 text, hertz as GHz."""
        # Qiskit takes the first letter of Hz for a prefix that it does not know.
        unit, value = ("GHz", self.value / 1e9) if self.unit == "Hz" else (self.unit, self.value)
        return {"date": self.date.isoformat(), "name": self.name, "unit": unit, "value": value}


@dataclass(frozen=True)
class GateProperties:
    """What was measured of one gate."""

    gate: str
    qubits: list[int]
    parameters: list[Nduv]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a dictionary."""
        return {"gate": self.gate, "qubits": self.qubits, "parameters": [item.to_dict() for item in self.parameters]}


class Properties:
    """What was measured of each qubit and gate. Times in seconds, frequencies in hertz.

    A value that was never measured raises :class:`PropertyNotFoundError`.
    """

    def __init__(self, device: DeviceDescription, calibration: CalibrationSet, gates: GateTable) -> None:
        self._device = device
        self._calibration = calibration
        self._gates = {key: (seconds_of(info, device), info.error) for key, info in gates.items()}
        """Seconds and error of each gate."""
        for q in range(device.num_qubits):
            if has_frame(q, calibration):
                self._gates["rz", (q,)] = (0.0, 0.0)
        self.general: list[Nduv] = []
        self.backend_name = device.name
        self.backend_version = device.version
        self.calibration_id = calibration.calibration_id

    def _time(self, name: str = "") -> datetime:
        value = self._calibration.values.get(name)
        text = value.time if value is not None and value.time else self._calibration.created
        time = datetime.fromisoformat(text)
        return time if time.tzinfo is not None else time.replace(tzinfo=UTC)

    def _measured(self, name: str) -> Measured:
        try:
            number = self._calibration.number(name)
        except NotFoundError as error:
            raise PropertyNotFoundError(error.message, subject=error.subject, value=error.value) from error
        value = self._calibration.values[name]
        return Measured(number, self._time(name), value.unit, value.stderr)

    @property
    def last_update_date(self) -> datetime:
        """When the calibration set was made."""
        return self._time()

    @property
    def measured(self) -> bool:
        """Whether anything was: values of the design sheet alone are not."""
        return any(value.quality != "design" for value in self._calibration.values.values())

    # Qubits

    def qubit_property(self, qubit: int, name: str | None = None) -> Any:
        """Return the :class:`Measured` property ``name`` of a qubit, or all of them by name."""
        if not 0 <= qubit < self._device.num_qubits:
            raise PropertyNotFoundError(
                "no such qubit", subject=self.backend_name, value=qubit, legal=f"0 to {self._device.num_qubits - 1}"
            )
        if name is None:
            found = {key: f"Q{qubit}.{value}" for key, value in qubit_properties().items()}
            known = {key: self._measured(value) for key, value in found.items() if self._calibration.has(value)}
            if ("measure", (qubit,)) in self._gates:
                known["readout_length"] = self._readout_length(qubit)
            return known
        if name == "readout_length":
            return self._readout_length(qubit)
        values = qubit_properties()
        if name not in values:
            legal = ", ".join((*values, "readout_length"))
            raise PropertyNotFoundError("no such property of a qubit", subject=f"Q{qubit}", value=name, legal=legal)
        return self._measured(f"Q{qubit}.{values[name]}")

    def _readout_length(self, qubit: int) -> Measured:
        return Measured(self.gate_length("measure", qubit), self._time(f"Q{qubit}.readout.duration"), "s")

    def t1(self, qubit: int) -> float:
        """Return T1, seconds."""
        return float(self.qubit_property(qubit, "T1").value)

    def t2(self, qubit: int) -> float:
        """Return T2 of the echo, seconds."""
        return float(self.qubit_property(qubit, "T2").value)

    def frequency(self, qubit: int) -> float:
        """Return the frequency, Hz."""
        return float(self.qubit_property(qubit, "frequency").value)

    def readout_error(self, qubit: int) -> float:
        """Return the mean probability of a wrong outcome."""
        return float(self.qubit_property(qubit, "readout_error").value)

    def readout_length(self, qubit: int) -> float:
        """Return the duration of a measurement, seconds."""
        return float(self.qubit_property(qubit, "readout_length").value)

    def prob_meas0_prep1(self, qubit: int) -> float:
        """Return the probability of the outcome 0 after preparing 1."""
        return float(self.qubit_property(qubit, "prob_meas0_prep1").value)

    def prob_meas1_prep0(self, qubit: int) -> float:
        """Return the probability of the outcome 1 after preparing 0."""
        return float(self.qubit_property(qubit, "prob_meas1_prep0").value)

    # Gates

    def _gate(self, gate: str, qubits: int | Iterable[int]) -> tuple[str, tuple[int, ...]]:
        key = _key(gate, qubits)
        if key not in self._gates:
            there = ", ".join(str(pair) for name, pair in self._gates if name == gate)
            raise PropertyNotFoundError(
                "no calibrated gate of this name on these qubits", subject=self.backend_name,
                value=f"{gate} on {key[1]}", legal=f"{gate} on {there}" if there else _names(self._gates),
            )  # fmt: skip
        return key

    def gate_length(self, gate: str, qubits: int | Iterable[int]) -> float:
        """Return the duration of a gate, seconds."""
        return self._gates[self._gate(gate, qubits)][0]

    def gate_error(self, gate: str, qubits: int | Iterable[int]) -> float:
        """Return the average error of a gate."""
        key = self._gate(gate, qubits)
        error = self._gates[key][1]
        if error is None:
            raise PropertyNotFoundError("the error of this gate was not measured", subject=f"{gate} on {key[1]}")
        return error

    def gate_property(self, gate: str | None = None, qubits: Any = None, name: str | None = None) -> Any:
        """Return a :class:`Measured` property (``gate_error``, ``gate_length``) of a gate.

        Without ``name`` a dictionary of both, without ``qubits`` one by qubits, without ``gate`` one by gate.
        """
        if gate is None:
            return {item: self.gate_property(item) for item in sorted({key[0] for key in self._gates})}
        if qubits is None:
            return {key[1]: self.gate_property(gate, key[1]) for key in self._gates if key[0] == gate}
        key = self._gate(gate, qubits)
        if name is not None and name not in _GATE_VALUES:
            raise PropertyNotFoundError(
                "no such property of a gate", subject=gate, value=name, legal=", ".join(_GATE_VALUES)
            )
        prefix = f"{'-'.join(f'Q{q}' for q in key[1])}.{'readout' if gate == 'measure' else gate}"
        found = {"gate_length": Measured(self.gate_length(*key), self._time(f"{prefix}.duration"), "s")}
        if self._gates[key][1] is not None:
            stored = self._calibration.values.get(f"{prefix}.error")
            stderr = stored.stderr if stored is not None else None
            found["gate_error"] = Measured(self.gate_error(*key), self._time(f"{prefix}.error"), "", stderr)
        return found if name is None else found[name]

    def is_gate_operational(self, gate: str, qubits: int | Iterable[int]) -> bool:
        """Return whether the gate has a valid calibration on these qubits."""
        return _key(gate, qubits) in self._gates

    def is_qubit_operational(self, qubit: int) -> bool:
        """Return whether the qubit can be driven and measured."""
        return all(self.is_gate_operational(gate, qubit) for gate in ("x", "sx", "measure"))

    def faulty_qubits(self) -> list[int]:
        """Return the qubits that cannot be driven or measured."""
        return [q for q in range(self._device.num_qubits) if not self.is_qubit_operational(q)]

    def faulty_gates(self) -> list[tuple[str, tuple[int, ...]]]:
        """Return the gates that the chip should have and that have no valid calibration."""
        qubits = range(self._device.num_qubits)
        wanted: list[tuple[str, tuple[int, ...]]] = [(gate, (q,)) for gate in ("x", "sx", "measure") for q in qubits]
        pairs = self._device.couplings
        wanted += [("cz" if pair.flux else "ecr", (pair.control, pair.target)) for pair in pairs]
        return [key for key in wanted if key not in self._gates]

    @property
    def qubits(self) -> list[list[Nduv]]:
        """The properties of each qubit."""
        return [_listed(self.qubit_property(q)) for q in range(self._device.num_qubits)]

    @property
    def gates(self) -> list[GateProperties]:
        """The gates with their properties."""
        return [GateProperties(name, list(qubits), _listed(self.gate_property(name, qubits)))
                for name, qubits in self._gates]  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Return everything as Qiskit's BackendProperties read it: GHz, seconds, dates as ISO 8601 text."""
        return {
            "backend_name": self.backend_name,
            "backend_version": self.backend_version,
            "calibration_id": self.calibration_id,
            "last_update_date": self.last_update_date.isoformat(),
            "qubits": [[item.to_dict() for item in qubit] for qubit in self.qubits],
            "gates": [gate.to_dict() for gate in self.gates],
            "general": [],
        }


def _listed(found: dict[str, Measured]) -> list[Nduv]:
    return [Nduv(name, item.value, item.unit, item.time, item.stderr) for name, item in found.items()]


def _names(gates: Iterable[tuple[str, tuple[int, ...]]]) -> str:
    return ", ".join(sorted({name for name, _ in gates}))


def _key(gate: str, qubits: int | Iterable[int]) -> tuple[str, tuple[Any, ...]]:
    """Return name and qubits of a gate; for what is no number of a qubit a key that no gate has."""
    try:
        return gate, places(qubits)
    except TypeError:
        return gate, (str(qubits),)
