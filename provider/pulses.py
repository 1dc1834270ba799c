"""The pulse side of a backend, which Qiskit dropped in 2.0: channels, schedules, previews."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from qiskit.circuit import QuantumCircuit

from pulsed.provider.errors import ChannelNotFoundError
from pulsed.provider.submission import GateKey, adopt, attached_gates, merge_gates, named_gates

if TYPE_CHECKING:
    from pulsed.compiler.placement import Method
    from pulsed.compiler.preview import Preview
    from pulsed.model.device import DeviceDescription
    from pulsed.provider.configuration import Defaults
    from pulsed.provider.snapshot import Snapshot
    from pulsed.pulse.channels import AcquireChannel, ControlChannel, DriveChannel, MeasureChannel
    from pulsed.pulse.instruction_schedule_map import InstructionScheduleMap
    from pulsed.pulse.schedule import Schedule


class PulseView:
    """Channels and schedules of a device with a calibration set.

    It comes before Qiskit's class in the bases: Qiskit 1.4 has methods of these names that return its own channels.
    """

    _device: DeviceDescription
    _now: Snapshot

    @property
    def instruction_schedule_map(self) -> InstructionScheduleMap:
        """The schedules of all gates."""
        return self._now.schedules

    def defaults(self) -> Defaults:
        """Return the calibrated frequencies and schedules in the form of Qiskit's PulseDefaults."""
        from pulsed.provider.configuration import Defaults

        now = self._now
        return Defaults(self._device, now.calibration, now.schedules)

    def _qubit(self, qubit: int, what: str) -> int:
        if not isinstance(qubit, int) or not 0 <= qubit < self._device.num_qubits:
            raise ChannelNotFoundError(
                f"no {what} channel for this qubit", subject=f"backend {self._device.name}", value=qubit,
                legal=f"0 to {self._device.num_qubits - 1}",
            )  # fmt: skip
        return qubit

    def drive_channel(self, qubit: int) -> DriveChannel:
        """Return the channel that drives ``qubit``."""
        from pulsed.pulse.channels import DriveChannel

        return DriveChannel(self._qubit(qubit, "drive"))

    def measure_channel(self, qubit: int) -> MeasureChannel:
        """Return the channel of the readout stimulus of ``qubit``."""
        from pulsed.pulse.channels import MeasureChannel

        return MeasureChannel(self._qubit(qubit, "measure"))

    def acquire_channel(self, qubit: int) -> AcquireChannel:
        """Return the channel on which the readout of ``qubit`` comes back."""
        from pulsed.pulse.channels import AcquireChannel

        return AcquireChannel(self._qubit(qubit, "acquire"))

    def control_channel(self, qubits: Iterable[int]) -> list[ControlChannel]:
        """Return the channels of a pair (control, target): the control driven at the target's frequency, or flux."""
        from pulsed.pulse.channels import ControlChannel

        pair = tuple(qubits)
        pairs = [(item.control, item.target) for item in self._device.couplings]
        channels = [ControlChannel(k) for k, item in enumerate(pairs) if item == pair]
        if not channels:
            raise ChannelNotFoundError(
                "no control channel for this pair (control, target)", subject=f"backend {self._device.name}",
                value=pair, legal=", ".join(map(str, pairs)) or "none: the chip has no couplings",
            )  # fmt: skip
        return channels

    def schedule(
        self, circuit: QuantumCircuit, calibrations: Mapping[Any, Any] | None = None, method: Method = "alap"
    ) -> Schedule:
        """Return ``circuit`` as the pulse schedule that would be played; ``calibrations`` as in ``run``.

        ``method`` "asap" shows everything as soon as possible instead; a rack plays as late as possible.
        """
        return self._now.compiler.schedule(circuit, self._own_gates(circuit, calibrations), method)

    def preview(self, program: Any, calibrations: Mapping[Any, Any] | None = None) -> Preview:
        """Return the waveforms of a circuit or schedule as the instruments would play them."""
        compiler = self._now.compiler
        if isinstance(program, QuantumCircuit):
            return compiler.preview(program, gates=self._own_gates(program, calibrations))
        return compiler.preview(adopt(program))

    def _own_gates(self, circuit: QuantumCircuit, given: Mapping[Any, Any] | None) -> dict[GateKey, Schedule]:
        named = {key: adopt(schedule) for key, schedule in named_gates(given).items()}
        return merge_gates([(circuit, (), attached_gates(circuit))], named)
