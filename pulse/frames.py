r"""The sign conventions of pulsed, in one place. Everything that touches a phase or a carrier uses these.

In the frame that rotates at a channel's frequency f, an envelope d played at frame phase φ drives its qubit with

    H / ħ = (Ω/2) · (Re(d·e^{iφ})·X + Im(d·e^{iφ})·Y),

and the field on the wire is

    E(t) = Re(d(t)·e^{iφ}·e^{−i2πft}),    t counted from the start of the shot.

It follows that

* a positive ``ShiftFrequency`` raises the radio frequency, and with ``FRAME_SIGN = -1`` the complex baseband in a
  local oscillator's frame is ``d·e^{iφ}·e^{FRAME_SIGN·i2π·f_IF·t}``; a record is demodulated with the opposite sign;
* ``rz(λ)`` is ``ShiftPhase(-λ)`` on the qubit's drive channel and on every control channel whose ``u_channel_lo``
  names that qubit: the frame of all later pulses turns against the qubit.
"""

from __future__ import annotations

import cmath
import math

FRAME_SIGN = -1
"""Sign of i2πft in the field and in the baseband of a port."""

DEMODULATION_SIGN = -FRAME_SIGN
"""Sign of i2πft by which a record is multiplied to bring its tone to zero frequency."""


def rz_phase(angle: float) -> float:
    """Return the ``ShiftPhase`` argument (rad) that plays ``rz(angle)``; works on Qiskit expressions too."""
    return -angle


def carrier(frequency: float, time: float) -> complex:
    """Return e^{−i2πft}, the carrier of a field.

    Args:
        frequency: Hz; an intermediate frequency in a local oscillator's frame, or the radio frequency.
        time: s since the start of the shot.

    """
    return cmath.exp(complex(0.0, FRAME_SIGN * math.tau * frequency * time))
