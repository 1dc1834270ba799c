"""The Hamiltonian of a rack's qubits from its calibrated values, in the form of Qiskit's backend configuration."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pulsed.model.calibration import CalibrationSet
    from pulsed.model.device import DeviceDescription
    from pulsed.provider.target import GateTable

_LEVELS = 3
_DESCRIPTION = (
    "Transmons as Duffing oscillators of three levels, from the active calibration set; vars in rad/s. wq: 2 pi f01; "
    "delta: 2 pi anharmonicity; omegad: angle per second of a drive of full scale at f01, from the calibrated x; zz: "
    "2 pi the shift of one qubit when the other is in 1. A term whose value was never measured is left out, as "
    "are control channels: how strong a drive is was measured at a qubit's own frequency alone."
)
_TERMS = {
    "wq": (r"\frac{\omega_{q,i}}{2}(I-\sigma_i^z)", ["wq{q}/2*(I{q}-Z{q})"]),
    "delta": (r"\frac{\Delta_i}{2}(O_i^2-O_i)", ["delta{q}/2*O{q}*O{q}", "-delta{q}/2*O{q}"]),
    "omegad": (r"\Omega_{d,i}D_i(t)\sigma_i^X", ["omegad{q}*X{q}||D{q}"]),
}
"""Of each variable of a qubit its term in LaTeX and as text."""


def hamiltonian(device: DeviceDescription, calibration: CalibrationSet, gates: GateTable) -> dict[str, Any] | None:
    """Return ``h_str``, ``h_latex``, ``vars`` (rad/s), ``qub`` (levels), ``osc`` and a description.

    None when no frequency of a qubit is calibrated.
    """
    found: dict[str, float] = {}
    for q in range(device.num_qubits):
        for name, value in (("wq", f"Q{q}.f01"), ("delta", f"Q{q}.anharmonicity")):
            if calibration.has(value):
                found[f"{name}{q}"] = 2 * math.pi * calibration.number(value)
        if ("x", (q,)) in gates:
            found[f"omegad{q}"] = math.pi / _area(gates, q, float(device.dt))
    if not found:
        return None
    shown = {name: [q for q in range(device.num_qubits) if f"{name}{q}" in found] for name in _TERMS}
    text = [part.format(q=q) for name, (_, parts) in _TERMS.items() for q in shown[name] for part in parts]
    latex = [rf"\sum_{{i}} {term}" for name, (term, _) in _TERMS.items() if shown[name]]
    for pair in device.couplings:
        a, b = sorted((pair.control, pair.target))
        measured = [one for one in (f"Q{a}-Q{b}.zz", f"Q{b}-Q{a}.zz") if calibration.has(one)]
        if measured and f"zzq{a}q{b}" not in found:
            found[f"zzq{a}q{b}"] = 2 * math.pi * calibration.number(measured[0])
            text.append(f"zzq{a}q{b}/4*(I{a}-Z{a})*(I{b}-Z{b})")
            latex.append(rf"\frac{{\zeta_{{{a}{b}}}}}{{4}}(I-\sigma_{a}^z)(I-\sigma_{b}^z)")
    return {
        "description": _DESCRIPTION, "h_latex": " + ".join(latex), "h_str": text, "osc": {},
        "qub": {str(q): _LEVELS for q in range(device.num_qubits)}, "vars": found,
    }  # fmt: skip


def _area(gates: GateTable, qubit: int, dt: float) -> float:
    """Return the integral of the x pulse's envelope in seconds of full scale."""
    from pulsed.pulse.instructions import Play

    played = [part for _, part in gates["x", (qubit,)].schedule.instructions if isinstance(part, Play)]
    return abs(sum(complex(part.pulse.envelope().sum()) for part in played)) * dt
