"""How the value of an option of a run is read: its plain type, its bounds, and what an error says is legal.

One reader serves both ends: the provider, which is given anything, and the daemon, which is given what was decoded.
Without a device the bounds are the widest that any has.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from pulsed.model.errors import InvalidValueError
from pulsed.model.times import unix_time

if TYPE_CHECKING:
    from pulsed.model.device import DeviceDescription

_LAST_MOMENT = 1e11
"""Unix time, seconds; some milliseconds are taken for seconds by mistake."""
_ILLEGAL = "invalid value of this option of run"
_RANGE = "out of range"
_UNPRINTABLE = "has a letter that cannot be shown"


def _is_truth_value(value: Any) -> bool:
    """Return whether ``value`` is True or False, numpy's too. The store reads options without numpy."""
    numpy = sys.modules.get("numpy")
    return isinstance(value, bool) or (numpy is not None and isinstance(value, numpy.bool_))


class OptionReader(Protocol):
    """Reads the value of one option."""

    def read(self, name: str, value: Any, device: DeviceDescription | None) -> Any:
        """Return ``value`` in its plain type. Raises :class:`InvalidValueError` with what is legal."""

    def describe(self) -> str:
        """Return what is legal, for the documentation."""


def _illegal(name: str, value: Any, legal: str, message: str = _ILLEGAL) -> InvalidValueError:
    return InvalidValueError(message, subject=name, value=value, legal=legal)


class IntegerReader(msgspec.Struct, frozen=True):
    """A whole number from ``low`` to ``high``, and to ``limits.<limit>`` of the rack."""

    low: int
    high: int
    limit: str = ""

    def read(self, name: str, value: Any, device: DeviceDescription | None) -> int:
        """Return ``value`` as int."""
        high = getattr(device.limits, self.limit) if self.limit and device is not None else self.high
        legal = f"an integer from {self.low} to {high}"
        if _is_truth_value(value):
            raise _illegal(name, value, legal)
        try:
            whole = isinstance(value, Real) and not isinstance(value, Integral) and float(value).is_integer()
            number = int(value) if whole else operator.index(value)
        except TypeError:
            raise _illegal(name, value, legal) from None
        if not self.low <= number <= high:
            raise _illegal(name, value, legal, _RANGE)
        return number

    def describe(self) -> str:
        """Return what is legal."""
        return f"an integer from {self.low} to {f'`limits.{self.limit}`' if self.limit else self.high}"


class ChoiceReader(msgspec.Struct, frozen=True):
    """One of some values, of the very type."""

    values: tuple[Any, ...]

    def read(self, name: str, value: Any, device: DeviceDescription | None) -> Any:
        """Return the value that ``value``, or that of an enumeration, is equal to."""
        value = getattr(value, "value", value)
        value = bool(value) if _is_truth_value(value) else value
        for item in self.values:
            if type(item) is type(value) and item == value:
                return item
        raise _illegal(name, value, " or ".join(map(repr, self.values)))

    def describe(self) -> str:
        """Return what is legal."""
        return " or ".join(f"`{value!r}`" for value in self.values)


FLAG = ChoiceReader((True, False))
"""True or False."""


class SecondsReader(msgspec.Struct, frozen=True):
    """A time in seconds between two limits of the rack, or None."""

    low: str
    high: str

    def read(self, name: str, value: Any, device: DeviceDescription | None) -> float | None:
        """Return ``value`` as float."""
        limits = None if device is None else device.limits
        low, high = (0.0, math.inf) if limits is None else (getattr(limits, self.low), getattr(limits, self.high))
        legal = f"{low:g} s to {high:g} s"
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, Real):
            raise _illegal(name, value, legal)
        if not low <= float(value) <= high:
            raise _illegal(name, value, legal, _RANGE)
        return float(value)

    def describe(self) -> str:
        """Return what is legal."""
        return f"`limits.{self.low}` to `limits.{self.high}`, in seconds, or None"


class TimeReader(msgspec.Struct, frozen=True):
    """A moment: ISO 8601 text, a ``datetime`` or a ``date``, or Unix time in seconds; or None."""

    def read(self, name: str, value: Any, device: DeviceDescription | None) -> float | None:
        """Return ``value`` as Unix time."""
        if value is None:
            return None
        if isinstance(value, Real) and not _is_truth_value(value):
            if not 0 < float(value) < _LAST_MOMENT:
                raise _illegal(name, value, f"Unix time in seconds, above 0 and below {_LAST_MOMENT:g}", _RANGE)
            return float(value)
        return unix_time(value, name)

    def describe(self) -> str:
        """Return what is legal."""
        return "a time as ISO 8601 text, a `datetime`, Unix time in seconds, or None"


def frequency_range(device: DeviceDescription, port: str) -> tuple[float, float]:
    """Return the lowest and highest frequency in hertz that ``port`` plays: its LO and its bandwidth around it."""
    center, bandwidth = device.lo_frequency(port), device.ports[port].bandwidth
    return center - bandwidth, center + bandwidth


class FrequenciesReader(msgspec.Struct, frozen=True):
    """One frequency in hertz per qubit, within what its port ``"drive"`` or ``"readout"`` plays, or None."""

    port: str

    def read(self, name: str, value: Any, device: DeviceDescription | None) -> tuple[float, ...] | None:
        """Return ``value`` as floats."""
        if value is None:
            return None
        count = "" if device is None else f"{device.num_qubits} "
        try:
            items = tuple(value)
            numbers = tuple(float(item) for item in items if not (isinstance(item, str) or _is_truth_value(item)))
        except (TypeError, ValueError):
            raise _illegal(name, value, f"a list of {count}frequencies in Hz") from None
        if len(numbers) != len(items) or (device is not None and len(items) != device.num_qubits):
            raise _illegal(name, value, f"a list of {count}frequencies in Hz, one per qubit")
        for q, number in enumerate(numbers if device is not None else ()):
            low, high = frequency_range(device, getattr(device.qubits[q], self.port))  # type: ignore[arg-type,union-attr]
            if not low <= number <= high:
                legal = f"{low / 1e9:.6g} GHz to {high / 1e9:.6g} GHz, given in Hz"
                raise _illegal(f"{name}[{q}]", number, legal, _RANGE)
        return numbers

    def describe(self) -> str:
        """Return what is legal."""
        return f"a frequency per qubit in Hz, within the band of its {self.port} port, or None"


class TextReader(msgspec.Struct, frozen=True):
    """Text of at most ``most`` letters that can be shown, or None."""

    most: int

    def read(self, name: str, value: Any, device: DeviceDescription | None) -> str | None:
        """Return ``value``."""
        if value is not None and not isinstance(value, str):
            raise _illegal(name, value, "a string or None")
        if value is not None and len(value) > self.most:
            raise _illegal(name, f"{len(value)} letters", f"at most {self.most} letters", "too long")
        if value is not None and not value.isprintable():
            raise _illegal(name, ascii(value), "letters that can be shown", _UNPRINTABLE)
        return value

    def describe(self) -> str:
        """Return what is legal."""
        return f"a string of at most {self.most} printable letters, or None"


class TextsReader(msgspec.Struct, frozen=True):
    """At most ``most`` texts of at most ``letters`` letters that can be shown; None is none."""

    most: int
    letters: int

    def read(self, name: str, value: Any, device: DeviceDescription | None) -> tuple[str, ...]:
        """Return ``value`` as a tuple."""
        if value is None:
            return ()
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise _illegal(name, value, "a list of strings")
        texts = tuple(value)
        if not all(isinstance(text, str) for text in texts):
            raise _illegal(name, value, "a list of strings")
        if len(texts) > self.most or any(len(text) > self.letters for text in texts):
            legal = f"at most {self.most} strings of at most {self.letters} letters"
            raise _illegal(name, f"{len(texts)} strings of up to {max(map(len, texts))} letters", legal, "too long")
        if (strange := next((text for text in texts if not text.isprintable()), None)) is not None:
            raise _illegal(name, ascii(strange), "letters that can be shown", _UNPRINTABLE)
        return texts

    def describe(self) -> str:
        """Return what is legal."""
        return f"at most {self.most} strings of at most {self.letters} printable letters"


class SettingsReader:
    """A table of finite numbers, by the names of the device's settings."""

    def read(self, name: str, value: Any, device: DeviceDescription | None) -> dict[str, float]:
        """Return ``value`` as floats."""
        if not isinstance(value, Mapping):
            raise _illegal(name, value, '{"compensation.crosstalk": 0, ...}')
        legal = None if device is None else device.setting_names
        found = {}
        for key, number in value.items():
            if not isinstance(key, str) or (legal is not None and key not in legal):
                raise _illegal(name, key, "a name" if legal is None else ", ".join(legal), "no such setting")
            try:
                found[key] = math.nan if isinstance(number, bool | str) else float(number)
            except (TypeError, ValueError):
                found[key] = math.nan
            if not math.isfinite(found[key]):
                raise _illegal(f"{name}[{key!r}]", number, "a finite number")
            if key.endswith(".frequency") and found[key] <= 0:
                raise _illegal(f"{name}[{key!r}]", number, "above 0 Hz", _RANGE)
        return found

    def describe(self) -> str:
        """Return what is legal."""
        return "numbers by `oscillators.NAME.frequency`, `oscillators.NAME.power`, `ports.NAME.bias`, `compensation.*`"


class AbsentReader(msgspec.Struct, frozen=True):
    """None alone: an option that Qiskit's programs give and that has no meaning here."""

    why: str

    def read(self, name: str, value: Any, device: DeviceDescription | None) -> None:
        """Return None."""
        if value is not None:
            raise _illegal(name, value, f"None: {self.why}")

    def describe(self) -> str:
        """Return what is legal."""
        return f"None: {self.why}"


class UnreadReader(msgspec.Struct, frozen=True):
    """What ``run`` reads together with the programs, or with the calibration set; ``legal`` for the documentation."""

    legal: str

    def read(self, name: str, value: Any, device: DeviceDescription | None) -> Any:
        """Return ``value`` as it is."""
        return value

    def describe(self) -> str:
        """Return what is legal."""
        return self.legal


class SpectrumReader:
    """A :class:`pulsed.model.job.Spectrum`, or None."""

    most = 2001
    """Frequencies of one job."""

    def read(self, name: str, value: Any, device: DeviceDescription | None) -> Any:
        """Return ``value`` as it is."""
        if value is None or device is None:
            return value
        ports = [one for one, port in device.ports.items() if port.direction == "output" and port.lo is not None]
        if value.port not in ports:
            raise _illegal(f"{name}.port", value.port, ", ".join(ports), "this port has no oscillator")
        frequencies = value.frequencies
        if not 0 < len(frequencies) <= self.most or not all(math.isfinite(f) and f > 0 for f in frequencies):
            legal = f"1 to {self.most} positive numbers in Hz"
            raise _illegal(f"{name}.frequencies", str(frequencies[:10]), legal, "invalid list of frequencies")
        if not (math.isfinite(value.rbw) and value.rbw > 0):
            raise _illegal(f"{name}.rbw", value.rbw, "above 0 Hz", _RANGE)
        return value

    def describe(self) -> str:
        """Return what is legal."""
        return f"a `Spectrum` of up to {self.most} frequencies, or None"
