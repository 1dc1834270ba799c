"""Readout errors undone in expectation values, qubit by qubit, from the calibrated assignment matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pulsed.provider.errors import OptionValueError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pulsed.model.calibration import CalibrationSet

Pair = tuple[float, float]
_LEAST_CONTRAST = 0.05


class AssignmentMatrix(NamedTuple):
    """The assignment matrix of one qubit: the probability to read 0 after preparing 1, and 1 after 0, with errors."""

    p01: float
    p10: float
    stderr01: float = 0.0
    stderr10: float = 0.0

    @property
    def contrast(self) -> float:
        """The determinant of the matrix."""
        return 1.0 - self.p01 - self.p10

    def undone(self, values: Pair) -> Pair:
        """Return what to count for reading 0 and 1, so that on average it is ``values`` of the states 0 and 1.

        With the matrix A of columns (1 - p10, p10) and (p01, 1 - p01) it is the solution g of Aᵀ g = values.
        """
        zero, one = values
        return (
            ((1.0 - self.p01) * zero - self.p10 * one) / self.contrast,
            ((1.0 - self.p10) * one - self.p01 * zero) / self.contrast,
        )

    def slopes(self, values: Pair) -> tuple[Pair, Pair]:
        """Return the derivatives of :meth:`undone` by ``p01`` and by ``p10``."""
        (zero, one), read = values, self.undone(values)
        by01, by10 = (tuple((g - state) / self.contrast for g in read) for state in (zero, one))
        return (by01[0], by01[1]), (by10[0], by10[1])


def assignments(calibration: CalibrationSet, qubits: Iterable[int]) -> dict[int, AssignmentMatrix]:
    """Return the assignment matrix of each qubit.

    Raises :class:`OptionValueError` for a qubit whose matrix was not measured or cannot be undone.
    """
    found = {}
    for q in qubits:
        names = [f"Q{q}.readout.p01", f"Q{q}.readout.p10"]
        missing = [name for name in names if not calibration.has(name)]
        if missing:
            raise OptionValueError(
                "needs a readout error that was not measured", subject="options.resilience.measure_mitigation",
                value=", ".join(missing), legal="a calibration set with readout.p01 and readout.p10 of each qubit",
            )  # fmt: skip
        errors = [calibration.values[name].stderr or 0.0 for name in names]
        one = AssignmentMatrix(*(calibration.number(name) for name in names), *errors)
        if one.contrast < _LEAST_CONTRAST:
            raise OptionValueError(
                "the readout hardly tells 0 from 1: its errors cannot be undone",
                subject="options.resilience.measure_mitigation", value=f"Q{q}: p01 + p10 = {one.p01 + one.p10:.3g}",
                legal=f"at most {1 - _LEAST_CONTRAST:g}",
            )  # fmt: skip
        found[q] = one
    return found
