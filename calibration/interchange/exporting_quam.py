"""A calibration set as the state.json of QUAM 0.6, as far as it has a place for each value. Amplitudes are in volts."""

from __future__ import annotations

import cmath
import json
import math
from typing import Any

import numpy as np

from pulsed.calibration.interchange.exporting import Exported
from pulsed.calibration.interchange.noted_values import NotedValues
from pulsed.calibration.interchange.pulses import offset_removed
from pulsed.calibration.interchange.quam import DEMOD, VOLTS
from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import InvalidValueError
from pulsed.pulse.library import Drag

_PULSES = "quam.components.pulses."
_TIMES = {"t1": "T1", "t2star": "T2ramsey", "t2": "T2echo"}


def as_quam(device: DeviceDescription, calibration: CalibrationSet) -> Exported:
    """Return state.json, without ports and wiring. Raises :class:`InvalidValueError` for a dt that is not 1 ns."""
    if device.dt * 10**9 != 1:
        raise InvalidValueError("an OPX plays samples of 1 ns: only those are written", subject="dt",
                                value=f"{float(device.dt * 10**9):g} ns", legal="1 ns")  # fmt: skip
    state = _QuamWriter(device, calibration)
    qubits = {f"q{q}": state.qubit(q) for q in range(device.num_qubits)}
    data = {"qubits": qubits, "qubit_pairs": {}, "active_qubit_names": list(qubits)}
    left = tuple(sorted(calibration.values.keys() - state.used))
    return Exported({"state.json": json.dumps(data, indent=1).encode() + b"\n"}, left)


class _QuamWriter(NotedValues):
    """One state on its way out; the inverse of :mod:`pulsed.calibration.interchange.quam`."""

    def qubit(self, q: int) -> dict[str, Any]:
        """Return the table of a qubit."""
        name, row = f"Q{q}", self.device.qubits[q]
        anharmonicity = self.value(f"{name}.anharmonicity")
        operations = {
            operation: self._rotation(f"{name}.{gate}", anharmonicity or row.design_anharmonicity)
            for gate, operation in (("x", "x180"), ("sx", "x90"))
        }
        return {
            "id": f"q{q}", "f_01": self.value(f"{name}.f01") or row.design_frequency, "anharmonicity": anharmonicity,
            **{key: self.value(f"{name}.{ours}") for ours, key in _TIMES.items()},
            "xy": {"operations": {key: pulse for key, pulse in operations.items() if pulse is not None}},
            "resonator": self._resonator(q),
        }  # fmt: skip

    def _rotation(self, gate: str, anharmonicity: float) -> dict[str, Any] | None:
        values = [self.value(f"{gate}.{name}") for name in ("amplitude", "duration", "sigma", "beta", "angle")]
        if any(value is None for value in values):
            return None
        amplitude, duration, sigma, beta, angle = (float(value or 0.0) for value in values)
        ours = np.real(Drag(round(duration), 1.0, sigma=sigma, beta=0.0).envelope()).sum()
        part = float(ours / offset_removed(round(duration), sigma).sum())
        return {
            "length": round(duration), "amplitude": VOLTS * amplitude * part,
            "sigma": sigma, "axis_angle": angle, "alpha": beta * 2 * math.pi * anharmonicity * 1e-9,
            "anharmonicity": anharmonicity, "detuning": 0, "subtracted": True,
            "__class__": _PULSES + "DragGaussianPulse",
        }  # fmt: skip

    def _resonator(self, q: int) -> dict[str, Any]:
        name, row = f"Q{q}.readout", self.device.qubits[q]
        frequency = self.value(f"{name}.frequency") or row.design_readout_frequency
        found: dict[str, Any] = {"f_01": frequency, "RF_frequency": frequency,
                                 "time_of_flight": self.value(f"{row.acquire}.delay")}  # fmt: skip
        wrong0, wrong1 = self.value(f"{name}.p10"), self.value(f"{name}.p01")
        if wrong0 is not None and wrong1 is not None:
            found["confusion_matrix"] = [[1 - wrong0, wrong0], [wrong1, 1 - wrong1]]
            self.used.add(f"{name}.error")
        duration, amplitude = self.value(f"{name}.duration"), self.value(f"{name}.amplitude")
        if duration is None or amplitude is None:
            return found
        pulse = {"length": round(duration), "amplitude": VOLTS * amplitude, "__class__": _PULSES + "SquareReadoutPulse"}
        if self.calibration.has(f"{name}.discriminator"):
            self.used.add(f"{name}.discriminator")
            i0, q0, i1, q1, *_ = self.calibration.numbers(f"{name}.discriminator")
            zero, one = complex(i0, -q0), complex(i1, -q1)
            theta = cmath.phase(one - zero)
            turned = [z * cmath.exp(-1j * theta) * duration / DEMOD for z in (zero, one)]
            pulse |= {"integration_weights_angle": theta, "threshold": (turned[0].real + turned[1].real) / 2}
            found["gef_centers"] = [[z.real, z.imag] for z in turned]
        return found | {"operations": {"readout": pulse}}
