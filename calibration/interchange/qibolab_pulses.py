"""The pulses of a qibolab platform as the values of our gates."""

from __future__ import annotations

import numpy as np

from pulsed.calibration.interchange.fields import Field
from pulsed.calibration.interchange.platform import Platform
from pulsed.calibration.interchange.pulses import same_area, unlifted

_PLAYS_NOTHING = "a pulse without length and amplitude plays nothing"


def samples(source: Field) -> int | None:
    """Return ns as dt of 1 ns: qibolab plays whole samples, and drops what is left of one."""
    value = source.number(0, 1e6)
    if value is not None and value != int(value):
        source.ledger.leave(
            source, f"{value - int(value):.4g} ns, cut off as qibolab does: it plays {int(value)} samples"
        )
    return None if value is None else int(value)


def rotation(found: Platform, gate: str, pulse: Field, part: float, why: str) -> None:
    """Enter a pulse as ``gate``, such as ``"Q0.x"``, with ``part`` of its amplitude. ``why`` says whose it is."""
    duration, amplitude = samples(pulse["duration"]), pulse["amplitude"].number(-1, 1)
    phase, envelope = pulse["relative_phase"].number() or 0.0, pulse["envelope"]
    if not duration or not amplitude:
        found.ledger.leave(pulse, _PLAYS_NOTHING)
        return
    kind, how = envelope["kind"].text(), "same area, foot lifted; sigma = rel_sigma × duration, beta in samples of 1 ns"
    sigma, beta, shape = duration / 4, 0.0, np.ones(duration)
    if kind in ("gaussian", "drag"):
        relative = envelope["rel_sigma"].number(1e-3, 100)
        tilt = envelope["beta"].number() if kind == "drag" else 0.0
        if relative is None or tilt is None:
            found.ledger.leave(envelope, "its width or its beta is missing")
            return
        sigma, beta, shape = relative * duration, tilt, unlifted(duration, relative * duration)
    elif kind == "rectangular":
        how = "same area: a Gaussian for a rectangle"
    else:
        found.ledger.leave(envelope, f"no {kind} pulse can be made of it", kind)
        return
    numbers = same_area(amplitude * part, shape, duration, sigma, beta, phase)
    found.take_drag(gate, numbers, pulse, "; ".join(filter(None, [why, how])))


def measurement(found: Platform, q: int, gate: Field) -> None:
    """Enter the readout pulse of a qubit."""
    rows = [row[1] for row in gate.rows() if row[1]["kind"].value == "readout"]
    if len(rows) != 1:
        if gate.there:
            found.ledger.leave(gate, f"{len(rows)} readouts: one is expected")
        return
    probe, window = rows[0]["probe"], rows[0]["acquisition"]
    duration, amplitude = samples(probe["duration"]), probe["amplitude"].number(0, 1)
    if not duration or not amplitude:
        found.ledger.leave(probe, _PLAYS_NOTHING)
        return
    name, envelope = f"Q{q}.readout", probe["envelope"]
    kind, sigma, flank, how = envelope["kind"].text(), 1.0, 2.0, "flanks of 2 dt for a rectangle"
    if kind == "gaussian_square":
        sigma, how = envelope["sigma"].number(0.1, 1e5) or 1.0, "width = duration − 2 risefall"
        flank = envelope["risefall"].number(0, 1e5) or 2.0
    elif kind != "rectangular":
        found.ledger.leave(envelope, "a readout is played as a flat pulse", kind)
    found.ledger.take(f"{name}.duration", float(duration), probe["duration"])
    found.ledger.take(f"{name}.amplitude", amplitude, probe["amplitude"])
    found.ledger.take(f"{name}.sigma", sigma, envelope, how)
    found.ledger.take(f"{name}.width", max(duration - 2 * flank, 0.0), envelope, how)
    recorded = window["duration"].number(0, 1e6)
    if recorded is not None and int(recorded) != duration:
        why = f"{recorded:g} ns are recorded and {duration} ns played: here the window is as long as the pulse"
        found.ledger.leave(window["duration"], why)


def flux_shape(envelope: Field, duration: int) -> tuple[dict[str, float], str] | None:
    """Return sigma and width (dt) of a flux pulse, and how they were found; None, with a line, where it is none."""
    kind = envelope["kind"].text()
    if kind == "rectangular":
        return {"sigma": 1.0, "width": duration - 4.0}, "flanks of 2 dt for a rectangle"
    if kind == "gaussian_square":
        sigma, rise = envelope["sigma"].number(0.1, 1e5), envelope["risefall"].number(0, duration / 2)
        if sigma is not None and rise is not None:
            return {"sigma": sigma, "width": duration - 2 * rise}, "width = duration − 2 risefall"
    if kind == "gaussian" and (relative := envelope["rel_sigma"].number(1e-3, 100)) is not None:
        return {"sigma": relative * duration, "width": 0.0}, "sigma = rel_sigma × duration, foot lifted"
    envelope.ledger.leave(envelope, f"no {kind} pulse can be made of it", kind or "")
    return None
