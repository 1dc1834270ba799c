"""What drifts on a chip, and how much: a table of the chip file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pulsed.simulator.chip.components import Wire
from pulsed.simulator.chip.tables import check, check_keys, is_integer, is_number


@dataclass(frozen=True)
class Drift:
    """What drifts; each source is off unless it is set. Times in seconds of drift time, jumps in Hz.

    Attributes:
        seed: of all sources.
        factor: seconds of drift in one second of playing.
        frequency_jump: smallest and largest size of a qubit's telegraph jumps (2 to 20 kHz on real chips), 0 for off.
        frequency_wait: mean time between them.
        t1_factor: what a passing two-level system multiplies T1 by (0.3 on real chips), 1 for off.
        tls_wait: mean time until it comes.
        tls_stay: mean time that it stays.
        readout_jump: as ``frequency_jump``, of the resonators.
        readout_wait: mean time between them.
        gain_walk: random walk of each line's gain, relative, in one hour (0.001 to 0.01).
        phase_walk: random walk of the LO's phase at each line's mixer, rad in one hour.
        dead_lines: names of lines that transmit nothing.
        swapped_lines: pairs of drive lines whose plugs are exchanged.

    """

    seed: int = 0
    factor: float = 1.0
    frequency_jump: tuple[float, float] = (0.0, 0.0)
    frequency_wait: float = 600.0
    t1_factor: float = 1.0
    tls_wait: float = 7200.0
    tls_stay: float = 1200.0
    readout_jump: tuple[float, float] = (0.0, 0.0)
    readout_wait: float = 3600.0
    gain_walk: float = 0.0
    phase_walk: float = 0.0
    dead_lines: tuple[str, ...] = ()
    swapped_lines: tuple[tuple[str, str], ...] = ()

    @property
    def on(self) -> bool:
        """Whether anything drifts."""
        jumps = self.frequency_jump[1] or self.readout_jump[1] or self.t1_factor < 1
        return bool(jumps or self.gain_walk or self.phase_walk or self.dead_lines or self.swapped_lines)


NOTHING = Drift()
"""No drift."""


def _number(value: Any) -> float:
    return float(value) if is_number(value) else math.nan


def _read_drift_value(name: str, value: Any, wires: Sequence[Wire]) -> Any:
    """Return one value of a drift table as :class:`Drift` holds it; ConfigError for an illegal one."""
    subject = f"drift.{name}"
    if name == "seed":
        good = is_integer(value) and 0 <= value < 1 << 63
        check(good, "not a seed", subject, value, "an integer from 0 to 2^63 - 1")
    elif name in ("dead_lines", "swapped_lines"):
        legal = {w.name for w in wires if name == "dead_lines" or w.qubit is not None}
        rows = value if isinstance(value, list | tuple) else [value]
        if name == "swapped_lines":
            good = all(isinstance(r, list | tuple) and len(r) == 2 and {*map(str, r)} <= legal for r in rows)
            check(good, "not pairs of drive lines", subject, value, f"pairs of {', '.join(sorted(legal))}")
            return tuple((str(a), str(b)) for a, b in rows)
        check({*map(str, rows)} <= legal, "no such line in the fridge", subject, value, ", ".join(sorted(legal)))
        return tuple(map(str, rows))
    elif name in ("frequency_jump", "readout_jump"):
        pair = tuple(map(_number, value)) if isinstance(value, list | tuple) else (_number(value),) * 2
        good = len(pair) == 2 and (pair == (0, 0) or 0 < pair[0] <= pair[1] < 1e8)
        check(good, "not a range of jumps", subject, value, "smallest and largest, 0 < a <= b < 1e8 Hz, or 0 for off")
        return pair
    else:
        low, high = {"t1_factor": (1e-3, 1.0), "gain_walk": (0.0, 1.0), "phase_walk": (0.0, 100.0)}.get(
            name, (1e-3, 1e9)
        )
        check(low <= _number(value) <= high, "out of range", subject, value, f"{low:g} to {high:g}")
        return float(value)
    return value


def read_drift(data: Mapping[str, Any], wires: Sequence[Wire], drift: Drift = NOTHING) -> Drift:
    """Return ``drift`` with the values of a table changed; ConfigError names the key and what is legal.

    Args:
        data: the table; its keys are the fields of :class:`Drift`.
        wires: the chip's lines, which ``dead_lines`` and ``swapped_lines`` name.
        drift: what stays where the table says nothing.

    """
    check_keys(Drift, data, "drift")
    return replace(drift, **{name: _read_drift_value(name, value, wires) for name, value in data.items()})
