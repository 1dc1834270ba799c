#!/usr/bin/env bash
# Expected: `tphi_1_over_f_cc()` takes its noise strength in units of the critical current, `tphi_1_over_f_ng()` in
#   electrons, as the table of its defaults says (A_cc = 1e-7 I_c, A_ng = 1e-4 e); a system of units changes no physics.
# Seen (scqubits 4.3.1): A_cc multiplies dE/dEJ without EJ: it is 1e-7 *GHz* of Josephson energy. A transmon of EJ = 20
#   GHz is given 2.55 ms where the slope at 1e-7 I_c gives 0.128 ms, twenty times less. The same transmon in MHz is
#   given the same number, now of microseconds: 2.55 s. A_ng multiplies dE/dng, and ng counts Cooper pairs: the
#   dephasing by charge is twice as fast as 1e-4 e makes it.
# Matters: budgets of coherence that leave the defaults alone call critical current noise negligible; for small EJ (a
#   fluxonium of 4 GHz) the error is another. Give `A_noise=1e-7 * EJ` and `A_noise=0.5e-4`.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "scqubits==4.3.1" "numpy==2.2.6" "scipy==1.15.3" \
  "qutip==5.2.0"
HOME="$dir" MPLBACKEND=agg OMP_NUM_THREADS=1 env/bin/python -W ignore - 2> /dev/null <<'PY'
import importlib.metadata

import numpy as np
import scqubits
from scqubits.core.noise import NOISE_PARAMS

EJ, EC, NG, STEP = 20.0, 0.2, 0.3, 1e-4
ROOT = 2 * np.pi * np.sqrt(2 * abs(np.log(NOISE_PARAMS["omega_low"] * NOISE_PARAMS["t_exp"])))


def transmon(ej=EJ, ng=NG, unit=1.0):
    return scqubits.Transmon(EJ=ej * unit, EC=EC * unit, ng=ng, ncut=30)


print("scqubits", importlib.metadata.version("scqubits"))
assert NOISE_PARAMS["A_cc"] == 1e-7 and NOISE_PARAMS["A_ng"] == 1e-4
per_current = (transmon(ej=EJ * (1 + STEP)).E01() - transmon(ej=EJ * (1 - STEP)).E01()) / (2 * STEP)  # GHz per I_c
per_electron = (transmon(ng=NG + STEP).E01() - transmon(ng=NG - STEP).E01()) / (2 * STEP) / 2  # GHz per e
for name, strength, slope in (("cc", 1e-7, per_current), ("ng", 1e-4, per_electron)):
    by_hand = 1 / (ROOT * strength * abs(slope))
    seen = getattr(transmon(), f"tphi_1_over_f_{name}")()
    print(f"{name}: by the slope {by_hand / 1e6:.4g} ms, by scqubits {seen / 1e6:.4g} ms: {seen / by_hand:.3f} times")
    assert abs(seen / by_hand - (EJ if name == "cc" else 0.5)) < 0.01
given = transmon().tphi_1_over_f_cc()
scqubits.set_units("MHz")
same, charge = transmon(unit=1e3).tphi_1_over_f_cc(), transmon(unit=1e3).t1_capacitive()
scqubits.set_units("GHz")
print(f"in MHz: {same * 1e-6:.4g} s instead of {given * 1e-9:.4g} s; t1_capacitive stays "
      f"{charge:.5g} us and {transmon().t1_capacitive() * 1e-3:.5g} us")
assert abs(same / given - 1) < 1e-6 and abs(charge / transmon().t1_capacitive() - 1e-3) < 1e-6
PY
echo "as stated"
