"""Figures of randomized benchmarking."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray

from pulsed.calibration.results.run_plots import heading

if TYPE_CHECKING:
    from pulsed.calibration.routine import Outcome


def draw_decays(
    title: str, data: xarray.Dataset, outcome: Outcome, figure: Any,
    sequences: Mapping[str, npt.NDArray[np.float64]], qubits: int, *, along: str = "Cliffords",
) -> None:  # fmt: skip
    """Draw decays over the length, with residuals below.

    ``sequences``: by the name of the fit, (lengths, sequences) what each random sequence gave. A decay at the coherence
    limit, and one at the error without neighbours, stand beside the first fit where the data know them.
    """
    head = heading(title, data, outcome).replace("; ", "\n").replace("good, ", "good\n")
    figure.suptitle(head, fontsize="small")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    lengths = data["length"].to_numpy()
    smooth = np.linspace(0, lengths.max(), 300)
    for number, (name, values) in enumerate(sequences.items()):
        colour = f"C{number}"
        top.plot(np.repeat(lengths, values.shape[1]), values.ravel(), ".", ms=3, alpha=0.4, color=colour)
        fit = outcome.fits.get(name)
        if fit is None or not fit.names:
            continue
        count = values.shape[1]
        error = None if fit.sigma is None else fit.sigma[::count] / np.sqrt(count)
        mean = values.mean(axis=1)
        top.errorbar(lengths, mean, error, fmt="o", ms=5, color=colour, label=name)
        top.plot(smooth, fit.evaluate(smooth), color=colour)
        bottom.errorbar(lengths, mean - fit.evaluate(lengths), error, fmt="o", ms=4, color=colour)
        if number == 0:
            _draw_limits(top, data, smooth, fit.values["amplitude"], fit.values["offset"], qubits)
    bottom.axhline(0, color="grey", lw=0.8)
    bottom.set_xlabel(along)
    bottom.set_ylabel("residuals")
    top.set_ylabel("survival" if qubits > 1 else "difference of both ends")
    if outcome.fits:
        top.legend(fontsize="small")


def _draw_limits(
    axes: Any, data: xarray.Dataset, lengths: npt.NDArray[np.float64], amplitude: float, offset: float, qubits: int
) -> None:
    d = 2**qubits
    for key, label, style in (("coherence_limit", "coherence limit", "--"), ("alone", "others at rest", ":")):
        if key in data.attrs:
            p = 1 - float(data.attrs[key]) * d / (d - 1)
            axes.plot(lengths, amplitude * p**lengths + offset, style, color="grey", label=label)
