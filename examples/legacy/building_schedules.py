"""Build schedules with the builder: contexts, macros, frame changes, and pulses that decouple a qubit from slow noise.

Needs a daemon (`pulsed serve`). With Qiskit 1.4 only the two lines that import pulse and Provider are others.
"""

import sys

import numpy as np
from matplotlib.figure import Figure
from qiskit.circuit import Parameter
from scipy.optimize import curve_fit

from pulsed import pulse
from pulsed.provider import PulsedProvider as Provider

QUBIT = 3  # of sim5, the one whose frequency wanders most
FRINGES = 0.1e6  # Hz by which the frame turns while the qubit is left alone
TIMES = np.arange(2_000, 62_000, 2_000)  # dt between the two half pulses
us = 1e-6


@pulse.macro
def half_pi(phase=0.0):
    """Half a pi pulse about an axis that is turned by ``phase``; returns the channel it was played on."""
    drive = pulse.drive_channel(QUBIT)
    with pulse.phase_offset(-phase, drive):
        pulse.call(pulse.active_backend().instruction_schedule_map.get("sx", QUBIT))
    return drive


@pulse.macro
def pi(phase=0.0):
    """A pi pulse, likewise."""
    with pulse.phase_offset(-phase, pulse.drive_channel(QUBIT)):
        pulse.call(pulse.active_backend().instruction_schedule_map.get("x", QUBIT))


def free(backend, time):
    """Two half pulses with nothing between them; the frame turns, so that fringes show."""
    with pulse.build(backend, name=f"free {time}", default_alignment="sequential") as program:
        drive = half_pi()
        pulse.delay(int(time), drive)
        pulse.shift_phase(-2 * np.pi * FRINGES * float(time) * backend.dt, drive)
        half_pi()
        pulse.measure(QUBIT)
    return program


def decoupled(backend, time, phases):
    """The same with pi pulses in between, one for each of ``phases``, placed as Carr and Purcell did."""
    with pulse.build(backend, name=f"decoupled {time}", default_alignment="sequential") as program:
        drive = half_pi()
        with pulse.align_func(int(time), func=lambda j: (j - 0.5) / len(phases)):
            for phase in phases:
                pi(phase)
        pulse.shift_phase(-2 * np.pi * FRINGES * float(time) * backend.dt, drive)
        half_pi()
        pulse.measure(QUBIT)
    return program


ECHO = (0.0,)
XY8 = tuple(np.pi / 2 * np.array([0, 1, 0, 1, 1, 0, 1, 0]))


def gallery(backend):
    """One program for each context of the builder; they are only looked at."""
    amp, length = Parameter("amp"), Parameter("length")
    programs = []

    with pulse.build(backend, name="alignments") as program:
        a, b, u = pulse.drive_channel(0), pulse.drive_channel(1), pulse.control_channels(0, 1)[0]
        with pulse.align_left():
            pulse.play(pulse.Gaussian(160, 0.2, 40), a)
            pulse.play(pulse.Constant(64, 0.1), b)
        pulse.barrier(0, 1)
        with pulse.align_right():
            pulse.play(pulse.Gaussian(160, 0.2, 40), a)
            pulse.play(pulse.Constant(64, 0.1), b)
        pulse.barrier(a, b, u)
        with pulse.align_sequential():
            pulse.play(pulse.GaussianSquare(240, 0.3, 16, width=176), u)
            pulse.play(pulse.Drag(64, 0.2, 16, 1.5), a)
        with pulse.align_equispaced(1200):
            for _ in range(4):
                pulse.play(pulse.Gaussian(160, 0.4, 40), b)
        pulse.delay_qubits(48, 0, 1)
        pulse.measure_all()
    programs.append(program)

    with pulse.build(backend, name="frames") as program:
        drive = pulse.drive_channel(2)
        pulse.set_frequency(5.01e9, drive)
        with pulse.frequency_offset(2.5e6, drive):
            pulse.play(pulse.Sech(120, 0.3, 20), drive)
        with pulse.phase_offset(np.pi / 3, drive), pulse.align_right():
            pulse.play(pulse.Sin(96, 0.1, 0.5, freq=1 / 24), drive)
        pulse.set_phase(0.25, drive)
        pulse.shift_frequency(-1e6, drive)
        pulse.play(np.linspace(0.0, 0.5, 16), drive)
        pulse.acquire(400, pulse.acquire_channel(2), pulse.MemorySlot(0))
    programs.append(program)

    with pulse.build(backend, name="subroutine") as subroutine:
        pulse.play(pulse.Gaussian(length, amp, length / 4), pulse.drive_channel(0))
        pulse.delay(length, pulse.drive_channel(1))
    with pulse.build(backend, name="parameters", default_alignment="sequential") as program:
        pulse.call(subroutine, amp=0.1, length=80)
        pulse.call(subroutine, value_dict={amp: 0.2})
        pulse.reference("readout", "all")
    program.assign_parameters({length: 160}, inplace=True)
    with pulse.build(backend, name="readout") as readout:
        pulse.measure([0, 1], [pulse.MemorySlot(1), pulse.MemorySlot(0)])
    program.assign_references({("readout", "all"): readout}, inplace=True)
    programs.append(program)
    return programs


def schedules(backend):
    """All programs, as schedules."""
    programs = [*gallery(backend), *experiments(backend)]
    return [pulse.transforms.block_to_schedule(program) for program in programs]


def experiments(backend):
    """Free and decoupled evolution for all times."""
    return [
        *(free(backend, time) for time in TIMES),
        *(decoupled(backend, time, ECHO) for time in TIMES),
        *(decoupled(backend, time, XY8) for time in TIMES),
    ]


def excited(backend, programs, shots=2000):
    """Run; return for each program the part of its shots that found 1."""
    result = backend.run(programs, shots=shots).result()
    counts = [result.get_counts(k) for k in range(len(programs))]
    return np.array([sum(n for key, n in found.items() if key[0] == "1") / shots for found in counts])


def fringes(t, offset, height, time, power, sign):
    return offset + sign * height * np.cos(2 * np.pi * FRINGES * us * t) * np.exp(-((t / time) ** power))


def measured(backend):
    """Run; return times (µs) and, for each sequence, what was found and the time in which its fringes fade (µs)."""
    t = TIMES * backend.dt / us
    found = np.split(excited(backend, experiments(backend)), 3)
    fits = {}
    for (name, sign, power), y in zip((("free", 1, 2), ("echo", -1, 1), ("XY8", 1, 1)), found, strict=True):
        values = curve_fit(lambda x, *p, s=sign, n=power: fringes(x, *p, n, s), t, y, p0=(0.5, 0.5, 40.0))[0]
        fits[name] = y, values, (power, sign)
    return t, fits


def picture(t, fits):
    figure = Figure(figsize=(9, 7), layout="constrained")
    fine = np.linspace(t[0], t[-1], 500)
    for axes, (name, (y, values, shape)) in zip(figure.subplots(3, 1, sharex=True), fits.items(), strict=True):
        axes.plot(fine, fringes(fine, *values, *shape), color="tab:gray")
        axes.plot(t, y, ".", color="tab:blue")
        axes.set(ylabel="found in 1", ylim=(-0.03, 1.03), title=f"{name}: fringes fade in {values[2]:.0f} µs")
    axes.set_xlabel("time between the half pulses (µs)")
    return figure


def main(path="building-schedules.png"):
    backend = Provider().get_backend("sim5")
    t, fits = measured(backend)
    picture(t, fits).savefig(path, dpi=120)
    for name, (_, values, _) in fits.items():
        print(f"{name:6} fringes fade in {values[2]:.1f} µs")
    print(f"figure {path}")
    return {name: values[2] for name, (_, values, _) in fits.items()}


if __name__ == "__main__":
    main(*sys.argv[1:])
