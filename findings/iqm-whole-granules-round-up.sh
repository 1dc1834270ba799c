#!/usr/bin/env bash
# Expected: a duration that is a whole number of granules is left alone when durations are rounded up to the
#   granularity.
# Seen (iqm-pulse 15.0.0): the quotient is a float and its ceiling is taken: 15 x 8 ns, written as a product,
#   becomes 128 ns instead of 120. Of the first 500 multiples of 8 ns 17 come out a granule too long, of sums of
#   steps more than half. `duration_to_int_samples` of the same class rounds to a hundredth of a sample and accepts
#   all of them. The delay operation rounds up this way.
# Matters: the axis of a T1 or Ramsey sweep made by adding steps is wrong by a granule at many of its points,
#   without a warning.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "iqm-pulse==15.0.0"
env/bin/python - <<'PY'
import importlib.metadata
import itertools

from iqm.pulse.playlist.channel import ChannelProperties

print("iqm-pulse", importlib.metadata.version("iqm-pulse"))
channel = ChannelProperties(sample_rate=2e9, instruction_duration_granularity=16, instruction_duration_min=16)


def too_long(durations):
    found = []
    for k, duration in enumerate(durations, 1):
        assert channel.duration_to_int_samples(duration) == 16 * k
        rounded = channel.round_duration_to_granularity(duration, round_up=True)
        if channel.duration_to_int_samples(rounded) != 16 * k:
            found.append(k)
    return found


products = too_long([k * 8e-9 for k in range(1, 501)])
sums = too_long(itertools.islice(itertools.accumulate(itertools.repeat(8e-9)), 500))
print(f"products: {len(products)} of 500 a granule too long, first {products[:5]}; sums: {len(sums)} of 500")
print(f"15 * 8 ns becomes {channel.round_duration_to_granularity(15 * 8e-9, round_up=True) * 1e9:.0f} ns")
assert products[:5] == [15, 30, 60, 63, 120] and len(products) == 17 and len(sums) > 250
PY
echo "as stated"
