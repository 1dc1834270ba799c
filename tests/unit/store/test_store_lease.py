"""The lease: one daemon at a time writes to a store."""

from __future__ import annotations

import pytest

from pulsed.model.errors import PulsedError, from_info
from pulsed.model.rack_address import RackAddress
from pulsed.store import LeaseError, LeaseLostError, Store


def opened(url: str, holder: str, now: float, rack: str = "sim5") -> Store:
    store = Store(url, rack, lease_seconds=10.0)
    store.open(now, holder)
    return store


def test_a_rack_has_one_holder(url):
    first = opened(url, "first", 100.0)
    with pytest.raises(LeaseError, match=r"0\.5 s more") as caught:
        opened(url, "second", 109.5)
    assert caught.value.value == "first"
    assert caught.value.code == "lease"
    first.close()
    opened(url, "second", 109.5).close()


def test_renewal_keeps_and_expiry_frees(url):
    first = opened(url, "first", 100.0)
    first.renew(108.0)
    with pytest.raises(LeaseError):
        opened(url, "second", 117.9)
    opened(url, "second", 118.0).close()
    first.close()


def test_a_daemon_that_was_replaced_writes_nothing(url, make_job):
    first = opened(url, "first", 0.0)
    first.add_jobs([(make_job("a"), b"")], 0.0)
    second = opened(url, "second", 11.0)
    writes = (
        lambda: first.add_jobs([(make_job("b"), b"")], 11.0),
        lambda: first.update("a", name="late"),
        lambda: first.save_chunk("a", 0, b"late", 11.0),
        lambda: first.renew(11.0),
        lambda: first.set_current_calibration("x", 11.0),
    )
    for write in writes:
        with pytest.raises(LeaseLostError) as caught:
            write()
        assert caught.value.code == "lease_lost"
    first.close()
    assert [job.name for job in second.jobs()] == [""]
    assert second.chunk_numbers("a") == []
    second.renew(12.0)
    with pytest.raises(LeaseError):
        opened(url, "third", 21.0)
    second.close()


def test_the_same_holder_retakes_and_its_old_self_is_fenced_off(url, make_job):
    old = opened(url, "daemon", 0.0)
    new = opened(url, "daemon", 1.0)
    with pytest.raises(LeaseLostError):
        old.add_jobs([(make_job("a"), b"")], 1.0)
    old.close()
    new.add_jobs([(make_job("a"), b"")], 1.0)
    with pytest.raises(LeaseError):
        opened(url, "another", 2.0)
    new.close()


def test_racks_have_leases_of_their_own(url):
    first, second = opened(url, "first", 0.0, "one"), opened(url, "second", 0.0, "two")
    first.close()
    second.close()


def test_a_refused_store_can_be_opened_later(url):
    first = opened(url, "first", 0.0)
    second = Store(url, "sim5")
    with pytest.raises(LeaseError):
        second.open(1.0, "second")
    first.close()
    second.open(1.0, "second")
    second.close()


def test_the_errors_survive_the_wire():
    for kind in (LeaseError, LeaseLostError):
        copy = from_info(kind("m", subject="s", value="v").to_info())
        assert type(copy) is kind
        assert isinstance(copy, PulsedError)


def test_opening_an_open_store_takes_the_lease_anew(url, make_job):
    store = opened(url, "daemon", 0.0)
    store.open(5.0, "daemon")
    store.add_jobs([(make_job("a"), b"")], 5.0)
    with pytest.raises(LeaseError, match=r"1\.0 s more"):
        opened(url, "second", 14.0)
    store.close()


def test_the_racks_of_a_database_know_where_each_other_are(url):
    first, second = opened(url, "first", 100.0, "one"), opened(url, "second", 100.0, "two")
    first.announce("tcp://192.0.2.1:5810", "a" * 40)
    second.announce("tcp://192.0.2.2:5810", "b" * 40)
    first.announce("tcp://192.0.2.3:5810", "c" * 40)
    expected = [RackAddress("one", "tcp://192.0.2.3:5810", "c" * 40, True)]
    assert first.racks(109.0) == [*expected, RackAddress("two", "tcp://192.0.2.2:5810", "b" * 40, True)]
    second.renew(105.0)
    assert [rack.alive for rack in first.racks(112.0)] == [False, True]
    second.close()
    assert [rack.alive for rack in first.racks(109.0)] == [True, False]
    first.close()
