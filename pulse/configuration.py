"""What goes with a program: kernels, discriminators, and the local-oscillator settings of one run."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pulsed.pulse.channels import Channel, DriveChannel, MeasureChannel, adopted
from pulsed.pulse.exceptions import PulseError


class _Named:
    """A name with keyword parameters, compared by value."""

    __slots__ = ("name", "params")

    def __init__(self, name: str | None = None, **params: Any) -> None:
        self.name = name
        self.params = params

    def __repr__(self) -> str:
        inner = ", ".join([repr(self.name), *(f"{key}={value}" for key, value in self.params.items())])
        return f"{type(self).__name__}({inner})"

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other) or not isinstance(other, _Named):
            return False
        return (
            self.name == other.name
            and self.params.keys() == other.params.keys()
            and all(_same(value, other.params[key]) for key, value in self.params.items())
        )

    def __hash__(self) -> int:
        return hash((type(self).__name__, self.name, tuple(sorted(self.params))))


def _same(a: Any, b: Any) -> bool:
    """Return whether two parameters are equal: arrays and sequences by their items, at any depth."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_same(value, b[key]) for key, value in a.items())
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and "O" not in (a.dtype.char, b.dtype.char):
        return np.array_equal(a, b)
    a, b = (side.tolist() if isinstance(side, np.ndarray) else side for side in (a, b))
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b)


CALIBRATED = "calibrated"
"""Name of the kernel and of the discriminator that a qubit's calibration has, which act where none is given."""
KERNEL_NAMES = (CALIBRATED, "boxcar")
"""Kernels that act without parameters."""
DISCRIMINATOR_NAMES = (CALIBRATED,)
"""Discriminators that act."""


class Kernel(_Named):
    """The integration weights of an acquisition, by name, with parameters.

    What acts: ``Kernel("calibrated")``, those of the qubit's calibration, as where none is given; ``Kernel("boxcar")``,
    all samples of the window alike; ``Kernel("boxcar", start_window=a,
    stop_window=b)``, those from a to b dt of the window alike and no others; and ``Kernel(name, weights=[...])``, one
    finite number per sample. The sum of a boxcar's weights is 1. Anything else is refused before it is run.
    """

    __slots__ = ()


class Discriminator(_Named):
    """How kerneled IQ values become states, by name, with parameters.

    What acts is ``Discriminator("calibrated")``, as where none is given; ``run`` refuses any other.
    """

    __slots__ = ()


KERNELS = (
    'Kernel("calibrated"), Kernel("boxcar"), Kernel("boxcar", start_window=a, stop_window=b) with whole numbers of dt, '
    "0 <= a < b <= the acquisition's duration, or Kernel(name, weights=[...]) with one finite number per sample,"
    " not all 0"
)
"""The kernels that act."""


def is_calibrated(given: Kernel | Discriminator | None) -> bool:
    """Return whether the kernel or discriminator of an acquisition is that of the qubit's calibration."""
    return given is None or (given.name == CALIBRATED and not given.params)


def kernel_weights(kernel: Kernel, duration: int, ratio: Fraction) -> NDArray[np.complex128] | None:
    """Return the integration weights of a kernel, complex128 of one per sample; None for those of a whole boxcar.

    Args:
        kernel: the kernel.
        duration: of the acquisition, in dt.
        ratio: samples per dt.

    Raises:
        PulseError: a kernel that does not say what to integrate, or says more than that.

    """
    if kernel.params.keys() == {"weights"}:
        return _given_weights(kernel, duration * ratio)
    if kernel.name != "boxcar" or not kernel.params.keys() <= {"start_window", "stop_window"}:
        raise _no_kernel(kernel)
    window = kernel.params.get("start_window", 0), kernel.params.get("stop_window", duration)
    if not all(isinstance(end, (int, np.integer)) and not isinstance(end, bool) for end in window):
        raise _no_kernel(kernel)
    start, stop = map(int, window)
    if not 0 <= start < stop <= duration:
        raise _no_kernel(kernel)
    if (start, stop) == (0, duration):
        return None
    first, last = start * ratio, stop * ratio
    if first.denominator != 1 or last.denominator != 1:
        legal = f"multiples of {ratio.denominator} dt"
        raise PulseError("the kernel's window does not convert to samples", value=repr(kernel)[:200], legal=legal)
    weights = np.zeros(int(duration * ratio), np.complex128)
    weights[int(first) : int(last)] = 1 / int(last - first)
    return weights


def _given_weights(kernel: Kernel, length: Fraction) -> NDArray[np.complex128]:
    try:
        weights = np.array(kernel.params["weights"], np.complex128)
    except (TypeError, ValueError):
        raise _no_kernel(kernel) from None
    if weights.ndim != 1 or not len(weights) or not np.isfinite(weights).all():
        raise _no_kernel(kernel)
    if not weights.any():
        raise PulseError(
            "a kernel whose weights are all 0 tells no states apart", value=repr(kernel)[:200], legal=KERNELS
        )
    if len(weights) != length:
        raise PulseError(
            "the kernel has another length than the acquisition", value=f"{len(weights)} samples",
            legal=f"{length} samples",
        )  # fmt: skip
    return weights


def _no_kernel(kernel: Kernel) -> PulseError:
    return PulseError("no such kernel", value=repr(kernel)[:200], legal=KERNELS)


class LoRange:
    """The closed range of frequencies of one local oscillator (Hz)."""

    __slots__ = ("_lower", "_upper")

    def __init__(self, lower_bound: float, upper_bound: float) -> None:
        self._lower = lower_bound
        self._upper = upper_bound

    @property
    def lower_bound(self) -> float:
        """Lowest frequency."""
        return self._lower

    @property
    def upper_bound(self) -> float:
        """Highest frequency."""
        return self._upper

    def includes(self, lo_freq: float) -> bool:
        """Return whether ``lo_freq`` lies in the range, its ends included."""
        return self._lower <= abs(lo_freq) <= self._upper

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LoRange) and self._lower == other.lower_bound and self._upper == other.upper_bound

    def __hash__(self) -> int:
        return hash((self._lower, self._upper))

    def __repr__(self) -> str:
        return f"LoRange({self._lower:f}, {self._upper:f})"


class LoConfig:
    """Local-oscillator frequencies for one run.

    Args:
        channel_los: drive or measure channel → frequency (Hz).
        lo_ranges: drive or measure channel → :class:`LoRange` or (lower, upper).

    Raises:
        PulseError: a frequency outside its range, or a channel that has no LO.

    """

    def __init__(
        self,
        channel_los: Mapping[PulseLine, float] | None = None,
        lo_ranges: Mapping[PulseLine, LoRange | tuple[float, float]] | None = None,
    ) -> None:
        self._q_los: dict[DriveChannel, float] = {}
        self._m_los: dict[MeasureChannel, float] = {}
        self._ranges: dict[Channel, LoRange] = {}
        for line, lo_range in (lo_ranges or {}).items():
            self.add_lo_range(line, lo_range)
        for line, frequency in (channel_los or {}).items():
            self.add_lo(line, frequency)

    def add_lo(self, channel: PulseLine, freq: float) -> None:
        """Set the frequency of ``channel`` (Hz)."""
        channel = adopted(channel)
        if isinstance(channel, DriveChannel):
            self.check_lo(channel, freq)
            self._q_los[channel] = freq
        elif isinstance(channel, MeasureChannel):
            self.check_lo(channel, freq)
            self._m_los[channel] = freq
        else:
            raise PulseError(
                f"Specified channel {channel.name} cannot be configured.", legal="DriveChannel or MeasureChannel"
            )

    def add_lo_range(self, channel: PulseLine, lo_range: LoRange | tuple[float, float]) -> None:
        """Set the range of ``channel``."""
        self._ranges[adopted(channel)] = lo_range if isinstance(lo_range, LoRange) else LoRange(*lo_range)

    def check_lo(self, channel: PulseLine, freq: float) -> bool:
        """Return True if ``freq`` is legal on ``channel``, else raise :class:`PulseError`."""
        lo_range = self._ranges.get(channel)
        if lo_range is not None and not lo_range.includes(freq):
            raise PulseError(f"Specified LO freq {freq:f} is out of range {lo_range}", subject=channel.name)
        return True

    def channel_lo(self, channel: PulseLine) -> float:
        """Return the frequency of ``channel``; raise :class:`PulseError` if it has none."""
        los: Mapping[Any, float] = self._q_los if isinstance(adopted(channel), DriveChannel) else self._m_los
        if channel not in los:
            raise PulseError(f"Channel {channel} is not configured")
        return los[channel]

    @property
    def qubit_los(self) -> dict[DriveChannel, float]:
        """Frequencies of drive channels."""
        return self._q_los

    @property
    def meas_los(self) -> dict[MeasureChannel, float]:
        """Frequencies of measure channels."""
        return self._m_los


PulseLine = DriveChannel | MeasureChannel
