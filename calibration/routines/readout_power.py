"""How strongly a resonator may be driven: its spectroscopy against the amplitude."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import xarray
from pydantic import Field, PositiveFloat, PositiveInt

from pulsed.calibration.executor import Executor
from pulsed.calibration.fits import Fit, line, resonator
from pulsed.calibration.results.data import errors, points, sweep
from pulsed.calibration.routine import (
    Measurement,
    MeasurementRequest,
    Outcome,
    Proposal,
    Routine,
    RoutineParameters,
    bad_data,
    first_bad,
    qubits_of,
)


class ResonatorPower(Routine):
    """Transmission around the resonance at several amplitudes: how far it moves, and up to where it hardly does.

    With more photons the qubit pulls less and the resonance goes towards that of the bare resonator (Reed et al., Phys.
    Rev. Lett. 105, 173601, 2010), at first in proportion to the power, at last in one jump. ``readout.highest`` is the
    amplitude at which it has moved by a tenth of the linewidth, or the largest at which it has not, its response still
    is that of a linear resonator and the digitizer does not clip. What lies beyond the first amplitude at which that
    does not hold counts for nothing. The best amplitude lies below ``readout.highest``: see readout-optimum.
    """

    name: ClassVar = "resonator-power"
    needs: ClassVar = ("readout.frequency",)
    gives: ClassVar = ("readout.highest",)
    tolerances: ClassVar = {"readout.highest": (0.0, 0.3)}
    quick: ClassVar = {"points": 25, "amplitudes": 4}

    class Parameters(RoutineParameters):
        """Of the sweeps."""

        span: PositiveFloat = 12e6
        """Hz, around the resonance that is known."""
        points: int = Field(default=41, ge=13)
        lowest: float = Field(default=0.05, gt=0, le=1)
        highest: float = Field(default=0.6, gt=0, le=1)
        """Full scale; the amplitudes between are evenly spaced in power."""
        amplitudes: int = Field(default=10, ge=4)
        shots: PositiveInt = 200
        length: PositiveInt = 2400
        settle: PositiveInt = 800
        """dt of the pulse, and of it what is left out while the resonator rings up."""
        moved: float = Field(default=0.1, gt=0, le=0.5)
        """Of the linewidth, that the resonance may have moved."""

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Sweep the frequency at each amplitude, the strongest ones last."""
        p, (qubit,) = self.parameters, qubits_of(target, executor.device)
        known = executor.calibration.get(
            f"{target}.readout.resonance", executor.blocks.value(f"{target}.readout.frequency")
        )
        frequencies = known + np.linspace(-p.span / 2, p.span / 2, p.points)
        amplitudes = np.sqrt(np.linspace(p.lowest**2, p.highest**2, p.amplitudes))
        schedules = [
            executor.blocks.shot(
                qubit,
                readout=executor.blocks.measure(qubit, amplitude=a, duration=p.length, settle=p.settle, frequency=f),
            )
            for a in amplitudes.tolist()
            for f in frequencies.tolist()
        ]
        answer = yield MeasurementRequest(schedules, p.shots)
        data = sweep({"amplitude": (amplitudes, "full scale"), "frequency": (frequencies, "Hz")}, answer)
        clipped = answer.overrange.reshape(amplitudes.size, -1).any(axis=1)
        data["clipped"] = ("amplitude", clipped.astype(int), {"units": ""})
        return data.assign_attrs(moved=p.moved)

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Fit a resonance at each amplitude up to where it jumps, then a line to its frequency over the power."""
        rows, amplitudes = resonances(data), data["amplitude"].to_numpy()
        first = rows[0]
        if not first.ok:
            return bad_data(f"at the lowest amplitude: {first.reason}", **{"weakest": first})
        linear = [fit.ok and not clip for fit, clip in zip(rows, data["clipped"], strict=True)]
        used = range(linear.index(False) if False in linear else len(linear))
        if len(used) < 3:
            return bad_data(
                f"the resonator is linear at {len(used)} amplitudes only, 3 are needed: sweep lower",
                **{"weakest": first},
            )
        kappa, home = first.values["kappa"], first.values["frequency"]
        off = np.array([rows[k].values["frequency"] for k in used]) - home
        sigma = np.array([rows[k].stderr["frequency"] for k in used])
        whole = _until(np.abs(off) > np.maximum(kappa / 4, 5 * sigma))
        if whole < 3:
            return bad_data("the resonance moves too fast: sweep lower amplitudes", **{"weakest": first})
        fits = {"shift (Hz) over power": line(amplitudes[:whole] ** 2, off[:whole], sigma[:whole]), "weakest": first}
        shift = fits["shift (Hz) over power"]
        if refused := first_bad(fits):
            return refused
        allowed, slope = float(data.attrs["moved"]) * kappa, shift.values["slope"]
        still = _until(np.abs(off) > allowed + 3 * sigma)
        most, stderr, reason = float(amplitudes[still - 1]), None, ""
        if still < len(used):
            jump, at = abs(off[still]) / 1e6, amplitudes[still]
            reason = f"the resonance is {jump:.2g} MHz away at the next amplitude, {at:.2g}"
        elif still == amplitudes.size:
            reason = "the end of the sweep: it may be driven harder"
        if abs(slope) > 3 * shift.stderr["slope"] and np.sqrt(allowed / abs(slope)) < most:
            reason = ""
            most = float(np.sqrt(allowed / abs(slope)))
            stderr = 0.5 * most * float(np.hypot(shift.stderr["slope"] / slope, first.stderr["kappa"] / kappa))
        return Outcome("good", reason, {"readout.highest": Proposal(most, "full scale", stderr)}, fits)

    def draw(self, data: xarray.Dataset, outcome: Outcome, figure: Any) -> None:
        """Draw the transmission over frequency and amplitude with the resonances, and their shift over the power."""
        from pulsed.calibration.results.run_plots import heading

        figure.suptitle(heading(self.name, data, outcome), fontsize="medium")
        left, right = figure.subplots(1, 2)
        amplitudes, centre = data["amplitude"].to_numpy(), float(data["frequency"].mean())
        offsets = (data["frequency"].to_numpy() - centre) / 1e6
        size = np.abs(points(data)) / amplitudes[:, None]
        image = left.pcolormesh(offsets, amplitudes, size)
        figure.colorbar(image, ax=left, orientation="horizontal", label="transmission over amplitude")
        left.set_xlabel(f"frequency - {centre / 1e9:.5f} GHz (MHz)")
        left.set_ylabel("amplitude (full scale)")
        for amplitude, fit in zip(amplitudes, resonances(data), strict=True):
            if fit.ok:
                left.plot((fit.values["frequency"] - centre) / 1e6, amplitude, "r.")
        shift = outcome.fits.get("shift (Hz) over power")
        if shift is not None and shift.x.size:
            sigma = None if shift.sigma is None else shift.sigma / 1e3
            right.errorbar(shift.x, np.real(shift.y) / 1e3, sigma, fmt=".")
            right.plot(shift.x, np.real(shift.curve) / 1e3, "-")
            right.set_xlabel("amplitude squared")
            right.set_ylabel("shift (kHz)")


def _until(off: np.ndarray) -> int:
    """Return how many lie before the first that is ``off``: nothing behind it is vouched for."""
    return int(np.argmax(off)) if off.any() else off.size


def resonances(data: xarray.Dataset) -> list[Fit]:
    """Return the fit of a resonance at each amplitude."""
    # The phase of books is minus that of our carriers.
    frequency, z, sigma = data["frequency"].to_numpy(), points(data).conj(), errors(data)
    weakest = resonator(frequency, z[0], sigma[0], kind="notch")
    # The cable is as long at any amplitude.
    rows = zip(z[1:], sigma[1:], strict=True)
    return [
        weakest,
        *(resonator(frequency, row, s, kind="notch", delay=weakest.values.get("delay")) for row, s in rows),
    ]
