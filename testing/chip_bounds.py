"""What a known chip allows at best, against which its bring-up is judged: gates, leakage, readout."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pulsed.calibration.executor import Executor
from pulsed.calibration.routines.benchmarking import coherence_limit
from pulsed.calibration.routines.tomography import measured, prepared
from pulsed.model.calibration import CalibrationSet
from pulsed.model.errors import InvalidValueError
from pulsed.pulse.library import GaussianSquare
from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.dynamics.lines import low_pass
from pulsed.simulator.readout.acquisition import RING_DOWN
from pulsed.simulator.readout.jumps import sample_jumps
from pulsed.simulator.readout.records import integrals, integrate
from pulsed.simulator.readout.response import respond

NEAR_TWO_PHOTON = 25e6
"""Hz of a target from half of its control's f02, within which a gate may have twice the error of its coherence."""


@dataclass(frozen=True)
class Gate:
    """The error of a gate as benchmarking found it, and what it may be."""

    name: str
    error: float
    stderr: float
    limit: float
    """What relaxation and dephasing alone would give."""
    factor: float
    """How many times that is allowed."""

    @property
    def good(self) -> bool:
        """Whether it is within what is allowed, as far as its standard error tells, and the latter tells enough."""
        allowed = self.factor * self.limit
        return self.error - 2 * self.stderr <= allowed and self.stderr <= 0.25 * allowed

    def __str__(self) -> str:
        return f"{self.name} {self.error:.2e} ± {self.stderr:.0e} = {self.error / self.limit:.2f} of its limit"


def gates(truth: Mapping[str, Any], calibration: CalibrationSet) -> list[Gate]:
    """Return every gate that was benchmarked.

    The limit is that of waiting for as long on the qubits alone. Thermal population does not change it, and a
    quasi-static detuning is echoed by what a benchmark plays: 20 kHz over 32 ns are 3e-6, a hundredth of it.
    """
    rows = truth["qubits"]
    times = [(qubit["t1"], qubit["t2_echo"]) for qubit in rows]
    found = []
    for name, value in calibration.values.items():
        subject, _, rest = name.partition(".")
        if rest not in ("x.error", "ecr.error"):
            continue
        qubits = [int(one[1:]) for one in subject.split("-")]
        factor, duration = 1.5, calibration.number(f"Q{qubits[0]}.x.duration")
        if rest == "ecr.error":
            duration += 2 * calibration.number(f"{subject}.ecr.duration")
            control, target = (rows[q] for q in qubits)
            two_photon = control["f01"] + control["anharmonicity"] / 2
            factor = 2.0 if abs(target["f01"] - two_photon) < NEAR_TWO_PHOTON else 1.5
        limit = coherence_limit(duration * 1e-9, [times[q] for q in qubits])
        found.append(Gate(name, calibration.number(name), value.stderr or 0.0, limit, factor))
    return found


Predict = Callable[[], Sequence[Mapping[str, Any]]]
"""The control socket's ``predict``: qubits and joint populations, 3 of each, of every schedule of the last run."""


def leakage(executor: Executor, pair: str, predict: Predict) -> float:
    """Return how much of the states 0 and 1 one ECR takes out of them, asked of the rack without sampling.

    The mean over the four basis states is that over all states (Wood, Gambetta, Phys. Rev. A 97, 032306, 2018). What
    is there without the gate, of the pulses that prepare and of the readout's wait, is taken away.
    """
    blocks, qubits = executor.blocks, [int(one[1:]) for one in pair.split("-")]
    gate, schedules = blocks.gate("ecr", *qubits), []
    for a in "01":
        for b in "01":
            starts = [prepared(blocks, q, state) for q, state in zip(qubits, (a, b), strict=True)]
            start = starts[0].insert(starts[0].duration, starts[1])
            schedules += [
                measured(executor, pair, body, ("z", "z")) for body in (start, start.insert(start.duration, gate))
            ]
    executor.play(schedules, 20)
    found = predict()
    if [entry["qubits"] for entry in found] != [sorted(qubits)] * len(schedules):
        raise InvalidValueError("the rack has not played these schedules last", subject="predict", value=len(found))
    outside = [1 - float(np.array(entry["populations"])[:2, :2].sum()) for entry in found]
    return float(np.mean(np.subtract(outside[1::2], outside[0::2])))


def assignment_error(
    chip: Chip, q: int, lo: float, frequency: float, amplitude: float, duration: int, shots: int
) -> float:
    """Return the assignment error of a readout by the matched filter at the best threshold.

    The states are prepared by nothing and by an ideal pulse, out of thermal equilibrium. Shots are sampled with all
    that the chip does to them: jumps, more of them with more photons, and the amplifier's noise.

    Args:
        chip: the chip.
        q: which qubit.
        lo: of the readout, in Hz.
        frequency: of the tone, in Hz.
        amplitude: of the tone, full scale.
        duration: of the tone in ns, flanks of 16 ns included.
        shots: of each state.

    """
    qubit, rng = chip.qubits[q], np.random.default_rng((q, duration))
    pulse = GaussianSquare(duration, amplitude, sigma=8, width=duration - 32).envelope()
    turned = pulse * np.exp(-2e-9j * np.pi * (frequency - lo) * np.arange(duration))
    wire = next(wire for wire in chip.wires if wire.reads)
    response = respond(chip, low_pass(turned, wire.bandwidth, 0.0, RING_DOWN), lo)
    if q not in response.measured:
        return 0.5
    i = response.measured.index(q)
    split = response.alpha[i, 1, 1:] - response.alpha[i, 0, 1:]
    sums = integrals(response, split.conj()[None], chip.amplifier)
    clouds = []
    for prepared_in in (0, 1):
        levels = np.zeros((shots, len(response.measured)), np.int64)
        levels[:, i] = prepared_in ^ (rng.random(shots) < qubit.thermal)
        jumps = [sample_jumps(chip, response, k, levels[:, k], rng)[1] for k in range(len(response.measured))]
        clouds.append(integrate(response, sums, levels, jumps, rng)[:, 0].real)
    ones = np.repeat([0, 1], shots)[np.argsort(np.concatenate(clouds))]
    wrong = shots + np.cumsum(2 * ones - 1)  # ones below each threshold, and zeros above it
    return float(min(wrong.min(), shots)) / (2 * shots)


def best_assignment_error(chip: Chip, q: int, lo: float, highest: float, shots: int = 4000) -> float:
    """Return the smallest assignment error over frequency, amplitude up to ``highest``, and duration."""
    qubit = chip.qubits[q]

    def error(at: tuple[float, float, int], count: int) -> float:
        frequency, amplitude, duration = at
        return assignment_error(chip, q, lo, frequency, amplitude, duration, count)

    grid = [
        (float(qubit.readout_frequency + offset * qubit.kappa), float(amplitude), duration)
        for offset in np.linspace(-1.0, 1.0, 5)
        for amplitude in np.geomspace(0.1 * highest, highest, 8)
        for duration in (400, 560, 800, 1120)
    ]
    coarse = sorted(grid, key=lambda at: error(at, shots))
    return min(error(at, 10 * shots) for at in coarse[:3])
