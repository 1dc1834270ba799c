"""Due dates of jobs at the door: where they are refused, and what they are worth in a quota."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pulsed.daemon.jobs.accounts import Accounts
from pulsed.daemon.jobs.admission import check_submission
from pulsed.model.device import load_device
from pulsed.model.errors import InvalidValueError, QuotaError
from pulsed.model.policies import Quota, Quotas, Sharing
from pulsed.testing.daemon_process import CONFIGS
from pulsed.testing.jobs import job
from pulsed.wire.roles import Role


def test_a_job_of_a_session_has_none() -> None:
    device = load_device(CONFIGS / "sim5.toml")
    check_submission(job(kinds=("schedule",), due=4e9), [b"x"], device, 17)
    with pytest.raises(InvalidValueError, match="a job of a session or batch has no due date") as refused:
        check_submission(job(kinds=("schedule",), due=4e9, session_id="mine"), [b"x"], device, 17)
    assert refused.value.subject.endswith(": due")


def test_it_counts_as_one_priority_more() -> None:
    store = SimpleNamespace()
    quotas = Quotas(users={"eve": Quota(priority=1)})
    accounts = Accounts(store, Sharing(), quotas, lambda _: Role.EXPERIMENTER)  # type: ignore[arg-type]
    accounts.check(job(priority=1), 100, 1.0, "eve")
    accounts.check(job(priority=0, due=4e9), 100, 1.0, "eve")
    with pytest.raises(QuotaError, match="a higher priority than this user may ask for"):
        accounts.check(job(priority=1, due=4e9), 100, 1.0, "eve")
