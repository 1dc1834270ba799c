"""What a backend tells about its rack: names, the model for the transpiler, limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qiskit.transpiler import CouplingMap, Target

    from pulsed.model.calibration import CalibrationSet
    from pulsed.model.device import DeviceDescription
    from pulsed.provider.calibrated_device import CalibratedDevice
    from pulsed.provider.calibration_follower import CalibrationFollower
    from pulsed.provider.configuration import Configuration


class DeviceView:
    """The properties of a device with a calibration set.

    It comes before Qiskit's class in the bases: Qiskit 1.4 has members of these names.
    """

    _calibration: CalibrationFollower

    @property
    def device(self) -> DeviceDescription:
        """The description of the rack."""
        return self._calibration.current.device

    @property
    def calibrated(self) -> CalibratedDevice:
        """The device with the set that the target is made from, and what follows from them."""
        return self._calibration.current

    @property
    def use_fractional_gates(self) -> bool:
        """Whether rx and rzz of any angle are among the gates; :meth:`PulsedProvider.get_backend` takes it."""
        return self.calibrated.fractional

    @property
    def display_name(self) -> str:
        """The name to show."""
        return str(self.device.name)

    @property
    def sample_name(self) -> str | None:
        """Name of the chip, None when the description has none."""
        return self.device.sample_name or None

    @property
    def processor_type(self) -> dict[str, str] | None:
        """``family``, ``revision`` and ``segment`` of the chip, None when the description does not say."""
        from pulsed.provider.configuration import processor_type

        return processor_type(self.device)

    @property
    def tags(self) -> list[str]:
        """Tags of the backend, from the description."""
        return list(self.device.tags)

    @property
    def calibration_set(self) -> CalibrationSet:
        """The set that the target was made from."""
        return self.calibrated.calibration

    @property
    def calibration_id(self) -> str:
        """Its id."""
        return self.calibrated.calibration_id

    @property
    def target(self) -> Target:
        """What the transpiler knows about the rack, from the calibration set."""
        return self.calibrated.target

    @property
    def coupling_map(self) -> CouplingMap | None:
        """The pairs that have a gate, control first."""
        return self.calibrated.coupling_map

    @property
    def max_circuits(self) -> int:
        """The most circuits of one job."""
        return self.device.limits.max_circuits

    @property
    def basis_gates(self) -> list[str]:
        """Names of the calibrated gates."""
        return self.calibrated.basis_gates

    @property
    def dtm(self) -> float:
        """Time step of acquired records, seconds."""
        return self.device.record_step

    @property
    def meas_map(self) -> list[list[int]]:
        """Qubits that one acquisition measures together."""
        return [list(group) for group in self.device.meas_map]

    def configuration(self) -> Configuration:
        """Return what a BackendV1 tells about itself, from the device description."""
        return self.calibrated.configuration
