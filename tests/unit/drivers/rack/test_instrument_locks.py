"""One holder per instrument, however it is addressed, until the holder has gone."""

import os
import subprocess
import sys
import tempfile
import threading
import time

import pytest

from pulsed.drivers.contract import after
from pulsed.drivers.rack.instrument_locks import InstrumentLocks
from pulsed.model.errors import InstrumentTakenError


@pytest.fixture
def addresses():
    port = 20000 + os.getpid() % 20000
    return {"awg1": f"TCPIP::127.0.0.1::{port}::SOCKET", "lo": f"TCPIP::127.0.0.1::{port + 1}::SOCKET"}


def test_the_second_is_refused_by_the_name_of_the_first(addresses):
    first, second = InstrumentLocks(addresses), InstrumentLocks({"mine": addresses["lo"], "other": "GPIB0::7::INSTR"})
    first.take("the daemon in /srv/a, process 7", after(5))
    first.take("the daemon in /srv/a, process 7", after(5))
    with pytest.raises(InstrumentTakenError, match=r"instrument mine: .*held by the daemon in /srv/a, process 7"):
        second.take("the daemon in /srv/b, process 8", after(0))
    first.release()
    second.take("the daemon in /srv/b, process 8", after(5))
    with pytest.raises(InstrumentTakenError, match=r"instrument lo: .*held by the daemon in /srv/b, process 8"):
        first.take("the daemon in /srv/a, process 7", after(0))
    third = InstrumentLocks({"awg1": addresses["awg1"]})
    third.take("a third", after(0))  # who gets not all has none
    for locks in (second, third):
        locks.release()


@pytest.mark.parametrize("other", ["TCPIP0::localhost::{port}::SOCKET", "TCPIP::127.0.0.1::hislip0,{port}::INSTR"])
def test_another_address_of_the_same_instrument_is_the_same(addresses, other):
    first = InstrumentLocks(addresses)
    first.take("first", after(5))
    second = InstrumentLocks({"again": other.format(port=addresses["awg1"].split("::")[2])})
    with pytest.raises(InstrumentTakenError, match="held by first"):
        second.take("second", after(0))
    first.release()
    second.take("second", after(5))
    second.release()


def test_a_holder_that_is_killed_leaves_nothing_behind_and_is_waited_for(addresses):
    code = (
        "import sys, time; from pulsed.drivers.rack.instrument_locks import InstrumentLocks;"
        "locks = InstrumentLocks({'x': sys.argv[1]}); locks.take('child', time.monotonic() + 60);"
        "print('held', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code, addresses["awg1"]], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        locks = InstrumentLocks(addresses)
        began = time.monotonic()
        with pytest.raises(InstrumentTakenError, match="held by child"):
            locks.take("me", after(0.2))
        assert time.monotonic() - began >= 0.2
        child.kill()
        locks.take("me", after(60))
        locks.release()


def test_a_lock_that_was_let_go_leaves_no_file(addresses, tmp_path, monkeypatch):
    tmp_path.chmod(0o777)
    monkeypatch.setattr("pulsed.drivers.rack.instrument_locks._PLACES", (tmp_path,))
    locks = InstrumentLocks(addresses)
    for _ in range(2):
        locks.take("me", after(5))
        assert {path.read_text() for path in tmp_path.iterdir()} == {"me"}
        locks.release()
        assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_removed_meanwhile_is_no_lock(addresses, tmp_path, monkeypatch):
    """Who waits has the old file open when it is let go: only the file that all find from now on counts."""
    tmp_path.chmod(0o777)
    monkeypatch.setattr("pulsed.drivers.rack.instrument_locks._PLACES", (tmp_path,))
    first = InstrumentLocks(addresses)
    first.take("first", after(5))
    waits = threading.Thread(target=(second := InstrumentLocks(addresses)).take, args=("second", after(60)))
    waits.start()
    time.sleep(0.2)
    first.release()
    waits.join(60)
    with pytest.raises(InstrumentTakenError, match="held by second"):
        first.take("first", after(0))
    second.release()


def test_users_with_temporary_directories_of_their_own_see_each_others_locks(addresses, tmp_path, monkeypatch):
    """Where only some may write to the first place, the second one serves all."""
    some, everybody = tmp_path / "lock", tmp_path / "tmp"
    some.mkdir(0o755)
    everybody.mkdir()
    everybody.chmod(0o1777)
    monkeypatch.setattr("pulsed.drivers.rack.instrument_locks._PLACES", (some, everybody))
    first, second = InstrumentLocks(addresses), InstrumentLocks(addresses)
    for name, locks in (("root", first), ("user", second)):
        own = tmp_path / name
        own.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(own))
        if locks is first:
            locks.take(name, after(5))
        else:
            with pytest.raises(InstrumentTakenError, match="held by root"):
                locks.take(name, after(0))
    first.release()
