#!/usr/bin/env bash
# Expected: smoothing a waveform of bloqade with one of its ten kernels leaves a plateau where it was; all of them are
#   probability densities.
# Seen (bloqade-analog 0.16.9): nine are; the kernel `Uniform` is 1 on an interval that is two wide, so the smoothed
#   waveform is twice as high: a constant of 15 rad/us becomes 30.
# Matters: a Rabi drive smoothed with the plainest moving average turns the atoms twice as far, a detuning ramp ends at
#   twice its value; where 30 is still within the limits of the machine nothing stops it.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
# the module with the waveforms needs these four alone; the rest of the package needs many more
env/bin/python -m pip install --quiet --disable-pip-version-check --no-compile "numpy==2.2.6" "scipy==1.15.3" \
  "beartype==0.23.1" "pydantic==2.14.4"
env/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps "bloqade-analog==0.16.9"
OMP_NUM_THREADS=1 env/bin/python -W ignore - <<'PY'
import importlib.metadata
import sys
import types
from pathlib import Path

base = next(Path(sys.prefix).glob("lib/*/site-packages/bloqade"))
for name in ("bloqade", "bloqade.analog", "bloqade.analog.ir", "bloqade.analog.ir.control", "bloqade.analog.builder"):
    package = types.ModuleType(name)  # without their __init__, which import all of it
    package.__path__ = [str(base.joinpath(*name.split(".")[1:]))]
    sys.modules[name] = package
pictures = types.ModuleType("bloqade.analog.visualization")
pictures.__getattr__ = lambda name: None  # nothing is drawn here
sys.modules[pictures.__name__] = pictures
from bloqade.analog.ir.control.waveform import Constant, Smooth  # noqa: E402
from bloqade.analog.ir.scalar import cast  # noqa: E402

print("bloqade-analog", importlib.metadata.version("bloqade-analog"))
KERNELS = ("Gaussian", "Logistic", "Sigmoid", "Triangle", "Uniform", "Parabolic", "Biweight", "Triweight", "Tricube",
           "Cosine")
plateau = Constant(15.0, 4.0)  # 15 rad/us for 4 us
for name in KERNELS:
    height = float(Smooth(cast(0.1), name, plateau).eval_decimal(cast(2.0).value))
    print(f"{name:9}: {height:.3f} rad/us in the middle")
    assert abs(height - (30 if name == "Uniform" else 15)) < 0.05
PY
echo "as stated"
