#!/usr/bin/env bash
# Expected: a sweep from 0 to 1 ends at 1, to within one unit of the hardware.
# Seen (qick 0.2.436): the step of a hardware loop is truncated to an integer once and then added up. A gain sweep 0
#   to 1 of 1001 points ends at 0.977, a length sweep of 0.05 to 1 us with 100 points at 0.876 us: 12 percent short.
#   `get_pulse_param(..., as_array=True)` tells the true axis; the numbers that were asked for do not.
# Matters: a Rabi or T1 curve plotted over the axis asked for is stretched, and the fitted amplitude or time is
#   wrong by the same factor.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "qick==0.2.436"
env/bin/python - <<'PY'
import logging

from qick import QickConfig, get_version
from qick.asm_v2 import AveragerProgramV2, QickSweep1D

logging.disable(logging.CRITICAL)
# a board as its firmware would describe it, as small as the compiler allows
generator = dict(
    type="axis_signal_gen_v6", fs=9584.64, fs_mult=39, fs_div=1, fdds_div=1, f_dds=9584.64, f_fabric=599.04,
    samps_per_clk=16, b_dds=32, b_phase=32, maxlen=65536, has_mixer=False, has_gain=True, has_phase=True,
    has_dds=True, maxv=32766, maxv_scale=1.0, interpolation=1, dac="00", tproc_ch=0, complex_env=True,
)
processor = dict(type="qick_processor", revision=27, dreg_qty=16, f_time=430.08, f_core=200.0, pmem_size=4096,
                 dmem_size=4096, wmem_size=1024, output_pins=[])
board = QickConfig(dict(board="ZCU216", sw_version=get_version(), refclk_freq=245.76, gens=[generator],
                        readouts=[], tprocs=[processor]))


class Pulse(AveragerProgramV2):
    def _initialize(self, cfg):
        self.declare_gen(ch=0, nqz=1)
        if "points" in cfg:
            self.add_loop("sweep", cfg["points"])
        self.add_pulse(ch=0, name="p", style="const", freq=1000, phase=0,
                       length=cfg.get("length", 0.1), gain=cfg.get("gain", 0.5))

    def _body(self, cfg):
        self.pulse(ch=0, name="p", t=0)


print("qick", get_version())
gain = Pulse(board, reps=1, final_delay=1, cfg=dict(points=1001, gain=QickSweep1D("sweep", 0, 1)))
length = Pulse(board, reps=1, final_delay=1, cfg=dict(points=100, length=QickSweep1D("sweep", 0.05, 1)))
gains = gain.get_pulse_param("p", "gain", as_array=True)
lengths = length.get_pulse_param("p", "length", as_array=True)
print(f"gain 0 to 1, {gains.size} points: ends at {gains[-1]:.4f}")
print(f"length 0.05 to 1 us, {lengths.size} points: ends at {lengths[-1]:.4f} us")
assert gains.size == 1001 and abs(gains[-1] - 0.9766) < 1e-3
assert lengths.size == 100 and abs(lengths[-1] - 0.8764) < 1e-3
PY
echo "as stated"
