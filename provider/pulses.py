"""The pulse side of a backend, which Qiskit dropped in 2.0: channels, schedules, previews."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from qiskit.circuit import QuantumCircuit

from pulsed.provider.added_gates import AddedGates, read_added_gate, with_added
from pulsed.provider.boxes import opened
from pulsed.provider.device_view import DeviceView
from pulsed.provider.errors import AddedGateError, ChannelNotFoundError
from pulsed.provider.programs import adopt, places
from pulsed.provider.pulse_gates import GateKey, attached_gates, merge_gates, own_gates

if TYPE_CHECKING:
    from qiskit.circuit import Gate
    from qiskit.providers import QubitProperties

    from pulsed.compiler.preview import Preview
    from pulsed.compiler.scheduling import Method
    from pulsed.provider.defaults import Defaults
    from pulsed.pulse.channels import AcquireChannel, ControlChannel, DriveChannel, MeasureChannel
    from pulsed.pulse.instruction_schedule_map import InstructionScheduleMap
    from pulsed.pulse.schedule import Schedule


def channel_of(kind: str, index: int) -> Any:
    """Return a channel in the language of this Qiskit."""
    from pulsed.provider.pulse_language import channel  # the pulse language is not needed to connect

    return channel(kind, index)


class PulseView(DeviceView):
    """Channels and schedules of a device with a calibration set.

    On Qiskit 1.4 channels and schedules are those of ``qiskit.pulse``, else those of :mod:`pulsed.pulse`, which takes
    both.
    """

    @property
    def instruction_schedule_map(self) -> InstructionScheduleMap:
        """The schedules of all gates."""
        return self.calibrated.schedule_map

    def defaults(self) -> Defaults:
        """Return the calibrated frequencies and schedules in the form of Qiskit's PulseDefaults."""
        from pulsed.provider.defaults import Defaults

        now = self.calibrated
        return Defaults(self.device, now.calibration, now.schedules, now.schedule_map)

    def _qubit(self, qubit: Any, what: str) -> int:
        """Return the number of a qubit that there is. Raises :class:`ChannelNotFoundError`: ``what`` is missing."""
        try:
            number = -1 if isinstance(qubit, bool) else operator.index(qubit)
        except TypeError:
            number = -1
        if not 0 <= number < self.device.num_qubits:
            raise ChannelNotFoundError(
                what, subject=f"backend {self.device.name}", value=qubit, legal=f"0 to {self.device.num_qubits - 1}"
            )
        return number

    def qubit_properties(self, qubit: int | Iterable[int]) -> QubitProperties | list[QubitProperties]:
        """Return frequency, T1 and T2 of a qubit, or of several. Raises :class:`ChannelNotFoundError`."""
        known = self.calibrated.target.qubit_properties
        if isinstance(qubit, Iterable) and not isinstance(qubit, str):
            return [known[self._qubit(one, "no such qubit")] for one in qubit]
        return known[self._qubit(qubit, "no such qubit")]

    def drive_channel(self, qubit: int) -> DriveChannel:
        """Return the channel that drives ``qubit``."""
        return channel_of("drive", self._qubit(qubit, "no drive channel for this qubit"))  # type: ignore[no-any-return]

    def measure_channel(self, qubit: int) -> MeasureChannel:
        """Return the channel of the readout stimulus of ``qubit``."""
        return channel_of("measure", self._qubit(qubit, "no measure channel for this qubit"))  # type: ignore[no-any-return]

    def acquire_channel(self, qubit: int) -> AcquireChannel:
        """Return the channel on which the readout of ``qubit`` comes back."""
        return channel_of("acquire", self._qubit(qubit, "no acquire channel for this qubit"))  # type: ignore[no-any-return]

    def control_channel(self, qubits: Iterable[int]) -> list[ControlChannel]:
        """Return the channels of a pair (control, target): the control driven at the target's frequency, or flux."""
        try:
            pair = places(qubits)
        except TypeError:
            pair = ()
        pairs = [(item.control, item.target) for item in self.device.couplings]
        channels = [channel_of("control", k) for k, item in enumerate(pairs) if item == pair]
        if not channels:
            raise ChannelNotFoundError(
                "no control channel for this pair (control, target)", subject=f"backend {self.device.name}",
                value=qubits, legal=", ".join(map(str, pairs)) or "none: the chip has no couplings",
            )  # fmt: skip
        return channels

    def add_gate(
        self,
        gate: Gate | str,
        qubits: int | Iterable[int],
        schedule: Any,
        equivalence: QuantumCircuit | Iterable[tuple[Gate, QuantumCircuit]] | None = None,
        error: float | None = None,
    ) -> None:
        """Add a gate of your own, in place of an earlier one of yours with this name on these qubits.

        This backend object alone has it: `transpile`, :meth:`run`, :meth:`schedule`, :meth:`preview` and primitives use
        it without ``calibrations``, also with calibration sets to come. The lab and other users do not see it.

        Args:
            gate: a Qiskit gate with a Parameter for each of its values; or a name, and the parameters are those of the
                schedule in alphabetical order.
            qubits: one, or a coupled pair in either order.
            schedule: Schedule or ScheduleBlock on the channels of these qubits; parameters may be left to the gate's.
            equivalence: a circuit that does what the gate does, for the transpiler to use where the gate is not; or
                pairs (gate, circuit), with which other gates can be made of this one.
            error: its average gate error, for the transpiler; None is unknown.

        Raises:
            AddedGateError: a name of the lab's, qubits or channels that are not right for it, parameters that the gate
                has not, or something that is no gate, schedule or equivalence.

        """
        from pulsed.provider.target import lab_names

        now = self.calibrated
        lab = lab_names(now.target) - {name for name, _ in now.added}
        item = read_added_gate(
            gate, qubits, schedule, equivalence, error, device=self.device, others=now.added, lab=lab
        )  # fmt: skip
        self._calibration.change_added({**now.added, item.key: item})

    def remove_gate(self, gate: Gate | str, qubits: int | Iterable[int] | None = None) -> None:
        """Remove a gate of your own from these qubits, or from all. Raises :class:`AddedGateError` if there is none."""
        now = self.calibrated.added
        name = gate if isinstance(gate, str) else gate.name
        at = None if qubits is None else places(qubits)
        kept = {key: item for key, item in now.items() if key[0] != name or at not in (None, key[1])}
        if len(kept) == len(now):
            raise AddedGateError(
                "no gate that was added", subject=f"gate {name}", value=name if at is None else f"{name} on {at}",
                legal=", ".join(f"{known} on {place}" for known, place in now) or "none",
            )  # fmt: skip
        self._calibration.change_added(kept)

    @property
    def added_gates(self) -> AddedGates:
        """The gates of your own, by name and qubits."""
        return dict(self.calibrated.added)

    def schedule(
        self, circuit: QuantumCircuit, calibrations: Mapping[Any, Any] | None = None, method: Method = "alap"
    ) -> Schedule:
        """Return ``circuit`` as the pulse schedule that would be played; ``calibrations`` as in ``run``.

        ``method`` "asap" shows everything as soon as possible instead; a rack plays as late as possible.
        """
        circuit, gates = self._opened(circuit, calibrations)
        return self.calibrated.compiler.schedule(circuit, gates, method)

    def preview(self, program: Any, calibrations: Mapping[Any, Any] | None = None) -> Preview:
        """Return the waveforms of a circuit or schedule as the instruments would play them."""
        compiler = self.calibrated.compiler
        if isinstance(program, QuantumCircuit):
            program, gates = self._opened(program, calibrations)
            return compiler.preview(program, gates=gates)
        return compiler.preview(adopt(program))

    def _opened(
        self, circuit: QuantumCircuit, given: Mapping[Any, Any] | None
    ) -> tuple[QuantumCircuit, dict[GateKey, Schedule]]:
        """Return ``circuit`` with pulse gates in place of annotated boxes, and all pulse gates it may use."""
        circuit, boxes = opened(circuit, self.device)
        own = own_gates(with_added(given, self.calibrated.added, circuit), [circuit])
        attached = {**attached_gates(circuit), **boxes}
        return circuit, merge_gates([(circuit, (), attached)], own)
