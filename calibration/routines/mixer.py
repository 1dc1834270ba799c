"""The nulls of an IQ mixer: what makes the LO's leakage and the image of a tone vanish, seen by the spectrum analyser.

Both amplitudes are linear in what is corrected, so their powers are quadratic: a paraboloid in the two offsets, and one
in the two numbers of the correction that leave I alone. Seven settings around the best known determine each; smaller
and smaller ones do it finer.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import xarray
from pydantic import Field, PositiveFloat

from pulsed.calibration.executor import Executor
from pulsed.calibration.fits import Fit, bad
from pulsed.calibration.fits.paraboloids import paraboloid
from pulsed.calibration.results.run_plots import axis_of, heading
from pulsed.calibration.routine import (
    Measurement,
    MeasurementRequest,
    MeasurementResponse,
    Outcome,
    Proposal,
    Routine,
    RoutineParameters,
    bad_data,
    first_bad,
)
from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import InvalidValueError
from pulsed.model.job import Spectrum
from pulsed.pulse.channels import DriveChannel, MeasureChannel, PulseChannel
from pulsed.pulse.library import GaussianSquare

Real = npt.NDArray[np.float64]
PLACES = ("tone", "leakage", "image", "quiet")
PLAIN = (1.0, 0.0, 0.0, 1.0)
_FLANK = 64
"""Sigma of the tone's flanks in dt: sharper ones have a spectrum that reaches the image."""
_SMALLER = 5.0
"""By how much the settings of one round are closer together than those of the one before."""
_ABOVE_FLOOR = 10.0
"""A level that is not this much above the noise, in power, is as good as none."""


class Mixer(Routine):
    """Offset and correction of a port's mixer.

    The correction is [[1, b], [0, d]] on (I, Q): any error of a mixer is undone by one of this form but for a gain and
    a phase of the whole line, which Rabi finds.
    """

    name: ClassVar = "mixer"
    subject: ClassVar = "port"
    gives: ClassVar = ("mixer.offset", "mixer.correction")

    class Parameters(RoutineParameters):
        """Of the search."""

        rounds: int = Field(default=3, ge=1, le=6)
        offset_step: PositiveFloat = 0.02
        """Full scale: how far the first round's settings are from what is known."""
        correction_step: PositiveFloat = 0.1
        tone: float = Field(default=0.3, gt=0, le=0.7)
        """Full scale."""
        duration: float = Field(default=8e-6, gt=0)
        """s, of one pulse of the tone."""
        rbw: PositiveFloat = 1e6
        """Hz, of the analyser."""
        bound: float = -50.0
        """dB against the tone, which leakage and image have to stay below."""

    @classmethod
    def targets(cls, device: DeviceDescription) -> tuple[str, ...]:
        """Return the output ports that have a mixer."""
        return tuple(n for n, port in device.ports.items() if port.direction == "output" and port.lo is not None)

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Look at rounds of seven settings, each around the minimum found so far, and at the minimum itself."""
        p = self.parameters
        channel, carrier = _tone(executor.device, executor.calibration, target)
        lo = executor.device.oscillators[str(executor.device.ports[target].lo)].frequency
        places = (carrier, lo, 2 * lo - carrier, lo - 1.7 * (carrier - lo))
        # The last place is far from the others and shows the noise. The length fits any granularity.
        length = round(p.duration / executor.blocks.dt / 64) * 64
        pulse = GaussianSquare(length, p.tone, sigma=_FLANK, width=length - 4 * _FLANK, name="tone")
        tone = [executor.blocks.play(pulse, channel)]
        look = {"spectrum": Spectrum(target, places, p.rbw)}
        best, settings, levels = _known(executor.calibration, target), [], []
        for number in range(p.rounds + 1):
            pattern = _SEVEN if number < p.rounds else np.zeros((1, 2))
            near = np.repeat([p.offset_step, p.correction_step], 2) / _SMALLER**number
            for point in np.tile(pattern, 2) * near + best:
                answer: MeasurementResponse = yield MeasurementRequest(
                    tone, options=look, values=_values(target, point)
                )
                assert answer.spectrum is not None, "the analyser has looked"
                settings.append(point)
                levels.append(answer.spectrum[0])
            data = _dataset(np.array(settings), np.array(levels))
            fits = _fits(data)
            if number < p.rounds and all(fit.ok for fit in fits.values()):
                best = np.array([fit.values[axis] for fit in fits.values() for axis in ("x", "y")])
        return data.assign_attrs(tone=p.tone, bound=p.bound)

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Fit both paraboloids; judge what the analyser shows with the minimum set."""
        tone, leakage, image, floor = _last(data)
        if not np.isfinite(data["level"].to_numpy()).all():
            return bad_data("a level is not a number")
        if tone < 100 * floor:
            return bad_data(f"no tone, {_db(tone):.0f} dBm: is the line alive, and the LO on?")
        fits = _fits(data)
        if refused := first_bad(fits):
            return refused
        bound = tone * 10 ** (float(data.attrs["bound"]) / 10)
        for name, left in (("leakage", leakage), ("image", image)):
            if left > max(bound, _ABOVE_FLOOR * floor):
                return bad_data(f"the {name} stays at {_db(left / tone):.0f} dB against the tone", **fits)
        (i, q), (b, d) = ((fit.values["x"], fit.values["y"]) for fit in fits.values())
        wide = [max(fit.stderr["x"], fit.stderr["y"]) for fit in fits.values()]
        values = {
            "mixer.offset": Proposal((i, q), "full scale", wide[0]),
            "mixer.correction": Proposal((1.0, b, 0.0, d), "", wide[1]),
        }
        told = [f"{name} {_db(left / tone):.0f} dB" for name, left in (("leakage", leakage), ("image", image))]
        reason = f"{' and '.join(told)} against the tone; the analyser's noise {_db(floor / tone):.0f} dB"
        return Outcome("good", reason, values, fits)

    def check(self, executor: Executor, target: str) -> Measurement:
        """Look at what is active, and a little around it."""
        small = {"rounds": 1, "offset_step": 2e-3, "correction_step": 0.01}
        return type(self)(**{**self.parameters.model_dump(), **small}).measure(executor, target)

    def judge(self, data: xarray.Dataset, calibration: CalibrationSet, target: str) -> tuple[Any, str]:
        """Ask whether leakage and image are below the bound with what is active, the first setting looked at."""
        tone, leakage, image, floor = (*_powers(data)[0, :3], _last(data)[3])
        if not np.isfinite([tone, leakage, image, floor]).all():
            return "bad data", "a level is not a number"
        if tone < 100 * floor:
            return "bad data", "no tone: is the line alive, and the LO on?"
        bound = max(tone * 10 ** (float(data.attrs["bound"]) / 10), _ABOVE_FLOOR * floor)
        for name, left in (("leakage", leakage), ("image", image)):
            if left > bound:
                return "out of spec", f"the {name} of {target} is {_db(left / tone):.0f} dB against the tone"
        return "in spec", ""

    def draw(self, data: xarray.Dataset, outcome: Outcome, figure: Any) -> None:
        """Draw levels by setting over the contours of the fit, and both residuals."""
        figure.suptitle(heading(self.name, data, outcome), fontsize="small")
        axes = figure.subplots(2, 2, height_ratios=(3, 1))
        names = (("leakage", "offset_i", "offset_q"), ("image", "correction_b", "correction_d"))
        for column, (name, x, y) in enumerate(names):
            _draw_bowl(axes[0][column], axes[1][column], data, outcome.fits.get(name), (name, x, y))


_ANGLES = np.arange(6) * np.pi / 3
_SEVEN = np.vstack([np.zeros((1, 2)), np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)])
"""The middle of a hexagon and its corners: the fewest settings that say whether a paraboloid fits (Doehlert 1970)."""


def _tone(device: DeviceDescription, calibration: CalibrationSet, port: str) -> tuple[PulseChannel, float]:
    """Return the channel of a tone that leaves a port, and its frequency."""
    for q, row in enumerate(device.qubits):
        if row.drive == port:
            return DriveChannel(q), calibration.number(f"Q{q}.f01")
        if row.readout == port:
            return MeasureChannel(q), calibration.number(f"Q{q}.readout.frequency")
    raise InvalidValueError("no qubit is driven or read through this port", subject="routine mixer", value=port)


def _known(calibration: CalibrationSet, port: str) -> Real:
    """Return offset I, Q and the correction's b, d that are known, or those of an ideal mixer."""
    offset = calibration.numbers(f"{port}.mixer.offset") if calibration.has(f"{port}.mixer.offset") else (0.0, 0.0)
    known = calibration.has(f"{port}.mixer.correction")
    a, b, c, d = calibration.numbers(f"{port}.mixer.correction") if known else PLAIN
    upper = c == 0 and a == 1
    return np.array([*offset, b if upper else 0.0, d if upper else 1.0])


def _values(port: str, point: Real) -> dict[str, tuple[float, ...]]:
    i, q, b, d = (float(x) for x in point)
    return {f"{port}.mixer.offset": (i, q), f"{port}.mixer.correction": (1.0, b, 0.0, d)}


def _dataset(settings: Real, levels: Real) -> xarray.Dataset:
    names = (("offset_i", "full scale"), ("offset_q", "full scale"), ("correction_b", ""), ("correction_d", ""))
    return xarray.Dataset(
        {
            "level": (("setting", "place"), levels, {"units": "dBm"}),
            **{name: ("setting", settings[:, k], {"units": unit}) for k, (name, unit) in enumerate(names)},
        },
        {"setting": np.arange(len(settings)), "place": list(PLACES)},
    )


def _powers(data: xarray.Dataset) -> Real:
    """Return powers in mW, (settings, places)."""
    result: Real = 10 ** (data["level"].to_numpy() / 10)
    return result


def _last(data: xarray.Dataset) -> tuple[float, float, float, float]:
    """Return tone, leakage and image at the last setting, and the noise of the analyser, in mW."""
    power = _powers(data)
    tone, leakage, image, _ = power[-1]
    return float(tone), float(leakage), float(image), float(power[:, 3].mean())


def _fits(data: xarray.Dataset) -> dict[str, Fit]:
    """Fit both levels, relative to the tone of the first setting.

    A signal of power P in noise of the mean power N, both through one filter, shows a power that scatters by
    √(2PN + N²).
    """
    power = _powers(data) / _powers(data)[0, 0]
    noise, fits = power[:, 3].mean(), {}
    pairs = {"leakage": (1, "offset_i", "offset_q"), "image": (2, "correction_b", "correction_d")}
    for name, (column, x, y) in pairs.items():
        if not np.isfinite(power).all():
            fits[name] = bad("paraboloid", "a level is not a number")
            continue
        seen = np.maximum(power[:, column], noise)
        fits[name] = paraboloid(data[x], data[y], power[:, column], np.sqrt(2 * seen * noise + noise**2))
    return fits


def _db(ratio: float) -> float:
    return float(10 * np.log10(ratio))


def _draw_bowl(top: Any, bottom: Any, data: xarray.Dataset, fit: Fit | None, names: tuple[str, str, str]) -> None:
    place, x, y = names
    level = data["level"].sel(place=place)
    top.set_title(f"{place}: {float(level[0]):.0f} to {float(level[-1]):.0f} dBm", fontsize="small")
    if fit is not None and fit.ok:
        u, v = (np.linspace(float(data[n].min()), float(data[n].max()), 80) for n in (x, y))
        from pulsed.calibration.fits.paraboloids import bowl

        grid = bowl(*np.meshgrid(u, v), *(fit.values[n] for n in fit.names))
        top.contour(u, v, 10 * np.log10(np.maximum(grid, 1e-12)), 8, cmap="viridis", linewidths=0.6)
        top.plot(fit.values["x"], fit.values["y"], "r+", ms=12)
        assert fit.sigma is not None, "the analyser's noise is known"
        bottom.plot(fit.x, np.real(fit.y - fit.curve) / fit.sigma, "o", ms=3)
        bottom.axhline(0, color="grey", lw=0.8)
    shown = top.scatter(data[x], data[y], c=level, s=18, cmap="viridis")
    top.figure.colorbar(shown, ax=top, label="dBm")
    for axis, name in ((top.xaxis, x), (top.yaxis, y)):
        axis.set_label_text(axis_of(data, name).label, fontsize="small")
    bottom.set_xlabel("setting", fontsize="small")
    bottom.set_ylabel("residuals / error", fontsize="small")
