"""The mixer's nulls found with the analyser of the simulated rack, from nothing, against those of its chip."""

from pathlib import Path

import msgspec
import numpy as np

import pulsed.configs
from pulsed.calibration.executor import Executor
from pulsed.calibration.routine import find_routine
from pulsed.calibration.runner.runner import run
from pulsed.simulator.chip.chip_file import load_chip
from pulsed.simulator.dynamics.lines import ideal_correction


def test_offsets_and_corrections_of_a_drive_and_of_the_readout_port(lab, tmp_path, drawn):
    client = lab[1]
    known = client.calibration()
    cold = {name: value for name, value in known.values.items() if ".mixer." not in name}
    executor = Executor(client, msgspec.structs.replace(known, values=cold))
    chip = load_chip(Path(pulsed.configs.__file__).parent / "chips" / "sim5.toml")
    routine = find_routine("mixer")()
    finished = run(routine, ["d1", "ro"], executor, folder=tmp_path)
    for target, item in finished.items():
        assert item.good, f"{target}: {item.record.reason}"
        correction, offset = ideal_correction(chip.wire(target))
        for name, ideal in (("offset", offset), ("correction", correction)):
            value = item.values[f"{target}.mixer.{name}"]
            # The larger of two standard errors; five of them on four numbers by chance once in 10^6.
            assert np.all(np.abs(np.subtract(value.value, ideal)) < 5 * value.stderr), f"{target}.{name}: {value}"
            assert value.stderr < 3e-4
        drawn(routine, item.data, item.outcome)
    good = {name: value for item in finished.values() for name, value in item.values.items()}
    (well,) = run(routine, ["d1"], executor.propose(good), folder=tmp_path, kind="check").values()
    assert well.good, well.record.reason
    (plain,) = run(routine, ["d1"], executor, folder=tmp_path, kind="check").values()
    assert plain.record.outcome == "out of spec"
    assert client.calibration() == known, "nothing of it is active"
