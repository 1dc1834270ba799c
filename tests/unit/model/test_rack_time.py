"""A job that keeps the rack for long is refused before it is queued, unless somebody has confirmed it."""

from pathlib import Path

import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from pulsed.daemon.jobs.admission import check_submission
from pulsed.model.device import load_device
from pulsed.model.errors import RackTimeError
from pulsed.model.job import JobRequest, RunOptions, Spectrum
from pulsed.model.rack_time import check_rack_time, least_seconds, spoken
from pulsed.provider.lengths import least_length
from pulsed.pulse import Delay, DriveChannel, Schedule

DEVICE = load_device(Path(__file__).parents[3] / "configs" / "sim5.toml")
LIMITS = DEVICE.limits


def test_repetition_delays_and_programs_add_up():
    assert least_seconds(3, 0.02, RunOptions(shots=100), LIMITS) == pytest.approx(100 * (0.02 + 3 * 800e-6))
    assert least_seconds(3, 0.02, RunOptions(shots=100, rep_delay=1e-3), LIMITS) == pytest.approx(2.3)
    resting = RunOptions(shots=100, rep_delay=1e-6, init_qubits=True)
    assert least_seconds(3, 0.02, resting, LIMITS) == pytest.approx(100 * (0.02 + 3 * 800e-6))
    assert least_seconds(3, 0.02, RunOptions(shots=100, dry_run=True), LIMITS) == 0
    assert least_seconds(3, 0.02, RunOptions(spectrum=Spectrum("d0", (5e9,))), LIMITS) == 0


def test_a_long_job_is_refused_with_its_seconds_the_limit_and_how_to_confirm():
    options = RunOptions(shots=1000)
    check_rack_time(600.0, options, LIMITS, "job a", at_least=False)
    with pytest.raises(RackTimeError) as caught:
        check_rack_time(1200.0, options, LIMITS, "job a", at_least=True)
    assert caught.value.value == "at least 1200 s (20 min)"
    for words in ("600 s (10 min)", "limits.rack_time", "confirm_rack_time=True", "--yes"):
        assert words in caught.value.legal
    check_rack_time(1200.0, RunOptions(shots=1000, confirm_rack_time=True), LIMITS, "job a", at_least=True)


def test_nobody_confirms_what_takes_longer_than_any_job_may():
    options = RunOptions(confirm_rack_time=True)
    check_rack_time(3600.0, options, LIMITS, "job a", at_least=False)
    with pytest.raises(RackTimeError, match="than any job may") as caught:
        check_rack_time(20000.0, options, LIMITS, "job a", at_least=False)
    assert caught.value.value == "20000 s (5.6 h)"


@pytest.mark.parametrize(
    ("programs", "shots", "confirmed", "good"),
    [(1000, 750, False, True), (1000, 751, False, False), (1000, 751, True, True), (1000, 8000, True, False)],
)
def test_the_daemon_refuses_by_repetition_delays_alone_before_anything_is_decoded(programs, shots, confirmed, good):
    """1000 programs of 750 shots at 800 µs are 600 s, whatever they play."""
    options = RunOptions(shots=shots, confirm_rack_time=confirmed)
    request = JobRequest("a", ("schedule",), programs, options)
    if good:
        check_submission(request, [b""], DEVICE, 17)
    else:
        with pytest.raises(RackTimeError):
            check_submission(request, [b""], DEVICE, 17)


def test_delays_of_circuits_and_lengths_of_schedules_are_known_before_they_are_sent():
    circuit = QuantumCircuit(2, 1)
    circuit.delay(1000, 0, "dt")
    circuit.x(0)
    circuit.delay(500, 0, "dt")
    circuit.delay(1200, 1, "dt")
    circuit.measure(0, 0)
    late = QuantumCircuit(1)
    late.delay(Parameter("t"), 0, "dt")
    schedule = Schedule(Delay(700, DriveChannel(0)))
    assert [least_length(one) for one in (circuit, late, schedule)] == [1500, 0, 700]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5.0, "5 s"), (90.0, "90 s (1.5 min)"), (660.0, "660 s (11 min)"), (90000.0, "90000 s (1.0 d)")],
)
def test_times_are_spoken(seconds, text):
    assert spoken(seconds) == text
