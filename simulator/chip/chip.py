"""The true parameters of a simulated chip.

Every frequency is *dressed*: a qubit's values are those it has with its neighbours in the ground state, because
this is what a calibration can find. Frequencies are in Hz, times in seconds, amplitudes in DAC full scales.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

from pulsed.model.errors import ConfigError
from pulsed.simulator.chip.components import Amplifier, Coupling, Qubit, Wire
from pulsed.simulator.chip.drift_settings import NOTHING, Drift
from pulsed.simulator.chip.effects import ALL, Effects
from pulsed.simulator.chip.feedline import PLAIN, Feedline
from pulsed.simulator.chip.truncation import DEFAULT, Truncation


class Section(NamedTuple):
    """A readout line of a chip with the qubits whose resonators are on it; what passes them has a digitizer's input."""

    line: str
    qubits: tuple[int, ...]


@dataclass(frozen=True)
class Chip:
    """A chip with its wiring. ``crosstalk[q, k]`` is what qubit q sees of the line that reaches qubit k."""

    name: str
    qubits: tuple[Qubit, ...]
    couplings: tuple[Coupling, ...]
    wires: tuple[Wire, ...]
    crosstalk: tuple[tuple[complex, ...], ...]
    amplifier: Amplifier = field(default_factory=Amplifier)
    drift: Drift = NOTHING
    truncation: Truncation = DEFAULT
    feedline: Feedline = PLAIN
    effects: Effects = ALL

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """The readout lines with the qubits on each, in the order of the lines; all qubits where there is but one."""
        lines = [wire.name for wire in self.wires if wire.reads]
        if len(lines) < 2:
            return (Section(lines[0] if lines else "", tuple(range(len(self.qubits)))),)
        found = {line: tuple(q for q, one in enumerate(self.qubits) if one.feedline == line) for line in lines}
        return tuple(Section(line, qubits) for line, qubits in found.items() if qubits)

    def section(self, number: int) -> Chip:
        """Return the part of the chip that one readout line sees, its qubits counted from 0."""
        if len(self.sections) == 1:
            return self
        own = tuple(self.qubits[q] for q in self.sections[number].qubits)
        return replace(self, qubits=own, couplings=(), crosstalk=())

    def coupled(self, a: int, b: int) -> Coupling | None:
        """Return the coupling between two qubits with its sides in this order, or None."""
        for coupling in self.couplings:
            if coupling.qubits == (a, b):
                return coupling
            if coupling.qubits == (b, a):
                coupler = coupling.coupler
                return Coupling((a, b), coupling.j, coupler and replace(coupler, g=coupler.g[::-1]))
        return None

    def exchange(self, coupling: Coupling) -> float:
        """Return |J| (Hz) of a coupling at idle, that through its coupler included: j + g1 g2 (1/D1 + 1/D2)/2."""
        coupler, j = coupling.coupler, coupling.j
        if coupler is not None:
            away = [1 / (self.qubits[q].frequency - coupler.frequency) for q in coupling.qubits]
            j += coupler.g[0] * coupler.g[1] * sum(away) / 2
        return abs(j)

    def wire(self, name: str) -> Wire:
        """Return the wire called ``name``; ConfigError if there is none."""
        for wire in self.wires:
            if wire.name == name:
                return wire
        raise ConfigError(
            "no such line in the fridge",
            subject=f"chip {self.name}",
            value=name,
            legal=", ".join(w.name for w in self.wires),
        )
