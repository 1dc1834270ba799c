"""The scheduling stage of `transpile`, found by Qiskit through the entry points ``qiskit.transpiler.scheduling``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qiskit.transpiler.preset_passmanagers.builtin_plugins import DefaultSchedulingPassManager

from pulsed.provider.scheduling.passes import Decouple, PadWaits
from pulsed.provider.target import set_of, zz_of

if TYPE_CHECKING:
    from qiskit.transpiler import PassManager, PassManagerConfig


class PulsedScheduling(DefaultSchedulingPassManager):  # type: ignore[misc]
    """Waits written as delays, with what undoes the always-on ZZ of a calibration set: method ``pulsed``.

    Where the set knows no ZZ, at optimisation level 0 and for targets of other backends the circuit stays as it is:
    the rack plays everything as late as possible by itself.
    """

    def pass_manager(
        self, pass_manager_config: PassManagerConfig, optimization_level: int | None = None
    ) -> PassManager:
        """Return the passes of the stage."""
        manager = super().pass_manager(pass_manager_config, optimization_level)
        target = pass_manager_config.target
        if optimization_level != 0 and set_of(target) and zz_of(target):
            manager.append(Decouple(target))
        return manager


class PulsedWaits(DefaultSchedulingPassManager):  # type: ignore[misc]
    """Waits written as delays and nothing else: method ``pulsed_alap``. It takes any circuit that the rack plays."""

    def pass_manager(
        self, pass_manager_config: PassManagerConfig, optimization_level: int | None = None
    ) -> PassManager:
        """Return the passes of the stage."""
        manager = super().pass_manager(pass_manager_config, optimization_level)
        if set_of(pass_manager_config.target):
            manager.append(PadWaits(pass_manager_config.target))
        return manager
