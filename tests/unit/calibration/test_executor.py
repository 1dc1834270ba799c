"""The executor against the double: candidates, jobs in parts, shapes, and a job that nobody waits for."""

import numpy as np
import pytest

from pulsed.calibration.executor import Executor, schedule_hash
from pulsed.model.calibration import Value
from pulsed.model.errors import InvalidValueError, NotFoundError
from pulsed.pulse.schedule import Schedule
from pulsed.testing.simulated_lab import SimulatedLab


@pytest.fixture
def lab():
    return SimulatedLab.sim5(seed=3)


def test_a_working_set_is_stored_once_named_by_jobs_and_not_in_force(lab):
    executor, stored = Executor(lab), []
    put = lab.put_calibration
    lab.put_calibration = lambda calibration: (stored.append(calibration), put(calibration))[1]
    moved = executor.propose({"Q0.readout.amplitude": Value(0.05, "full scale")})
    shot = moved.blocks.shot(0)
    first = moved.play([shot], 200).iq
    moved.play([shot], 200)
    assert stored == [moved.calibration]
    assert {job.options.calibration_id for job in lab.played} == {moved.calibration.calibration_id}
    assert lab.calibration() == executor.calibration
    assert moved.calibration.parent == executor.calibration.calibration_id
    there = executor.play([executor.blocks.shot(0)], 200).iq
    assert abs(first.mean()) < 0.6 * abs(there.mean()), "the readout of the candidate is weaker, seed 3"


def test_more_schedules_than_a_job_holds_are_several_jobs(lab, monkeypatch):
    limits = lab.device().limits.model_copy(update={"max_circuits": 4})
    monkeypatch.setattr(lab, "_device", lab.device().model_copy(update={"limits": limits}))
    seen = []
    executor = Executor(lab, progress=lambda done, of: seen.append((done, of)))
    shots = [executor.blocks.shot(q) for q in (0, 1, 2, 3, 4, 0)]
    played = executor.play(shots, 30)
    assert len(lab.played) == 2
    assert seen == [(4, 6), (6, 6)]
    assert played.iq.shape == (6, 30, 5)
    assert played.overrange.shape == (6,)
    for row, qubit in zip(played.iq, (0, 1, 2, 3, 4, 0), strict=True):
        assert np.flatnonzero(np.abs(row).sum(axis=0)).tolist() == [qubit], "each lies in its own slot"


def test_levels_and_averages_have_their_shapes(lab):
    executor = Executor(lab)
    blocks = executor.blocks
    shots = [blocks.shot(1), blocks.shot(1, blocks.x(1))]
    single = executor.play(shots, 400, level=2)
    assert single.bits.shape == single.iq.shape == (2, 400, 2)
    ones = single.bits[:, :, 1].mean(axis=1)
    assert ones[0] < 0.1 < 0.9 < ones[1]
    assert executor.play(shots, 400, average=True).iq.shape == (2, 2)
    records = executor.play(shots, 400, average=True, level=0).records
    assert records.shape == (2, 2, 800)


def test_settings_reach_the_job(lab):
    executor = Executor(lab)
    executor.play([executor.blocks.shot(0)], 10, settings={"oscillators.drive.frequency": 5.0e9})
    assert lab.played[-1].options.settings == {"oscillators.drive.frequency": 5.0e9}
    with pytest.raises(InvalidValueError, match="nothing to play"):
        executor.play([], 10)


def test_a_job_that_nobody_waits_for_any_longer_is_cancelled(lab, monkeypatch):
    cancelled = []

    def interrupted(job_id, timeout=None):
        raise KeyboardInterrupt

    monkeypatch.setattr(lab, "finished", interrupted)
    monkeypatch.setattr(lab, "cancel", cancelled.append)
    executor = Executor(lab)
    with pytest.raises(KeyboardInterrupt):
        executor.play([executor.blocks.shot(0)], 10)
    assert cancelled == [lab.played[-1].job_id]


def test_a_readout_at_another_frequency_gives_the_points_of_one_calibrated_to_it(lab):
    """Whatever the time of the measurement: points of the plane may be compared between sweeps and set values."""
    executor = Executor(lab)
    f = executor.calibration.number("Q2.readout.frequency") + 1.3e6
    there = executor.propose({"Q2.readout.frequency": Value(f, "Hz")})
    own = there.play([there.blocks.shot(2)], 3000).iq[0, :, 2]
    for wait in (0, 333, 4000):
        readout = executor.blocks.measure(2, frequency=f)
        iq = executor.play([executor.blocks.shot(2, wait, readout=readout)], 3000).iq[0, :, 2]
        error = np.hypot(iq.std(), own.std()) / np.sqrt(3000)
        assert abs(iq.mean() - own.mean()) < 5 * error, f"wait {wait}, seed 3"


def test_a_gate_without_values_and_a_negative_wait_are_refused():
    blocks = Executor(SimulatedLab.sim5(calibrated=False)).blocks
    with pytest.raises(NotFoundError, match="x on"):
        blocks.x(0)
    with pytest.raises(InvalidValueError, match="negative"):
        blocks.shot(0, -4)
    with pytest.raises(NotFoundError, match="t1"):
        blocks.value("Q0.t1")
    assert blocks.value("Q0.t1", 1.0) == 1.0


def test_hashes_tell_schedules_apart(lab):
    blocks = Executor(lab).blocks
    one, other = [blocks.shot(0, blocks.x(0))], [blocks.shot(0, blocks.x(0), 1)]
    assert schedule_hash(one) == schedule_hash([blocks.shot(0, blocks.x(0))])
    assert schedule_hash(one) != schedule_hash(other)
    assert isinstance(one[0], Schedule)
