"""Find one qubit's parameters with nothing but SCPI: a program that knows the manuals, the ports and the design sheet.

It reads a bench sheet (JSON) from standard input and writes what it found (JSON, SI units) to standard output. It must
not import pulsed: that it needs nothing from there is what it is for.
"""

from __future__ import annotations

import json
import struct
import sys

import numpy as np
import pyvisa
from scipy.optimize import curve_fit, least_squares

FULL_SCALE = 8191
LATENCY = 24
"""Samples from the leader's trigger to the followers' sample 0."""
PERIOD = 1_200_000
"""Ten times the longest T1 that the sheet leaves possible."""
FIRST, SQUARE = 64, 3200
WINDOW = 1000, 2000
"""Start within the readout pulse, and length: the resonator has rung up."""
PULSE, COARSE, FINE = 48, 400, 1600
"""Lengths of the drive's Gaussians: for all of a line, to look for one, to look at one."""
WAVES = {PULSE: 1, COARSE: 2, FINE: 3}


class Bench:
    """The instruments of one qubit. Times are samples of the followers, which are those of 1 ns."""

    def __init__(self, sheet):
        manager = pyvisa.ResourceManager("@py")
        self.sheet, self.all = sheet, {}
        for name, (host, port) in sheet["ports"].items():
            self.all[name] = manager.open_resource(f"TCPIP::{host}::hislip0,{port}::INSTR", timeout=60_000)
            self.all[name].write("*RST;*CLS")
        self.leader, self.driver = self.all[sheet["leader"]], self.all[sheet["drive"]["awg"]]
        self.reader, self.digitizer = self.all[sheet["readout"]["awg"]], self.all[sheet["digitizer"]]
        self.followers = [self.all[name] for name in sheet["followers"]]
        self.drive_lo = sheet["f01"] - 240e6  # below both transitions' images
        self.readout_lo = sheet["readout"]["lo_frequency"]
        for lo, frequency in ((sheet["drive"]["lo"], self.drive_lo), (sheet["readout"]["lo"], self.readout_lo)):
            self.all[lo].write(f"FREQ {frequency:.3f};:OUTP ON")
        self.driver.write(f"OUTP{sheet['drive']['pair']} ON")
        self.reader.write(f"OUTP{sheet['readout']['pair']} ON")
        for follower in self.followers:
            follower.write("TRIG:SOUR EXT")
        for length, number in WAVES.items():
            n = np.arange(length) - (length - 1) / 2
            self.store(self.driver, number, np.exp(-((n / (length / 5)) ** 2) / 2))
        self.store(self.reader, 9, np.ones(SQUARE))
        self.check()

    @staticmethod
    def store(awg, number, samples):
        codes = np.zeros((len(samples), 2), "<i2")
        codes[:, 0] = np.round(samples * FULL_SCALE)
        awg.write_binary_values(f'WAV:DATA {number},"w{number}",', codes.ravel(), datatype="h")

    def check(self):
        for name, instrument in self.all.items():
            error = instrument.query("SYST:ERR?").strip()
            if not error.lstrip("+").startswith("0,"):
                raise RuntimeError(f"{name}: {error}")

    def measure(self, drives, tones, amplitude, shots):
        """Play one entry for each list of drive pulses (waveform, samples before the readout, amplitude, phase,
        frequency) and each readout tone; return the mean integral of each entry, complex (entries,)."""
        drive_pair, readout_pair = self.sheet["drive"]["pair"], self.sheet["readout"]["pair"]
        late = LATENCY if self.driver is self.leader else 0
        for instrument in (self.leader, *self.followers):
            instrument.write("ABOR;SEQ:DEL:ALL" if instrument is not self.digitizer else "ABOR;ACQ:DEL:ALL")
        for k, (pulses, tone) in enumerate(zip(drives, tones, strict=True)):
            f = tone - self.readout_lo
            readout_at = FIRST + max([before for _, before, *_ in pulses], default=0)
            length = readout_at + SQUARE + 1000
            events = {awg: [] for awg in (self.leader, self.reader, self.driver)}
            for wave, before, height, phase, frequency in pulses:
                row = drive_pair, 0, 0, wave, readout_at - before + late, height, phase, frequency - self.drive_lo
                events[self.driver].append(row)
            events[self.reader].append((readout_pair, 0, 0, 9, readout_at, amplitude, 0.0, f))
            for awg, rows in events.items():
                block = b"".join(struct.pack("<BBHIqddd", *row) for row in rows)
                awg.write_binary_values(f'SEQ:DATA {k},"t",{length},', block, datatype="B")
            block = struct.pack("<IIqqdd", 0, 0, readout_at + WINDOW[0], WINDOW[1], f, 0.0)
            self.digitizer.write_binary_values(f'ACQ:DATA {k},"t",{length},', block, datatype="B")
        entries = b"".join(struct.pack("<IIQ", k, shots, PERIOD) for k in range(len(drives)))
        for instrument in (*self.followers, self.leader):
            instrument.write_binary_values("LIST:DATA ", entries, datatype="B")
            instrument.write("INIT")
        self.check()
        self.leader.write("*TRG")
        while (state := self.leader.query("WAIT? 10000").strip()) == "RUN":
            pass
        if state != "DONE":
            raise RuntimeError(f"the run ended in {state}")
        data = self.digitizer.query_binary_values("FETC:ALL?", datatype="f", container=np.array)
        self.check()
        return np.asarray(data, "<f4").view("<c8").reshape(len(drives), shots).mean(axis=1)


HALF_TURN = 25.0
"""Amplitude times length of a Gaussian that turns a qubit by about pi at 40 MHz per full scale."""


def shapes(f, centre, resonance, kappa, slope):
    """Return what passes the resonator and what passes by it, behind a cable, (frequencies, 2)."""
    turn = np.exp(1j * slope * (f - centre))
    return np.stack([turn / (1 + 2j * (resonance - f) / kappa), turn], axis=1)


def fit_resonator(f, s):
    """Return (resonance, kappa, slope) and the two complex sizes of :func:`shapes` for transmission ``s`` at ``f``.

    The sizes follow from the other three by linear least squares.
    """
    centre, top = f.mean(), abs(s).max()

    def sizes(x):
        basis = shapes(f, centre, centre + 1e6 * x[0], 1e6 * x[1], 1e-7 * x[2])
        return basis, np.linalg.lstsq(basis, s, rcond=None)[0]

    def residual(x):
        basis, found = sizes(x)
        r = (basis @ found - s) / top
        return np.concatenate([r.real, r.imag])

    far = (f[-1] - f[0]) / 2e6
    grid = [(x, 1.7, slope) for x in np.linspace(-0.8 * far, 0.8 * far, 25) for slope in (2, 4, 6)]
    starts = sorted(grid, key=lambda x: np.sum(residual(x) ** 2))[:4]
    best = min((least_squares(residual, start) for start in starts), key=lambda fit: fit.cost).x
    return centre + 1e6 * best[0], 1e6 * best[1], 1e-7 * best[2], sizes(best)[1]


def along(s):
    """Return the means projected on the line through them, (entries,)."""
    centred = s - s.mean()
    points = np.stack([centred.real, centred.imag])
    _, vectors = np.linalg.eigh(points @ points.T)
    return vectors[:, -1] @ points


def peak(f, s, width):
    """Return the centre of the one line in a spectrum, a Gaussian on a flat ground."""
    y = abs(s - np.median(s.real) - 1j * np.median(s.imag))
    top = f[np.argmax(y)]

    def line(x, height, centre, sigma, ground):
        return ground + height * np.exp(-(((x - centre) / sigma) ** 2) / 2)

    found, _ = curve_fit(line, (f - top) / width, y / y.max(), p0=(1, 0, 1, 0))
    return top + found[1] * width


class Tuneup:
    """One qubit, step by step; ``found`` collects what is known."""

    def __init__(self, bench):
        self.bench, self.sheet = bench, bench.sheet
        self.found = {}

    def run(self):
        for step in (self.resonator, self.qubit, self.rabi, self.ramsey, self.relaxation, self.second, self.shift):
            step()
            print(step.__name__, self.found, file=sys.stderr)
        return self.found

    def sweep(self, drives, shots=400):
        tones = [self.tone] * len(drives)
        return self.bench.measure(drives, tones, 2 * self.sheet["readout"]["amplitude"], shots)

    def resonator(self):
        """Weak transmission around the sheet's frequency; from then on, read out where the resonator is at 0."""
        f = self.sheet["readout"]["frequency"] + np.linspace(-9e6, 9e6, 91)
        s = self.bench.measure([[]] * len(f), f, self.sheet["readout"]["amplitude"], 200)
        self.tone, kappa, *_ = fit_resonator(f, s)
        self.found |= {"readout_frequency_0": self.tone, "kappa": kappa}

    def qubit(self):
        """Excite with a pulse of about half a turn, wide first, then near the line."""
        for length, width, step in ((COARSE, 70e6, 1e6), (FINE, 2.5e6, 0.1e6)):
            centre = self.found.get("f01", self.sheet["f01"])
            f = centre + np.arange(-width, width + step / 2, step)
            pulses = [(WAVES[length], length, HALF_TURN / length, 0.0, x) for x in f]
            self.found["f01"] = peak(f, self.sweep([[pulse] for pulse in pulses], shots=150), 500 / length * 1e6)

    def pulse(self, before, turns=1.0, phase=0.0, frequency=None):
        """Return a pulse of ``turns`` times pi that ends ``before`` samples before the readout."""
        return WAVES[PULSE], PULSE + before, turns * self.pi, phase, frequency or self.found["f01"]

    def rabi(self):
        self.pi = 1.0
        heights = np.linspace(0, 1, 51)
        y = along(self.sweep([[self.pulse(0, height)] for height in heights]))

        def curve(x, size, pi, offset):
            return offset + size * np.cos(np.pi * x / pi)

        size = (y.max() - y.min()) / 2
        fits = [curve_fit(curve, heights, y, p0=(np.sign(y[0]) * size, pi, y.mean())) for pi in (0.4, 0.6, 0.8)]
        best = min(fits, key=lambda fit: np.sum((curve(heights, *fit[0]) - y) ** 2))
        self.pi = abs(best[0][1])

    def ramsey(self):
        """Three times, each longer than the one before, and each with what the one before left as frequency."""
        span, detuning = 4e-6, 1.5e6
        for points in (61, 61, 181):
            t = np.linspace(0, span, points).round(9)
            f = self.found["f01"] + detuning
            drives = [[self.pulse(round(x * 1e9) + PULSE, 0.5, 0.0, f), self.pulse(0, 0.5, 0.0, f)] for x in t]
            y = along(self.sweep(drives, shots=640))
            apart = t + PULSE * 1e-9
            frequency, t2 = self.fit_ramsey(apart, y, detuning)
            self.found |= {"f01": f - frequency, "t2_star": t2}
            span, detuning = (20e-6, 0.4e6) if span < 10e-6 else (min(3 * t2, 150e-6), 8 / min(3 * t2, 150e-6))

    @staticmethod
    def fit_ramsey(t, y, detuning):
        """Return the frequency and the time at which exponential and Gaussian decay together leave 1/e."""
        span = t[-1]

        def curve(x, size, f, phase, echo, still, offset):
            x = x / span
            return offset + size * np.cos(2 * np.pi * f * x + phase) * np.exp(-abs(echo) * x - (still * x) ** 2 / 2)

        trial = np.linspace(0.4, 1.6, 241) * detuning
        power = abs(np.exp(-2j * np.pi * np.outer(trial, t)) @ (y - y.mean()))
        p0 = (np.ptp(y) / 2, trial[np.argmax(power)] * span, 0.0, 1.0, 1.0, y.mean())
        fits = [curve_fit(curve, t, y, p0=(*p0[:2], phase, *p0[3:]), maxfev=20_000)[0] for phase in (0.0, np.pi)]
        best = min(fits, key=lambda x: np.sum((curve(t, *x) - y) ** 2))
        a, b = abs(best[3]) / span, abs(best[4]) / span
        t2 = (np.sqrt(a * a + 2 * b * b) - a) / (b * b) if b > 1e-3 * a else 1 / a
        return best[1] / span, float(t2)

    def relaxation(self):
        t = np.linspace(0, 300e-6, 61)
        y = along(self.sweep([[self.pulse(round(x * 1e9))] for x in t], shots=800))

        def curve(x, size, t1, offset):
            return offset + size * np.exp(-x / t1 / 1e-6)

        best, _ = curve_fit(curve, t, y, p0=(y[0] - y[-1], 80, y[-1]))
        self.found["t1"] = best[1] * 1e-6

    def second(self):
        """From 1, a selective pulse near f12 and back to 0 with what it left: only 2 stays dark."""
        centre = self.found["f01"] + self.sheet["anharmonicity"]
        for length, width, step in ((COARSE, 45e6, 1e6), (FINE, 2.5e6, 0.1e6)):
            f = centre + np.arange(-width, width + step / 2, step)
            middle = WAVES[length], PULSE + length, HALF_TURN / length / np.sqrt(2), 0.0
            drives = [[self.pulse(PULSE + length), (*middle, x), self.pulse(0)] for x in f]
            centre = peak(f, self.sweep(drives, shots=150), 500 / length * 1e6)
        self.found["anharmonicity"] = centre - self.found["f01"]

    def shift(self):
        """Transmission after 0 and after 1. The second is a mixture: some shots have relaxed or were never excited."""
        f = self.tone + np.linspace(-5e6, 4e6, 91)
        amplitude = self.sheet["readout"]["amplitude"]
        s0 = self.bench.measure([[]] * len(f), f, amplitude, 800)
        s1 = self.bench.measure([[self.pulse(0)]] * len(f), f, amplitude, 800)
        cold, kappa, slope, sizes = fit_resonator(f, s0)

        def residual(x):
            moved, still = (shapes(f, f.mean(), at, kappa, slope) @ sizes for at in (cold + 1e6 * x[1], cold))
            r = (x[0] * moved + (1 - x[0]) * still - s1) / abs(s0).max()
            return np.concatenate([r.real, r.imag])

        legal = (0.3, -4), (1.01, 3)
        fits = [least_squares(residual, (0.9, shift), bounds=legal) for shift in (-2.5, -1.5, 1.5)]
        best = min(fits, key=lambda fit: fit.cost).x
        self.found |= {"chi": best[1] * 1e6 / 2, "excited": best[0]}


def main():
    found = Tuneup(Bench(json.load(sys.stdin))).run()
    json.dump({key: float(value) for key, value in found.items()}, sys.stdout)


if __name__ == "__main__":
    main()
