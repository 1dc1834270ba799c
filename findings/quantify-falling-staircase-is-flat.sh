#!/usr/bin/env bash
# Expected: the staircase behind `StaircasePulse(start_amp=0.5, final_amp=0, num_steps=5)` steps down from 0.5 to 0.
# Seen (quantify-scheduler 0.28.1): the samples are limited from below by the start and from above by the end, as if
#   stairs only went up: a falling staircase has its final amplitude from the first sample on, whatever it starts
#   from. Rising ones, from negative amplitudes too, are right. The compiler for Qblox plays these samples, without a
#   word.
# Matters: a flux or gate scan downwards measures one point over and over, and plots it against five amplitudes; a
#   hysteresis loop made of one staircase up and one down has half of it missing.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
# the module with the shapes needs these two alone; the rest of the package needs a hundred more
env/bin/python -m pip install --quiet --disable-pip-version-check "numpy==2.2.6" "scipy==1.15.3"
env/bin/python -m pip install --quiet --disable-pip-version-check --no-deps "quantify-scheduler==0.28.1"
env/bin/python - <<'PY'
import importlib.metadata
import importlib.util

import numpy as np

package = importlib.util.find_spec("quantify_scheduler").submodule_search_locations[0]
spec = importlib.util.spec_from_file_location("waveforms", f"{package}/waveforms.py")
waveforms = importlib.util.module_from_spec(spec)
spec.loader.exec_module(waveforms)

print("quantify-scheduler", importlib.metadata.version("quantify-scheduler"))
t = np.arange(500) * 1e-9
for start, final in ((0, 0.5), (-0.5, 0.5), (0.5, 0), (0.5, -0.5), (0, -0.5)):
    samples = waveforms.staircase(t, start_amp=start, final_amp=final, num_steps=5, duration=500e-9)
    plateaus = samples[50::100]
    print(f"from {start} to {final}: plateaus {plateaus.tolist()}")
    if final > start:
        assert np.allclose(plateaus, np.linspace(start, final, 5))
    else:
        assert np.all(samples == final), "stairs go down now"
PY
echo "as stated"
