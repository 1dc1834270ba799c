"""How long a job keeps the rack, and how long it may without being confirmed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pulsed.model.errors import RackTimeError

if TYPE_CHECKING:
    from pulsed.model.job import RunOptions
    from pulsed.model.policies import Limits


def least_seconds(programs: int, length: float, options: RunOptions, limits: Limits) -> float:
    """Return the least time on the rack of a job: its repetition delays, and what is known of its programs.

    Args:
        programs: results that there will be, each of all shots.
        length: seconds that one shot of all of them takes at least, without repetition delays.
        options: of the job.
        limits: of the rack.

    """
    if options.spectrum is not None or options.dry_run:
        return 0.0
    delay = limits.rep_delay if options.rep_delay is None else options.rep_delay
    if options.init_qubits:
        delay = max(delay, limits.rep_delay)
    return options.shots * (length + programs * delay)


def check_rack_time(seconds: float, options: RunOptions, limits: Limits, subject: str, *, at_least: bool) -> None:
    """Raise :class:`RackTimeError` for a job that takes too long, or that takes long and was not confirmed.

    ``at_least``: whether ``seconds`` is only what is sure before the job is compiled.
    """
    if options.dry_run:
        return
    value = f"{'at least ' if at_least else ''}{spoken(seconds)}"
    if seconds > limits.job_seconds:
        raise RackTimeError(
            "would take longer on the rack than any job may", subject=subject, value=value,
            legal=f"up to {spoken(limits.job_seconds)} (limits.job_seconds): fewer shots, circuits or delays",
        )  # fmt: skip
    if seconds > limits.rack_time and not options.confirm_rack_time:
        raise RackTimeError(
            "would take longer on the rack than jobs may without confirmation", subject=subject, value=value,
            legal=f"up to {spoken(limits.rack_time)} (limits.rack_time), or with run(..., confirm_rack_time=True), "
            "pulsed run --yes",
        )  # fmt: skip


def spoken(seconds: float) -> str:
    """Return a time for people: ``"20000 s (5.6 h)"``."""
    text = f"{seconds:.6g} s"
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{text} ({seconds / size:.{1 if seconds < 10 * size else 0}f} {unit})"
    return text
