"""Which calibration set a backend works with: the active one, or the one that it holds."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qiskit.circuit import QuantumCircuit

from pulsed.provider.calibrated_device import CalibratedDevice
from pulsed.provider.errors import OfflineError, OptionValueError, StaleCalibrationError

if TYPE_CHECKING:
    from pulsed.client import Client
    from pulsed.model.calibration import CalibrationSet
    from pulsed.model.device import DeviceDescription
    from pulsed.provider.added_gates import AddedGates
    from pulsed.wire.messages import AnyEvent


class CalibrationFollower:
    """The set that a backend has taken over, the active one as far as the daemon has told, and a last named one.

    Args:
        device: the rack's description.
        calibration: the set to start from.
        client: the connection to the daemon; None for an offline backend.
        options: with ``hold_calibration``, whether to keep the present set when another one becomes active.
        fractional: rx and rzz of any angle are among the gates.

    """

    def __init__(
        self,
        device: DeviceDescription,
        calibration: CalibrationSet,
        client: Client | None,
        options: Mapping[str, Any],
        fractional: bool = False,
    ) -> None:
        self.current = CalibratedDevice(device, calibration, fractional=fractional)
        self._client = client
        self._options = options
        self._following = False
        self._active_id = self.current.calibration_id
        self._named: CalibratedDevice | None = None

    def online(self, lacks: str) -> Client:
        """Return the client. Raises :class:`OfflineError`: an offline backend has ``lacks``."""
        if self._client is None:
            raise OfflineError(f"an offline backend has {lacks}", subject=f"backend {self.current.device.name}")
        return self._client

    def _with(self, calibration: CalibrationSet) -> CalibratedDevice:
        return self.current.changed(calibration)

    def change_added(self, added: AddedGates) -> None:
        """Have these gates of the user's own from now on, with this set and all to come."""
        self.current = self.current.changed(added=added)
        self._named = None

    def refresh(self) -> None:
        """Ask for the active set and take it over."""
        found = self._with(self.online("no daemon to ask").calibration())
        self._active_id = found.calibration_id
        if found.calibration_id != self.current.calibration_id:
            self.current = found

    def follow(self) -> None:
        """Have the daemon tell when another set becomes active, and take it over."""
        client = self.online("no daemon to follow")
        self._subscribe()
        client.follow()
        self.take_over()

    def _subscribe(self) -> None:
        from pulsed.wire.messages import CalibrationChanged, StatusChanged

        self._following = True
        follower = weakref.ref(self)  # the client outlives the backends that came from it, and may not keep them

        def tell(event: AnyEvent) -> None:
            alive = follower()
            if alive is not None:
                alive._on_event(event)

        client = self.online("no daemon to follow")
        weakref.finalize(self, client.add_subscriber(tell, CalibrationChanged, StatusChanged))

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Follow where what this is a copy of did; a client that was pickled is told from its next call on."""
        self.__dict__.update(state)
        if self._following:
            self._subscribe()

    def _on_event(self, event: AnyEvent) -> None:
        from pulsed.wire.messages import CalibrationChanged, StatusChanged

        if isinstance(event, CalibrationChanged):
            self._active_id = event.calibration_id
        elif isinstance(event, StatusChanged):  # also tells when the event itself was lost
            self._active_id = event.status.calibration_id
        self.take_over()

    def take_over(self) -> None:
        """Take over the active set if it is another one and none is held."""
        if self._active_id != self.current.calibration_id and not self._options["hold_calibration"]:
            self.refresh()

    def as_of(self, time: float) -> CalibratedDevice:
        """Return the device with the set that was active at ``time`` (Unix time, seconds)."""
        return self.current.changed(self.online("no daemon to ask").calibration(time=time), {})

    def select(self, calibration_id: Any) -> CalibratedDevice:
        """Return what is to be run with: the present set, or the one that a call of run names."""
        if calibration_id is None:
            return self.current
        if not isinstance(calibration_id, str) or not calibration_id:
            raise OptionValueError(
                "invalid id of a calibration set", subject="calibration_id", value=calibration_id,
                legal="a string such as that of backend.calibration_id, or None",
            )  # fmt: skip
        known = next((one for one in (self._named, self.current) if one and one.calibration_id == calibration_id), None)
        if known is None:
            calibration = self.online("no daemon to ask").calibration(calibration_id)
            known = self._named = self._with(calibration)
        return known

    def check_active(self, calibration_id: str, programs: Sequence[Any], reaction: str) -> None:
        """Do what the option ``on_stale_calibration`` says when a set of a run is not active: nothing, warn, or refuse.

        Args:
            calibration_id: the set to run with.
            programs: circuits among which are marked the sets that they were transpiled against.
            reaction: the option.

        """
        if reaction == "run":
            return
        from pulsed.provider.plugins import mark_of  # the transpiler's passes: not for connecting

        marks = {mark_of(program): None for program in programs if isinstance(program, QuantumCircuit)}
        active = self.online("no daemon to ask").status().calibration_id
        old = next((one for one in (calibration_id, *marks) if one not in (None, active)), None)
        if old is None:
            return
        error = StaleCalibrationError(
            "the circuits were made for a calibration set that is no longer active: transpile them again",
            subject=f"backend {self.current.device.name}", value=old, legal=active,
        )  # fmt: skip
        if reaction == "refuse":
            raise error
        warnings.warn(str(error), UserWarning, stacklevel=4)
