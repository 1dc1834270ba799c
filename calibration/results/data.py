"""The data of a run: one self-describing netCDF file each, and what analyses read from it.

A sweep is kept as the mean point in the IQ plane at each setting, with the standard errors of I and Q and their
covariance, full scale 1. Axes carry their units. The attributes say what was measured, when, with which calibration
set, schedules and instruments, so that a file is enough to analyse a run again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray

from pulsed.calibration.measurement import MeasurementResponse
from pulsed.model.calibration import CalibrationSet
from pulsed.model.errors import ConfigError, InvalidValueError

Real = npt.NDArray[np.float64]
Axis = tuple[Any, str]
"""The values of an axis and their unit."""


def sweep(
    axes: Mapping[str, Axis], answer: MeasurementResponse, *, suffixes: Sequence[str] = ("",),
    known: CalibrationSet | None = None, target: str = "",
) -> xarray.Dataset:  # fmt: skip
    """Return single-shot IQ as a dataset of means over the shots.

    Args:
        axes: of the sweep, the last one runs fastest; their lengths multiply to the number of schedules.
        answer: at level 1 or 2, not averaged.
        suffixes: one per memory slot: of the variables ``i``, ``q``, ``i_error``, ``q_error``, ``iq_covariance``.
        known: a set whose discriminator says where 0 and 1 of ``target``, a qubit, lie: :func:`signal` is then the
            population of 1.
        target: the qubit.

    """
    assert answer.iq is not None, "a sweep is measured at level 1 or 2"
    shape = tuple(len(np.atleast_1d(np.asarray(values))) for values, _ in axes.values())
    shots = answer.iq.shape[1]
    result = xarray.Dataset()
    for name, (values, unit) in axes.items():
        result.coords[name] = (name, np.atleast_1d(np.asarray(values)), {"units": unit})
    for column, suffix in enumerate(suffixes):
        points = answer.iq[:, :, column].astype(np.complex128)
        i, q = points.real, points.imag
        variables = {
            "i": i.mean(axis=1),
            "q": q.mean(axis=1),
            "i_error": i.std(axis=1, ddof=1) / np.sqrt(shots),
            "q_error": q.std(axis=1, ddof=1) / np.sqrt(shots),
            "iq_covariance": ((i - i.mean(axis=1, keepdims=True)) * (q - q.mean(axis=1, keepdims=True))).sum(axis=1)
            / (shots - 1)
            / shots,
        }
        for name, values in variables.items():
            unit = "full scale" if name != "iq_covariance" else "full scale squared"
            result[name + suffix] = (tuple(axes), values.reshape(shape), {"units": unit})
    result.attrs["shots"] = shots
    if known is not None and known.has(f"{target}.readout.discriminator"):
        result.attrs["discriminator"] = list(known.numbers(f"{target}.readout.discriminator")[:4])
    return result


def points(data: xarray.Dataset, suffix: str = "") -> npt.NDArray[np.complex128]:
    """Return the mean points of a sweep in the IQ plane."""
    result: npt.NDArray[np.complex128] = data["i" + suffix].to_numpy() + 1j * data["q" + suffix].to_numpy()
    return result


def errors(data: xarray.Dataset, suffix: str = "") -> Real:
    """Return the standard error of one quadrature of each mean point, that of I and Q averaged in square."""
    i, q = data["i_error" + suffix].to_numpy(), data["q_error" + suffix].to_numpy()
    result: Real = np.sqrt((i**2 + q**2) / 2)
    return result


def signal(data: xarray.Dataset, suffix: str = "") -> tuple[Real, Real]:
    """Return a sweep as real numbers with standard errors.

    With a known discriminator this is the population of 1 as far as the mean of the points tells: 0 at its point for 0
    and 1 at that for 1. Without, the projection on the line along which the points differ most, in full scales, of
    either sign.
    """
    plane = points(data, suffix)
    if "discriminator" in data.attrs:
        re0, im0, re1, im1 = (float(x) for x in data.attrs["discriminator"])
        zero, one = complex(re0, im0), complex(re1, im1)
    else:
        weights = 1 / errors(data, suffix) ** 2
        zero = complex(np.sum(plane * weights) / np.sum(weights))
        centred = np.stack([(plane - zero).real.ravel(), (plane - zero).imag.ravel()])
        _, vectors = np.linalg.eigh((centred * weights.ravel()) @ centred.T)
        one = zero + complex(*vectors[:, -1])
    axis = one - zero
    a, b = axis.real / abs(axis) ** 2, axis.imag / abs(axis) ** 2
    centred_points = plane - zero
    i, q = data["i_error" + suffix].to_numpy(), data["q_error" + suffix].to_numpy()
    covariance = data["iq_covariance" + suffix].to_numpy()
    variance = a * a * i**2 + b * b * q**2 + 2 * a * b * covariance
    return centred_points.real * a + centred_points.imag * b, np.sqrt(np.maximum(variance, 1e-300))


def signal_name(data: xarray.Dataset) -> tuple[str, str]:
    """Return what :func:`signal` gives of ``data``, and its unit, for the axis of a figure."""
    return ("population of 1", "") if "discriminator" in data.attrs else ("signal", "full scale")


def save(data: xarray.Dataset, path: Path) -> Path:
    """Write a dataset as netCDF. A file is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    data.to_netcdf(part, engine="h5netcdf")
    part.replace(path)
    return path


def load(path: Path | str) -> xarray.Dataset:
    """Read what :func:`save` wrote. Raises :class:`ConfigError`."""
    try:
        with xarray.open_dataset(path, engine="h5netcdf") as found:
            return found.load()
    except (OSError, ValueError) as error:
        raise ConfigError(f"is no file of a run: {error}", subject=str(path)) from error


def describe(data: xarray.Dataset, **attributes: Any) -> xarray.Dataset:
    """Return ``data`` with attributes; what is neither a text nor a number is written as JSON."""
    plain = (str, int, float)
    extra = {k: v if isinstance(v, plain) else json.dumps(v, sort_keys=True) for k, v in attributes.items()}
    return data.assign_attrs(extra)


def to_qcodes(path: Path | str, database: Path | str) -> int:
    """Copy a run into a QCoDeS database, for plottr and its like; return the run's number there.

    Every variable becomes a parameter that depends on its axes. The attributes become its metadata ``pulsed``, JSON.
    """
    from qcodes.dataset import (
        Measurement,
        initialise_or_create_database_at,
        load_or_create_experiment,
    )

    data = load(path)
    initialise_or_create_database_at(str(database))
    target = str(data.attrs.get("target", "unknown"))
    experiment = load_or_create_experiment(str(data.attrs.get("routine", "routine")), sample_name=target)
    measurement = Measurement(exp=experiment, name=target)
    for axis_name in data.dims:
        if axis_name not in data.coords:  # shots, say, which are counted and not set
            data = data.assign_coords({axis_name: np.arange(data.sizes[axis_name])})
    for name, axis in data.coords.items():
        measurement.register_custom_parameter(str(name), unit=str(axis.attrs.get("units", "")), paramtype="array")
    names = [str(name) for name, variable in data.data_vars.items() if variable.dims]
    if not names:
        raise InvalidValueError("has no data to copy", subject=str(path))
    for name in names:
        axes, unit = tuple(map(str, data[name].dims)), str(data[name].attrs.get("units", ""))
        measurement.register_custom_parameter(name, unit=unit, setpoints=axes, paramtype="array")
    with measurement.run() as saver:
        for name in names:
            grid = np.meshgrid(*(data.coords[axis].to_numpy() for axis in data[name].dims), indexing="ij")
            axes_values = zip(map(str, data[name].dims), grid, strict=True)
            saver.add_result(*axes_values, (name, data[name].to_numpy()))
        # One text: a key of its own would become a column of a table that has columns of its own.
        plain = {key: np.asarray(value).tolist() for key, value in data.attrs.items()}
        saver.dataset.add_metadata("pulsed", json.dumps(plain, sort_keys=True))
    return int(saver.run_id)
