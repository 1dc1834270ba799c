"""The base of all pulses, and the cache of their sampled shapes."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from qiskit.circuit import Parameter

from pulsed.pulse.utils import Value, checked_duration

if TYPE_CHECKING:
    from pulsed.pulse.library.waveform import Waveform

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


class Pulse(ABC):
    """An envelope on integer steps of dt, independent of channel and frequency.

    Whatever the kind, ``envelope() == scale * normalized()`` sample by sample, and two pulses with equal
    ``shape_key`` have equal ``normalized()``. A compiler stores one shape and many scales.

    Attributes:
        limit_amplitude: whether samples of modulus above one are refused; set on the class for all pulses, or given
            to a constructor for one.

    """

    __slots__ = ("__dict__", "_duration", "_name", "_shape_key")
    limit_amplitude: bool = True

    def __init__(self, duration: Value, name: str | None, limit_amplitude: bool | None) -> None:
        self._duration = checked_duration(duration, type(self).__name__)
        self._name = name
        self._shape_key: bytes | None = None
        if limit_amplitude is not None:
            self.limit_amplitude = limit_amplitude

    @property
    def duration(self) -> Value:
        """Length in dt: an int, or an expression that is assigned later."""
        return self._duration

    @property
    def name(self) -> str | None:
        """Name for display; it takes no part in equality."""
        return self._name

    @property
    def id(self) -> int:
        """A number that is unique to this object as long as it lives."""
        return id(self)

    @property
    @abstractmethod
    def parameters(self) -> dict[str, Value]:
        """The parameters by name, duration first."""

    @property
    @abstractmethod
    def free_parameters(self) -> set[Parameter]:
        """The Qiskit parameters without a value."""

    def is_parameterized(self) -> bool:
        """Return whether a parameter has no value yet."""
        return bool(self.free_parameters)

    @abstractmethod
    def assigned(self, values: Mapping[Parameter, Value]) -> Self:
        """Return this pulse with ``values`` put in."""

    @property
    @abstractmethod
    def scale(self) -> complex:
        """amp·e^{i·angle}, by which the shape is multiplied."""

    @property
    @abstractmethod
    def shape_key(self) -> bytes:
        """Content hash (16 bytes) of the shape: duration and parameters, but amp and angle."""

    @abstractmethod
    def normalized(self) -> Samples:
        """Return the shape, complex128 of length ``duration``, at amp 1 and angle 0; read-only and cached."""

    @abstractmethod
    def resampled(self, ratio: Fraction) -> Samples:
        """Return the shape on another clock: complex128, ``ratio`` samples per dt, ``duration * ratio`` in all.

        A shape that is a function is taken at the midpoints of the new samples; samples are held.

        Raises:
            PulseError: not a whole number of samples, or samples that would have to be interpolated.

        """

    def envelope(self) -> Samples:
        """Return the samples, complex128 of length ``duration``, amplitude and angle included.

        Raises:
            UnassignedParameterError: a parameter has no value.

        """
        return self.scale * self.normalized()

    def get_waveform(self) -> Waveform:
        """Return this pulse as samples."""
        from pulsed.pulse.library.waveform import Waveform

        return Waveform(self.envelope(), name=self._name, limit_amplitude=self.limit_amplitude)

    def draw(self, **options: Any) -> Any:
        """Return a matplotlib figure of the envelope; options as for ``Schedule.draw``."""
        from pulsed.pulse.draw import draw_pulse

        return draw_pulse(self, **options)
