"""How many bytes the result of a job has, and how many it may have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pulsed.model.errors import ResultSizeError

if TYPE_CHECKING:
    from pulsed.model.job import RunOptions, Spectrum
    from pulsed.model.policies import Limits

_COMPLEX, _FLOAT = 8, 8


class Wanted(Protocol):
    """What is brought back of each program: of :class:`~pulsed.model.job.RunOptions`, or of a chunk's settings."""

    @property
    def shots(self) -> int: ...  # noqa: D102
    @property
    def meas_level(self) -> int: ...  # noqa: D102
    @property
    def meas_return(self) -> str: ...  # noqa: D102
    @property
    def iq(self) -> bool: ...  # noqa: D102
    @property
    def spectrum(self) -> Spectrum | None: ...  # noqa: D102


def program_bytes(wanted: Wanted, memory_slots: int, longest: int, *, levels: bool = False) -> int:
    """Return the bytes of the arrays that one program brings back.

    Args:
        wanted: level, shots, and whether they are averaged.
        memory_slots: of the program.
        longest: samples of its longest record.
        levels: whether a qubit has three states, so that there are levels beside the bits.

    """
    if wanted.spectrum is not None:
        return _FLOAT * len(wanted.spectrum.frequencies)
    points = 1 if wanted.meas_level < 2 and wanted.meas_return == "avg" else wanted.shots
    if wanted.meas_level == 0:
        return _COMPLEX * points * memory_slots * longest
    if wanted.meas_level == 1:
        return _COMPLEX * points * memory_slots
    one = -(-memory_slots // 8) + levels * memory_slots + wanted.iq * _COMPLEX * memory_slots
    return points * one


def least_bytes(programs: int, options: RunOptions, memory_slots: int = 1) -> int:
    """Return the least size of what so many ``programs`` bring back, each with so many memory slots or more."""
    return 0 if options.dry_run else programs * program_bytes(options, memory_slots, 1)


def check_result_size(size: int, options: RunOptions, limits: Limits, subject: str, *, at_least: bool) -> None:
    """Raise :class:`ResultSizeError` for a job that would bring back more than a result may have.

    ``at_least``: whether ``size`` is only what is sure before the job is compiled.
    """
    if size <= limits.max_result or options.dry_run:
        return
    fewer = "fewer shots or circuits"
    if options.meas_level < 2 and options.meas_return == "single":
        fewer += ", or the average of the shots (meas_return='avg')"
    if options.meas_level == 0:
        fewer += ", or points instead of records (meas_level=1)"
    raise ResultSizeError(
        "would bring back more than a result may have", subject=subject,
        value=f"{'at least ' if at_least else ''}{_spoken(size)}",
        legal=f"up to {_spoken(limits.max_result)} (limits.max_result): {fewer}",
    )  # fmt: skip


def _spoken(size: int) -> str:
    """Return a size for people: ``"3221225472 bytes (3 GiB)"``."""
    for power, unit in ((3, "GiB"), (2, "MiB"), (1, "KiB")):
        if size >= 1024**power:
            return f"{size} bytes ({size / 1024**power:.3g} {unit})"
    return f"{size} bytes"
