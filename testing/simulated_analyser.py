"""The spectrum analyser of a :class:`SimulatedLab`: what the rack's own shows of a port, without an instrument."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from pulsed import old_names
from pulsed.drivers.contract import SpectrumSweep
from pulsed.simulator.chip.components import Wire
from pulsed.simulator.dynamics.sequence import LineSettings, PulseSequence
from pulsed.simulator.instruments.spectrum import Tap, levels

__getattr__ = old_names(__name__)


@dataclass
class SimulatedAnalyser:
    """Looks at one line while a sequence is played over and over.

    Args:
        line: as the instruments play on it.
        wire: its mixer.
        full_scale: dBm for full scale 1, at the port.
        played: the sequence.
        noise: of the input.

    """

    line: LineSettings
    wire: Wire
    full_scale: float
    played: PulseSequence
    noise: np.random.Generator

    def sweep(self, wanted: SpectrumSweep, deadline: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return frequencies (Hz) and levels (dBm) of one sweep; ``deadline`` is met at once."""
        frequencies = np.linspace(wanted.start, wanted.stop, wanted.points)
        shown = self._tap().amplitudes(
            cast(Any, SimpleNamespace(sequence=lambda _: self.played)),
            frequencies - self.line.lo_frequency, wanted.rbw,
        )  # fmt: skip
        return frequencies, levels(shown, self.full_scale, wanted.rbw, 0.0, self.noise.standard_normal)

    def _tap(self) -> Tap:
        """Return the coupler behind the mixer, at an output and an LO that are on."""
        output = SimpleNamespace(line=self.line.name, output=SimpleNamespace(on=True), setting=lambda: self.line)
        lo = SimpleNamespace(on=True, frequency=self.line.lo_frequency)
        return Tap(cast(Any, output), cast(Any, lo), self.wire, self.full_scale)
