"""IBM's device files: conf (configuration), props (properties) and defs (pulse defaults), as Qiskit writes them."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from pulsed.calibration.interchange.fields import Field, Ledger, read_json
from pulsed.calibration.interchange.ibm_pulses import Commands
from pulsed.calibration.interchange.platform import Pair, Platform, PlatformPort
from pulsed.model.errors import ConfigError, InvalidValueError
from pulsed.model.units import parse_quantity

_KEYS = {
    "conf": {"backend_name", "n_qubits", "basis_gates"},
    "props": {"qubits", "gates", "last_update_date"},
    "defs": {"qubit_freq_est", "cmd_def"},
}
_QUBIT = {
    "T1": ("t1", "s"), "T2": ("t2", "s"), "frequency": ("f01", "Hz"), "anharmonicity": ("anharmonicity", "Hz"),
    "readout_error": ("readout.error", ""), "prob_meas0_prep1": ("readout.p01", ""),
    "prob_meas1_prep0": ("readout.p10", ""),
}  # fmt: skip
"""Property of a qubit → value and its unit."""
_GATES = {"x": "x.error", "sx": "sx.error"}


def fits(data: Mapping[str, Any]) -> bool:
    """Whether the JSON of one file is one of the three."""
    return _kind(data) is not None


def _kind(data: Any) -> str | None:
    found = (kind for kind, keys in _KEYS.items() if isinstance(data, dict) and keys <= data.keys())
    return next(found, None)


def read(files: Mapping[str, Path], ledger: Ledger) -> Platform:
    """Read a device: conf is needed, props and defs add what they have.

    Raises :class:`ConfigError` and :class:`InvalidValueError`.
    """
    roots: dict[str, Field] = {}
    for name, path in files.items():
        data = read_json(path)
        kind = _kind(data)
        if kind is None:
            ledger.leave(Field(name, "", None, ledger), "is none of conf, props and defs")
        elif kind in roots:
            raise InvalidValueError("two files of one kind", subject=kind, value=name, legal="one device")
        else:
            roots[kind] = Field(name, "", data, ledger)
    if "conf" not in roots:
        raise ConfigError("no configuration", subject="ibm", value=", ".join(files), legal="conf_NAME.json, and beside "
                          "it props_NAME.json and defs_NAME.json where there are")  # fmt: skip
    nothing = {kind: Field(f"{kind} (not given)", "", None, ledger) for kind in _KEYS}
    return _Device({**nothing, **roots}, ledger).platform()


class _Device:
    """One device on its way."""

    def __init__(self, roots: Mapping[str, Field], ledger: Ledger) -> None:
        self.conf, self.props, self.defs = (roots[kind] for kind in ("conf", "props", "defs"))
        self.ledger = ledger
        self.found = Platform("ibm", self.conf["backend_name"].text() or "ibm", ledger, wiring=self.conf.file)

    def platform(self) -> Platform:
        """Return all of it."""
        count = self.conf["n_qubits"].number(1, 10_000)
        if count is None:
            raise ConfigError("no number of qubits", subject=self.conf.file, value="n_qubits")
        self._time_step()
        for q in range(int(count)):
            self._qubit(q)
        self._gates()
        self._pairs()
        self._commands()
        self._limits()
        self.ledger.ask("instruments", "IBM's files say nothing of a rack: fill them in")
        return self.found

    def _time_step(self) -> None:
        """Find dt, which is in ns; some files have seconds there."""
        source = self.conf["dt"]
        value = source.number(0, 1e3)
        if not value:
            self.ledger.ask("dt", "is not said: 1 ns is made up, and pulses are left out")
            return
        seconds = value < 1e-6
        exact = (Fraction(value) * (10**9 if seconds else 1)).limit_denominator(10_000)
        if not Fraction(1, 20) <= exact <= 20:
            raise InvalidValueError("no time step", subject=f"{source.file}: dt", value=value, legal="0.05 to 20 ns")
        self.found.dt = exact / 10**9
        self.ledger.use("dt", f"{exact} ns", source, "s, though IBM's unit is ns" if seconds else "ns")
        timing = self.conf["timing_constraints"]
        for name, key in (("granularity", "granularity"), ("min_length", "min_length")):
            if (number := timing[key].number(1, 2**16)) is not None:
                setattr(self.found, name, int(number))
                self.ledger.use(f"timing.{name}", int(number), timing[key])

    # --- qubits ------------------------------------------------------------------------------------------------------

    def _qubit(self, q: int) -> None:
        self.found.qubits.append(str(q))
        self.found.drive[q], self.found.readout[q], self.found.acquire[q] = f"d{q}", "ro", "in"
        for port in (f"d{q}", "ro", "in"):
            self.found.ports.setdefault(port, PlatformPort())
        entries = {entry["name"].value: entry for entry in self.props["qubits"][q].rows()}
        for name, (value, unit) in _QUBIT.items():
            if name in entries:
                self._property(f"Q{q}.{value}", entries[name], unit)
        estimate = self.defs["qubit_freq_est"][q]
        if f"Q{q}.f01" not in self.ledger.values and (number := estimate.number(1, 20)) is not None:
            self.ledger.take(f"Q{q}.f01", number * 1e9, estimate, "GHz → Hz")
        readout = self.defs["meas_freq_est"][q]
        if (number := readout.number(1, 20)) is not None:
            self.ledger.take(f"Q{q}.readout.frequency", number * 1e9, readout, "GHz → Hz")
        elif (number := _middle(self.conf["meas_lo_range"][q])) is not None:
            self.ledger.take(f"Q{q}.readout.frequency", number * 1e9, self.conf["meas_lo_range"][q], "middle, GHz → Hz")

    def _property(self, name: str, entry: Field, unit: str) -> None:
        """Take one entry of props: a value with a unit of its own."""
        value, given = entry["value"].number(), entry["unit"].text()
        if value is None:
            return
        if unit and not given:
            self.ledger.leave(entry, "its unit is missing", value)
            return
        if name.endswith("anharmonicity") and value == 0:
            self.ledger.leave(entry, "0 stands for not known", value)
            return
        try:
            number = float(parse_quantity(f"{value!r} {given}", unit)) if unit else value
        except ValueError as error:
            self.ledger.leave(entry, str(error), value)
            return
        self.ledger.take(name, number, entry["value"], f"{given} → {unit}" if unit and given != unit else "as it is")

    def _gates(self) -> None:
        for gate in self.props["gates"].rows():
            name, qubits = gate["gate"].value, gate["qubits"].value
            errors = [entry for entry in gate["parameters"].rows() if entry["name"].value == "gate_error"]
            if not isinstance(qubits, list) or not errors or name in ("id", "rz", "reset", "u1", "measure"):
                continue
            error = errors[0]["value"].number(0, 1)
            if error is None or error == 1:
                if error == 1:
                    self.ledger.leave(errors[0], "1 stands for a gate that does not work", error)
            elif len(qubits) == 1 and name in _GATES:
                self.ledger.take(f"Q{qubits[0]}.{_GATES[name]}", error, errors[0]["value"])
            elif len(qubits) == 2 and name == "ecr":
                self.ledger.take(f"Q{qubits[0]}-Q{qubits[1]}.ecr.error", error, errors[0]["value"])
            else:
                self.ledger.leave(errors[0], f"{name} is no gate that is calibrated here", error)

    # --- pairs and pulses --------------------------------------------------------------------------------------------

    def _pairs(self) -> None:
        """Enter pairs in the order of the control channels, where those are known; else as in the coupling map."""
        seen: list[tuple[int, int]] = []
        channels = dict(self.conf["channels"].items()) if self.conf["channels"].there else {}
        for k in range(len(channels)):
            operates = channels[f"u{k}"].at("operates", "qubits").value if f"u{k}" in channels else None
            if isinstance(operates, list) and len(operates) == 2:
                seen.append((int(operates[0]), int(operates[1])))
        if not seen:
            rows = [row.value for row in self.conf["coupling_map"].rows()]
            seen = [(row[0], row[1]) for row in rows if isinstance(row, list) and len(row) == 2]
        for control, target in dict.fromkeys(seen):
            if all(isinstance(q, int) and 0 <= q < len(self.found.qubits) for q in (control, target)):
                self.found.pairs.append(Pair(control, target))
            else:
                self.ledger.leave(self.conf["coupling_map"], "a pair of qubits that are not there", (control, target))

    def _commands(self) -> None:
        if not self.defs.there:
            self.ledger.ask("pulses", "defs was not given: no pulse is known, so that a bring-up begins with a Rabi")
            return
        commands = Commands(self.found, self.defs)
        for q in range(len(self.found.qubits)):
            commands.rotation(q, "x")
            commands.rotation(q, "sx")
            commands.measurement(q)
        for pair in self.found.pairs:
            commands.echo(pair.control, pair.target)

    def _limits(self) -> None:
        if (delay := self.conf["default_rep_delay"].number(0, 1e6)) is not None:
            self.found.limits["rep_delay"] = delay * 1e-6
            self.ledger.use("limits.rep_delay", delay * 1e-6, self.conf["default_rep_delay"], "us → s")
        if (shots := self.conf["max_shots"].number(1, 1e9)) is not None:
            self.found.limits["max_shots"] = int(shots)
            self.ledger.use("limits.max_shots", int(shots), self.conf["max_shots"])


def _middle(band: Field) -> float | None:
    low, high = band[0].number(0, 100), band[1].number(0, 100)
    return (low + high) / 2 if low is not None and high is not None and 1 <= (low + high) / 2 <= 20 else None
