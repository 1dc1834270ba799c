"""What a reader finds in foreign files, whatever the stack: lines, sources and pairs, of which a rack is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from pulsed.calibration.interchange.fields import Field, Ledger
from pulsed.calibration.interchange.pulses import DragNumbers

UNKNOWN = "unknown"
"""Driver and address of an instrument that the files do not name."""


@dataclass
class Box:
    """One instrument."""

    driver: str = UNKNOWN
    address: str = UNKNOWN


@dataclass
class PlatformPort:
    """One output or input of a box."""

    box: str = ""
    path: str = ""
    """What the box calls it."""
    pair: int | None = None
    """The number that its driver knows it by; None: counted, outputs and inputs of a box apart."""
    lo: str | None = None
    """Of :attr:`Platform.oscillators`; None: baseband, or not known."""
    full_scale: float | None = None
    """dBm."""
    delay: int = 0


@dataclass
class Oscillator:
    """A local oscillator. ``box`` makes it; None where the box of the port does."""

    frequency: float | None
    """Hz; None where the files do not say."""
    power: float | None = None
    """dBm."""
    box: str | None = None


@dataclass
class Pair:
    """Two qubits with a gate; ``flux`` is the coupler's port, None for a tone."""

    control: int
    target: int
    flux: str | None = None


@dataclass
class Platform:
    """A device of another stack."""

    stack: str
    name: str
    ledger: Ledger
    dt: Fraction = Fraction(1, 10**9)
    """Seconds."""
    granularity: int = 1
    min_length: int = 1
    qubits: list[str] = field(default_factory=list)
    """Their names, in the order of our numbers."""
    drive: dict[int, str] = field(default_factory=dict)
    readout: dict[int, str] = field(default_factory=dict)
    acquire: dict[int, str] = field(default_factory=dict)
    """Qubit → port."""
    ports: dict[str, PlatformPort] = field(default_factory=dict)
    oscillators: dict[str, Oscillator] = field(default_factory=dict)
    boxes: dict[str, Box] = field(default_factory=dict)
    pairs: list[Pair] = field(default_factory=list)
    limits: dict[str, Any] = field(default_factory=dict)
    wiring: str = ""
    """The file that says where the ports are."""

    def number(self, qubit: str) -> int | None:
        """Return our number of their qubit, None when there is none."""
        return self.qubits.index(qubit) if qubit in self.qubits else None

    def steps(self, seconds: Fraction | float, source: Field, *, truncate: bool = False) -> int | None:
        """Return a time as a whole number of dt; None with a line for one that is none, unless it is truncated."""
        exact = Fraction(seconds).limit_denominator(10**15) / self.dt
        nearest = round(exact)
        if abs(exact - nearest) < Fraction(1, 1000):
            return nearest
        if truncate:
            return int(exact)
        self.ledger.leave(source, f"{float(exact):.4f} dt of {float(self.dt * 10**9):g} ns are no whole number of dt")
        return None

    def take_drag(self, gate: str, pulse: DragNumbers, source: Field, how: str) -> None:
        """Enter the values of a DRAG pulse, ``gate`` such as ``"Q0.x"``: all of them, or none with one line."""
        if not 0 < pulse.amplitude <= 1:
            self.ledger.leave(source, f"its area would need {pulse.amplitude:.3g} of full scale", pulse.amplitude)
            return
        if pulse.duration % self.granularity or pulse.duration < self.min_length:
            legal = f"multiples of {self.granularity}, at least {self.min_length}"
            self.ledger.leave(source, f"{pulse.duration:g} dt are no length that its port plays: {legal}")
            return
        for name, value in pulse._asdict().items():
            self.ledger.take(f"{gate}.{name}", value, source, how)
