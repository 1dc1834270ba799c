"""A calibration set as the files of another stack, as far as it has a place for each value."""

from __future__ import annotations

import base64
import cmath
import csv
import io
import json
from typing import Any, NamedTuple

import numpy as np

from pulsed.calibration.interchange.noted_values import NotedValues
from pulsed.calibration.interchange.pulses import unlifted
from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import InvalidValueError
from pulsed.pulse.library import Drag


class Exported(NamedTuple):
    """Files by name, and the values that have no place in them."""

    files: dict[str, bytes]
    left: tuple[str, ...] = ()


def as_csv(device: DeviceDescription, calibration: CalibrationSet) -> Exported:
    """Return one table: a row for each number, with where it comes from."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("name", "index", "value", "unit", "stderr", "quality", "time", "routine", "run_id"))
    for name, value in sorted(calibration.values.items()):
        numbers = value.value if isinstance(value.value, tuple) else (value.value,)
        for index, number in enumerate(numbers):
            stderr = "" if value.stderr is None else repr(value.stderr)
            place = index if isinstance(value.value, tuple) else ""
            table.writerow((name, place, repr(number), value.unit, stderr, value.quality, value.time, value.routine,
                            value.run_id))  # fmt: skip
    return Exported({f"{device.name}.csv": text.getvalue().encode()})


def as_qibolab(device: DeviceDescription, calibration: CalibrationSet) -> Exported:
    """Return parameters.json of a qibolab 0.2 platform, and calibration.json of qibocal. The wiring is not written.

    Raises :class:`InvalidValueError` for a rack whose dt is not 1 ns: qibolab's shapes depend on the clock.
    """
    if device.dt * 10**9 != 1:
        raise InvalidValueError("qibolab's pulses depend on the clock: only 1 ns is written", subject="dt",
                                value=f"{float(device.dt * 10**9):g} ns", legal="1 ns")  # fmt: skip
    return _QibolabWriter(device, calibration).exported()


class _QibolabWriter(NotedValues):
    """One platform on its way out; the inverse of :mod:`pulsed.calibration.interchange.qibolab`."""

    def exported(self) -> Exported:
        """Return the files."""
        configs: dict[str, Any] = {}
        gates, measured, pairs = {}, {}, {}
        for q in range(self.device.num_qubits):
            configs |= self._configs(q)
            gates[str(q)] = {
                "RX": self._rotation(q, "x"), "RX90": self._rotation(q, "sx"), "RX12": None, "MZ": self._readout(q),
                "CP": None,
            }  # fmt: skip
            measured[str(q)] = self._measured(q)
        for k, pair in enumerate(self.device.couplings):
            if pair.flux is not None:
                configs[f"coupler_{k}/flux"] = {"kind": "dc", "offset": 0.0}
                pairs[f"{pair.control}-{pair.target}"] = {"CZ": self._cz(k), "CNOT": None, "iSWAP": None}
        relaxation = round(self.device.limits.rep_delay * 1e9)
        parameters = {
            "settings": {"nshots": self.device.limits.default_shots, "relaxation_time": relaxation},
            "configs": configs,
            "native_gates": {"single_qubit": gates, "coupler": {}, "two_qubit": pairs},
        }
        known = {"single_qubits": measured, "two_qubits": {}, "readout_mitigation_matrix": None,
                 "flux_crosstalk_matrix": None}  # fmt: skip
        files = {"parameters.json": _json(parameters), "calibration.json": _json(known)}
        return Exported(files, tuple(sorted(self.calibration.values.keys() - self.used)))

    def _configs(self, q: int) -> dict[str, Any]:
        name, row = f"Q{q}", self.device.qubits[q]
        f01 = self.value(f"{name}.f01") or row.design_frequency
        readout = self.value(f"{name}.readout.frequency") or row.design_readout_frequency
        found: dict[str, Any] = {
            f"{q}/drive": {"kind": "iq", "frequency": f01}, f"{q}/probe": {"kind": "iq", "frequency": readout},
            f"{q}/acquisition": {
                "kind": "acquisition", "delay": self.value(f"{row.acquire}.delay") or 0.0, "smearing": 0.0,
                "threshold": None, "iq_angle": None, "kernel": self._kernel(f"{name}.readout.kernel"),
            },
        }  # fmt: skip
        if points := self._points(q):
            zero, one = points
            turn = cmath.exp(-1j * cmath.phase(one - zero))
            found[f"{q}/acquisition"] |= {
                "iq_angle": cmath.phase(turn), "threshold": ((zero + one) * turn).real / 2,
            }  # fmt: skip
        return found

    def _points(self, q: int) -> tuple[complex, complex] | None:
        """Return both centroids in a plane demodulated with e^{-iωt}."""
        name = f"Q{q}.readout.discriminator"
        if not self.calibration.has(name):
            return None
        self.used.add(name)
        i0, q0, i1, q1, *_ = self.calibration.numbers(name)
        return complex(i0, -q0), complex(i1, -q1)

    def _kernel(self, name: str) -> str | None:
        values = self.calibration.numbers(name) if self.calibration.has(name) else (0.0,)
        self.used.add(name)
        if len(values) < 2:
            return None
        buffer = io.BytesIO()
        np.save(buffer, np.array(values).view(complex).conj())
        return base64.b64encode(buffer.getvalue()).decode()

    def _rotation(self, q: int, gate: str) -> list[Any] | None:
        names = ("amplitude", "duration", "sigma", "beta", "angle")
        values = [self.value(f"Q{q}.{gate}.{name}") for name in names]
        if any(value is None for value in values):
            return None
        amplitude, duration, sigma, beta, angle = (float(value or 0.0) for value in values)
        ours = np.real(Drag(round(duration), 1.0, sigma=sigma, beta=0.0).envelope()).sum()
        scaled = amplitude * float(ours / unlifted(round(duration), sigma).sum())
        envelope = {"kind": "drag", "rel_sigma": sigma / duration, "beta": beta}
        return [[f"{q}/drive", _pulse(duration, scaled, envelope, angle)]]

    def _readout(self, q: int) -> list[Any] | None:
        values = [self.value(f"Q{q}.readout.{name}") for name in ("amplitude", "duration", "sigma", "width")]
        amplitude, duration, sigma, width = values
        if amplitude is None or duration is None:
            return None
        envelope: dict[str, Any] = {"kind": "rectangular"}
        if sigma is not None and width is not None:
            envelope = {"kind": "gaussian_square", "risefall": round((duration - width) / 2), "sigma": sigma}
        probe = _pulse(duration, amplitude, envelope, 0.0)
        window = {"kind": "acquisition", "duration": duration}
        return [[f"{q}/acquisition", {"kind": "readout", "acquisition": window, "probe": probe}]]

    def _cz(self, k: int) -> list[Any] | None:
        pair = self.device.couplings[k]
        name = f"Q{pair.control}-Q{pair.target}.cz"
        values = [self.value(f"{name}.{key}") for key in ("amplitude", "duration", "sigma", "width")]
        if any(value is None for value in values):
            return None
        amplitude, duration, sigma, width = (float(value or 0.0) for value in values)
        envelope = {"kind": "gaussian_square", "risefall": round((duration - width) / 2), "sigma": sigma}
        rows: list[Any] = [[f"coupler_{k}/flux", _pulse(duration, amplitude, envelope, 0.0)]]
        for q, side in ((pair.control, "rz_control"), (pair.target, "rz_target")):
            if (angle := self.value(f"{name}.{side}")) is not None:  # a VirtualZ(φ) is rz(−φ)
                rows.append([f"{q}/drive", {"kind": "virtualz", "phase": -angle}])
        return rows

    def _measured(self, q: int) -> dict[str, Any]:
        name = f"Q{q}"
        f01, anharmonicity = self.value(f"{name}.f01"), self.value(f"{name}.anharmonicity")
        f12 = None if f01 is None or anharmonicity is None else f01 + anharmonicity
        error, points = self.value(f"{name}.readout.error"), self._points(q)
        benchmark = self.value(f"{name}.rb.error")
        plane = {"ground_state": [0.0, 0.0], "excited_state": [0.0, 0.0]}
        if points is not None:
            plane = {key: [z.real, z.imag] for key, z in zip(plane, points, strict=True)}
        return {
            "resonator": {"dressed_frequency": self.value(f"{name}.readout.resonance")},
            "qubit": {"frequency_01": f01, "frequency_12": f12},
            "readout": {"fidelity": None if error is None else 1 - 2 * error, **plane},
            "t1": self._time(f"{name}.t1"),
            "t2": self._time(f"{name}.t2star"),
            "t2_spin_echo": self._time(f"{name}.t2"),
            "rb_fidelity": [0.0, None] if benchmark is None else [1 - benchmark, None],
        }

    def _time(self, name: str) -> list[float | None]:
        value = self.value(name)
        stderr = self.calibration.values[name].stderr if value is not None else None
        return [0.0 if value is None else value * 1e9, None if stderr is None else stderr * 1e9]


def _pulse(duration: float, amplitude: float, envelope: dict[str, Any], phase: float) -> dict[str, Any]:
    return {"kind": "pulse", "duration": duration, "amplitude": amplitude, "envelope": envelope,
            "relative_phase": phase}  # fmt: skip


def _json(data: Any) -> bytes:
    return json.dumps(data, indent=1).encode() + b"\n"
