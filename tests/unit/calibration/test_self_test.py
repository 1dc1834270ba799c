"""A dead path is told from an idle one: by a tone that is heard, or seen by the analyser."""

import numpy as np
import pytest

from pulsed.calibration.executor import Executor
from pulsed.calibration.self_test import judge, keep, self_test
from pulsed.pulse.instructions import Play
from pulsed.pulse.serialize import dumps, loads
from pulsed.testing.simulated_lab import SimulatedLab

SEED = 11


def unplugged(lab, *channels):
    """The lab with the cables of some channels taken off: what is played there reaches nothing."""
    submit = lab.submit

    def without(request, parts):
        kept = [
            loads(bytes(part)).exclude(lambda item: isinstance(item[1], Play) and item[1].channel.name in channels)
            for part in parts
        ]
        return submit(request, [dumps(schedule) for schedule in kept])

    lab.submit = without
    return lab


@pytest.mark.parametrize("calibrated", [True, False])
def test_every_port_of_a_rack_that_works_is_seen(calibrated):
    executor = Executor(SimulatedLab.sim5(calibrated=calibrated, seed=SEED))
    found = {report.port: report.found for report in self_test(executor)}
    assert found == dict.fromkeys(executor.device.ports, "seen")


def test_a_flux_line_is_told_to_be_unseen():
    found = {report.port: report for report in self_test(Executor(SimulatedLab.coupler2(seed=SEED)))}
    assert found["f0"].found == "unseen"
    assert {found[port].found for port in ("d0", "d1", "ro", "in")} == {"seen"}


def test_lines_that_are_cut_are_dead_and_the_others_are_not():
    executor = Executor(unplugged(SimulatedLab.sim5(seed=SEED), "d2", *(f"m{q}" for q in range(5))))
    reports = self_test(executor)
    found = {report.port: report for report in reports}
    assert {port for port, report in found.items() if report.found == "dead"} == {"d2", "ro", "in"}
    assert "no tone is heard" in found["in"].reason
    assert "the analyser sees no tone" in found["d2"].reason
    keep(executor, reports, 0.0)
    kept = {record.target: record.outcome for record in executor.connection.runs("self-test")}
    assert kept == {port: "bad data" if port in ("d2", "ro", "in") else "good" for port in found}


def test_silence_is_not_taken_for_a_tone_and_nothing_at_all_not_for_silence():
    """6 standard errors: two silences of 256 shots differ by so much once in 6e7 (Rayleigh, exp(-36/2))."""
    rng = np.random.default_rng(SEED)

    def shots(mean):
        return mean + rng.normal(size=256) + 1j * rng.normal(size=256)

    assert all(judge(shots(0), shots(0))[0] == "dead" for _ in range(200))
    assert judge(shots(0), shots(1.0))[0] == "seen", "11 standard errors"
    assert "not even noise" in judge(np.zeros(256, complex), np.zeros(256, complex))[1]
