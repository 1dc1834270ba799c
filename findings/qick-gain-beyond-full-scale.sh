#!/usr/bin/env bash
# Expected: a gain beyond full scale is refused when the program is compiled, as a pulse that is too short or too
#   long is.
# Seen (qick 0.2.436): gain 1.5 and 2.0 compile without a word to 49149 and 65532 in the wave memory, beyond the 16
#   bits of the field (full scale 32766; read as a signed 16-bit number these are -16387 and -4), and
#   `get_pulse_param` repeats 1.5 and 2.0 as if they were played.
# Matters: an amplitude calibration that runs past full scale sees a pulse of another height and sign, not an error:
#   the limit has to be checked before the vendor's compiler is called.
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


import numpy as np

print("qick", get_version())
for gain, code in ((1.0, 32766), (1.5, 49149), (2.0, 65532)):
    program = Pulse(board, reps=1, final_delay=1, cfg=dict(gain=gain))
    written = int(program.binprog["wmem"][0][3])
    print(f"gain {gain}: {written} in wave memory (as int16 {np.array(written).astype(np.int16)}), "
          f"said to be {program.get_pulse_param('p', 'gain'):.3f}")
    assert written == code and abs(program.get_pulse_param("p", "gain") - gain) < 1e-3
PY
echo "as stated"
