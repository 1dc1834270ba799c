"""What is refused above a quota: with the value and the limit."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pulsed.daemon.jobs.accounts import Accounts
from pulsed.daemon.jobs.quotas import Demand, Demands, check_quota
from pulsed.daemon.jobs.usage import Day
from pulsed.model.errors import QuotaError
from pulsed.model.policies import Quota, Quotas, RoleQuotas, RoleShares, Sharing
from pulsed.model.queue import UserQuota
from pulsed.testing.jobs import job
from pulsed.wire.roles import Role

JOB = Demand(1, 10.0, 1000)
QUEUED, TODAY = Demand(3, 40.0, 5000), Day(20_000, 50.0, 4000)


def check(quota: Quota, **fields: object) -> None:
    given = {"shots": 500, "priority": 2, "queued": QUEUED, "today": TODAY} | fields
    check_quota("eve", quota, JOB, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("quota", "within", "beyond", "value"),
    [("jobs", 4, 3, "4"), ("shots", 500, 499, "500"), ("rack_seconds", 100.0, 99.0, "100 s (1.7 min) with this job"),
     ("bytes", 10_000, 9_999, "10000 with this job: 4000 used, 5000 queued"), ("priority", 2, 1, "2")],
)  # fmt: skip
def test_each_quota_refuses_what_is_above_it(quota: str, within: float, beyond: float, value: str) -> None:
    check(Quota())
    check(Quota(**{quota: within}))
    with pytest.raises(QuotaError) as caught:
        check(Quota(**{quota: beyond}))
    assert caught.value.subject == f"key eve: quota {quota}"
    assert caught.value.value.startswith(value)
    assert f"{beyond:g}" in caught.value.legal


def test_a_users_own_quota_counts_in_place_of_that_of_the_role() -> None:
    quotas = Quotas(
        roles=RoleQuotas(experimenter=Quota(jobs=5, shots=100)), users={"eve": Quota(jobs=50), "ann": Quota(shots=None)}
    )
    assert quotas.of("eve", "experimenter") == Quota(jobs=50, shots=100)
    assert quotas.of("ann", "experimenter") == Quota(jobs=5), "a user's none is none"
    assert quotas.of("bob", "experimenter") == Quota(jobs=5, shots=100)
    assert quotas.of("bob", "") == quotas.of("bob", "admin") == Quota()
    sharing = Sharing(users={"eve": 3.0}, roles=RoleShares(experimenter=0.5))
    assert [sharing.weight(user, "experimenter") for user in ("eve", "bob")] == [3.0, 0.5]
    assert sharing.weight("bob", "") == 1.0


def test_what_is_queued_is_counted_once() -> None:
    loads = Demands()
    loads.enter("1", "eve", JOB)
    loads.enter("1", "eve", JOB)
    loads.enter("2", "eve", JOB)
    assert loads.of("eve") == Demand(2, 20.0, 2000)
    loads.leave("1")
    loads.leave("1")
    assert loads.of("eve") == JOB
    loads.leave("2")
    assert loads.of("eve") == Demand()


def test_users_are_listed_with_what_they_have_queued_and_may() -> None:
    quotas = Quotas(roles=RoleQuotas(experimenter=Quota(jobs=7, rack_seconds=60.0)), users={"eve": Quota(jobs=2)})
    store = SimpleNamespace(write_later=lambda *_: None)
    roles = {"eve": Role.EXPERIMENTER, "bob": Role.OPERATOR}
    accounts = Accounts(store, Sharing(), quotas, roles.get)  # type: ignore[arg-type]
    accounts.charge("bob", 12.0, 500)
    request = job(num_programs=3, shots=100)
    accounts.demands.enter("1", "eve", Accounts.demand(request, 1000, 5.0))
    bob, eve = accounts.listed()
    assert (bob.user, bob.role, bob.today, bob.bytes_today, bob.jobs, bob.quota) == (
        "bob", "operator", 12.0, 500, 0, UserQuota(),
    )  # fmt: skip
    assert (eve.user, eve.role, eve.jobs, eve.queued_seconds, eve.queued_shots) == ("eve", "experimenter", 1, 5.0, 300)
    assert eve.queued_bytes >= 1000
    assert eve.quota == UserQuota(jobs=2, rack_seconds=60.0)
