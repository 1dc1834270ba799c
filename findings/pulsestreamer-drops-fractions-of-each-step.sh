#!/usr/bin/env bash
# Expected: a step of a Pulse Streamer sequence whose length is not a whole number of nanoseconds is rounded to the
#   nearest one, or refused.
# Seen (pulsestreamer 2.1.2): `setDigital` and `setAnalog` cut the fraction off each step by itself, without a word. Of
#   the 100 delays above zero of `np.linspace(0, 1e-6, 101) / 1e-9`, whole tens of ns on paper, 29 become a nanosecond
#   shorter, as 50 ns come out as 49.99999999999999; 20 steps of 10.9 ns last 200 ns instead of 218.
# Matters: the points of a decay or an echo are not where they are plotted, some by a whole clock period and some not, and
#   two channels with the same total on paper drift apart. Round times before they go into a sequence.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
# the module with the sequences needs numpy alone; the rest of the package talks to the instrument
env/bin/python -m pip install --quiet --disable-pip-version-check --no-compile "numpy==2.2.6"
env/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps "pulsestreamer==2.1.2"
env/bin/python - <<'PY'
import importlib.metadata
import importlib.util

import numpy as np

package = importlib.util.find_spec("pulsestreamer").submodule_search_locations[0]
spec = importlib.util.spec_from_file_location("sequence", f"{package}/sequence.py")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)


def steps(*channels):
    """What is sent to the instrument: (length in ns, levels of the digital outputs) of each step."""
    sequence = module.Sequence()
    for number, pattern in enumerate(channels):
        sequence.setDigital(number, pattern)
    return [(step[0], step[1]) for step in sequence.getData()]


print("pulsestreamer", importlib.metadata.version("pulsestreamer"))
delays = np.linspace(0, 1e-6, 101) / 1e-9
assert np.abs(delays - np.arange(101) * 10).max() < 1e-9
sent = [steps([(100, 1), (delay, 0), (100, 1)])[1][0] for delay in delays[1:]]
short = [(delay, length) for delay, length in zip(delays[1:].tolist(), sent) if length != round(delay)]
print(f"{len(short)} of {len(sent)} delays are short, the first: {short[0][0]!r} ns is sent as {short[0][1]} ns")
assert len(short) == 29 and all(length == round(delay) - 1 for delay, length in short)

train = steps([(10.9, 1), (10.9, 0)] * 10)
print(f"20 steps of 10.9 ns last {sum(length for length, _ in train)} ns")
assert sum(length for length, _ in train) == 200
both = steps([(10.9, 0)] * 10 + [(50, 1)], [(109, 0), (50, 1)])
print(f"edges that belong together, after 10 x 10.9 and after 109 ns: {both}")
assert both[0] == (100, 0) and both[1] == (9, 1), "the two channels rise together now"
PY
echo "as stated"
