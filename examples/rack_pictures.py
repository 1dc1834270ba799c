"""Four classics of the lab, measured on the simulated rack through the whole stack. Starts a daemon of its own.

`python examples/rack_pictures.py [--coarse] [DIRECTORY [NAME ...]]` writes chevron.png, resonator.png, clouds.png and
t1.png; --coarse takes every sixth step of their sweeps.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import curve_fit

from pulsed import pulse
from pulsed.cli.processes import OwnDaemon
from pulsed.cli.simulated_rack import ask_rack, find_control
from pulsed.provider import PulsedProvider

MHz = 1e6
QUBIT = 0


class Lab:
    """One qubit of a backend."""

    def __init__(self, backend, control, every=1):
        self.backend = backend
        self.every = every  # n-th step of a sweep
        self.control = control
        self.drive = backend.drive_channel(QUBIT)
        self.frequency = backend.calibration_set.number(f"Q{QUBIT}.f01")
        self.measure = backend.instruction_schedule_map.get("measure", QUBIT)
        self.x = backend.instruction_schedule_map.get("x", QUBIT)

    def excited(self, schedules, shots):
        """Return the share of shots that found 1, one number per schedule; as many jobs as it takes."""
        shares = []
        most = 900  # of a job
        for first in range(0, len(schedules), most):
            part = schedules[first : first + most]
            result = self.backend.run(part, shots=shots).result()
            counts = [result.get_counts(k) for k in range(len(part))]
            shares += [sum(n for key, n in found.items() if key[-1] == "1") / shots for found in counts]
        return np.array(shares)

    def drift(self, **changes):
        """Tell the rack what drifts; return all of it."""
        return ask_rack(self.control, "drift", **changes)

    def points(self, schedules, shots, average, **options):
        """Return the integrals of this qubit's readout: (schedules,) or (schedules, shots)."""
        options |= {"meas_level": 1, "meas_return": "avg" if average else "single"}
        result = self.backend.run(schedules, shots=shots, **options).result()
        return np.array([np.asarray(result.get_memory(k))[..., 0] for k in range(len(schedules))])


def chevron(lab):
    """Population of 1 over drive frequency and length of the pulse."""
    detunings, lengths = np.linspace(-15, 15, 61)[:: lab.every] * MHz, np.arange(16, 401, 8)[:: lab.every]
    schedules = []
    for detuning in detunings:
        for length in lengths:
            schedule = pulse.Schedule((0, pulse.SetFrequency(lab.frequency + detuning, lab.drive)))
            schedule += pulse.Play(pulse.Constant(int(length), 0.14), lab.drive)
            schedules.append(schedule + (lab.measure << schedule.duration))
    shares = lab.excited(schedules, 200).reshape(len(detunings), len(lengths))
    figure, axes = _figure("Rabi chevron of Q0", "drive detuning (MHz)", "length of the pulse (ns)")
    mesh = axes.pcolormesh(detunings / MHz, lengths, shares.T, cmap="viridis", vmin=0, vmax=1, shading="nearest")
    figure.colorbar(mesh, label="share of shots that found 1")
    return figure


def resonator(lab):
    """Transmission near Q0's resonator over frequency and readout amplitude, with the qubit left alone or excited."""
    backend = lab.backend
    centre = backend.calibration_set.number(f"Q{QUBIT}.readout.frequency")
    channel, acquire = backend.measure_channel(QUBIT), backend.acquire_channel(QUBIT)
    offsets, amplitudes = np.linspace(-6, 5, 56)[:: lab.every] * MHz, np.linspace(0.03, 0.99, 33)[:: lab.every]
    sheet = [backend.calibration_set.number(f"Q{q}.readout.frequency") for q in range(backend.num_qubits)]
    schedules = []
    for before in (pulse.Schedule(), lab.x):
        for amplitude in amplitudes:
            readout = pulse.Play(pulse.Constant(2000, float(amplitude)), channel)
            readout |= pulse.Acquire(2000, acquire, pulse.MemorySlot(0))
            schedules.append(before + (readout << before.duration))
    found = []
    for offset in offsets:  # the frequency of the digitizer, and so of a whole job
        sheet[QUBIT] = centre + offset
        found.append(lab.points(schedules, 200, True, meas_lo_freq=sheet).reshape(2, -1) / amplitudes)
    values = dict(zip(("after nothing", "after a π pulse"), np.array(found).transpose(1, 2, 0), strict=True))
    figure = Figure(figsize=(10, 4), dpi=110, layout="constrained")
    top = max(abs(v).max() for v in values.values())
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (name, value) in zip(panels, values.items(), strict=True):
        shown = abs(value) / top
        mesh = axes.pcolormesh(offsets / MHz, amplitudes, shown, cmap="magma", vmin=0.4, vmax=1, shading="nearest")
        axes.set(title=name, xlabel=f"readout frequency − {centre / 1e9:.4f} GHz (MHz)")
    panels[0].set_ylabel("readout amplitude (full scales)")
    figure.colorbar(mesh, ax=panels, label="|transmission|, of the largest")
    figure.suptitle("Resonator of Q0")
    return figure


def clouds(lab):
    """Single shots of 0 and 1 in the IQ plane."""
    shots = 3000
    points = lab.points([lab.measure, lab.x + (lab.measure << lab.x.duration)], shots, False) / 1e3  # of 10⁻⁶
    figure, axes = _figure("Q0, one point per shot", "I (10⁻³ of full scale)", "Q (10⁻³ of full scale)")
    for found, name, colour in zip(points, ("after nothing", "after a π pulse"), ("#1f6fb4", "#c0392b"), strict=True):
        axes.plot(found.real, found.imag, ".", markersize=2, alpha=0.35, color=colour, label=name)
    axes.set_aspect("equal", "datalim")
    axes.legend(markerscale=6)
    return figure


def relaxation(lab):
    """T1 again and again for twelve hours, while a two-level system may come to the qubit's frequency and go."""
    delays = np.array([0, 8, 16, 30, 50, 80, 120, 180, 260, 380]) * 1000
    schedules = [pulse.Schedule(lab.x).insert(lab.x.duration + int(t), lab.measure) for t in delays]
    shots, rep_delay, every, count = 300, 500e-6, 300.0 * lab.every, 144 // lab.every
    played = shots * float(np.sum(rep_delay + delays * lab.backend.dt))
    lab.drift(seed=5, t1_factor=0.3, tls_wait=4 * 3600.0, tls_stay=3600.0, factor=every / played, time=0.0)
    times = delays * lab.backend.dt * 1e6

    def decay(t, size, t1, floor):
        return floor + size * np.exp(-t / t1)

    hours, traces, found = [], [], []
    for _ in range(count):
        hours.append(lab.drift()["time"] / 3600)
        traces.append(lab.excited(schedules, shots))
        best, covariance = curve_fit(decay, times, traces[-1], p0=(1, 60, 0), bounds=((0, 1, -0.1), (1.2, 1000, 0.3)))
        found.append((best[1], np.sqrt(covariance[1, 1])))
    lab.drift(t1_factor=1.0, factor=1.0)
    figure = Figure(figsize=(8, 5.5), dpi=110, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    mesh = above.pcolormesh(hours, times, np.array(traces).T, cmap="viridis", vmin=0, vmax=1, shading="nearest")
    figure.colorbar(mesh, ax=above, label="share of 1")
    above.set(ylabel="delay (µs)", title="Q0 relaxes, for twelve hours")
    t1, error = np.array(found).T
    below.errorbar(hours, t1, error, fmt="o", markersize=3, linewidth=0.8, color="#1f6fb4")
    below.set(xlabel="time (h)", ylabel="T1 (µs)", ylim=(0, None))
    return figure


PICTURES = {"chevron": chevron, "resonator": resonator, "clouds": clouds, "t1": relaxation}


def _figure(title, x, y):
    figure = Figure(figsize=(6.5, 4.5), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.set(title=title, xlabel=x, ylabel=y)
    return figure, axes


def main(directory, names, every):
    """Measure and draw the pictures ``names``, all when there are none, with every ``every``-th step of the sweeps."""
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, OwnDaemon(Path(home)) as daemon, daemon.wait() as client:
        lab = Lab(PulsedProvider(client=client).get_backend("sim5"), find_control(daemon.home), every)
        for name in names or PICTURES:
            draw = PICTURES[name]
            draw(lab).savefig(directory / f"{name}.png")
            print(directory / f"{name}.png")


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--coarse"]
    main(Path(words[0] if words else "docs/images"), words[1:], 6 if "--coarse" in sys.argv else 1)
