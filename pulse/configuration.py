"""What goes with a program: kernels, discriminators, and the local-oscillator settings of one run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pulsed.pulse.channels import Channel, DriveChannel, MeasureChannel
from pulsed.pulse.exceptions import PulseError


class _Named:
    """A name with keyword parameters, compared by value."""

    __slots__ = ("name", "params")

    def __init__(self, name: str | None = None, **params: Any) -> None:
        self.name = name
        self.params = params

    def __repr__(self) -> str:
        inner = ", ".join(f"{key}={value}" for key, value in self.params.items())
        return f"{type(self).__name__}({self.name!r}, {inner})"

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
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.array_equal(np.asarray(a), np.asarray(b))
    return bool(a == b)


class Kernel(_Named):
    """The integration weights of an acquisition, by name, with parameters."""

    __slots__ = ()


class Discriminator(_Named):
    """How kerneled IQ values become states, by name, with parameters."""

    __slots__ = ()


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
        return isinstance(other, LoRange) and self._lower == other._lower and self._upper == other._upper

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
        self._ranges[channel] = lo_range if isinstance(lo_range, LoRange) else LoRange(*lo_range)

    def check_lo(self, channel: PulseLine, freq: float) -> bool:
        """Return True if ``freq`` is legal on ``channel``, else raise :class:`PulseError`."""
        lo_range = self._ranges.get(channel)
        if lo_range is not None and not lo_range.includes(freq):
            raise PulseError(f"Specified LO freq {freq:f} is out of range {lo_range}", subject=channel.name)
        return True

    def channel_lo(self, channel: PulseLine) -> float:
        """Return the frequency of ``channel``; raise :class:`PulseError` if it has none."""
        los: Mapping[Any, float] = self._q_los if isinstance(channel, DriveChannel) else self._m_los
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
