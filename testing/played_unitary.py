"""What the pulses of a schedule do to qubits of a simulated chip: a unitary, by the propagators of its engine.

No decoherence, no readout, no other qubit: for comparing the pulses of a gate with the matrix of the gate.
"""

from __future__ import annotations

import cmath
import math

import numpy as np
import numpy.typing as npt

from pulsed.compiler.channel_map import ChannelMap
from pulsed.pulse.channels import Channel
from pulsed.pulse.instructions import Play, ShiftPhase
from pulsed.pulse.schedule import Schedule
from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.engine.gates import Burst, Gates
from pulsed.simulator.engine.tuneup import Tuneup

Complex = npt.NDArray[np.complex128]


class PlayedUnitary:
    """Plays schedules of drive and control channels on one chip.

    Args:
        chip: the simulated chip, its lines corrected as well as they can be.
        channel_map: the channels of the rack before it, with the calibrated frequencies.

    """

    def __init__(self, chip: Chip, channel_map: ChannelMap) -> None:
        self._gates: Gates = Tuneup(chip).gates
        self._map = channel_map

    def __call__(self, schedule: Schedule, *qubits: int) -> Complex:
        """Return the (2^k, 2^k) block of what ``schedule`` does to ``qubits``, of which the first is the slow index.

        What is left in the frames at its end is a turn about z that later pulses would see, and is included.
        """
        phase: dict[Channel, float] = {}
        bursts = []
        for start, instruction in schedule.instructions:
            if isinstance(instruction, ShiftPhase):
                phase[instruction.channel] = phase.get(instruction.channel, 0.0) + float(instruction.phase)
            elif isinstance(instruction, Play):
                line = self._map.lines[self._map.row(instruction.channel)]
                port = int(line.slot.port.removeprefix("d"))
                envelope = instruction.pulse.envelope() * cmath.exp(1j * phase.get(instruction.channel, 0.0))
                bursts.append(Burst(port, start, envelope, line.frequency))
        played = self._gates.unitary(bursts, qubits, schedule.duration)
        left = [phase.get(self._drive(q), 0.0) for q in qubits]
        signs = np.indices((2,) * len(qubits)).reshape(len(qubits), -1) * 2 - 1
        # a frame that is ahead by φ stands for rz(-φ) that was not played
        turned: Complex = np.exp(-0.5j * (np.array(left) @ signs))[:, None] * played
        return turned

    def _drive(self, qubit: int) -> Channel:
        return self._map.lines[int(self._map.frames_of_qubit[qubit][0])].channel


def coherent_error(played: Complex, wanted: Complex) -> float:
    """Return the average infidelity of ``played`` to the unitary ``wanted``, leakage included."""
    d = len(wanted)
    overlap = abs(np.trace(wanted.conj().T @ played)) ** 2
    retained = np.trace(played.conj().T @ played).real
    return float(1 - (overlap + retained) / (d * (d + 1)))


def slow_first(matrix: npt.NDArray[np.complex128]) -> Complex:
    """Return a matrix of Qiskit, whose first qubit is the fast index, with the first as the slow one."""
    count = round(math.log2(len(matrix)))
    shaped = np.asarray(matrix, complex).reshape((2,) * (2 * count))
    order = [*reversed(range(count)), *reversed(range(count, 2 * count))]
    return shaped.transpose(order).reshape(matrix.shape)
