import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsed.model.errors import IllegalStepError
from pulsed.model.job import FINAL_STATES, JOB_STEPS, JobState, check_step

states = st.sampled_from(list(JobState))


@given(states, states)
def test_a_step_is_legal_exactly_when_the_table_has_it(old, new):
    if new in JOB_STEPS[old]:
        check_step("j", old, new)
    else:
        with pytest.raises(IllegalStepError, match="job j"):
            check_step("j", old, new)


def test_every_state_is_in_the_table_can_be_reached_and_can_end():
    assert set(JOB_STEPS) == set(JobState)
    reached = {JobState.QUEUED}
    for _ in JobState:
        reached |= {new for old in reached for new in JOB_STEPS[old]}
    assert reached == set(JobState)
    for state in set(JobState) - FINAL_STATES:
        assert JobState.FAILED in JOB_STEPS[state]
        assert JobState.CANCELLED in JOB_STEPS[state]
    assert {JobState.DONE, JobState.FAILED, JobState.CANCELLED} == FINAL_STATES
