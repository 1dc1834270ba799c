"""The cache of sampled shapes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.complex128]


class ShapeCache:
    """Sampled shapes by content hash, the least used dropped when their bytes exceed ``limit``."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = 0
        self._kept: OrderedDict[bytes, Samples] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: bytes, make: Callable[[], Samples]) -> Samples:
        """Return the samples of ``key``, read-only, made by ``make`` if they are not held."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                return found
        made = make()
        made.flags.writeable = False
        if made.nbytes > self._limit:
            return made
        with self._lock:
            if key not in self._kept:
                self._kept[key] = made
                self._bytes += made.nbytes
            while self._bytes > self._limit:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return made

    @property
    def nbytes(self) -> int:
        """Bytes of samples held."""
        return self._bytes


SHAPE_CACHE = ShapeCache(64 << 20)
"""Shared by all pulses of a process: 64 MiB."""
