"""Room on the disk of a database: watched, because what does not fit any longer must not take the rest along."""

from __future__ import annotations

import os
import time
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from pulsed.model.errors import StoreFullError

_EVERY = 1.0
"""Seconds for which a look at the disk is good, where nothing large is to be written."""
_COPIES = 2
"""What is written goes into the log of the database first, and from there into its file."""
_KEPT = 8
"""This part of the mark is left for small rows, such as that a job has failed because its result did not fit."""


class DiskWatch:
    """How much room there is in ``place``; None: a database elsewhere, of which nothing is known.

    ``mark``: bytes below which no job is accepted.
    """

    def __init__(self, place: Path | None, mark: int) -> None:
        self.place, self.mark = place, mark
        self._free, self._looked = 0, -_EVERY

    @property
    def free(self) -> int | None:
        """Bytes that are free, None for a database elsewhere."""
        return None if self.place is None else self._look(_EVERY)

    def problem(self) -> StoreFullError | None:
        """Return why no job is accepted at present, None when there is room."""
        if self.place is None:
            return None
        free = self._look(_EVERY)
        if free >= self.mark:
            return None
        return StoreFullError(
            "the disk of the store is almost full, so no job is accepted", subject=f"disk of {self.place}",
            value=f"{_mebibytes(free)} free",
            legal=f"at least {_mebibytes(self.mark)} (limits.free_disk): make room there; `pulsed cal prune --files` "
            "removes files of old measurements, and what jobs brought back is kept",
        )  # fmt: skip

    def check(self) -> None:
        """Raise :class:`StoreFullError` when no job is accepted."""
        if (problem := self.problem()) is not None:
            raise problem

    def check_room(self, size: int) -> None:
        """Raise :class:`StoreFullError` when ``size`` bytes would leave too little room for what has to be written."""
        if self.place is None:
            return
        free, needed = self._look(0.0), _COPIES * size + self.mark // _KEPT
        if free < needed:
            raise StoreFullError(
                "there is no room for it on the disk of the store", subject=f"disk of {self.place}",
                value=f"{_mebibytes(free)} free", legal=f"at least {_mebibytes(needed)}",
            )  # fmt: skip

    def check_result(self, size: int) -> None:
        """Raise :class:`StoreFullError` when a result of ``size`` bytes, written chunk by chunk, would not fit."""
        if self.place is None:
            return
        free = self._look(_EVERY)
        if free < size + self.mark // _KEPT:
            raise StoreFullError(
                "the result would not fit on the disk of the store", subject=f"disk of {self.place}",
                value=f"{_mebibytes(size)} of result, {_mebibytes(free)} free",
                legal="fewer shots or circuits, averages, or more room there",
            )  # fmt: skip

    def _look(self, seconds: float) -> int:
        now = time.monotonic()
        if now - self._looked >= seconds:
            found = os.statvfs(self.place or ".")
            self._free, self._looked = found.f_bavail * found.f_frsize, now
        return self._free


def path_of(url: str) -> Path | None:
    """Return the file of a database that is one here, else None."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        return None  # whoever opens it says so
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return None
    return Path(parsed.database)


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"
