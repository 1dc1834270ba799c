"""The components of a chip: transmons with resonators, couplers, lines, amplifier. Units are those of the chip."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Qubit:
    """One transmon and its readout resonator.

    ``t2_echo`` holds T1 and white dephasing; ``t2_star`` has the quasi-static detuning on top. ``readout_frequency``
    lies midway between the resonances for 0 and 1, ``f_r(1) - f_r(0) = 2 chi``. ``drive_rate`` is the Rabi frequency at
    full scale of its line and a carrier at the LO (hold and low-pass take a part of it elsewhere),
    ``readout_drive`` the resonator's drive epsilon/2pi at full scale of the readout line. ``feedline`` is the name of
    the readout line that the resonator is on; empty on a chip that has one.
    """

    frequency: float
    anharmonicity: float
    t1: float
    t2_echo: float
    t2_star: float
    thermal: float
    drive_rate: float
    readout_frequency: float
    kappa: float
    chi: float
    readout_drive: float
    feedline: str = ""

    @property
    def detuning_sigma(self) -> float:
        """Standard deviation of the quasi-static detuning in Hz: exp(-t/T2e - s^2 t^2/2) is 1/e at T2*."""
        return math.sqrt(2 * (1 - self.t2_star / self.t2_echo)) / self.t2_star / (2 * math.pi)

    @property
    def coupling_squared(self) -> float:
        """g^2 (Hz^2) that gives chi: chi = g^2 alpha / (D (D + alpha)), D = f01 - f_r (Koch et al. 2007)."""
        delta = self.frequency - self.readout_frequency
        return self.chi * delta * (delta + self.anharmonicity) / self.anharmonicity

    @property
    def n_crit(self) -> float:
        """Critical photon number D^2 / 4 g^2."""
        return (self.frequency - self.readout_frequency) ** 2 / (4 * self.coupling_squared)

    @property
    def bare_resonance(self) -> float:
        """The resonator without the qubit (Hz), where it is seen at high power: f_r(0) + g^2/D."""
        delta = self.frequency - self.readout_frequency
        return self.readout_frequency - self.chi + self.coupling_squared / delta

    @property
    def saturation(self) -> float:
        """Photons at which the qubit's pull on the resonator is down to 1/sqrt(2).

        The pull p of a level falls as p/sqrt(1 + n/n_s), as in the Jaynes-Cummings ladder; n_s is such that the slope
        at n = 0 is the resonator's Kerr shift chi^2/alpha per photon (Nigg et al. 2012).
        """
        pull = abs(self.readout_frequency - self.chi - self.bare_resonance)
        return pull * abs(self.anharmonicity) / (2 * self.chi**2)

    def resonances(self) -> tuple[float, float, float]:
        """Dressed resonator frequencies (Hz) for the levels 0, 1, 2, to second order in g."""
        delta, alpha, g2 = self.frequency - self.readout_frequency, self.anharmonicity, self.coupling_squared
        second = g2 * (4 / (delta + alpha) - 3 / (delta + 2 * alpha) - 1 / delta)
        one = self.readout_frequency + self.chi
        return self.readout_frequency - self.chi, one, one + second


def shorter_lived(qubit: Qubit, factor: float) -> Qubit:
    """Return a qubit whose T1 is multiplied by ``factor``, its pure dephasing and slow noise unchanged."""
    t1 = qubit.t1 * factor
    rate = 1 / qubit.t2_echo + (1 / t1 - 1 / qubit.t1) / 2
    sigma2 = (2 * math.pi * qubit.detuning_sigma) ** 2
    # t/T2e + s^2 t^2/2 = 1, the definition of T2*, solved without cancellation for small s.
    star = 2 / (rate + math.sqrt(rate**2 + 2 * sigma2))
    return replace(qubit, t1=t1, t2_echo=1 / rate, t2_star=min(star, 1 / rate))


@dataclass(frozen=True)
class Coupler:
    """A tunable transmon between two others; bare values in Hz, at its idle flux.

    ``g`` couples it to either qubit, ``maximum`` is its frequency at zero flux, ``flux`` the flux quanta that full
    scale of its line adds.
    """

    frequency: float
    anharmonicity: float
    g: tuple[float, float]
    maximum: float
    flux: float

    def shift(self, amplitude: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how far (Hz) an amplitude on its line takes the coupler from its idle frequency.

        f = (f_max - alpha) sqrt|cos(pi Phi)| + alpha (Koch et al. 2007), alpha = -E_c.
        """
        angle = self._idle + math.pi * self.flux * amplitude
        top = self.maximum - self.anharmonicity
        out: NDArray[np.float64] = top * np.sqrt(np.abs(np.cos(angle))) + self.anharmonicity - self.frequency
        return out

    @property
    def _idle(self) -> float:
        """The idle flux in units of the flux quantum over pi."""
        return math.acos(((self.frequency - self.anharmonicity) / (self.maximum - self.anharmonicity)) ** 2)

    def moved(self, quanta: float) -> Coupler:
        """Return the coupler so many flux quanta away from its idle flux, which is then its idle flux."""
        angle = self._idle + math.pi * quanta
        angle -= math.pi * round(angle / math.pi)
        frequency = (self.maximum - self.anharmonicity) * math.sqrt(math.cos(angle)) + self.anharmonicity
        # On the other flank of the flux curve the same amplitude moves the coupler the other way.
        return replace(self, frequency=frequency, flux=math.copysign(1.0, angle) * self.flux)


@dataclass(frozen=True)
class Coupling:
    """Exchange coupling J/2pi (Hz) between two transmons, without the part through their ``coupler``, if any."""

    qubits: tuple[int, int]
    j: float
    coupler: Coupler | None = None


@dataclass(frozen=True)
class Wire:
    """One line into the fridge: what it reaches, its bandwidth, and the mixer in front of it.

    A line with neither ``qubit`` nor ``flux`` is a readout line. ``flux`` is the coupling whose coupler the line
    tunes, by real samples without carrier or mixer; its step response is 1 + sum a exp(-t/tau) with ``distortion`` the
    pairs of a and tau (s). A direct current of ``idle_bias`` (A) has the coupler at its idle, ``bias_quantum`` more are
    a flux quantum. ``gain`` (1 as designed, 0 for a dead line) and ``phase`` (rad) are what drift changes.
    """

    name: str
    qubit: int | None
    bandwidth: float = 350e6
    mixer_gain_db: float = 0.0
    mixer_skew_deg: float = 0.0
    lo_leakage: tuple[float, float] = (0.0, 0.0)
    gain: float = 1.0
    phase: float = 0.0
    flux: int | None = None
    distortion: tuple[tuple[float, float], ...] = ()
    idle_bias: float = 0.0
    bias_quantum: float = 1e-3

    @property
    def reads(self) -> bool:
        """Whether this is a readout line."""
        return self.qubit is None and self.flux is None

    def quanta(self, bias: float | None) -> float:
        """Return the flux quanta from the idle at a direct current (A); None, no source in the line, is the idle."""
        return 0.0 if bias is None else (bias - self.idle_bias) / self.bias_quantum

    def mixer(self) -> np.ndarray:
        """Return the 2x2 matrix from (I, Q) of the AWG to the ideal quadratures."""
        gain, skew = 10 ** (self.mixer_gain_db / 20), math.radians(self.mixer_skew_deg)
        return np.array([[1.0, gain * math.sin(skew)], [0.0, gain * math.cos(skew)]])


@dataclass(frozen=True)
class Amplifier:
    """The amplifier chain from the resonators to the digitizer."""

    efficiency: float = 0.3
    noise_lsb: float = 16.0
    bits: int = 12
    delay: int = 60
    background: float = 0.02

    @property
    def full_scale(self) -> int:
        """ADC codes at full scale."""
        return 1 << (self.bits - 1)
