#!/usr/bin/env bash
# Expected: a time between two samples is refused or warned about, or rounded once in absolute time, so that a
#   sequence keeps its length.
# Seen (laboneq 26.7.0, SHFSG at 2 GS/s): each delay and each pulse length is rounded to half a nanosecond by
#   itself, halves to the even sample, without a word: delays of 100, 100.25, 100.5 and 100.75 ns play as 100, 100,
#   100.5 and 101, and ten delays of 100.2 ns in a row end 2 ns early. A pulse of 50.25 ns has 100 samples, one of
#   50.3 ns 101.
# Matters: a fine sweep has doubled points, and a long echo or RB sequence drifts off the phase that was worked out
#   for it by 2 pi f times the sum of what was rounded.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "laboneq==26.7.0"
env/bin/python - <<'PY'
import importlib.metadata
import logging

import numpy as np
from laboneq.simple import *  # noqa: F403
from laboneq.simulator.output_simulator import OutputSimulator

logging.disable(logging.INFO)
setup = DeviceSetup("setup")
setup.add_dataserver(host="localhost", port="8004")  # emulated: nothing listens there, nothing is dialled
setup.add_instruments(SHFSG(uid="sg", address="DEV12001", device_options="SHFSG8"))
setup.add_connections("sg", create_connection(to_signal="q/drive", ports="SGCHANNELS/0/OUTPUT"))
setup.set_calibration(Calibration({"q/drive": SignalCalibration(
    oscillator=Oscillator("if", frequency=0, modulation_type=ModulationType.SOFTWARE),
    local_oscillator=Oscillator("lo", frequency=5e9), range=10)}))
session = Session(setup)
session.connect(do_emulation=True)


def starts(delays, length=50e-9):
    experiment = Experiment("e", signals=[ExperimentSignal("drive", map_to="q/drive")])
    pulse = pulse_library.const(uid="p", length=length, amplitude=0.5)
    with experiment.acquire_loop_rt(count=1), experiment.section(uid="s"):
        for delay in delays:
            experiment.delay("drive", delay)
            experiment.play("drive", pulse)
    channel = setup.logical_signal_groups["q"].logical_signals["drive"].physical_channel
    total = sum(delays) + length * len(delays) + 1e-6
    played = OutputSimulator(session.compile(experiment)).get_snippet(
        channel, start=0, output_length=total, get_wave=True)
    on = (np.abs(played.wave) > 1e-3).astype(int)
    return np.asarray(played.time)[np.flatnonzero(np.diff(on) == 1) + 1] * 1e9, int(on.sum())


print("laboneq", importlib.metadata.version("laboneq"))
single = [float(starts([delay * 1e-9])[0][0].round(2)) for delay in (100, 100.25, 100.5, 100.75)]
ten = float(starts([100.2e-9] * 10)[0][-1].round(2))
samples = [starts([100e-9], length * 1e-9)[1] for length in (50, 50.25, 50.3)]
print(f"delays 100, 100.25, 100.5, 100.75 ns play as {single}")
print(f"the tenth pulse after ten delays of 100.2 ns starts at {ten} ns; asked for {10 * 100.2 + 9 * 50:.1f}")
print(f"pulses of 50, 50.25, 50.3 ns have {samples} samples")
assert single == [100.0, 100.0, 100.5, 101.0] and samples == [100, 100, 101] and abs(ten - 1450.0) < 0.26
PY
echo "as stated"
