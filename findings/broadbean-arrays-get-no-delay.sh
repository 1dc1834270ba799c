#!/usr/bin/env bash
# Expected: `setChannelDelay` delays a channel, whether its waveform is a blueprint or an array, and what `forge` (and
#   so the plot) shows is what goes to the instrument.
# Seen (broadbean 0.14.0): for arrays the output to files divides the delay by the sampling rate instead of
#   multiplying: 0 samples for every delay. `forge` of the same sequence delays them right; blueprints are delayed
#   right on both roads. Nothing is said.
# Matters: channels aligned for their cables are aligned in the plot and not on the AWG: drive and flux pulses of
#   precomputed arrays overlap where they should not.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "broadbean==0.14.0"
env/bin/python - <<'PY'
import importlib.metadata
import logging

import broadbean
import numpy as np

logging.disable(logging.WARNING)
RATE = 1e9


def sequence(arrays):
    element = broadbean.Element()
    for channel in (1, 2):
        if arrays:
            wave, off = np.zeros(3000), np.zeros(3000)
            wave[100:200] = 0.5
            element.addArray(channel, wave, RATE, m1=off, m2=off)
        else:
            blueprint = broadbean.BluePrint()
            for level, duration in ((0, 100e-9), (0.5, 100e-9), (0, 2800e-9)):
                blueprint.insertSegment(-1, broadbean.PulseAtoms.ramp, (level, level), dur=duration)
            blueprint.setSR(RATE)
            element.addBluePrint(channel, blueprint)
    made = broadbean.Sequence()
    made.addElement(1, element)
    made.setSR(RATE)
    for channel in (1, 2):
        made.setChannelAmplitude(channel, 2)
    made.setChannelDelay(2, 50e-9)
    for setting in (made.setSequencingTriggerWait, made.setSequencingEventInput, made.setSequencingEventJumpTarget,
                    made.setSequencingGoto):
        setting(1, 0)
    made.setSequencingNumberOfRepetitions(1, 1)
    return made


print("broadbean", importlib.metadata.version("broadbean"))
for arrays, expected in ((False, [100, 150]), (True, [100, 100])):
    forged = sequence(arrays).forge(apply_delays=True)[1]["content"][1]["data"]
    shown = [int(np.flatnonzero(forged[channel]["wfm"])[0]) for channel in (1, 2)]
    waves = sequence(arrays).outputForSEQXFile()[5]
    sent = [int(np.flatnonzero(channel[0][0])[0]) for channel in waves]
    print(f"{'arrays' if arrays else 'blueprints'}: pulses begin at sample {shown} in forge, {sent} in the file")
    assert shown == [100, 150] and sent == expected
PY
echo "as stated"
