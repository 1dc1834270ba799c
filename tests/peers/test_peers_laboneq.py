"""Our samples against LabOne Q's, a compiler of other people's that has no line in common with ours.

LabOne Q compiles each case for an SHFQC and emulates it; its ``OutputSimulator`` says what the ports play at 2 GS/s.
On our side a Schedule is compiled for a rack with the same clock and local oscillators, and the events of its Program
become samples as on any port without an oscillator of its own (``render.samples_of``), over the whole time, gaps too.

What agreement proves:

* Sign. A drive port plays exp(-i 2 pi f t) on both sides, for positive and negative f, with the same quadrature of
  DRAG: an agreement up to a conjugation would fail there. Phases count the other way (``play(phase=p)`` gives
  exp(-i p)), so theirs are minus ours. A readout port shows the conjugate of all that, envelope included, hence
  exp(+i 2 pi f t): it is compared conjugated. There the test says that envelope, phase and carrier turn together as
  ours do, and not which of the two signs a mixer calls up.
* Time origin. On a drive port the phase belongs to absolute time, counted from the start of the shot: two pulses at
  times between which the carrier does not do whole turns both agree, without any fitted phase or shifted time. Their
  readout carrier begins with phase 0 where the pulse begins; our side takes out by ShiftPhase what its carrier has
  turned until then. That says that ours runs through there; it is no shared convention.
* Envelope. Both sides lift a Gaussian to zero one sample before its first sampling point. They sample Gaussian and
  DRAG at the left edges n of the samples and GaussianSquare at the midpoints n + 1/2; we sample all at midpoints. The
  formulas are ours, evaluated at their points; for GaussianSquare it is what we really play. The quadrature of DRAG
  is the derivative of the unlifted Gaussian there and of the lifted one here (as in Qiskit), and their flanks of
  GaussianSquare are lifted by half a sample less: these two agree for pulses that have faded out at their edges.

They round the phase of a pulse, its carrier's included, to 2 pi / 2**24: up to 2e-7 of its amplitude. Phases and
frequencies here are such that nothing is rounded.

What it does not prove: mixers, DAC codes, and hardware oscillators, which the emulator does not show.
"""

import json
import math
import subprocess
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pulsed.compiler.compile import Compiler
from pulsed.compiler.render import samples_of
from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import DeviceDescription
from pulsed.model.job import RunOptions
from pulsed.pulse import Acquire, AcquireChannel, DriveChannel, MeasureChannel, MemorySlot, Play, Schedule, ShiftPhase
from pulsed.pulse.library import Drag, Gaussian, GaussianSquare, shapes

pytestmark = pytest.mark.peers

PYTHON = Path(__file__).parents[2] / ".venv-peers-laboneq" / "bin" / "python"
CLOCK = 2e9
LOS = {"drive": 5e9, "measure": 7e9}
FREQUENCIES = tuple(turns * CLOCK / 2**14 for turns in (0, 715, -1081))
"""Hz: 0, 87.3 and -132.0 MHz. None does whole turns before or between the starts."""
PHASES = (0.28125 * math.pi, -0.6875 * math.pi, 0.0)
STARTS = {"drive": (208, 1232), "measure": (208,)}
"""Samples."""
TOLERANCE = 1e-9
"""Of full scale 1: LabOne Q itself scales readout waveforms by 1 - 1e-10."""


@dataclass(frozen=True)
class Shape:
    """One pulse on both sides: ``ours`` in samples; theirs in units of half the pulse, or in seconds."""

    name: str
    ours: type
    parameters: dict[str, float]
    theirs: dict[str, float | bool]
    duration: int = 256
    point: float = 0.0
    """Where in a sample LabOne Q evaluates its formula."""
    function: object = field(default=None)


def half(duration: int, sigma: float) -> float:
    return sigma / (duration / 2)


SHAPES = (
    Shape(
        "gaussian", Gaussian, {"sigma": 64.0}, {"sigma": half(256, 64), "zero_boundaries": True},
        function=shapes.gaussian,
    ),
    Shape(
        "drag", Drag, {"sigma": 16.0, "beta": 9.0}, {"sigma": half(256, 16), "beta": half(256, 9)},
        function=shapes.drag,
    ),
    Shape(
        "gaussian_square", GaussianSquare, {"sigma": 8.0, "width": 160.0},
        # Their flank of r samples is drawn over 2 r - 1 steps: its unit is r - 1/2 samples.
        {"sigma": 8 / (60 - 0.5), "width": 160 / CLOCK}, duration=280, point=0.5, function=shapes.gaussian_square,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    line: str
    shape: Shape
    frequency: float
    phase: float
    amplitude: float = 0.43

    def __str__(self) -> str:
        return f"{self.line}-{self.shape.name}-{self.frequency / 1e6:.1f}MHz"


CASES = [
    Case(line, shape, frequency, phase)
    for line in ("drive", "measure")
    for shape in SHAPES
    for frequency, phase in zip(FREQUENCIES, PHASES, strict=True)
]


@pytest.fixture(scope="session")
def theirs(tmp_path_factory):
    assert PYTHON.exists(), "LabOne Q is not there: `make test-peers` installs it into an environment of its own"
    requests = []
    for case in CASES:
        requests.append({
            "line": case.line, "shape": case.shape.name, "parameters": case.shape.theirs, "amplitude": case.amplitude,
            "length": case.shape.duration / CLOCK, "starts": [start / CLOCK for start in STARTS[case.line]],
            "frequency": case.frequency, "phase": -case.phase,
        })  # fmt: skip
    file = tmp_path_factory.mktemp("laboneq") / "samples.npz"
    script = Path(__file__).with_name("laboneq_samples.py")
    subprocess.run(
        [PYTHON, script, file], input=json.dumps(requests), text=True, check=True, timeout=600, cwd=file.parent
    )
    with np.load(file) as found:
        waves = [found[f"wave{i}"] for i in range(len(CASES))]
    return {str(case): wave.conj() if case.line == "measure" else wave for case, wave in zip(CASES, waves, strict=True)}


def rack(frequency: float) -> DeviceDescription:
    """Return a rack of one qubit with LabOne Q's clock and local oscillators; both tones lie ``frequency`` off them."""
    port = {"instrument": "awg", "clock": CLOCK, "oscillators": 2}
    ports = {
        "d0": port | {"pair": 1, "direction": "output", "lo": "drive"},
        "ro": port | {"pair": 2, "direction": "output", "lo": "measure"},
        "in": port | {"instrument": "digitizer", "direction": "input", "lo": "measure"},
    }
    qubit = {"drive": "d0", "readout": "ro", "acquire": "in"}
    qubit |= {"design_frequency": LOS["drive"] + frequency, "design_readout_frequency": LOS["measure"] + frequency}
    return DeviceDescription.model_validate({
        "name": "peers", "dt": "0.5 ns", "meas_map": [[0]], "ports": ports, "qubits": [qubit],
        "instruments": {name: {"driver": name, "address": "none"} for name in ("awg", "digitizer", "lo")},
        "oscillators": {name: {"instrument": "lo", "frequency": value} for name, value in LOS.items()},
    })  # fmt: skip


def ours(case: Case, samples: int):
    """Return what our Program makes of ``case``: the envelope at LabOne Q's points, all else as compiled."""
    shape = case.shape
    pulse = shape.ours(shape.duration, case.amplitude, **shape.parameters, angle=0.25 * case.phase)
    schedule = Schedule((0, Acquire(64, AcquireChannel(0), MemorySlot(0))))
    channel = DriveChannel(0) if case.line == "drive" else MeasureChannel(0)
    turned = 0.75 * case.phase
    if case.line == "measure":
        turned += 2 * math.pi * case.frequency * STARTS["measure"][0] / CLOCK
    schedule = schedule.insert(0, ShiftPhase(turned, channel))
    for start in STARTS[case.line]:
        schedule = schedule.insert(start, Play(pulse, channel))
    device = rack(case.frequency)
    assert device.dt == Fraction(1, 2_000_000_000)
    (chunk,) = Compiler(device, CalibrationSet("peers", {}, "")).compile([schedule], RunOptions(shots=1))
    points = np.arange(shape.duration)
    at_midpoints = shape.function(points + 0.5, shape.duration, **shape.parameters)
    peak = np.abs(at_midpoints).max()
    wave = np.zeros(samples, dtype=complex)
    events = chunk.array(chunk.programs[0].events)
    for event in events:
        # The formula is the one that the table was sampled from.
        np.testing.assert_allclose(chunk.envelope(event["envelope"]), at_midpoints / peak, rtol=0, atol=1e-14)
        envelope = shape.function(points + shape.point, shape.duration, **shape.parameters) / peak
        wave[event["time"] : event["time"] + shape.duration] += samples_of(event, envelope.astype(complex), CLOCK)
    assert len(events) == len(STARTS[case.line])
    return wave


@pytest.mark.parametrize("case", CASES, ids=str)
def test_samples_agree_with_laboneq(case, theirs):
    wave = theirs[str(case)]
    assert np.abs(wave).max() > 0.99 * case.amplitude
    np.testing.assert_allclose(ours(case, len(wave)), wave, rtol=0, atol=TOLERANCE)
