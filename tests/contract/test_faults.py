"""Fault matrix: instruments × faults on the rack's process; each ends in its named error in time, then all is well."""

import itertools
import json
import time

import pytest

from pulsed.cli.main import invoke
from pulsed.drivers.contract import BiasSettings, InstrumentState, after
from pulsed.drivers.instruments.keysight.n9030b import SpectrumSweep
from pulsed.drivers.rack import connections
from pulsed.drivers.rack.rack import Rack
from pulsed.model.errors import (
    InstrumentDataError,
    InstrumentError,
    InstrumentOverheatedError,
    InstrumentOverrangeError,
    InstrumentReferenceLostError,
    InstrumentRefusedError,
    InstrumentTimeoutError,
    InstrumentTriggerMissedError,
    InstrumentUnreachableError,
    WrongInstrumentError,
)
from pulsed.simulator.instruments.fault_board import KINDS
from pulsed.testing.chunks import make_chunk

PLAYERS = ("awg1", "awg2", "digitizer")
ALL = (*PLAYERS, "sgs1", "sgs2")
SECONDS = 2.0
"""Deadline of a chunk; one that is well takes a tenth of it."""
LATE = 3.5
PATIENCE = 20.0
"""Seconds within which an error comes on a loaded machine, too; the usual deadline of a chunk is a minute."""
ERRORS = {
    "silent": (ALL, InstrumentTimeoutError),
    "late": (ALL, InstrumentTimeoutError),
    "drop": (PLAYERS, InstrumentUnreachableError),
    "short": (("digitizer",), InstrumentDataError),
    "errors": (ALL, InstrumentRefusedError),
    "overheat": (ALL, InstrumentOverheatedError),
    "reference": (ALL, InstrumentReferenceLostError),
    "trigger": (PLAYERS, InstrumentTriggerMissedError),
    "overrange": (("digitizer",), InstrumentOverrangeError),
    "reboot": (ALL, InstrumentUnreachableError),
    "firmware": (ALL, WrongInstrumentError),
}
MATRIX = [(name, kind, error) for kind, (names, error) in ERRORS.items() for name in names]


numbers = itertools.count(1)


@pytest.fixture
def rack(rack_process, monkeypatch):
    monkeypatch.setattr(connections, "_SAFE_SECONDS", 0.3)
    rack = Rack(rack_process.device)
    rack.connect(after(5))
    yield rack
    rack_process.ask("clear")
    rack.close()


def new_chunk(device):
    """Return a chunk whose tables and list nobody holds yet, so that blocks travel to every instrument."""
    number = next(numbers)
    return make_chunk(device, (0.1 + 1e-3 * number,), shots=20 + number)


def provoke(rack):
    """Return the error that ends the next chunk."""
    with pytest.raises(InstrumentError) as caught:
        rack.play(new_chunk(rack.device), deadline=after(SECONDS))
    return caught.value


@pytest.mark.parametrize(("name", "kind", "expected"), MATRIX, ids=[f"{kind}-{name}" for name, kind, _ in MATRIX])
def test_each_fault_is_its_named_error_in_time_and_then_all_is_well(rack, rack_process, name, kind, expected):
    rack.play(new_chunk(rack.device))
    seconds = {"seconds": LATE} if kind == "late" else {}
    answer = rack_process.ask("fault", instrument=name, kind=kind, **seconds)
    assert answer["ok"], answer
    began = time.monotonic()
    error = provoke(rack)
    assert time.monotonic() - began < PATIENCE
    if kind == "firmware":
        assert isinstance(error, InstrumentUnreachableError)
        with pytest.raises(InstrumentError) as caught:
            rack.reconnect(after(SECONDS))
        error = caught.value
        assert "2.0.0" in error.value
    assert type(error) is expected, error
    assert error.subject == f"instrument {name}"
    rack_process.ask("clear", instrument=name)
    rack.reconnect(after(5))
    results, _, _ = rack.play(new_chunk(rack.device))
    assert not results[0].overrange
    assert not any(rack_process.ask("faults")["result"].values())


BESIDE = {"silent": InstrumentTimeoutError, "late": InstrumentTimeoutError, "drop": InstrumentUnreachableError,
          "short": InstrumentDataError, "errors": InstrumentRefusedError, "overheat": InstrumentOverheatedError,
          "reference": InstrumentReferenceLostError, "reboot": InstrumentUnreachableError}  # fmt: skip
ASKS = {
    "sa": lambda driver, deadline: (driver.status(deadline), driver.sweep(SpectrumSweep("d0", 5e9, 5.2e9), deadline)),
    "bias": lambda driver, deadline: (driver.status(deadline), driver.configure(BiasSettings(1e-3, 0.01), deadline)),
}


@pytest.mark.parametrize("kind", BESIDE)
@pytest.mark.parametrize("name", ASKS)
def test_the_instruments_beside_the_run_too(rack, rack_process, name, kind):
    """The analyser and the bias source, which no run asks."""
    driver, ask = rack.drivers[name], ASKS[name]
    ask(driver, after(5))
    answer = rack_process.ask("fault", instrument=name, kind=kind)
    if not answer["ok"]:
        assert (name, kind) in {("bias", "drop"), ("bias", "short"), ("bias", "reference")}
        return
    began = time.monotonic()
    with pytest.raises(InstrumentError) as caught:
        ask(driver, after(1))
    assert time.monotonic() - began < PATIENCE
    assert type(caught.value) is BESIDE[kind]
    assert caught.value.subject == f"instrument {name}"
    rack_process.ask("clear", instrument=name)
    rack.reconnect(after(5))
    ask(driver, after(5))


@pytest.mark.parametrize("name", [*ALL, *ASKS])
def test_entries_that_others_left_in_the_error_queue_are_logged_and_no_fault_of_connect(
    rack, rack_process, name, caplog
):
    driver = rack.drivers[name]
    driver.close()
    rack_process.ask("fault", instrument=name, kind="errors")
    driver.connect(after(5))
    assert driver.status(after(5)) is InstrumentState.IDLE
    assert f"instrument {name}: its error queue had entries" in caplog.text
    assert "nobody asked for entry 0" in caplog.text


def test_every_kind_is_in_the_matrix():
    assert set(ERRORS) == set(KINDS)


@pytest.mark.parametrize("kind", ["overheat", "reference"])
@pytest.mark.parametrize("name", ["awg1", "sgs2"])
def test_a_lasting_condition_is_an_error_again_and_again(rack, rack_process, name, kind):
    rack_process.ask("fault", instrument=name, kind=kind)
    assert [type(provoke(rack)) for _ in range(2)] == [ERRORS[kind][1]] * 2


def test_a_reboot_forgets(rack, rack_process):
    chunk = new_chunk(rack.device)
    rack.play(chunk)
    epoch = rack.drivers["awg1"].epoch
    rack_process.ask("fault", instrument="awg1", kind="reboot", seconds=0.5)
    with pytest.raises(InstrumentUnreachableError):
        rack.connect(after(0.2))
    rack.reconnect(after(5))
    assert rack.drivers["awg1"].session.query("SEQ:CAT?", after(1)) == ""
    rack.play(chunk)
    assert rack.drivers["awg1"].epoch != epoch


def test_a_late_instrument_is_late_but_right_when_there_is_time(rack, rack_process):
    rack_process.ask("fault", instrument="awg2", kind="late", seconds=0.05)
    began = time.monotonic()
    results, _, _ = rack.play(new_chunk(rack.device))
    assert results[0].shots
    assert time.monotonic() - began > 0.1


def test_overrange_below_level_2_is_told_in_the_result(rack, rack_process):
    rack_process.ask("fault", instrument="digitizer", kind="overrange")
    results, _, _ = rack.play(make_chunk(rack.device, meas_level=1))
    assert results[0].overrange


@pytest.mark.parametrize(
    ("request_", "subject", "legal"),
    [
        ({"instrument": "awg9", "kind": "silent"}, "instrument", "awg1, awg2, digitizer, sgs1, sgs2, sa, bias"),
        ({"instrument": "sgs1", "kind": "trigger"}, "kind", "silent, late, errors"),
        ({"instrument": "sgs1", "kind": ["silent"]}, "kind", "silent, late, errors"),
        ({"instrument": "sgs1"}, "kind", "silent, late, errors"),
        ({"instrument": "sgs1", "kind": "late", "seconds": -1}, "seconds", "above 0"),
        ({"instrument": "sgs1", "kind": "late", "seconds": True}, "seconds", "above 0"),
        ({"instrument": "sgs1", "kind": "silent", "seconds": 1}, "seconds", "none"),
    ],
)
def test_a_bad_request_says_what_is_legal_and_changes_nothing(rack_process, request_, subject, legal):
    answer = rack_process.ask("fault", **request_)
    assert answer["error"]["code"] == "invalid_value"
    assert answer["error"]["subject"] == subject
    assert answer["error"]["legal"].startswith(legal)
    assert not any(rack_process.ask("faults")["result"].values())


def test_the_command_line_sets_shows_and_clears(rack_process, capsys):
    control = ["--control", rack_process.control]
    assert invoke(["rack", "fault", "sgs1", "late", "--seconds", "3", *control]) == 0
    assert "sgs1         late (3 s)" in capsys.readouterr().out
    assert invoke(["rack", "fault", "awg1", "silent", *control]) == 0
    capsys.readouterr()
    assert invoke(["rack", "faults", "--json", *control]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["sgs1"], found["awg1"], found["awg2"]) == ({"late": 3.0}, {"silent": 0.0}, {})
    assert invoke(["rack", "clear", "sgs1", *control]) == 0
    assert "awg1         silent" in capsys.readouterr().out
    assert invoke(["rack", "clear", *control]) == 0
    assert capsys.readouterr().out.count("no fault") == len(found)
    assert invoke(["rack", "fault", "awg1", "explode", *control]) == 1
    assert "silent" in capsys.readouterr().err
