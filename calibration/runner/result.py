"""What a run of a routine returns: of each target its record, its data and what was found, to look at and to keep."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import xarray

from pulsed.calibration.fits.fit import Fit
from pulsed.calibration.outcome import Outcome
from pulsed.calibration.results import data as files
from pulsed.calibration.results.run_plots import DrawsRuns, plot_run, quantity, save_figure
from pulsed.model import html
from pulsed.model.calibration import RunRecord, Value
from pulsed.model.errors import InvalidValueError, PulsedError
from pulsed.model.units import format_quantity

if TYPE_CHECKING:
    from pulsed.model.figure import Picture


@dataclass(frozen=True, repr=False)
class RunResult:
    """What came of one target. ``outcome`` and ``data`` are None when nothing was brought back."""

    record: RunRecord
    outcome: Outcome | None = None
    data: xarray.Dataset | None = None
    error: PulsedError | None = None
    """What the rack or the daemon did wrong: it says nothing about the target, and its record says "stopped"."""
    routine: DrawsRuns | None = None
    """What was measured, and draws it."""

    @property
    def good(self) -> bool:
        """Whether it has values to propose, or was found in spec."""
        return self.record.outcome == "good"

    @property
    def values(self) -> dict[str, Value]:
        """What it proposes, by full name."""
        return self.record.values

    @property
    def fits(self) -> dict[str, Fit]:
        """The fits, by what they are of; none of a check, or where the routine makes none."""
        return {} if self.outcome is None else self.outcome.fits

    @property
    def fit(self) -> Fit:
        """The fit, with ``values`` and ``stderr``. Raises :class:`InvalidValueError` when there is not exactly one."""
        if len(self.fits) != 1:
            legal = f"one of fits: {', '.join(self.fits)}" if self.fits else "a run whose data were fitted"
            raise InvalidValueError("does not have one fit", subject=self._name, value=str(len(self.fits)), legal=legal)
        return next(iter(self.fits.values()))

    def plot(self) -> Picture:
        """Return the figure of the run as its routine draws it. Raises :class:`InvalidValueError` without data."""
        return plot_run(*self._drawn())

    def save(self, folder: Path | str) -> tuple[Path, Path]:
        """Write the data (netCDF) and the figure (PNG) into ``folder``; return their paths.

        Raises :class:`InvalidValueError` without data, and OSError when ``folder`` cannot be written to.
        """
        routine, data, outcome = self._drawn()
        path = files.save(data, Path(folder) / f"{self.record.run_id}.nc")
        return path, save_figure(routine, data, outcome, path.with_suffix(".png"))

    def _drawn(self) -> tuple[DrawsRuns, xarray.Dataset, Outcome | None]:
        if self.data is None or self.routine is None:
            why = self.record.reason or self.record.outcome
            raise InvalidValueError("brought back no data", subject=self._name, value=why, legal="a run with data")
        return self.routine, self.data, self.outcome

    def _repr_png_(self) -> bytes | None:
        return self.plot().png(80) if self.data is not None and self.routine is not None else None

    @property
    def _name(self) -> str:
        return f"{self.record.routine} of {self.record.target}"

    def __repr__(self) -> str:
        found = ", ".join(f"{name} = {_shown(value)}" for name, value in self.values.items())
        return ", ".join(filter(None, (f"{self._name}: {self.record.outcome}", self.record.reason, found)))


def _shown(value: Value) -> str:
    if isinstance(value.value, tuple):
        return f"{len(value.value)} numbers"
    return quantity(value.value, value.stderr, value.unit) if value.stderr else format_quantity(value.value, value.unit)


class RunResults(dict[str, RunResult]):
    """The results of a run by target, such as ``results["Q0"].fit``; it is shown as one line for each."""

    def plot(self, target: str) -> Picture:
        """Return the figure of a target. Raises :class:`InvalidValueError` where there is none."""
        return self._of(target).plot()

    def fit(self, target: str) -> Fit:
        """Return the fit of a target. Raises :class:`InvalidValueError` where there is not exactly one."""
        return self._of(target).fit

    def save(self, folder: Path | str) -> dict[str, tuple[Path, Path]]:
        """Write data and figure of each target that has some into ``folder``; return both paths by target."""
        return {target: item.save(folder) for target, item in self.items() if item.data is not None}

    def _of(self, target: str) -> RunResult:
        if target not in self:
            raise InvalidValueError("was not measured", subject="target", value=target, legal=", ".join(self))
        return self[target]

    def __repr__(self) -> str:
        return "\n".join(map(repr, self.values())) or "nothing was measured"

    def _repr_html_(self) -> str:
        shown = []
        for item in self.values():
            png = item._repr_png_()
            shown.append(html.line(repr(item)) + (html.image(png, repr(item)) if png else ""))
        return "".join(shown) or html.line(repr(self))
