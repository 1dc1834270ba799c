"""What is known of instruments: which keep their phase, which have to be connected again, what is told."""

from __future__ import annotations

from pulsed.daemon.workers.instrument_states import InstrumentStates, is_loss
from pulsed.model.errors import InstrumentMemoryLostError, InstrumentReferenceLostError, InstrumentUnreachableError

UNLOCKED = InstrumentReferenceLostError("no reference", subject="instrument b").to_info()
REBOOTED = InstrumentMemoryLostError("was restarted", subject="instrument a").to_info()


def connected() -> InstrumentStates:
    states = InstrumentStates(["a", "b"])
    states.connected({"a": "A", "b": "B"}, 10.0)
    return states


def since(states: InstrumentStates) -> dict[str, float]:
    return {name: status.since for name, status in states.status().items()}


def test_an_instrument_that_was_not_lost_keeps_its_time() -> None:
    states = connected()
    states.lost(InstrumentUnreachableError("nothing answers", subject="instrument a").to_info())
    told = states.status()
    assert (told["a"].identity, told["a"].since, told["a"].error) == ("", 0.0, states.error)
    assert told["b"].error is None
    states.connected({"a": "A", "b": "B"}, 20.0)
    assert since(states) == {"a": 20.0, "b": 10.0}
    assert states.error is None
    states.connected({"a": "A", "b": "another"}, 30.0)
    assert since(states) == {"a": 20.0, "b": 30.0}


def test_a_lost_reference_is_told_and_moves_the_phase_twice() -> None:
    states = connected()
    assert states.checked({"b": UNLOCKED}, 20.0) == ({"b": UNLOCKED}, True)
    assert states.status()["b"].error == UNLOCKED
    assert states.checked({"b": UNLOCKED}, 25.0) == ({}, False)
    assert since(states) == {"a": 10.0, "b": 20.0}
    assert states.checked({}, 30.0) == ({}, True)
    assert since(states) == {"a": 10.0, "b": 30.0}
    assert states.status()["b"].error is None


def test_what_lost_its_settings_has_no_identity_until_it_is_connected_again() -> None:
    assert is_loss(REBOOTED)
    assert not is_loss(UNLOCKED)
    states = connected()
    assert states.checked({"a": REBOOTED}, 20.0) == ({"a": REBOOTED}, False)
    assert states.status()["a"].identity == ""
    states.connected({"a": "A", "b": "B"}, 21.0)
    assert since(states) == {"a": 21.0, "b": 10.0}
