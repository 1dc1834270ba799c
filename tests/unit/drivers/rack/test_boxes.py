"""One instrument with several roles: outputs, inputs and the LOs of both in one box."""

import numpy as np
import pytest

from pulsed.compiler.program import PortSettings
from pulsed.drivers.contract import Capabilities, OutputSettings, after
from pulsed.drivers.kinds import GENERATORS, TRANSCEIVERS
from pulsed.drivers.programs import Playback, Recording, Transceived
from pulsed.drivers.rack.connections import Connections
from pulsed.drivers.rack.partition import partition_chunk
from pulsed.drivers.rack.rack import Rack
from pulsed.drivers.rack.steps import validate
from pulsed.drivers.rack.validation import load_rack
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import ConfigError, InstrumentLimitError, InvalidValueError
from pulsed.model.rules import wiring_problems
from pulsed.testing.chunks import make_chunk

from .conftest import FakeAwg, FakeDigitizer


class FakeBox(FakeAwg, FakeDigitizer):
    capabilities = Capabilities(
        trigger_input=True, pair_numbers=(21, 22, 41, 42), input_numbers=(41,), branching=True, late_parameters=True,
        lo_frequency=(2e9, 18.5e9), modes=("integrate",),
    )  # fmt: skip
    work = None

    def upload(self, work, deadline):
        self.work = work
        return super().upload(work, deadline)


def boxed(device, *, los=True, inputs=True):
    """Return ``device`` with what plays (and records, and mixes) in one box, whose outputs are numbered by slot."""
    box = {"instrument": "awg1"}
    pairs = {"d0": 21, "d1": 22, "ro": 41, "f0": 42, "in": 41}
    ports = {
        name: port.model_copy(update={"pair": pairs[name], **(box if inputs or name != "in" else {"pair": 1})})
        for name, port in device.ports.items()
    }
    fields = {"ports": ports}
    if los:
        data = {name: {"frequency": item.frequency, **box} for name, item in device.oscillators.items()}
        fields["oscillators"] = {n: type(device.oscillators[n]).model_validate(v) for n, v in data.items()}
    unused = {"digitizer"} if inputs else set()
    unused |= {"sgs1", "sgs2"} if los else set()
    fields["instruments"] = {n: item for n, item in device.instruments.items() if n not in unused}
    return device.model_copy(update=fields)


@pytest.fixture
def box(lab):
    lab.classes["awg"] = FakeBox
    lab.device = boxed(lab.device)
    return lab


def test_a_description_may_use_one_instrument_in_several_roles(box):
    assert wiring_problems(box.device) == []
    loaded = load_rack(box.device)
    assert loaded.problems == []
    assert loaded.kinds["awg1"] == TRANSCEIVERS
    assert list(loaded.generators) == list(loaded.digitizers) == ["awg1"]


def test_acquisitions_of_a_box_are_recorded(box):
    """They were dropped in silence: an instrument with an output was an AWG, whatever inputs it had."""
    programs = partition_chunk(make_chunk(box.device), box.device)
    recording = programs.recordings["awg1"]
    assert recording.rows["qubit"].tolist() == [0, 1]
    assert {recording.pairs[slot] for slot in recording.rows["slot"].tolist()} == {41}
    assert set(programs.playbacks["awg1"].events["pair"].tolist()) == {21, 22, 41}
    work = programs.work["awg1"]
    assert isinstance(work, Transceived)
    assert (work.playback, work.recording) == (programs.playbacks["awg1"], recording)


def test_an_lo_inside_is_set_with_what_is_played(box):
    """It ended as a bare KeyError: the box counted as a source, and its playback had no driver."""
    connections = Connections(box.device)
    try:
        chunk = make_chunk(box.device, los={"drive": (4.3e9, 10.0)})
        programs = partition_chunk(chunk, box.device)
        validated = validate(connections, chunk, programs)
        assert "awg1" not in [driver.name for driver, _ in validated.settings]
    finally:
        connections.close()
    readout = box.device.oscillators["readout"].frequency
    assert programs.playbacks["awg1"].los == {21: 4.3e9, 22: 4.3e9, 41: readout}, "not that of the flux line"
    assert programs.recordings["awg1"].los == {41: readout}


def test_a_box_is_configured_uploaded_armed_and_fetched_once(box):
    rack = Rack(box.device)
    rack.connect(after(1))
    box.log.clear()
    results, _, _ = rack.play(make_chunk(box.device, meas_level=1))
    steps = ("validate", "configure", "upload", "arm", "start", "fetch")
    assert [method for name, method in box.did(*steps) if name == "awg1"] == list(steps)
    driver = rack.drivers["awg1"]
    assert isinstance(driver.work, Transceived)
    assert driver.settings == OutputSettings(
        dict.fromkeys((21, 22, 41, 42), PortSettings()),
        {21: 4.25e9, 22: 4.25e9, 41: 7.05e9}, {41: 7.05e9},
    )  # fmt: skip
    assert len(results) == 1
    rack.close()


def test_a_box_whose_inputs_are_not_used_is_an_awg(lab):
    lab.classes["awg"] = FakeBox
    lab.device = boxed(lab.device, inputs=False, los=False)
    loaded = load_rack(lab.device)
    assert (loaded.problems, loaded.kinds["awg1"]) == ([], GENERATORS)
    programs = partition_chunk(make_chunk(lab.device), lab.device)
    assert isinstance(programs.work["awg1"], Playback)
    assert isinstance(programs.work["digitizer"], Recording)
    assert programs.playbacks["awg1"].los == {}


def test_a_driver_that_is_not_of_a_box_is_refused_by_the_port(lab):
    lab.device = boxed(lab.device, los=False)
    (problem,) = [p for p in load_rack(lab.device).problems if p.subject == "ports.in.instrument"]
    assert "not that of a box with both outputs and inputs" in problem.message
    assert "ports.d0" in problem.message


def test_a_driver_without_an_lo_inside_is_refused_by_the_oscillator(lab):
    lab.device = boxed(lab.device, inputs=False).model_copy(
        update={"instruments": {n: i for n, i in lab.device.instruments.items() if n not in ("sgs1", "sgs2")}}
    )
    problems = {problem.subject: problem for problem in load_rack(lab.device).problems}
    assert "has no LO inside" in problems["oscillators.drive.instrument"].message


def changed(device: DeviceDescription, **fields: object) -> DeviceDescription:
    drive = type(device.oscillators["drive"]).model_validate({"instrument": "awg1", "frequency": 4.25e9, **fields})
    return device.model_copy(update={"oscillators": {**device.oscillators, "drive": drive}})


@pytest.mark.parametrize(
    ("fields", "key", "legal"),
    [
        ({"frequency": 1.0e9}, "frequency", "2 GHz to 18.5 GHz"),
        ({"power": 3.0}, "power", "none"),
        ({"max_power": 3.0}, "max_power", "none"),
    ],
)
def test_what_the_lo_inside_cannot_do_is_refused(box, fields, key, legal):
    problems = {problem.subject: problem for problem in load_rack(changed(box.device, **fields)).problems}
    assert problems[f"oscillators.drive.{key}"].legal == legal


def test_a_job_cannot_set_the_power_of_an_lo_inside(box):
    with pytest.raises(InstrumentLimitError, match="power of oscillator drive") as caught:
        partition_chunk(make_chunk(box.device, los={"drive": (4.25e9, 3.0)}), box.device)
    assert (caught.value.subject, caught.value.value) == ("instrument awg1", "3 dBm")


def test_an_lo_inside_mixes_its_own_ports_alone(lab):
    """``drive`` inside of the digitizer, whose ports do not name it; and one that is another box's."""
    for instrument, why in (("digitizer", "is another's"), ("awg1", None)):
        item = lab.device.oscillators["drive"].model_copy(update={"instrument": instrument})
        device = lab.device.model_copy(update={"oscillators": {**lab.device.oscillators, "drive": item}})
        found = [p for p in wiring_problems(device) if p.subject == "oscillators.drive.instrument"]
        assert [why in p.message for p in found] == ([True] if why else [])
    unused = lab.device.model_copy(update={"oscillators": {**lab.device.oscillators, "third": item}})
    assert any("none of them names it" in problem.message for problem in wiring_problems(unused))


def test_pairs_are_those_that_the_box_has(box):
    ports = {**box.device.ports, "d0": box.device.ports["d0"].model_copy(update={"pair": 23})}
    ports["in"] = ports["in"].model_copy(update={"pair": 42})
    problems = {p.subject: p for p in load_rack(box.device.model_copy(update={"ports": ports})).problems}
    assert problems["ports.d0.pair"].legal == "21, 22, 41, 42"
    assert problems["ports.in.pair"].legal == "41"


def test_two_ports_of_one_direction_share_no_pair(box):
    ports = {**box.device.ports, "d0": box.device.ports["d0"].model_copy(update={"pair": 22})}
    problems = wiring_problems(box.device.model_copy(update={"ports": ports}))
    assert [problem.subject for problem in problems] == ["ports.d1.pair"]


def test_the_front_panel_sets_nothing_of_a_box(box):
    rack = Rack(box.device)
    rack.connect(after(1))
    with pytest.raises(InvalidValueError) as caught:
        rack.front_panel("awg1", {"oscillators.drive.frequency": 4.3e9}, "", after(1))
    assert caught.value.legal == "nothing of this instrument"
    rack.close()


def test_a_box_leads(box):
    """A port of its inputs that comes last does not make a digitizer of it, which nobody could wait for."""
    assert list(box.device.ports)[-1] == "in"
    described = box.device.instruments["awg1"]
    awg2 = described.model_copy(update={"trigger": "awg1", "address": "TCPIP::192.0.2.9::1::SOCKET"})
    ports = {**box.device.ports, "d0": box.device.ports["d0"].model_copy(update={"instrument": "awg2", "pair": 1})}
    ports = {"d0": ports.pop("d0"), **ports}
    instruments = {**box.device.instruments, "awg2": awg2}
    device = box.device.model_copy(update={"ports": ports, "instruments": instruments})
    assert [p for p in wiring_problems(device) if "trigger" in p.subject] == []


def test_its_samples_are_those_of_the_same_ports_on_instruments_of_their_own(lab):
    """What is played does not depend on how many boxes it comes from."""
    apart = partition_chunk(make_chunk(lab.device), lab.device)
    one = boxed(lab.device)
    together = partition_chunk(make_chunk(one), one)
    names = [name for name in apart.playbacks["awg1"].events.dtype.names if name != "pair"]
    assert np.array_equal(apart.playbacks["awg1"].events[names], together.playbacks["awg1"].events[names])
    assert np.array_equal(apart.recordings["digitizer"].rows, together.recordings["awg1"].rows)


def test_a_driver_of_no_kind_is_still_refused(box):
    box.classes["awg"] = FakeAwg
    with pytest.raises(ConfigError, match="not that of a box"):
        Connections(box.device)
