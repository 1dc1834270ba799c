"""The base of all pulses, and the pulses given by their samples, which any pulse can be turned into."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from fractions import Fraction
from hashlib import blake2b
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from qiskit.circuit import Parameter

from pulsed import old_names
from pulsed.pulse.drawable import Drawable
from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.library.shape_cache import Samples
from pulsed.pulse.utils import Value, checked_duration

__getattr__ = old_names(__name__)


class Pulse(ABC, Drawable):
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
        return Waveform(self.envelope(), name=self._name, limit_amplitude=self.limit_amplitude)


class Waveform(Pulse):
    """Arbitrary complex samples, one per dt.

    Args:
        samples: complex, shape (duration,), of modulus at most one.
        name: for display.
        epsilon: samples of modulus up to 1 + epsilon are clipped to one, as rounding may have made them.
        limit_amplitude: False allows samples of modulus above one.

    Raises:
        PulseError: samples of another shape, not finite, or too large; with the first such sample.

    """

    __slots__ = ("_samples",)

    def __init__(
        self,
        samples: ArrayLike,
        name: str | None = None,
        epsilon: float = 1e-7,
        limit_amplitude: bool | None = None,
    ) -> None:
        try:
            array = np.array(samples, dtype=np.complex128)
        except (TypeError, ValueError) as error:
            raise PulseError(f"samples are not complex numbers: {error}", subject="Waveform") from error
        if array.ndim != 1:
            raise PulseError("samples must be one-dimensional", subject="Waveform", value=array.shape)
        super().__init__(len(array), name, limit_amplitude)
        finite = np.isfinite(array)
        if not finite.all():
            n = int(np.argmin(finite))
            raise PulseError("sample is not finite", subject=f"Waveform sample {n}", value=complex(array[n]))
        if self.limit_amplitude:
            _limit(array, epsilon)
        array.flags.writeable = False
        self._samples: Samples = array

    @property
    def samples(self) -> Samples:
        """The samples, complex128, read-only."""
        return self._samples

    @property
    def parameters(self) -> dict[str, Value]:
        """Nothing: samples are no parameters."""
        return {}

    @property
    def free_parameters(self) -> set[Parameter]:
        """Nothing."""
        return set()

    def assigned(self, values: Mapping[Parameter, Value]) -> Self:
        """Return this pulse; it has no parameters."""
        return self

    @property
    def scale(self) -> complex:
        """One: the samples are the shape."""
        return 1 + 0j

    @property
    def shape_key(self) -> bytes:
        """Content hash of the samples."""
        if self._shape_key is None:
            self._shape_key = blake2b(self._samples.tobytes(), digest_size=16, person=b"waveform").digest()
        return self._shape_key

    def normalized(self) -> Samples:
        """Return the samples, read-only."""
        return self._samples

    def resampled(self, ratio: Fraction) -> Samples:
        """Return the samples, each held for ``ratio`` samples of the new clock, see :meth:`Pulse.resampled`."""
        if ratio.denominator != 1:
            raise PulseError(
                "samples cannot be played on a clock that is no multiple of 1/dt",
                subject=repr(self),
                value=f"{ratio} samples per dt",
                legal="an integer",
            )
        return np.repeat(self._samples, int(ratio))

    def envelope(self) -> Samples:
        """Return a copy of the samples."""
        return self._samples.copy()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Waveform) and np.array_equal(self._samples, other.samples)

    def __hash__(self) -> int:
        return hash(self.shape_key)

    def __repr__(self) -> str:
        name = "" if self._name is None else f", name={self._name!r}"
        with np.printoptions(threshold=50):
            return f"{type(self).__name__}({self._samples!r}{name})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._samples, self._name, 1e-7, self.limit_amplitude)


def _limit(samples: Samples, epsilon: float) -> None:
    """Clip in place what exceeds one by rounding; refuse what exceeds it by more."""
    modulus = np.abs(samples)
    over = modulus > 1.0
    if not over.any():
        return
    n = int(np.argmax(modulus))
    if modulus[n] > 1.0 + epsilon:
        raise PulseError(
            "sample is larger than full scale; limit_amplitude=False allows it",
            subject=f"Waveform sample {n}",
            value=f"{samples[n]} of norm {modulus[n]:.9g}",
            legal="norm at most 1",
        )
    samples[over] /= modulus[over]
    # the division may leave a modulus one rounding above one
    over = np.abs(samples) > 1.0
    samples[over] *= 1.0 - 2.0**-52
