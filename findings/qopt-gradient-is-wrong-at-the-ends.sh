#!/usr/bin/env bash
# Expected: the analytic gradient through the `GaussianConvolution` of qopt is that of the filtered pulse: its purpose is
#   to let an optimiser descend on the samples that go into the line.
# Seen (qopt 1.3.5): the chain rule filters the derivatives with the same Gaussian instead of its transpose. Inside of the
#   pulse the two are alike; within four sigma of an end they are not, as the first and last samples are also what the
#   pulse is continued with (`nearest`, the default). With sigma of 5 slices the derivative by the first sample is 1.00
#   instead of 2.53, by the second 1.00 instead of 0.62. With `order=1` the gradient has the wrong sign everywhere.
# Matters: the optimiser walks along a direction that is none of descent where a pulse is switched on and off, stops
#   early, and calls it converged; a sigma as long as the pulse makes every sample wrong.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
# the module with the filters needs these three alone; the rest of the package needs many more
env/bin/python -m pip install --quiet --disable-pip-version-check --no-compile "numpy==1.26.4" "scipy==1.15.3" \
  "matplotlib==3.10.0"
env/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps "qopt==1.3.5"
OMP_NUM_THREADS=1 MPLBACKEND=agg env/bin/python -W ignore - <<'PY'
import importlib.metadata
import importlib.util
import sys
import types

import numpy as np

package = types.ModuleType("qopt")  # without its __init__, which imports all of it
package.__path__ = list(importlib.util.find_spec("qopt").submodule_search_locations)
sys.modules["qopt"] = package
from qopt.transfer_function import GaussianConvolution  # noqa: E402

SLICES, SIGMA = 60, 5.0
print("qopt", importlib.metadata.version("qopt"))


def gradients(order):
    """Of the sum of the filtered samples times fixed weights: as qopt says, and by differences (exact: it is linear)."""
    filter = GaussianConvolution(sigma=SIGMA, order=order)
    filter.set_times(np.ones(SLICES))
    pulse = np.zeros((SLICES, 1))
    weights = np.ones(SLICES) if order == 0 else np.sin(np.arange(SLICES) / 4)
    said = filter.gradient_chain_rule(weights.reshape(SLICES, 1, 1))[:, 0, 0]
    true = [weights @ filter(pulse + np.eye(SLICES)[:, [k]])[:, 0] for k in range(SLICES)]
    return said, np.array(true)


said, true = gradients(0)
for k in (0, 1, 5, 30):
    print(f"derivative by sample {k:2}: qopt {said[k]:.3f}, true {true[k]:.3f}")
assert np.allclose(said, 1) and abs(true[0] - 2.53) < 0.01 and abs(true[1] - 0.618) < 0.01
assert np.allclose(said[20:40], true[20:40], atol=1e-3)
said, true = gradients(1)
print(f"order 1, inside: qopt {np.round(said[28:32], 3).tolist()}, true {np.round(true[28:32], 3).tolist()}")
assert np.allclose(said[22:38], -true[22:38], atol=1e-3)
PY
echo "as stated"
