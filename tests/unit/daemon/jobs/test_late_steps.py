"""Steps that are written together: each once and in order, whichever thread comes first."""

from __future__ import annotations

import threading

from pulsed.daemon.jobs.late_steps import LateSteps
from pulsed.model.job import JobState
from pulsed.store.jobs import JobStep

COMPILING, READY, RUNNING = (
    JobStep(state, 1.0, {}) for state in (JobState.COMPILING, JobState.READY, JobState.RUNNING)
)


def test_without_steps_nothing_is_taken() -> None:
    late = LateSteps()
    assert not late.add(READY)
    assert list(late.close()) == list(late.withdraw()) == []


def test_what_is_closed_is_the_same_each_time_and_takes_no_more() -> None:
    late = LateSteps(COMPILING)
    assert late.add(READY)
    assert list(late.close()) == [COMPILING, READY]
    assert not late.add(RUNNING)
    assert list(late.withdraw()) == []
    assert list(late.close()) == [COMPILING, READY]


def test_what_is_withdrawn_is_not_written_here() -> None:
    late = LateSteps(COMPILING)
    assert list(late.withdraw()) == [COMPILING]
    assert not late.add(READY)
    assert list(late.close()) == list(late.withdraw()) == []


def test_each_step_is_written_once_while_another_thread_closes() -> None:
    late, written, refused = LateSteps(COMPILING), [COMPILING], []
    closing = threading.Timer(0.002, late.close)
    closing.start()
    while not refused:
        (written if late.add(READY) else refused).append(READY)
    closing.join()
    assert list(late.close()) == written
