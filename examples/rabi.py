"""A Rabi experiment with pulses: the amplitude of a pi pulse of our own shape. Needs a daemon: `pulsed serve`."""

import numpy as np
from scipy.optimize import curve_fit

from pulsed import pulse
from pulsed.provider import PulsedProvider

DURATION, SIGMA = 64, 16

backend = PulsedProvider().get_backend("sim5")
measure = backend.instruction_schedule_map.get("measure", range(backend.num_qubits))

amplitudes = np.linspace(0.0, 0.9, 31)
schedules = []
for amplitude in amplitudes:
    schedule = pulse.Schedule(name=f"rabi {amplitude:.3f}")
    schedule += pulse.Play(pulse.Gaussian(DURATION, amp=amplitude, sigma=SIGMA), backend.drive_channel(0))
    schedule += measure << schedule.duration
    schedules.append(schedule)

shots = 1000
result = backend.run(schedules, shots=shots).result()
# Memory slot 0, qubit 0, is the last bit of a key.
ones = [sum(n for key, n in result.get_counts(i).items() if key[-1] == "1") / shots for i in range(len(schedules))]


def rabi(amplitude, scale, offset, pi_amplitude):
    return offset - scale / 2 * np.cos(np.pi * amplitude / pi_amplitude)


(scale, offset, pi_amplitude), covariance = curve_fit(rabi, amplitudes, ones, p0=(1.0, 0.5, 0.4))
print(
    f"pi pulse of {DURATION} dt: amplitude {pi_amplitude:.4f} ± {np.sqrt(covariance[2, 2]):.4f}, contrast {scale:.3f}"
)
