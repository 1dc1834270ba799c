#!/usr/bin/env bash
# Expected: a driven control that is resampled to another time step does the same rotation, or says that it cannot.
# Seen (qctrl-open-controls 12.0.2): the number of steps is rounded up and the last value is played for a whole step,
#   with nothing taken back elsewhere: a pi pulse of 71.4 ns becomes 1.12 pi at steps of 10 ns and 1.08 pi at 7 ns. The
#   documentation says that the duration may be slightly larger; of the rotation it says nothing. Where the step
#   divides the duration it is right.
# Matters: the step is the sample of the waveform generator, and resampling is the last thing done before an upload:
#   every gate of the set is over-rotated by an amount of its own.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "qctrl-open-controls==12.0.2" "numpy==2.2.6"
env/bin/python -W ignore - <<'PY'
import importlib.metadata

import numpy as np
import qctrlopencontrols as controls


def turn(control):
    """Return the angle by which a resonant control turns the qubit, in units of pi."""
    return float(np.sum(control.rabi_rates * control.durations) / np.pi)


print("qctrl-open-controls", importlib.metadata.version("qctrl-open-controls"))
pulse = controls.new_primitive_control(rabi_rotation=np.pi, azimuthal_angle=0.0, maximum_rabi_rate=2 * np.pi * 7e6)
print(f"a pulse of {pulse.duration * 1e9:.2f} ns turns by {turn(pulse):.4f} pi")
assert abs(turn(pulse) - 1) < 1e-9
for step, expected in ((pulse.duration / 16, 1.0), (1e-9, 1.008), (7e-9, 1.078), (10e-9, 1.12)):
    sampled = pulse.resample(step)
    print(f"at steps of {step * 1e9:.2f} ns: {sampled.duration * 1e9:.2f} ns, {turn(sampled):.4f} pi")
    assert abs(turn(sampled) - expected) < 1e-3
PY
echo "as stated"
