"""Calibrate a qubit with schedules made by hand: its frequency, its pi pulse, how long it lives.

Needs a daemon (`pulsed serve`). With Qiskit 1.4 only the two lines that import pulse and Provider are others.
"""

import sys

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import curve_fit

from pulsed import pulse
from pulsed.provider import PulsedProvider as Provider

QUBIT = 0
DURATION, SIGMA = 32, 8  # of a gate's pulse, dt
PROBE_DURATION, PROBE_AMP = 1600, 0.0125  # long and weak: it resolves 1 MHz
FRINGES = 0.4e6  # Hz by which the Ramsey experiment drives too high
MHz, us = 1e6, 1e-6


def spectroscopy(backend, frequencies):
    """A weak pulse at each of ``frequencies`` (Hz)."""
    drive = backend.drive_channel(QUBIT)
    measure = backend.instruction_schedule_map.get("measure", QUBIT)
    schedules = []
    for frequency in frequencies:
        schedule = pulse.Schedule(name=f"spectroscopy {frequency / MHz:.3f} MHz")
        schedule += pulse.SetFrequency(frequency, drive)
        schedule += pulse.Play(pulse.Gaussian(PROBE_DURATION, PROBE_AMP, PROBE_DURATION // 4), drive)
        schedule += measure << schedule.duration
        schedules.append(schedule)
    return schedules


def rabi(backend, frequency, amplitudes):
    """A short pulse of each of ``amplitudes``."""
    drive = backend.drive_channel(QUBIT)
    measure = backend.instruction_schedule_map.get("measure", QUBIT)
    schedules = []
    for amplitude in amplitudes:
        schedule = pulse.Schedule(name=f"rabi {amplitude:.3f}")
        schedule |= pulse.SetFrequency(frequency, drive)
        schedule |= pulse.Play(pulse.Drag(DURATION, amplitude, SIGMA, beta=0.0), drive)
        schedule |= measure << schedule.duration
        schedules.append(schedule)
    return schedules


def lifetime(backend, frequency, pi_amplitude, delays):
    """Excite, wait for each of ``delays`` (dt), measure."""
    drive = backend.drive_channel(QUBIT)
    measure = backend.instruction_schedule_map.get("measure", QUBIT)
    excite = pulse.Schedule((0, pulse.SetFrequency(frequency, drive)), name="excite")
    excite += pulse.Play(pulse.Drag(DURATION, pi_amplitude, SIGMA, beta=0.0), drive)
    schedules = []
    for delay in delays:
        schedule = pulse.Schedule(excite, name=f"t1 {delay}")
        schedule = schedule.insert(schedule.duration + int(delay), measure)
        schedules.append(schedule)
    return schedules


def ramsey(backend, frequency, pi_amplitude, delays):
    """Two halves of a pi pulse, each of ``delays`` (dt) apart."""
    drive = backend.drive_channel(QUBIT)
    measure = backend.instruction_schedule_map.get("measure", QUBIT)
    half = pulse.Play(pulse.Drag(DURATION, pi_amplitude / 2, SIGMA, beta=0.0), drive)
    schedules = []
    for delay in delays:
        schedule = pulse.Schedule(name=f"ramsey {delay}")
        schedule += pulse.SetFrequency(frequency + FRINGES, drive)
        schedule += half
        schedule += pulse.Delay(int(delay), drive)
        schedule += half
        schedule += measure << schedule.duration
        schedules.append(schedule)
    return schedules


FREQUENCIES = np.linspace(-3.0, 3.0, 41) * MHz
AMPLITUDES = np.linspace(0.0, 0.95, 31)
LIFETIME_DELAYS = np.arange(0, 320_000, 16_000)
RAMSEY_DELAYS = np.arange(0, 8_000, 200)


def guess(backend):
    """The frequency from which we start: what is known, to the next 3 MHz."""
    return 3 * MHz * round(backend.qubit_properties(QUBIT).frequency / (3 * MHz))


def schedules(backend):
    """All schedules, with round numbers in place of what one experiment tells the next."""
    frequency = guess(backend)
    return [
        *spectroscopy(backend, frequency + FREQUENCIES),
        *rabi(backend, frequency, AMPLITUDES),
        *lifetime(backend, frequency, 0.7, LIFETIME_DELAYS),
        *ramsey(backend, frequency, 0.7, RAMSEY_DELAYS),
    ]


def excited(backend, experiments, shots=2000):
    """Run; return for each experiment the part of its shots that found 1."""
    result = backend.run(experiments, shots=shots).result()
    counts = [result.get_counts(k) for k in range(len(experiments))]
    return np.array([sum(n for key, n in found.items() if key[-1] == "1") / shots for found in counts])


def peak(x, offset, height, centre, width):
    return offset + height * np.exp(-(((x - centre) / width) ** 2))


def wave(x, offset, height, period):
    return offset - height * np.cos(2 * np.pi * x / period)


def decay(x, offset, height, time):
    return offset + height * np.exp(-x / time)


def fringes(x, offset, height, frequency, phase, time):
    return offset + height * np.cos(2 * np.pi * frequency * x + phase) * np.exp(-((x / time) ** 2))


def calibrate(backend):
    """Run one experiment after the other; return what was found and the curves."""
    dt = backend.dt
    curves = {}

    def fitted(title, model, x, y, start):
        values = curve_fit(model, x, y, p0=start)[0]
        curves[title] = x, y, model, values
        return values

    x = guess(backend) + FREQUENCIES
    y = excited(backend, spectroscopy(backend, x))
    start = (y.min(), np.ptp(y) * MHz / MHz, x[y.argmax()] / MHz, 0.4)
    frequency = MHz * fitted("drive frequency (MHz)", peak, x / MHz, y, start)[2]

    y = excited(backend, rabi(backend, frequency, AMPLITUDES))
    pi_amplitude = abs(fitted("amplitude of the pulse", wave, AMPLITUDES, y, (0.5, 0.5, 1.4))[2]) / 2

    x = LIFETIME_DELAYS * dt / us
    y = excited(backend, lifetime(backend, frequency, pi_amplitude, LIFETIME_DELAYS))
    t1 = us * fitted("delay after excitation (µs)", decay, x, y, (0.0, 1.0, 80.0))[2]

    x = RAMSEY_DELAYS * dt / us
    y = excited(backend, ramsey(backend, frequency, pi_amplitude, RAMSEY_DELAYS))
    start = (0.5, 0.5, FRINGES / MHz, 0.0, 40.0)
    detuning = MHz * fitted("delay between half pulses (µs)", fringes, x, y, start)[2]
    return {"frequency": frequency + FRINGES - detuning, "pi_amplitude": pi_amplitude, "t1": t1}, curves


def picture(curves):
    """One panel per experiment: what was measured, and the curve through it."""
    figure = Figure(figsize=(10, 6.5), layout="constrained")
    for axes, (title, (x, y, model, values)) in zip(figure.subplots(2, 2).flat, curves.items(), strict=True):
        fine = np.linspace(x[0], x[-1], 400)
        axes.plot(fine, model(fine, *values), color="tab:gray")
        axes.plot(x, y, ".", color="tab:blue")
        axes.set(xlabel=title, ylabel="found in 1", ylim=(-0.03, 1.03))
        axes.ticklabel_format(useOffset=False)
    return figure


def main(path="calibrating-a-qubit.png"):
    backend = Provider().get_backend("sim5")
    found, curves = calibrate(backend)
    picture(curves).savefig(path, dpi=120)
    print(f"frequency   {found['frequency'] / MHz:.4f} MHz")
    print(f"pi pulse    amplitude {found['pi_amplitude']:.4f} for Drag({DURATION}, amp, {SIGMA})")
    print(f"T1          {found['t1'] / us:.1f} µs")
    print(f"figure      {path}")
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
