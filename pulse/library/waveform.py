"""Pulses given by their samples."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from hashlib import blake2b
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from qiskit.circuit import Parameter

from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.library.pulse import Pulse, Samples
from pulsed.pulse.utils import Value


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
        return isinstance(other, Waveform) and np.array_equal(self._samples, other._samples)

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
