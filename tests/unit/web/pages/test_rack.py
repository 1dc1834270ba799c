from pathlib import Path

import pytest

import pulsed.configs
from pulsed.model.device import load_device
from pulsed.model.errors import InstrumentUnreachableError
from pulsed.web.pages.rack import instrument_cards, port_rows
from pulsed.wire.messages import InstrumentStatus, Status

CONFIGS = Path(pulsed.configs.__file__).parent
LOST = InstrumentUnreachableError("does not answer", subject="instrument sgs1").to_info()


@pytest.fixture(scope="module")
def device():
    return load_device(CONFIGS / "sim5.toml")


@pytest.fixture(scope="module")
def status(device):
    found = {name: InstrumentStatus(f"maker,model,{name},1.0") for name in device.instruments}
    return Status("sim5", "0.2.0", True, instruments={**found, "sgs1": InstrumentStatus(error=LOST)})


def test_what_is_lost_comes_first_and_each_says_what_it_is_for(device, status):
    cards = instrument_cards(device, status)
    assert {card.name for card in cards} == set(device.instruments)
    assert (cards[0].name, cards[0].state) == ("sgs1", "lost")
    by_name = {card.name: card for card in cards}
    assert by_name["awg1"].state == "up"
    assert by_name["awg1"].roles == "4 outputs"
    assert by_name["sgs1"].roles == "LO drive"
    assert by_name["sgs1"].settings == ("frequency", "power")


def test_an_instrument_that_nobody_has_seen_is_not_said_to_answer(device):
    assert {card.state for card in instrument_cards(device, Status("sim5", "0.2.0", False))} == {"unknown"}


def test_every_port_has_its_oscillator_and_its_qubits(device, status):
    rows = {row.name: row for row in port_rows(device, status)}
    assert set(rows) == set(device.ports)
    assert (rows["d0"].qubits, rows["d0"].oscillator, rows["d0"].frequency) == ("Q0", "drive", 5.1e9)
    assert rows["ro"].qubits == "Q0 Q1 Q2 Q3 Q4"
    assert rows["d0"].up
    lost = Status("sim5", "0.2.0", True, instruments={"awg1": InstrumentStatus("a,b,c,d", error=LOST)})
    assert not {row.name: row for row in port_rows(device, lost)}["d0"].up
