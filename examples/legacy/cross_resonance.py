"""Drive one qubit at the frequency of its neighbour: what the tone does, and what an echo and a cancellation leave.

First the Hamiltonian is read from the motion of the target (tomography over the length of the tone), with the control
in 0 and in 1. Then the tone is turned so that its ZX part remains, a second tone on the target cancels what does not
depend on the control, and an echo removes the rest. Needs a daemon (`pulsed serve`). With Qiskit 1.4 only the two lines
that import pulse and Provider are others.
"""

import sys

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import least_squares

from pulsed import pulse
from pulsed.provider import PulsedProvider as Provider

CONTROL, TARGET = 0, 1
AMP, SIGMA, FLANKS = 0.88, 8, 32  # of the tone; sigma and both flanks together in dt
WIDTHS = np.arange(0, 1680, 56)
ECHO_WIDTHS = np.arange(0, 640, 32)
AXES = "XYZ"
MHz = 1e6


def tone(backend, width, angle, cancel, sign=1):
    """The cross-resonance tone at ``angle``, with the cancellation (complex amplitude) on the target below it."""
    u, drive = backend.control_channel((CONTROL, TARGET))[0], backend.drive_channel(TARGET)
    shape = {"duration": FLANKS + int(width), "sigma": SIGMA, "width": int(width)}
    with pulse.align_left():
        pulse.play(pulse.GaussianSquare(amp=sign * AMP, angle=angle, **shape), u)
        if cancel:
            pulse.play(pulse.GaussianSquare(amp=sign * abs(cancel), angle=float(np.angle(cancel)), **shape), drive)


def flip(backend):
    """A pi pulse on the control."""
    pulse.call(backend.instruction_schedule_map.get("x", CONTROL))


def read(backend, axis):
    """Measure one component of the target's Bloch vector."""
    drive = backend.drive_channel(TARGET)
    if axis == "X":
        pulse.shift_phase(-np.pi / 2, drive)
    if axis != "Z":
        pulse.call(backend.instruction_schedule_map.get("sx", TARGET))
    pulse.barrier(CONTROL, TARGET)
    pulse.measure(TARGET)


def tomography(backend, angle, cancel=0.0):
    """For each state of the control, each axis and each length of the tone a program."""
    programs = []
    for state in (0, 1):
        for axis in AXES:
            for width in WIDTHS:
                name = f"control in {state}, {axis}, {width}"
                with pulse.build(backend, name=name, default_alignment="sequential") as program:
                    if state:
                        flip(backend)
                    tone(backend, width, angle, cancel)
                    read(backend, axis)
                programs.append(program)
    return programs


def echoed(backend, angle, cancel):
    """Two halves of opposite sign, the control flipped after each: Y of the target for each state and length."""
    programs = []
    for state in (0, 1):
        for width in ECHO_WIDTHS:
            with pulse.build(backend, name=f"echo, {state}, {width}", default_alignment="sequential") as program:
                if state:
                    flip(backend)
                tone(backend, width, angle, cancel)
                flip(backend)
                tone(backend, width, angle, cancel, sign=-1)
                flip(backend)
                read(backend, "Y")
            programs.append(program)
    return programs


def schedules(backend):
    """All programs, as schedules, with round numbers in place of what one experiment tells the next."""
    cancel = 0.05 * np.exp(0.25j)
    programs = [*tomography(backend, 0.0), *tomography(backend, -2.25, cancel), *echoed(backend, -2.25, cancel)]
    return [pulse.transforms.block_to_schedule(program) for program in programs]


def measured(backend, programs, shots=1000):
    """Run; return the mean of Z of the target, as read, for each program."""
    result = backend.run(programs, shots=shots).result()
    counts = [result.get_counts(k) for k in range(len(programs))]
    # Memory slot 1 is the last but one bit of a key.
    return np.array([sum(n * (1 - 2 * int(key[-1 - TARGET])) for key, n in c.items()) / shots for c in counts])


def precession(t, rates, scale, offset, early):
    """Bloch vector that starts at Z and turns about ``rates`` (rad/s), for times t + early: shape (3, times)."""
    speed = np.linalg.norm(rates)
    n = rates / speed
    angle = speed * (t + early)
    cross, along = np.cross(n, [0, 0, 1]), n * n[2]
    vector = np.array([0, 0, 1])[:, None] * np.cos(angle) + cross[:, None] * np.sin(angle)
    return scale * (vector + along[:, None] * (1 - np.cos(angle))) + offset


def turning(t, found):
    """Return (rates in rad/s, scale, offset, extra time) of the motion ``found``, shape (3, times)."""

    def misses(values):
        return (precession(t, values[:3] * MHz, *values[3:5], values[5] / MHz) - found).ravel()

    starts = (
        np.array([*(2 * np.pi * f * np.array([np.cos(phi), np.sin(phi), 0.1])), 0.95, 0.0, 0.02])
        for f in (0.3, 0.6, 1.0, 1.5, 2.2, 3.0)
        for phi in np.arange(8) * np.pi / 4
    )
    best = min((least_squares(misses, start) for start in starts), key=lambda fit: fit.cost).x
    return best[:3] * MHz, *best[3:5], best[5] / MHz


def hamiltonian(backend, found):
    """Return the terms I⊗P and Z⊗P in Hz, each for P = X, Y, Z, and both fits."""
    t = WIDTHS * backend.dt
    fits = [turning(t, motion) for motion in found.reshape(2, 3, len(WIDTHS))]
    zero, one = (rates / (2 * np.pi) for rates, *_ in fits)
    return (zero + one) / 2, (zero - one) / 2, fits


def cancellation(backend, single):
    """Return the complex amplitude of a tone on the target that takes away ``single``, IX + i·IY in Hz."""
    ((_, x),) = backend.instruction_schedule_map.get("x", TARGET).instructions
    area = x.pulse.get_waveform().samples.sum() * backend.dt  # turns by half a turn
    unit = area / abs(area)
    return complex(-single * 2 * abs(area) * unit)


def swing(t, rate, early, height, offset):
    return offset + height * np.sin(2 * np.pi * rate * (t + early))


def quarter_turn(t, found):
    """Return the fits of both states, and the time in which both turn by a quarter, found from their mean."""

    def misses(values):
        return np.concatenate(
            [swing(t, values[0] * MHz, values[1] / MHz, sign * values[2], values[3]) - y
             for sign, y in zip((-1, 1), found, strict=True)]
        )  # fmt: skip

    starts = ([rate, 0.02, height, 0.0] for rate in (0.5, 1.0, 1.5, 2.0) for height in (-0.9, 0.9))
    best = min((least_squares(misses, start) for start in starts), key=lambda fit: fit.cost).x
    rate, early, height, offset = best[0] * MHz, best[1] / MHz, best[2], best[3]
    # The other sign of height or rate, half a period later or earlier, is the same curve.
    quarter = (1 / (4 * rate) - early) % (1 / (2 * abs(rate)))
    return [(rate, early, sign * height, offset) for sign in (-1, 1)], quarter


def investigate(backend):
    """Run all; return the terms before and after, and the echo; rates in Hz, times in s."""
    raw = measured(backend, tomography(backend, 0.0))
    single, double, raw_fits = hamiltonian(backend, raw)
    # Turned by this angle the tone has ZX alone; what the target feels whatever the control turns along.
    angle = -float(np.angle(double[0] + 1j * double[1]))
    cancel = cancellation(backend, (single[0] + 1j * single[1]) * np.exp(1j * angle))
    clean = measured(backend, tomography(backend, angle, cancel))
    single_after, double_after, clean_fits = hamiltonian(backend, clean)
    echo = measured(backend, echoed(backend, angle, cancel)).reshape(2, -1)
    echo_fits, quarter = quarter_turn(ECHO_WIDTHS * backend.dt, echo)
    found = {
        "before": (single, double), "after": (single_after, double_after), "angle": angle, "cancel": cancel,
        "quarter": quarter,
    }  # fmt: skip
    return found, ((raw, raw_fits), (clean, clean_fits), (echo, echo_fits))


def picture(dt, raw, clean, echo):
    """Motion of the target without and with correction, and after the echo, for both states of the control."""
    figure = Figure(figsize=(11, 8.5), layout="constrained")
    grid = figure.subplots(4, 2, sharex="col", sharey=True)
    colours = ("tab:blue", "tab:red")
    fine = np.linspace(0, WIDTHS[-1], 400)
    for column, (title, (found, fits)) in enumerate((("the tone alone", raw), ("turned, with cancellation", clean))):
        for state, motion in enumerate(found.reshape(2, 3, len(WIDTHS))):
            curves = precession(fine * dt, *fits[state])
            for axes, axis, points, curve in zip(grid[:, column], AXES, motion, curves, strict=False):
                axes.plot(fine, curve, color=colours[state])
                axes.plot(WIDTHS, points, ".", color=colours[state], label=f"control in {state}")
                axes.set_ylabel(f"⟨{axis}⟩ of the target")
        grid[0, column].set_title(title)
        grid[2, column].set_xlabel("width of the tone (dt)")
        grid[2, column].tick_params(labelbottom=True)
    grid[0, 1].legend(loc="lower right", ncols=2)
    for axes in grid[3]:
        axes.remove()
    axes = figure.add_subplot(grid[0, 0].get_gridspec()[3, :], ylim=(-1.1, 1.1))
    fine = np.linspace(0, ECHO_WIDTHS[-1], 400)
    for state in (0, 1):
        axes.plot(fine, swing(fine * dt, *echo[1][state]), color=colours[state])
        axes.plot(ECHO_WIDTHS, echo[0][state], ".", color=colours[state])
    axes.set(title="echo", xlabel="width of each half (dt)", ylabel="⟨Y⟩ of the target")
    return figure


def main(path="cross-resonance.png"):
    backend = Provider().get_backend("sim5")
    found, motions = investigate(backend)
    picture(backend.dt, *motions).savefig(path, dpi=120)
    for when in ("before", "after"):
        for letter, rates in zip("IZ", found[when], strict=True):
            terms = ", ".join(f"{letter}{axis} {rate / MHz:+.3f}" for axis, rate in zip(AXES, rates, strict=True))
            print(f"{when:7} {terms} MHz")
    print(f"cancel  amplitude {abs(found['cancel']):.4f}; the tone's angle {found['angle']:+.3f} rad")
    print(f"echo    a quarter turn at a width of {found['quarter'] / backend.dt:.0f} dt")
    print(f"figure  {path}")
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
