"""What is done with the maker's ``Cluster`` object: modules checked, sequencers set up, asked and read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pulsed.drivers.instruments.qblox.connection import ClusterConnection
from pulsed.drivers.instruments.qblox.contents import ACQUISITION, ClusterPlan, Place, SequencerPlan
from pulsed.drivers.instruments.qblox.modules import ModuleModel
from pulsed.model.errors import (
    InstrumentDataError,
    InstrumentError,
    InstrumentOverheatedError,
    InstrumentReferenceLostError,
    InstrumentRefusedError,
    WrongInstrumentError,
)

_CONDITIONS: tuple[tuple[str, type[InstrumentError], str], ...] = (
    ("PLL_UNLOCKED", InstrumentReferenceLostError, "has lost its reference clock"),
    ("TEMPERATURE_OUT_OF_RANGE", InstrumentOverheatedError, "is overheated"),
)
_OVERRANGE = ("ACQ_BINNING_OUT_OF_RANGE", "ACQ_INTEGRATOR_OUT_OF_RANGE", "ACQ_SCOPE_OUT_OF_RANGE")
_SET_UP = (("mod_en_awg", True), ("gain_awg_path0", 1.0), ("gain_awg_path1", 1.0), ("marker_ovr_en", False))
"""Parameters of every sequencer that is used."""


class ClusterFrame:
    """The modules of one Cluster. Calls need a connection, and are made within its ``talking``."""

    def __init__(self, connection: ClusterConnection, modules: Mapping[int, ModuleModel]) -> None:
        self.connection, self.modules = connection, modules
        self.subject = connection.subject
        self._set_up: dict[Place, tuple[object, ...]] = {}
        """What each sequencer that is used was set up for since all were disconnected."""

    @property
    def cluster(self) -> Any:
        """The maker's object."""
        return self.connection.cluster

    def forget(self) -> None:
        """Take no sequencer for set up."""
        self._set_up.clear()

    def sequencer(self, place: Place) -> Any:
        """Return the maker's object of a sequencer."""
        slot, number = place
        return self.cluster.modules[slot - 1].sequencers[number]

    def check_modules(self) -> None:
        """Raise :class:`WrongInstrumentError` for a slot that has another module than is configured."""
        for slot, model in self.modules.items():
            module, found = self.cluster.modules[slot - 1], "no module"
            if module.present():
                found = str(module.module_type).rpartition(".")[2] + ("-RF" if module.is_rf_type else "")
            if found != model.name:
                raise WrongInstrumentError(
                    f"another module than the configuration names is in slot {slot}", subject=self.subject,
                    value=found, legal=model.name,
                )  # fmt: skip

    def reset(self) -> None:
        """Bring the frame to the state after power-on."""
        self.cluster.reset()

    def stop(self) -> None:
        """Stop all sequencers."""
        self.cluster.stop_sequencer()

    def switch_off(self) -> None:
        """Stop, disconnect all outputs and inputs, switch the LOs off."""
        self.forget()
        self.stop()
        for slot, model in self.modules.items():
            module = self.cluster.modules[slot - 1]
            module.disconnect_outputs()
            if model.inputs:
                module.disconnect_inputs()
            for name in {model.lo(number) for number in range(1, model.outputs + 1)} if model.rf else ():
                getattr(module, f"{name}_en")(False)
            for sequencer in module.sequencers:
                sequencer.sync_en(False)

    def check_queue(self) -> None:
        """Raise :class:`InstrumentRefusedError` with what is in the error queue; a write says nothing by itself."""
        errors = self.connection.drain_errors()
        if errors:
            raise InstrumentRefusedError("put an error into its queue", subject=self.subject, value="; ".join(errors))

    def lost(self, places: Iterable[Place]) -> Place | None:
        """Return a sequencer that is as after power-on, not as it was set up; None when there is none."""
        return next((place for place in places if not self.sequencer(place).sync_en.get()), None)

    def send(self, plan: SequencerPlan) -> None:
        """Set one sequencer up and send its sequence; an error of the assembler names line and pulse."""
        wanted = plan.connection, plan.trigger, plan.counters
        if self._set_up.get(plan.place) != wanted:
            self._set_up.pop(plan.place, None)
            self._prepare(plan)
            self._set_up[plan.place] = wanted
        sequencer, module = self.sequencer(plan.place), self.cluster.modules[plan.slot - 1]
        sequencer.sequence(plan.sequence())
        if not module.get_assembler_status():
            log = " ".join(str(module.get_assembler_log()).split())
            self.connection.drain_errors()
            raise InstrumentRefusedError(
                f"{plan.title}: the program does not assemble", subject=self.subject, value=log[-400:]
            )
        self.check_queue()

    def take_out(self, place: Place) -> None:
        """Have a sequencer start with the others no longer."""
        self._set_up.pop(place, None)
        self.sequencer(place).sync_en(False)

    def _prepare(self, plan: SequencerPlan) -> None:
        """Connect a sequencer, and set all that its programs rely on."""
        sequencer, model = self.sequencer(plan.place), self.modules[plan.slot]
        outputs = range(model.outputs if model.rf else 2 * model.outputs)
        ways = [f"connect_out{number}" for number in outputs]
        for way in [*ways, *(["connect_acq"] if model.rf and model.inputs else [])]:
            getattr(sequencer, way)("off")
        if model.inputs and not model.rf:
            sequencer.connect_acq_I("off")
            sequencer.connect_acq_Q("off")
        sequencer.connect_sequencer(plan.connection)
        for name, value in (*_SET_UP, *(self._of_input(plan) if model.inputs else [])):
            getattr(sequencer, name)(value)
        for address, inverted in plan.counters:
            sequencer.set_trigger_thresholding(address, 1, inverted)
        sequencer.sync_en(True)

    @staticmethod
    def _of_input(plan: SequencerPlan) -> list[tuple[str, Any]]:
        """Return the parameters of a sequencer that may integrate: whether its bits become triggers, and how."""
        if plan.trigger is None:
            return [("demod_en_acq", True), ("thresholded_acq_trigger_en", False)]
        return [
            ("demod_en_acq", True), ("thresholded_acq_rotation", plan.trigger.rotation),
            ("thresholded_acq_threshold", plan.trigger.threshold), ("thresholded_acq_trigger_invert", False),
            ("thresholded_acq_trigger_address", plan.trigger.address), ("thresholded_acq_trigger_en", True),
        ]  # fmt: skip

    def arm(self, plan: ClusterPlan) -> None:
        """Arm the sequencers of ``plan``, their bins empty."""
        for one in plan.sequencers:
            if one.bins:
                self.sequencer(one.place).delete_acquisition_data(all=True)
            self.cluster.arm_sequencer(*one.place)
        for one in plan.sequencers:
            status = self.cluster.get_sequencer_status(*one.place)
            if status.state.name != "ARMED":
                raise InstrumentError(
                    f"{one.title}: did not arm", subject=self.subject, value=str(status), legal="ARMED"
                )
        self.check_queue()

    def all_stopped(self, plan: ClusterPlan) -> bool:
        """Whether all sequencers have played. Raises :class:`InstrumentError` when one ended by itself."""
        for one in plan.sequencers:
            status = self.cluster.get_sequencer_status(*one.place)
            if status.err_flags:
                flags = ", ".join(flag.name for flag in status.err_flags)
                raise InstrumentError(
                    f"{one.title}: the run ended by itself", subject=self.subject, value=f"{flags} {status.log or ''}",
                    legal="STOPPED",
                )  # fmt: skip
            if status.state.name != "STOPPED":
                return False
        return True

    def integrals(self, plan: SequencerPlan) -> tuple[npt.NDArray[np.complex128], bool]:
        """Return the bins of one sequencer, and whether something was beyond full scale."""
        module = self.cluster.modules[plan.slot - 1]
        found = module.get_acquisitions(plan.number, as_numpy=True)[ACQUISITION]["acquisition"]["bins"]
        values: npt.NDArray[np.complex128] = found["integration"]["path0"] + 1j * found["integration"]["path1"]
        if len(values) != plan.bins or not np.isfinite(values).all():
            raise InstrumentDataError(
                f"{plan.title}: sent another amount of data than was asked for", subject=self.subject,
                value=f"{int(np.isfinite(values).sum())} bins", legal=f"{plan.bins} bins",
            )  # fmt: skip
        status = self.cluster.get_sequencer_status(*plan.place)
        return values, any(flag.name.startswith(_OVERRANGE) for flag in status.warn_flags)

    def check_conditions(self) -> None:
        """Raise the error of what the frame itself says is wrong."""
        system = self.cluster.get_system_status()
        flags = {flag.name for flag in system.flags} if system.status.name in ("ERROR", "CRITICAL") else set()
        for name, kind, message in _CONDITIONS:
            if any(flag.endswith(name) for flag in flags):
                raise kind(message, subject=self.subject, value=", ".join(sorted(flags)), legal="no flags")
