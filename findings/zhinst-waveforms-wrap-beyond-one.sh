#!/usr/bin/env bash
# Expected: a sample beyond full scale is clipped or refused, the same way on both roads of one vendor.
# Seen (zhinst-toolkit 1.4.0, zhinst-core 26.7.2.5): `Waveforms` turns 1.0001 into the code of about -1 (the integer
#   wraps) without a warning, and so does a float array that overshoots by rounding; the sequence compiler clips the
#   same sample to 1 with a warning. And an *integer* array is taken as raw codes: ones become 1/32767 of full
#   scale.
# Matters: a mixer correction or a sum of two tones that passes 1 by a hair plays a full-scale glitch of the other
#   sign; check the range yourself before an upload.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check \
  "zhinst-toolkit==1.4.0" "zhinst-core==26.7.2.5" "zhinst-utils==0.7.2"
env/bin/python - <<'PY'
import importlib.metadata

import numpy as np
import zhinst.core
from zhinst.toolkit import Waveforms

print("zhinst-toolkit", importlib.metadata.version("zhinst-toolkit"))
waves = Waveforms()
waves[0] = np.array([0.5, 1.0, 1.0001, -1.0, -1.0001] + [0.0] * 11)
codes = waves.get_raw_vector(0).astype(np.int16)[:5]
print("samples 0.5, 1, 1.0001, -1, -1.0001 as codes:", codes.tolist())
assert codes[1] > 32000 and codes[2] < -32000 and codes[3] < -32000 and codes[4] > 32000
waves[1] = np.ones(16, dtype=int)
print("integer ones as codes:", waves.get_raw_vector(1)[:3].tolist())
assert set(waves.get_raw_vector(1).tolist()) == {1}
_, info = zhinst.core.compile_seqc("wave w = 1.0001 * ones(64); playWave(w);", "HDAWG8", "", 0, samplerate=2.4e9)
print("sequence compiler:", info["messages"].strip())
assert "limited to 1.0" in info["messages"]
PY
echo "as stated"
