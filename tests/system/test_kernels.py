"""Kernels from the instruction to the digitizer: what is accepted changes what is integrated."""

import numpy as np
import pytest

from pulsed.provider.errors import UnsupportedCircuitError
from pulsed.pulse import Acquire, Discriminator, Kernel, Schedule

SHOTS = 4000


def readout(backend, kernel, discriminator=None):
    """The measurement of Q0 with a kernel of its own."""
    program = Schedule(name="read")
    for time, part in backend.instruction_schedule_map.get("measure", 0).instructions:
        if isinstance(part, Acquire):
            part = Acquire(part.duration, part.channel, part.mem_slot, None, kernel, discriminator)  # noqa: PLW2901
        program.insert(time, part, inplace=True)
    return program


def test_every_parameter_of_a_kernel_changes_what_is_integrated(backend):
    ((_, acquire),) = backend.instruction_schedule_map.get("measure", 0).filter(instruction_types=Acquire).instructions
    n = acquire.duration
    half = n // 2
    ramp = [complex(np.float64(k)) / n**2 for k in range(n)]
    kernels = {
        "whole": Kernel("boxcar"),
        "again": Kernel("boxcar", start_window=0, stop_window=n),
        "early": Kernel("boxcar", stop_window=half),
        "late": Kernel("boxcar", start_window=np.int64(half)),
        "ones": Kernel("mine", weights=np.full(n, 1 / n)),
        "turned": Kernel("mine", weights=[1j / n] * n),
        "ramp": Kernel("mine", weights=ramp),
    }
    programs = [readout(backend, kernel) for kernel in kernels.values()]
    result = backend.run(programs, shots=SHOTS, meas_level=1, meas_return="single").result()
    points = {name: np.asarray(result.get_memory(k))[:, 0] for k, name in enumerate(kernels)}
    mean = {name: found.mean() for name, found in points.items()}
    # five standard errors of the mean of a sum or difference of two, each of half the samples at most
    spread = 5 * 2 * max(found.std() for found in points.values()) / np.sqrt(SHOTS)
    for name, expected in {
        "again": mean["whole"],
        "ones": mean["whole"],
        "turned": 1j * mean["whole"],
        "early": 2 * mean["whole"] - mean["late"],
    }.items():
        assert abs(mean[name] - expected) < spread, name
    # the resonator rings up within the first half of the window, so its halves and a ramp are other points
    for name in ("early", "late", "turned", "ramp"):
        assert abs(mean[name] - mean["whole"]) > spread, name


@pytest.mark.parametrize(
    ("kernel", "discriminator", "message"),
    [
        (Kernel("boxcar", start=0), None, "no such kernel"),
        (Kernel("boxcar", start_window=0, stop_window=10**6), None, "no such kernel"),
        (Kernel("mine", weights=[1.0] * 7), None, "another length.*got 7 samples"),
        (Kernel("mine", weights=[1.0] * 7, extra=1), None, "no such kernel"),
        (None, Discriminator("linear"), "no discriminator of its own"),
    ],
)
def test_what_does_not_act_is_refused_by_run(backend, kernel, discriminator, message):
    program = readout(backend, kernel, discriminator)
    with pytest.raises(UnsupportedCircuitError, match=rf"schedule 0 'read', AcquireChannel\(0\) at .*{message}"):
        backend.run(program)
    with pytest.raises(UnsupportedCircuitError, match=rf"calibrations, measure on \(0,\), AcquireChannel.*{message}"):
        backend.run(readout(backend, None), calibrations={("measure", 0): program})
