#!/usr/bin/env bash
# Expected: `width` of quantify-core's `LorentzianModel`, `Lorentzian linewidth`, is the half width at half maximum: the
#   formula of the docstring is a width / (pi (width^2 + (x - x0)^2)) + c, whose area is `a`.
# Seen (quantify-core 0.9.1): the code has a pair of parentheses elsewhere, a width / (pi (x - x0)^2 + width^2) + c. A line
#   that is 1 MHz wide from its middle to half of its height is fitted perfectly, with `width` 1.772 MHz: neither the half
#   (1 MHz) nor the full width (2 MHz), but sqrt(pi) times the former; its area is `a` / sqrt(pi).
# Matters: `QubitSpectroscopyAnalysis` writes this number into its figure as `Peak width` in Hz; a linewidth (so T2, a
#   power broadening, a photon number) taken from it is off by 77 or by 11 percent, whichever width one takes it for.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
# the module with the models needs lmfit alone
env/bin/python -m pip install --quiet --disable-pip-version-check --no-compile "lmfit==1.3.4" "numpy==2.2.6" "scipy==1.15.3"
env/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps "quantify-core==0.9.1"
env/bin/python - <<'PY'
import importlib.metadata
import importlib.util

import numpy as np

package = importlib.util.find_spec("quantify_core").submodule_search_locations[0]
spec = importlib.util.spec_from_file_location("fitting_models", f"{package}/analysis/fitting_models.py")
models = importlib.util.module_from_spec(spec)
spec.loader.exec_module(models)

print("quantify-core", importlib.metadata.version("quantify-core"))
HALF, CENTRE, AREA, FLOOR = 1e6, 5e9, 2e6, 0.1  # half width at half maximum, in Hz
f = np.linspace(CENTRE - 20e6, CENTRE + 20e6, 401)
line = AREA * HALF / (np.pi * (HALF**2 + (f - CENTRE) ** 2)) + FLOOR  # the formula of the docstring
model = models.LorentzianModel()
fit = model.fit(line, params=model.guess(line, x=f), x=f)
residual = np.abs(fit.best_fit - line).max() / np.ptp(line)
found = {name: float(fit.best_values[name]) for name in ("x0", "width", "a", "c")}
print(f"half width {HALF / 1e6} MHz, full width {2 * HALF / 1e6} MHz, area {AREA:.3g}")
print(f"fitted (success {fit.success}, largest residual {residual:.1e} of the peak): {found}")
print(f"width / half width = {found['width'] / HALF:.4f}, a / area = {found['a'] / AREA:.4f}")
assert fit.success and residual < 1e-6 and abs(found["x0"] - CENTRE) < 1
assert abs(found["width"] / HALF - np.sqrt(np.pi)) < 1e-3, "the width is a width now"
assert abs(found["a"] / AREA - np.sqrt(np.pi)) < 1e-3 or abs(found["a"] / AREA - 1 / np.sqrt(np.pi)) < 1e-3
PY
echo "as stated"
