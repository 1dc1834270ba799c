"""Effects that can be switched off: a table of the chip file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pulsed.simulator.chip.tables import check, read_record


@dataclass(frozen=True)
class Effects:
    """The table ``[effects]`` of a chip file.

    Attributes:
        idle_zz: coupled qubits shift each other's frequency while no pulse drives them both.
        residual_photons: photons left by a readout shift and dephase its qubit until they have decayed.
        readout_jumps: qubits decay, and are excited by photons, while they are measured.
        memory: a shot begins in the state that the shot before has left, not in thermal equilibrium.

    """

    idle_zz: bool = True
    residual_photons: bool = True
    readout_jumps: bool = True
    memory: bool = True


ALL = Effects()


def read_effects(data: dict[str, Any]) -> Effects:
    """Return what a table says; ConfigError names the key, the bad value and what is legal."""
    found = read_record(Effects, data, "effects")
    for key, value in data.items():
        check(isinstance(value, bool), "not a switch", f"effects.{key}", value, "true or false")
    return found
