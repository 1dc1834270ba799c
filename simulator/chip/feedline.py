"""The feedline between the readout line and the resonators: a table of the chip file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pulsed.simulator.chip.components import Qubit, shorter_lived
from pulsed.simulator.chip.tables import check, is_integer, is_number, read_record

Complex = NDArray[np.complex128]


@dataclass(frozen=True)
class Feedline:
    """The table ``[feedline]`` of a chip file.

    Attributes:
        carry: whether photons of one readout remain when the next one of the shot begins.
        ripple: part of the field that reaches the chip again after two reflections between connectors: transmission
            over frequency has the factor 1 + ripple exp(2 pi i f ripple_delay).
        ripple_delay: how much later, ns.
        purcell_linewidth: Hz, of a Purcell filter for each resonator, centred on it; 0: no filter, the resonator is
            coupled directly. With this key a qubit's ``t1`` in the file excludes decay through the resonator, which is
            added; without it, ``t1`` is the total.

    """

    carry: bool = True
    ripple: float = 0.0
    ripple_delay: int = 12
    purcell_linewidth: float | None = None


PLAIN = Feedline()


def read_feedline(data: dict[str, Any]) -> Feedline:
    """Return what a table says; ConfigError names the key, the bad value and what is legal."""
    found = read_record(Feedline, data, "feedline")
    check(isinstance(found.carry, bool), "not a switch", "feedline.carry", found.carry, "true or false")
    good = is_number(found.ripple) and 0 <= found.ripple <= 0.5
    check(good, "the ripple is out of range", "feedline.ripple", found.ripple, "0 to 0.5")
    delay = found.ripple_delay
    good = is_integer(delay) and 1 <= delay <= 100
    check(good, "the delay is out of range", "feedline.ripple_delay", delay, "1 to 100 ns, whole")
    width = found.purcell_linewidth
    good = width is None or (is_number(width) and (width == 0 or 5e6 <= width <= 1e9))
    check(good, "the linewidth is out of range", "feedline.purcell_linewidth", width, "0, or 5e6 to 1e9 Hz")
    return found


def rippled(feedline: Feedline, z: Complex, lo_frequency: float) -> Complex:
    """Return a readout field (samples,) in the frame of the LO with its delayed copy."""
    if not feedline.ripple:
        return z
    late = feedline.ripple * np.exp(2e-9j * math.pi * lo_frequency * feedline.ripple_delay)
    out = z.copy()
    out[feedline.ripple_delay :] += late * z[: max(0, len(z) - feedline.ripple_delay)]
    return out


@njit(cache=True)
def _fill(z, decay, gain, kept, fresh, out):  # type: ignore[no-untyped-def]
    """Write kept F[n] + fresh z[n], with F[n + 1] = decay F[n] + gain z[n] and F[0] = 0."""
    field = 0j
    for n in range(z.shape[0]):
        out[n] = kept * field + fresh * z[n]
        field = decay * field + gain * z[n]


def filtered(linewidth: float, qubit: Qubit, z: Complex, lo_frequency: float) -> Complex:
    """Return the field (samples,) behind a filter of one pole, centred on a qubit's resonator.

    dF/dt = -(kappa_F/2 + i D) F + (kappa_F/2) z, D the centre's distance from the LO: a tone at the centre passes
    whole. F is not constant during a sample; the values returned, held, leave in the resonator what F does.
    """
    half, turn = 1e-9 * math.pi * linewidth, -2e-9 * math.pi * (qubit.readout_frequency - lo_frequency)
    r, s = complex(-half, turn), complex(-1e-9 * math.pi * qubit.kappa, turn)
    decay = np.exp(r)
    # int exp(s (1 - t)) F(t) dt over a sample, F(t) = exp(r t) F + (exp(r t) - 1)/r (kappa_F/2) z.
    of_field = decay * (np.expm1(s - r) / (s - r) if s != r else 1.0)
    of_held = (np.exp(s) - 1) / s
    out = np.empty(len(z), complex)
    fresh = half * (of_field - of_held) / r / of_held
    _fill(np.ascontiguousarray(z), decay, half * (decay - 1) / r, of_field / of_held, fresh, out)
    return out


def purcell_rate(qubit: Qubit, linewidth: float) -> float:
    """Return the rate (1/s) at which a qubit decays through its resonator.

    kappa g^2 / D^2 without a filter; with one, times (f_q / f_r) kappa_F / (2 |D|) (Sete et al. 2015).
    """
    delta = qubit.frequency - qubit.readout_frequency
    bare = 2 * math.pi * qubit.kappa * qubit.coupling_squared / delta**2
    if not linewidth:
        return bare
    return bare * min(1.0, qubit.frequency / qubit.readout_frequency * linewidth / (2 * abs(delta)))


def with_purcell(qubit: Qubit, feedline: Feedline) -> Qubit:
    """Return a qubit with decay through its resonator added, if the feedline counts it separately."""
    if feedline.purcell_linewidth is None:
        return qubit
    return shorter_lived(qubit, 1 / (1 + qubit.t1 * purcell_rate(qubit, feedline.purcell_linewidth)))
