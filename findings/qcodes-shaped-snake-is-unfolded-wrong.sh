#!/usr/bin/env bash
# Expected: a point keeps its coordinates when a QCoDeS dataset becomes an xarray dataset or a netCDF file.
# Seen (qcodes 0.58.0): when the measurement was given its shape (`set_shapes`; `dond` does it by itself), the values
#   are laid out in the order of their arrival and the axes are those of the first row and column. A map whose
#   second axis runs to and fro has every other row mirrored: measured at a = 1, b = 0 was 10, the file says 13. The
#   same for rows that begin at another place. Without a shape it is right, and so is `to_pandas_dataframe` of the very
#   same run.
# Matters: shapes are set for speed, and sweeps to and fro are made to save the magnet or the flux bias its way back:
#   the exported map is a saw-tooth, or, with lines that are symmetric, a spectrum that only looks noisy.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "qcodes==0.58.0"
HOME="$dir" env/bin/python -W ignore - <<'PY'
import logging
from pathlib import Path

import qcodes
import xarray
from qcodes.dataset import Measurement, initialise_or_create_database_at, new_experiment
from qcodes.parameters import ManualParameter

logging.disable(logging.CRITICAL)
initialise_or_create_database_at("runs.db")
new_experiment("map", "sample")
a, b, y = (ManualParameter(name) for name in "aby")
points = [(row, column) for row in range(3) for column in (range(4) if row % 2 == 0 else range(3, -1, -1))]


def run(shape):
    measurement = Measurement()
    measurement.register_parameter(a)
    measurement.register_parameter(b)
    measurement.register_parameter(y, setpoints=(a, b))
    if shape is not None:
        measurement.set_shapes({"y": shape})
    with measurement.run() as saver:
        for row, column in points:
            saver.add_result((a, row), (b, column), (y, 10 * row + column))
    return saver.dataset


print("qcodes", qcodes.__version__)
plain, shaped = run(None), run((3, 4))
shaped.export("netcdf", path=".")
seen = {
    "xarray, no shape": plain.to_xarray_dataset().y.sel(a=1, b=0).item(),
    "pandas, shape": shaped.to_pandas_dataframe().loc[(1, 0), "y"].item(),
    "xarray, shape": shaped.to_xarray_dataset().y.sel(a=1, b=0).item(),
    "netCDF, shape": xarray.open_dataset(next(Path().glob("*.nc"))).y.sel(a=1, b=0).item(),
}
print("measured at a = 1, b = 0: 10;", "; ".join(f"{where}: {value:g}" for where, value in seen.items()))
assert list(seen.values()) == [10, 10, 13, 13]
PY
echo "as stated"
