"""What a chip does between pulses: idle maps of its transmons, and the ZZ of coupled pairs."""

from __future__ import annotations

from typing import Any

from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.dynamics.hamiltonian import zz
from pulsed.simulator.dynamics.superoperators import Idle


class FreeEvolution:
    """What evolution without pulses needs: idle maps and pair shifts, in the frame at ``reference`` (Hz)."""

    def __init__(self, chip: Chip, reference: float) -> None:
        self.chip = chip
        self.idles = [Idle(q, reference) for q in chip.qubits]
        pairs = [(min(c.qubits), max(c.qubits)) for c in chip.couplings if chip.effects.idle_zz]
        self.zz = {pair: zz(chip, *pair) for pair in pairs}

        self.trains: list[Any] = []
        """The last train of pulses on one transmon, prepared: several clusters play the same in turn."""

    def pairs(self, qubits: tuple[int, ...]) -> list[tuple[int, int]]:
        """Return the coupled pairs among some qubits."""
        return [pair for pair in self.zz if set(pair) <= set(qubits)]
