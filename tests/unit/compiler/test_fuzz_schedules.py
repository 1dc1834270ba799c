"""Random programs of pulses: what the ports play is what the program says, sample by sample.

The sampler here knows nothing of the compiler: it goes through a schedule in order of time and adds up, channel by
channel, amplitude x envelope x exp(i frame) x exp(-i 2 pi integral of f dt), with the signs of the design: a frame at f
has the field Re(d exp(i phase) exp(-i 2 pi f t)), ShiftFrequency(+x) raises f, u(c, t) leaves the control's port at the
target's frequency. ``FUZZ_PROGRAMS`` says how many programs, ``FUZZ_SEED`` from which seed.
"""

import os
from collections import defaultdict

import numpy as np
import pytest
from qiskit.circuit import Parameter

from pulsed.pulse import library
from pulsed.pulse.channels import AcquireChannel, ControlChannel, DriveChannel, MeasureChannel, MemorySlot
from pulsed.pulse.instructions import (
    Acquire,
    Delay,
    EnterFrame,
    LeaveFrame,
    Play,
    Reference,
    RelativeBarrier,
    SetFrequency,
    SetPhase,
    ShiftFrequency,
    ShiftPhase,
)
from pulsed.pulse.schedule import Schedule, ScheduleBlock
from pulsed.pulse.transforms import (
    AlignEquispaced,
    AlignFunc,
    AlignLeft,
    AlignRight,
    AlignSequential,
    block_to_schedule,
)

PROGRAMS = int(os.environ.get("FUZZ_PROGRAMS", "100"))
SEED = int(os.environ.get("FUZZ_SEED", np.random.SeedSequence().entropy % 2**32))
LINES = [
    *(kind(q) for kind in (DriveChannel, MeasureChannel) for q in range(5)),
    *(ControlChannel(k) for k in range(4)),
]


class Rack:
    """Ports and frequencies of the channels, as the description and the calibration set say them."""

    def __init__(self, device, calibration):
        self.dt = float(device.dt)
        self.ports, self.frequencies = {}, {}
        drive = [float(calibration.values[f"Q{q}.f01"].value) for q in range(5)]
        for q, qubit in enumerate(device.qubits):
            self.ports[DriveChannel(q)], self.frequencies[DriveChannel(q)] = qubit.drive, drive[q]
            self.ports[MeasureChannel(q)] = qubit.readout
            self.frequencies[MeasureChannel(q)] = float(calibration.values[f"Q{q}.readout.frequency"].value)
        for k, pair in enumerate(device.couplings):
            self.ports[ControlChannel(k)] = device.qubits[pair.control].drive
            self.frequencies[ControlChannel(k)] = drive[pair.target]
        self.los = {port: device.lo_frequency(port) for port in set(self.ports.values())}
        assert {device.ports[port].clock * device.dt for port in self.los} == {1}, "one sample per dt"


class Programs:
    """A program at random. Lengths keep to the grid of the rack; starts are free on it."""

    def __init__(self, rng, rack):
        self.rng = rng
        self.rack = rack
        self.late = {}
        self.slot = 0

    def number(self, value):
        """A number, or a parameter that gets it later."""
        if self.rng.random() < 0.2:
            parameter = Parameter(f"p{len(self.late)}")
            self.late[parameter] = value
            return parameter * 1 if self.rng.random() < 0.5 else parameter
        return value

    def pulse(self):
        rng = self.rng
        n, amp, angle = 8 * int(rng.integers(2, 40)), rng.uniform(-0.3, 0.3), rng.uniform(-7, 7)
        sigma, beta, width = rng.uniform(3, n), rng.uniform(-1, 1), rng.uniform(0, n)
        freq, phase = rng.uniform(0.001, 0.4), rng.uniform(-7, 7)
        late_amp, late_angle = self.number(amp), self.number(angle)
        makers = {
            "Constant": lambda f: f(n, late_amp, late_angle),
            "Gaussian": lambda f: f(n, late_amp, self.number(sigma), late_angle),
            "GaussianDeriv": lambda f: f(n, late_amp, sigma, late_angle),
            "Sech": lambda f: f(n, late_amp, sigma, late_angle, zero_ends=bool(rng.integers(2))),
            "SechDeriv": lambda f: f(n, late_amp, sigma, late_angle),
            "Drag": lambda f: f(n, late_amp, sigma, beta, late_angle),
            "GaussianSquare": lambda f: f(n, late_amp, sigma, self.number(width), late_angle),
            "GaussianSquareDrag": lambda f: f(n, amp, sigma, beta, width, late_angle),
            "gaussian_square_echo": lambda f: f(n, amp, sigma, rng.uniform(n / 2, n), angle, beta / 4, phase),
            **dict.fromkeys(
                ("Sin", "Cos", "Sawtooth", "Triangle", "Square"), lambda f: f(n, late_amp, phase, freq, late_angle)
            ),
            "Waveform": lambda f: f(rng.uniform(-0.3, 0.3, n) + 1j * rng.uniform(-0.3, 0.3, n)),
            "ScalableSymbolicPulse": lambda f: f("ramp", n, late_amp, late_angle, envelope=lambda t, n: t / n),
        }
        known = set(library.__all__) - {"Pulse", "SymbolicPulse"}
        assert makers.keys() == known, "every shape of the library has its turn"
        name = rng.choice(sorted(makers))
        return makers[name](getattr(library, name))

    def instruction(self, line):
        rng = self.rng
        value = rng.uniform(-7, 7)
        own = self.rack.frequencies[line]
        kind = rng.integers(12)
        if kind < 6:
            return Play(self.pulse(), line)
        if kind == 6:
            return Delay(int(rng.integers(0, 300)), line)
        return {
            7: lambda: ShiftPhase(self.number(value), line),
            8: lambda: SetPhase(self.number(value), line),
            9: lambda: ShiftFrequency(self.number(rng.uniform(-3e6, 3e6)), line),
            10: lambda: SetFrequency(self.number(own + rng.uniform(-5e6, 5e6)), line),
            11: lambda: ShiftPhase(value, line),
        }[int(kind)]()

    def in_a_frame(self, line):
        frame = (self.rack.frequencies[line] + self.rng.uniform(-8e6, 8e6), self.rng.uniform(-7, 7), line)
        inside = [self.instruction(line) for _ in range(self.rng.integers(1, 4))]
        return self.filled(ScheduleBlock(), [EnterFrame(*frame), *inside, LeaveFrame(*frame)])

    def filled(self, block, parts):
        for part in parts:
            block.append(part)
        return block

    def block(self, depth, lines):
        """A block with blocks, subroutines and frames in it; contexts of their own duration have room enough."""
        rng = self.rng
        parts = []
        for _ in range(rng.integers(1, 6)):
            line = lines[rng.integers(len(lines))]
            kind = rng.random()
            if depth and kind < 0.3:
                parts.append(self.block(depth - 1, lines))
            elif kind < 0.4:
                parts.append(self.in_a_frame(line))
            elif kind < 0.5:
                parts.append(RelativeBarrier(*(lines[i] for i in rng.permutation(len(lines))[:2])))
            else:
                parts.append(self.instruction(line))
        contexts = [AlignLeft(), AlignRight(), AlignSequential()]
        if depth < 2:
            room = int(rng.integers(60_000, 80_000)) if depth else int(rng.integers(4_000, 9_000))
            room *= len(parts)
            count = len(parts)
            contexts += [AlignEquispaced(room), AlignFunc(room, lambda j: (2 * j - 1) / (2 * count))]
        context = contexts[rng.integers(len(contexts))]
        return self.filled(ScheduleBlock(alignment_context=context), parts)

    def schedule(self):
        """A schedule with others in it at times of their own."""
        rng = self.rng
        whole = Schedule()
        for _ in range(rng.integers(1, 20)):
            line = LINES[rng.integers(len(LINES))]
            inner = self.instruction(line)
            if rng.random() < 0.3:
                inner = Schedule((int(rng.integers(50)), inner), (int(rng.integers(400, 500)), ShiftPhase(1.0, line)))
            whole.insert(whole.ch_stop_time(line) + int(rng.integers(0, 200)), inner, inplace=True)
        return whole

    def program(self):
        rng = self.rng
        acquire = Acquire(400, AcquireChannel(0), MemorySlot(0))
        if rng.random() < 0.3:
            made = self.schedule()
            made.insert(4 * int(rng.integers(0, 100)), acquire, inplace=True)
            return made.assign_parameters(self.late, inplace=False)
        count = int(rng.integers(2, 6))
        lines = [LINES[i] for i in rng.permutation(len(LINES))[:count]]
        made = ScheduleBlock(alignment_context=AlignLeft())
        made.append(acquire)
        made.append(self.block(2, lines))
        if rng.random() < 0.3:
            made.append(Reference("again"))
            made.assign_references({("again",): self.block(1, lines)})
        return made.assign_parameters(self.late, inplace=False)


def sampled(schedule, rack):
    """Complex baseband (samples from the shot's start) of each port, from its definition."""
    dt = rack.dt
    out = {port: np.zeros(schedule.duration, complex) for port in rack.los}
    phase, offset = defaultdict(float), defaultdict(float)
    extra = defaultdict(lambda: (0.0, 0.0))
    turned, since = defaultdict(float), defaultdict(int)
    for time, part in schedule.instructions:
        line = part.channels[0]
        if line not in rack.ports:
            continue
        port, own = rack.ports[line], rack.frequencies[line]
        if isinstance(part, EnterFrame | LeaveFrame):
            extra[line] = (part.frequency - own, part.phase) if isinstance(part, EnterFrame) else (0.0, 0.0)
            continue
        # cycles of the carrier up to now, counted at the frequencies that it had
        turned[line] += (own - rack.los[port] + offset[line]) * (time - since[line]) * dt
        since[line] = time
        hop, start = extra[line]
        if isinstance(part, ShiftPhase):
            phase[line] += part.phase
        elif isinstance(part, SetPhase):
            phase[line] = part.phase - start
        elif isinstance(part, ShiftFrequency):
            offset[line] += part.frequency
        elif isinstance(part, SetFrequency):
            offset[line] = part.frequency - own - hop
        elif isinstance(part, Play):
            n = np.arange(part.duration)
            cycles = turned[line] + (own - rack.los[port] + offset[line]) * n * dt + hop * (time + n) * dt
            carrier = np.exp(1j * (phase[line] + start) - 2j * np.pi * cycles)
            out[port][time : time + part.duration] += part.pulse.envelope() * carrier
    return out


def played(preview, port, length):
    samples = np.zeros(length, complex)
    for segment in preview.segments(port):
        samples[segment.start : segment.start + len(segment.samples)] += segment.samples
    return samples


@pytest.mark.filterwarnings("ignore:.*other times than in Qiskit 1.4")
def test_ports_play_what_programs_say(compiler, device, calibration, capsys):
    """Twenty thousand dt at 300 MHz are 4e4 rad, of which doubles lose 1e-11."""
    rack, plays, frames = Rack(device, calibration), 0, 0
    print(f"FUZZ_SEED={SEED} FUZZ_PROGRAMS={PROGRAMS}")
    for number in range(PROGRAMS):
        program = Programs(np.random.default_rng([SEED, number]), rack).program()
        schedule = block_to_schedule(program) if isinstance(program, ScheduleBlock) else program
        expected = sampled(schedule, rack)
        preview = compiler.preview(program)
        for port, samples in expected.items():
            found = played(preview, port, schedule.duration)
            worst = np.abs(found - samples).max(initial=0.0)
            assert worst < 1e-7, f"FUZZ_SEED={SEED}, program {number}: {port} is off by {worst:.3g}\n{program}"
        plays += sum(isinstance(part, Play) for _, part in schedule.instructions)
        frames += sum(isinstance(part, EnterFrame) for _, part in schedule.instructions)
    # Of a hundred, 388 to 526 were seen in nine seeds, 476 in the mean: 3 each are four standard deviations away.
    assert plays > 3 * PROGRAMS
    assert PROGRAMS < 50 or frames
