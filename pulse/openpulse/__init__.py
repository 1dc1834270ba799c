"""Gates as OpenQASM 3 text, with ``defcal`` and the OpenPulse grammar, and back; what is in the text is never run.

What maps, and how:

=====================================================  ===============================================================
OpenPulse                                              here
=====================================================  ===============================================================
``port d0;`` (u1, m2, a3)                              the channel of that name; others by the argument ``ports``
``frame d0_frame = newframe(d0, hertz, radians);``     the one frame of that channel; in a ``cal`` block
``play(frame, waveform)``                              Play
``delay[duration] frames`` / ``barrier frames``        Delay / their clocks set to the latest
``@pulsed.idle`` before a delay                        a gap without an instruction, a plain delay to other readers
``set_phase``, ``shift_phase``                         SetPhase, ShiftPhase: rad
``set_frequency``, ``shift_frequency``                 SetFrequency, ShiftFrequency: Hz
``capture_v1``, ``capture_v2``: (frame, filter)        Acquire for the filter's duration; the filter is its kernel:
                                                       ``pulsed_kernel(d)`` none, the backend's own weights;
                                                       ``constant(1, d)`` ``Kernel("boxcar")``; else its samples
``capture_v3``: (frame, duration)                      Acquire; the job's meas_level says what comes back
``slot7 = capture...``                                 into MemorySlot(7); otherwise the index of the acquire channel
``waveform w = {0.1, 0.2 + 0.1im};``                   Waveform
waveform functions                                     :mod:`pulsed.pulse.openpulse.functions`
``const``, ``float``, ``angle``, ``duration`` ...      values that are computed when read; they cannot be changed
``defcal rx(pi/2) $0``, ``defcal rz(angle a) $0``      (``"rx"``, (0,), (π/2,)), (``"rz"``, (0,), (Parameter("a"),))
=====================================================  ===============================================================

Durations in ns, us, ms, s or dt must be whole numbers of dt where they say when something is played. Everything else
is refused with its line. See decision 0009.
"""

from pulsed.pulse.openpulse.reader import OpenPulseProgram, loads
from pulsed.pulse.openpulse.writer import dumps

__all__ = ["OpenPulseProgram", "dumps", "loads"]
