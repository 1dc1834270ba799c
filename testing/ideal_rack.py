"""The rack of sim5 with a chip that does what circuits say, and the calibration set that fits it.

For comparing the whole stack with an ideal simulator: compiler, daemon, drivers, instruments, samples and Hamiltonian
are those of sim5, and what is left of the errors is below 1e-4 per ECR, 1e-5 per x or sx and 1e-6 per readout. So
:func:`ideal_chip` has no relaxation or dephasing, no thermal population, no crosstalk, no always-on ZZ, no amplifier
noise to speak of, no jumps during a readout and no photons after one, and every shot begins in the ground state,
whatever the repetition delay. Levels, samples, mixers, low-pass and readout are as they are.

A daemon around it, in a folder of the test's::

    from pulsed.cli.processes import OwnDaemon
    from pulsed.provider import PulsedProvider
    from pulsed.testing.ideal_rack import write_ideal_rack

    with OwnDaemon(tmp_path / "home", str(write_ideal_rack(tmp_path / "rack"))) as daemon:
        client = daemon.wait(600)
        backend = PulsedProvider(client=client).get_backend("ideal5")

or, without daemon, drivers and instruments, ``SimulatedLab.ideal5()`` in :mod:`pulsed.testing.simulated_lab`.
``python -m pulsed.testing.ideal_rack`` writes the values again, in two minutes.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pulsed.configs
from pulsed.model.calibration import CalibrationSet, Value
from pulsed.model.device import load_device
from pulsed.model.errors import InvalidValueError
from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.chip.chip_file import chip_toml, load_chip
from pulsed.simulator.chip.effects import Effects
from pulsed.simulator.engine.tuneup import Tuneup

NAME = "ideal5"
"""Of the rack and its backend."""

FOREVER = 100.0
"""T1 in seconds: 1e-5 of a state is lost in a millisecond."""

_CONFIGS = Path(pulsed.configs.__file__).parent
_VALUES = Path(__file__).with_name("ideal_values.json")
_WHEN = "2026-11-30T00:00:00+00:00"


def ideal_chip() -> Chip:
    """Return the chip of sim5 without anything that disturbs."""
    chip = load_chip(_CONFIGS / "chips" / "sim5.toml")
    qubits = tuple(replace(q, t1=FOREVER, t2_echo=2 * FOREVER, t2_star=2 * FOREVER, thermal=0.0) for q in chip.qubits)
    count = len(qubits)
    return replace(
        chip,
        name=NAME,
        qubits=qubits,
        crosstalk=tuple(tuple(complex(q == k) for k in range(count)) for q in range(count)),
        amplifier=replace(chip.amplifier, efficiency=1.0, noise_lsb=4.0, background=0.0),
        feedline=replace(chip.feedline, carry=False),
        effects=Effects(idle_zz=False, residual_photons=False, readout_jumps=False, memory=False),
    )


def ideal_calibration() -> CalibrationSet:
    """Return the values that make its gates exact."""
    values = {}
    for name, (value, unit) in json.loads(_VALUES.read_text(encoding="utf-8")).items():
        plain = tuple(value) if isinstance(value, list) else value
        values[name] = Value(plain, unit, None, _WHEN, "tuneup", NAME, "good")
    return CalibrationSet(NAME, values, _WHEN)


def write_ideal_rack(folder: Path) -> Path:
    """Write ``rack.toml``, ``chip.toml`` and ``calibration.json`` into ``folder``; return the first.

    Raises:
        InvalidValueError: the folder has a rack already.

    """
    path = folder / "rack.toml"
    if path.exists():
        raise InvalidValueError("is there already", subject=str(path), legal="a folder without it")
    folder.mkdir(parents=True, exist_ok=True)
    text = (_CONFIGS / "sim5.toml").read_text(encoding="utf-8")
    for key, old, new in (
        ("name", "sim5", NAME),
        ("rep_delay", "800 us", "500 us"),  # nothing is left of a shot anyway
        ("simulator", "chips/sim5.toml", "chip.toml"),
        ("calibration", "calibrations/sim5.json", "calibration.json"),
    ):
        line = f'\n{key} = "{old}"\n'
        if text.count(line) != 1:
            raise InvalidValueError("has changed", subject="sim5.toml", value=f"no line {line.strip()}")
        text = text.replace(line, f'\n{key} = "{new}"\n')
    path.write_text(text, encoding="utf-8")
    path.with_name("chip.toml").write_text(chip_toml(ideal_chip()), encoding="utf-8")
    path.with_name("calibration.json").write_bytes(ideal_calibration().to_json())
    return path


def main() -> None:
    """Work the values out and keep them beside this module."""
    device = load_device(_CONFIGS / "sim5.toml")
    first = device.qubits[0]
    los = device.lo_frequency(first.drive), device.lo_frequency(first.readout)
    tuneup = Tuneup(ideal_chip(), 0, *los, cr_amplitude=0.5)  # ten times more exact than at 0.9, and half as fast
    rows = [f"{json.dumps(n)}: {json.dumps([v.value, v.unit])}" for n, v in sorted(tuneup.run().items())]
    _VALUES.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
