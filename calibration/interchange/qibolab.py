"""Platforms of qibolab 0.2: parameters.json, calibration.json of qibocal, and the wiring of platform.py."""

from __future__ import annotations

import base64
import binascii
import io
import math
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from pulsed.calibration.interchange.fields import Field, Ledger, read_json, read_text
from pulsed.calibration.interchange.platform import Box, Oscillator, Pair, Platform, PlatformPort
from pulsed.calibration.interchange.qibolab_pulses import flux_shape, measurement, rotation, samples
from pulsed.calibration.interchange.qibolab_wiring import CONTROLLERS, Wiring, read_wiring
from pulsed.calibration.interchange.readout import ours
from pulsed.model.errors import InvalidValueError

NS = Fraction(1, 10**9)
_BOLTZMANN, _PLANCK = 1.380649e-23, 6.62607015e-34
_HZ = (1e6, 20e9)
"""Of any frequency that a platform states."""


def fits(data: Mapping[str, Any]) -> bool:
    """Whether the JSON of one file is that of a platform's parameters."""
    return {"configs", "native_gates"} <= data.keys()


def read(files: Mapping[str, Path], ledger: Ledger) -> Platform:
    """Read a platform. Raises :class:`ConfigError` and :class:`InvalidValueError` for files that are none."""
    parameters = files.get("parameters.json")
    if parameters is None:
        raise InvalidValueError(
            "no parameters of a platform", subject="qibolab", value=", ".join(files), legal="parameters.json, and "
            "beside it calibration.json and platform.py where there are",
        )  # fmt: skip
    data = read_json(parameters)
    if isinstance(data, dict) and {"characterization", "topology"} & data.keys():
        raise InvalidValueError(
            "is of qibolab 0.1", subject=str(parameters), value="characterization, topology",
            legal="a platform of qibolab 0.2: its own convert.py makes one",
        )  # fmt: skip
    if not isinstance(data, dict) or not fits(data):
        raise InvalidValueError(
            "is no platform of qibolab 0.2", subject=str(parameters), legal="configs and native_gates"
        )
    root = Field("parameters.json", "", data, ledger)
    wiring = Wiring()
    if "platform.py" in files:
        wiring = read_wiring(read_text(files["platform.py"]), "platform.py", Field("platform.py", "", None, ledger))
    else:
        ledger.ask("platform.py", "was not given: the wiring is not known, instruments have to be filled in")
    known = Field("calibration.json", "", None, ledger)
    if "calibration.json" in files:
        known = Field("calibration.json", "", read_json(files["calibration.json"]), ledger)
    return _PlatformReader(root, known, wiring, parameters.resolve().parent.name or "qibolab").platform()


class _PlatformReader:
    """One platform on its way."""

    def __init__(self, root: Field, known: Field, wiring: Wiring, name: str) -> None:
        self.root, self.known, self.wiring = root, known, wiring
        self.ledger = root.ledger
        self.found = Platform("qibolab", name, root.ledger, wiring="platform.py")
        self.configs = root["configs"]
        self.natives = root["native_gates"]

    def platform(self) -> Platform:
        """Return all of it."""
        self._boxes()
        self._settings()
        for name, gates in self.natives["single_qubit"].items():
            self._qubit(name, gates)
        for name, pair in self.natives["two_qubit"].items():
            self._pair(name, pair)
        for _, gates in self.natives["coupler"].items():
            if any(gate.there for _, gate in gates.items()):
                self.ledger.leave(gates, "pulses of a coupler alone have no gate here")
        self._rest()
        return self.found

    # --- the rack ----------------------------------------------------------------------------------------------------

    def _boxes(self) -> None:
        for name, controller in self.wiring.controllers.items():
            maker = CONTROLLERS.get(controller.kind)
            box = Box(address=_visa(controller.kind, controller.address))
            where = Field("platform.py", f"create.instruments.{name}", None, self.ledger)
            if maker is None:
                self.ledger.leave(where, f"nothing is known here of a {controller.kind}: its driver is to be filled in")
            else:
                box.driver = maker.driver
                self.found.granularity = max(self.found.granularity, maker.granularity)
                self.found.min_length = max(self.found.min_length, maker.min_length)
                self.ledger.use(f"instruments.{name}", f"{maker.driver} at {box.address}", where, controller.kind)
            self.found.boxes[name] = box

    def _settings(self) -> None:
        settings = self.root["settings"]
        if (shots := settings["nshots"].number(1, 1e6)) is not None:
            self.found.limits["default_shots"] = int(shots)
            self.ledger.use("limits.default_shots", int(shots), settings["nshots"])
        if (wait := settings["relaxation_time"].number(1, 1e9)) is not None:
            self.found.limits["rep_delay"] = wait * 1e-9
            self.ledger.use("limits.rep_delay", wait * 1e-9, settings["relaxation_time"], "ns → s")

    def _port(self, name: str, channel: str) -> str:
        """Return the port that a channel is at: the one of another channel at the same place, or a new one."""
        where = self.wiring.channels.get(channel)
        for known, port in self.found.ports.items():
            if where is not None and where.path and (port.box, port.path) == (where.box, where.path):
                return known
        self.found.ports[name] = PlatformPort() if where is None else PlatformPort(where.box, where.path, where.pair)
        lo = None if where is None else where.lo
        if lo is not None and self.configs[lo].there:
            config = self.configs[lo]
            self.found.ports[name].lo = lo
            if lo not in self.found.oscillators:
                oscillator = Oscillator(config["frequency"].number(*_HZ), config["power"].number(-150, 60))
                self.found.oscillators[lo] = oscillator
                if oscillator.frequency is not None:
                    self.ledger.use(f"oscillators.{lo}.frequency", oscillator.frequency, config["frequency"])
        return name

    # --- qubits ------------------------------------------------------------------------------------------------------

    def _lines(self, name: str) -> dict[str, Any]:
        usual = {line: f"{name}/{line}" for line in ("drive", "flux", "probe", "acquisition")}
        given = self.wiring.qubits.get(name, {})
        return {**usual, **{key: value for key, value in given.items() if value is not None}}

    def _qubit(self, name: str, gates: Field) -> None:
        lines = self._lines(name)
        drive, probe = self.configs.at(lines["drive"], "frequency"), self.configs.at(lines["probe"], "frequency")
        f01, readout = drive.number(1e9, 20e9), probe.number(1e9, 20e9)
        if f01 is None or readout is None:
            self.ledger.leave(gates, f"without the frequencies of {lines['drive']} and {lines['probe']} it is no qubit")
            return
        q = len(self.found.qubits)
        self.found.qubits.append(name)
        self.found.drive[q] = self._port(f"d{q}", lines["drive"])
        self.found.readout[q] = self._port(f"ro{q}", lines["probe"])
        self.found.acquire[q] = self._port(f"in{q}", lines["acquisition"])
        self.ledger.take(f"Q{q}.f01", f01, drive)
        self.ledger.take(f"Q{q}.readout.frequency", readout, probe)
        self._rotations(q, gates, lines)
        measurement(self.found, q, gates["MZ"])
        self._characterization(q, name, lines)
        offset = self.configs.at(lines["flux"], "offset")
        if offset.there and offset.number() not in (None, 0.0):
            self.ledger.leave(offset, "the flux of a qubit is not described here: keep its source at this level")

    def _rotations(self, q: int, gates: Field, lines: Mapping[str, Any]) -> None:
        whole, half = self._single(gates["RX"], lines), self._single(gates["RX90"], lines)
        if whole is not None:
            rotation(self.found, f"Q{q}.x", whole, 1.0, "")
        if half is not None:
            rotation(self.found, f"Q{q}.sx", half, 1.0, "")
        elif whole is not None:
            rotation(self.found, f"Q{q}.sx", whole, 0.5, "half of RX, as RX90 is null")
        if gates["RX12"].there:
            self.ledger.leave(gates["RX12"], "a pulse between levels 1 and 2 is no gate here")

    def _single(self, gate: Field, lines: Mapping[str, Any]) -> Field | None:
        """Return the one pulse of a gate on the qubit's own drive; None, with a line, for anything else."""
        if not gate.there:
            return None
        rows = [row for row in gate.rows() if row[1]["kind"].value == "pulse"]
        own = [row[1] for row in rows if row[0].value == lines["drive"]]
        if len(own) == len(rows) == 1:
            return own[0]
        self.ledger.leave(gate, f"{len(rows)} pulses, {len(own)} of them on {lines['drive']}: one is expected")
        return None

    # --- what was measured -------------------------------------------------------------------------------------------

    def _characterization(self, q: int, name: str, lines: Mapping[str, Any]) -> None:
        own, subject = self.known.at("single_qubits", name), f"Q{q}"
        for key, ours_, low in (("t1", "t1", 1.0), ("t2", "t2star", 1.0), ("t2_spin_echo", "t2", 1.0)):
            pair = own[key]
            value = pair[0] if isinstance(pair.value, list) else pair
            number, error = value.number(), pair[1].number() if isinstance(pair.value, list) else None
            if number is not None and number < low:
                self.ledger.leave(value, "0 stands for not measured")
            elif number is not None:
                stderr = None if error is None else error * 1e-9
                self.ledger.take(f"{subject}.{ours_}", number * 1e-9, value, "ns → s", stderr=stderr)
        fidelity = own["rb_fidelity"][0]
        if (number := fidelity.number(0, 1)) is not None:
            if number == 0:
                self.ledger.leave(fidelity, "0 stands for not measured")
            else:
                self.ledger.take(f"{subject}.rb.error", 1 - number, fidelity, "1 − fidelity, per Clifford")
        self._frequencies(q, own, lines)
        self._readout(q, own, lines)

    def _frequencies(self, q: int, own: Field, lines: Mapping[str, Any]) -> None:
        old, upper = own["qubit"]["frequency_01"], own["qubit"]["frequency_12"]
        f01, f12 = old.number(*_HZ), upper.number(*_HZ)
        active = self.ledger.values.get(f"Q{q}.f01")
        if f01 is not None and active is not None and f01 != active.value:
            self.ledger.leave(old, f"parameters.json says otherwise by {f01 - float(active.value):+.0f} Hz, and plays")  # type: ignore[arg-type]
        extra = lines.get("drive_extra")
        channel = extra.get((1, 2)) if isinstance(extra, dict) else None
        if f01 is not None and f12 is not None:
            self.ledger.take(f"Q{q}.anharmonicity", f12 - f01, upper, "f12 − f01 of the same file")
        elif channel is not None and active is not None and isinstance(active.value, float):
            source = self.configs.at(channel, "frequency")
            if (f12 := source.number(*_HZ)) is not None:
                self.ledger.take(f"Q{q}.anharmonicity", f12 - active.value, source, "f12 − f01 of the drive")
        dressed = own["resonator"]["dressed_frequency"]
        if (resonance := dressed.number(*_HZ)) is not None:
            self.ledger.take(f"Q{q}.readout.resonance", resonance, dressed)

    def _readout(self, q: int, own: Field, lines: Mapping[str, Any]) -> None:
        measured, config = own["readout"], self.configs[lines["acquisition"]]
        fidelity = measured["fidelity"]
        error = None
        if (number := fidelity.number(0, 1)) is not None:
            error = (1 - number) / 2
            self.ledger.take(f"Q{q}.readout.error", error, fidelity, "(1 − fidelity)/2: it is 1 − p01 − p10")
        self._thermal(q, measured["effective_temperature"])
        self._delay(q, config["delay"])
        self._kernel(q, config["kernel"])
        points = [measured[state] for state in ("ground_state", "excited_state")]
        centroids = [_point(point) for point in points]
        angle, threshold = config["iq_angle"].number(), config["threshold"].number()
        zero, one = centroids
        if zero is None or one is None or zero == one:
            if threshold is not None:
                self.ledger.leave(config["threshold"], "without centroids: a discriminator has to be measured")
            return
        # State 1 is Re(z e^{+i angle}) > threshold: the axis points along e^{-i angle}.
        axis = None if angle is None else -angle
        try:
            clouds = ours(zero, one, axis=axis, threshold=threshold if angle is not None else None, error=error)
        except InvalidValueError as error_:
            self.ledger.leave(config["iq_angle"], f"{error_.message}: {error_.value}, {error_.legal}")
            clouds = ours(zero, one, error=error)
        how = "conjugate: we demodulate with e^{+i2πft}"
        if abs(clouds.shift) > 1e-9:
            how += f"; both shifted by {clouds.shift:+.1%} of their distance, to where the threshold is"
        self.ledger.take(f"Q{q}.readout.discriminator", clouds.numbers(), points[0], how)

    def _thermal(self, q: int, source: Field) -> None:
        kelvin, f01 = source.number(1e-4, 10), self.ledger.values.get(f"Q{q}.f01")
        if kelvin is not None and f01 is not None and isinstance(f01.value, float):
            excited = 1 / (1 + math.exp(_PLANCK * f01.value / (_BOLTZMANN * kelvin)))
            self.ledger.take(f"Q{q}.thermal", excited, source, "K → population of 1 at f01")

    def _delay(self, q: int, source: Field) -> None:
        delay, port = source.number(0, 1e5), self.found.acquire[q]
        known = self.ledger.values.get(f"{port}.delay")
        if delay is None:
            return
        if known is None:
            self.ledger.take(f"{port}.delay", float(round(delay)), source, "ns")
        elif known.value != round(delay):
            self.ledger.leave(source, f"{port} has one delay, that of another qubit: {known.value}")

    def _kernel(self, q: int, source: Field) -> None:
        """Take integration weights; others weigh the record before e^{-iωt}, so that ours are their conjugates."""
        text = source.text()
        duration = self.ledger.values.get(f"Q{q}.readout.duration")
        if text is None or duration is None:
            return
        try:
            weights = np.load(io.BytesIO(base64.b64decode(text, validate=True)), allow_pickle=False)
        except (ValueError, EOFError, OSError, binascii.Error) as error:
            self.ledger.leave(source, f"is no array of numbers: {error}", text)
            return
        if weights.ndim != 1 or len(weights) != duration.value or not np.isfinite(weights).all() or not weights.any():
            why = f"has {weights.size} weights, and the window {duration.value:g} samples"
            self.ledger.leave(source, why, text)
            return
        turned = np.conjugate(weights.astype(complex)) / np.abs(weights).sum()
        self.ledger.take(f"Q{q}.readout.kernel", tuple(turned.view(float).tolist()), source, "conjugate, sum 1")

    # --- pairs -------------------------------------------------------------------------------------------------------

    def _pair(self, name: str, gates: Field) -> None:
        numbers = [self.found.number(part) for part in name.split("-")]
        if len(numbers) != 2 or None in numbers:
            self.ledger.leave(gates, "a pair of qubits that are not there", name)
            return
        control, target = (int(number or 0) for number in numbers)
        for other in ("CNOT", "iSWAP"):
            if gates[other].there:
                self.ledger.leave(
                    gates[other], f"{other} has no counterpart: an echoed cross resonance is tuned up anew"
                )
                if other == "CNOT" and not gates["CZ"].there:
                    self.found.pairs.append(Pair(control, target))
        if gates["CZ"].there:
            self._cz(control, target, gates["CZ"])

    def _cz(self, control: int, target: int, gate: Field) -> None:
        rows = [(row[0].text() or "", row[1]) for row in gate.rows()]
        flux = {line["flux"]: coupler for coupler, line in self.wiring.couplers.items() if line.get("flux")}
        pulses = [(channel, pulse) for channel, pulse in rows if pulse["kind"].value == "pulse"]
        own = [(channel, pulse) for channel, pulse in pulses if channel in flux or channel.startswith("coupler")]
        if len(own) != 1 or len(own) != len(pulses):
            on = ", ".join(channel for channel, _ in pulses)
            self.ledger.leave(gate, f"a CZ here is one pulse on the coupler's line, this one has pulses on {on}")
            return
        channel, pulse = own[0]
        port = self._port(f"f{len(self.found.pairs)}", channel)
        self.found.pairs.append(Pair(control, target, port))
        subject = f"Q{control}-Q{target}.cz"
        duration, amplitude = samples(pulse["duration"]), pulse["amplitude"].number(-1, 1)
        if not duration or amplitude is None:
            self.ledger.leave(pulse, "a pulse without length and amplitude plays nothing")
            return
        shape = flux_shape(pulse["envelope"], duration)
        if shape is None:
            return
        if duration % self.found.granularity:
            self.ledger.leave(pulse["duration"], f"no multiple of {self.found.granularity} dt")
            return
        for key, value in {"duration": float(duration), "amplitude": amplitude, **shape[0]}.items():
            self.ledger.take(f"{subject}.{key}", value, pulse, shape[1])
        drives = {self._lines(self.found.qubits[q])["drive"]: side for q, side in
                  ((control, "rz_control"), (target, "rz_target"))}  # fmt: skip
        for channel, item in rows:
            if item["kind"].value == "virtualz" and (phase := item["phase"].number()) is not None:
                if channel in drives:
                    how = "sign turned: a VirtualZ(φ) of qibolab is rz(−φ)"
                    self.ledger.take(f"{subject}.{drives[channel]}", -phase, item["phase"], how)
                else:
                    self.ledger.leave(item, f"a virtual z on {channel}, which is no drive of the pair")

    # --- what is left ------------------------------------------------------------------------------------------------

    def _rest(self) -> None:
        """Tell of the configurations that nothing asked for, and of pumps, which stay sources."""
        looked = {line for name in self.found.qubits for line in self._lines(name).values() if isinstance(line, str)}
        looked |= {item for name in self.found.qubits for item in (self._lines(name).get("drive_extra") or {}).values()}
        looked |= {channel for coupler in self.wiring.couplers.values() for channel in coupler.values() if channel}
        for name, config in self.configs.items():
            kind = config["kind"].value
            if name in looked or name in self.found.oscillators or kind == "bounds":
                continue
            box = self.found.boxes.get(name)
            if kind == "oscillator" and box is not None:
                made = Oscillator(config["frequency"].number(*_HZ), config["power"].number(-150, 60), name)
                self.found.oscillators[name] = made
                self.ledger.use(
                    f"oscillators.{name}", made.frequency or 0.0, config, "a source that no port is mixed with"
                )
            else:
                self.ledger.leave(config, f"nothing here is set by a configuration of kind {kind}")


def _point(source: Field) -> complex | None:
    real, imaginary = source[0].number(), source[1].number()
    return None if real is None or imaginary is None else complex(real, imaginary)


def _visa(kind: str, address: str) -> str:
    """Return the VISA address of an instrument of which qibolab has host or host and port."""
    host = address.partition(":")[0]
    if not host:
        return "unknown"
    if kind == "SGS100A":
        return f"TCPIP::{host}::hislip0::INSTR"
    return f"TCPIP::{host}::{'5025' if kind == 'Cluster' else address.partition(':')[2] or '5025'}::SOCKET"
