"""The steps of a chunk: who is asked what, in which order, and what ends it."""

import time
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from pulsed.compiler.program import Block, Branch, Chunk
from pulsed.drivers.contract import Capabilities, after
from pulsed.drivers.rack import steps
from pulsed.drivers.rack.connections import Connections
from pulsed.drivers.rack.partition import partition_chunk
from pulsed.drivers.rack.steps import Watch, play, prepare, validate
from pulsed.model.errors import (
    InstrumentLimitError,
    InstrumentMemoryLostError,
    InstrumentOverheatedError,
    InstrumentOverrangeError,
    InstrumentTriggerMissedError,
)
from pulsed.testing.chunks import READOUT, make_chunk, swept_chunk


@pytest.fixture
def connections(lab):
    connections = Connections(lab.device)
    lab.log.clear()
    yield connections
    connections.close()


@pytest.fixture
def watch():
    reports = []
    return Watch(after(5), lambda stage, done: reports.append((stage, done)), {}), reports


def validated(connections, **changes):
    chunk = make_chunk(connections.device, **changes)
    return validate(connections, chunk, partition_chunk(chunk, connections.device))


def refused(name):
    return InstrumentLimitError("is too long", subject=f"instrument {name}")


def lost(name):
    return InstrumentMemoryLostError("what was uploaded is gone", subject=f"instrument {name}")


# --- validate --------------------------------------------------------------------------------------------------------


def test_each_driver_is_asked_and_nothing_else(connections, lab):
    validated(connections)
    assert lab.log == [(name, "validate") for name in ("awg1", "digitizer", "sgs1", "sgs2", "gs1")]


def test_one_refusal_is_its_own_error(connections, lab):
    lab.fails["gs1", "validate"] = [refused("gs1")]
    with pytest.raises(InstrumentLimitError) as caught:
        validated(connections)
    assert (caught.value.subject, caught.value.causes) == ("instrument gs1", ())


def test_all_that_refuse_are_named(connections, lab):
    for name in ("awg1", "digitizer", "sgs2"):
        lab.fails[name, "validate"] = [refused(name)]
    with pytest.raises(InstrumentLimitError) as caught:
        validated(connections)
    assert [cause.subject for cause in caught.value.causes] == [
        f"instrument {n}" for n in ("awg1", "digitizer", "sgs2")
    ]


def test_a_bug_of_a_driver_is_no_refusal(connections, lab):
    lab.fails["awg1", "validate"] = [ZeroDivisionError()]
    with pytest.raises(ZeroDivisionError):
        validated(connections)


def branching(device):
    """Return a chunk whose second block waits for a bit."""
    chunk = make_chunk(device)
    program = chunk.programs[0]
    (block,) = program.blocks
    blocks = (block, Block((0, 0), (0, 0), 800), Block((0, 1), (0, 0), 40, branch=Branch(0, 1)))
    new = msgspec.structs.replace(program, blocks=blocks, duration=block.duration + 840)
    return Chunk(msgspec.structs.replace(chunk.head, programs=(new,)), chunk.parts)


def test_what_an_instrument_cannot_branch_on_is_refused_by_each_that_cannot(connections, lab):
    chunk = branching(lab.device)
    programs = partition_chunk(chunk, lab.device)
    validate(connections, chunk, programs)
    for driver in connections.players.values():
        driver.capabilities = Capabilities(late_parameters=True)
    with pytest.raises(InstrumentLimitError, match="cannot branch on a measured bit") as caught:
        validate(connections, chunk, programs)
    assert [cause.subject for cause in caught.value.causes] == ["instrument awg1", "instrument digitizer"]
    assert caught.value.value == "program circuit-0"


def test_what_binds_no_parameters_refuses_a_program_that_has_some(connections, lab):
    chunk = make_chunk(lab.device)
    programs = partition_chunk(chunk, lab.device)
    bound = msgspec.structs.replace(chunk.programs[0], bindings=chunk.programs[0].parameters)
    chunk = Chunk(msgspec.structs.replace(chunk.head, programs=(bound,)), chunk.parts)
    validate(connections, chunk, programs)
    connections.digitizers["digitizer"].capabilities = Capabilities(branching=True)
    with pytest.raises(InstrumentLimitError, match="cannot bind parameters") as caught:
        validate(connections, chunk, programs)
    assert caught.value.subject == "instrument digitizer"


def test_a_bit_that_comes_too_late_is_refused(connections, lab):
    chunk = branching(lab.device)
    connections.generators["awg1"].capabilities = replace(lab.classes["awg"].capabilities, feedback_latency=801)
    with pytest.raises(InstrumentLimitError, match="has not come yet"):
        validate(connections, chunk, partition_chunk(chunk, lab.device))


def test_the_seconds_of_a_chunk_are_those_of_its_shots(connections):
    found = validated(connections, angles=(0.1, 0.2), shots=10)
    samples = 40 + READOUT + 24 + 500_000
    assert found.seconds(connections.device) == pytest.approx(2 * 10 * samples * 1e-9)


# --- prepare ---------------------------------------------------------------------------------------------------------


def test_configured_before_uploaded_before_armed_before_the_leader_is_started(connections, lab, watch):
    ready = validated(connections)
    lab.log.clear()
    prepared = prepare(connections, ready, watch[0])
    methods = [method for _, method in lab.log]
    assert methods == ["configure"] * 4 + ["upload"] * 2 + ["arm"] * 2
    assert sorted(lab.who("configure")) == ["awg1", "gs1", "sgs1", "sgs2"]
    assert sorted(lab.who("arm")) == ["awg1", "digitizer"]
    assert lab.who("start") == []
    assert {name: handle.instrument for name, handle in prepared.handles.items()} == {n: n for n in connections.players}
    assert watch[1] == [("upload", 0.0), ("upload", 1.0)]
    assert set(watch[0].times) == {"upload", "arm"}


def test_tables_are_read_back_when_asked_for(connections, lab, watch):
    prepare(connections, validated(connections), watch[0])
    assert lab.who("verify") == []
    prepare(connections, validated(connections), watch[0], verify=True)
    assert sorted(lab.who("verify")) == ["awg1", "digitizer"]


@pytest.mark.parametrize("method", ["upload", "arm"])
def test_what_lost_its_memory_is_connected_again_and_told_everything(connections, lab, watch, method):
    ready = validated(connections)
    lab.log.clear()
    lab.fails["digitizer", method] = [lost("digitizer")]
    prepared = prepare(connections, ready, watch[0])
    assert sorted(lab.who("connect")) == sorted(connections.drivers)
    again = lab.log[max(at for at, (_, done) in enumerate(lab.log) if done == "connect") + 1 :]
    assert [done for _, done in again] == ["configure"] * 4 + ["upload"] * 2 + ["arm"] * 2
    assert prepared.handles["digitizer"].epoch == 2, "the handle of the second upload"


def test_memory_that_is_lost_twice_ends_the_chunk(connections, lab, watch):
    lab.fails["awg1", "upload"] = [lost("awg1"), lost("awg1")]
    with pytest.raises(InstrumentMemoryLostError):
        prepare(connections, validated(connections), watch[0])
    assert lab.who("arm") == []


def test_several_that_cannot_be_configured_are_all_named(connections, lab, watch):
    for name in ("sgs1", "gs1"):
        lab.fails[name, "configure"] = [InstrumentOverheatedError("is too hot", subject=f"instrument {name}")]
    with pytest.raises(InstrumentOverheatedError) as caught:
        prepare(connections, validated(connections), watch[0])
    assert [cause.subject for cause in caught.value.causes] == ["instrument sgs1", "instrument gs1"]
    assert lab.who("upload") == []


# --- play ------------------------------------------------------------------------------------------------------------


def played(connections, lab, watch, **changes):
    prepared = prepare(connections, validated(connections, **changes), watch)
    lab.log.clear()
    return play(connections, prepared, watch)


def test_only_the_leader_is_started_and_data_come_with_their_recording(connections, lab, watch):
    ((recording, data),) = played(connections, lab, watch[0])
    assert lab.who("start") == ["awg1"]
    assert sorted(lab.who("wait_done")) == ["awg1", "digitizer"]
    assert lab.who("fetch") == ["digitizer"]
    assert (len(recording.rows), data.arrays[0].shape) == (2, (64, 2))
    assert watch[1][-1] == ("play", 1.0)
    assert {"play", "fetch"} <= set(watch[0].times)


def test_a_leader_that_can_is_started_and_waited_for_at_once_when_the_others_are_waited_for(connections, lab, watch):
    leader = connections.generators["awg1"]

    def start_and_wait(deadline):
        leader.did("start_and_wait")
        return False

    leader.start_and_wait = start_and_wait
    played(connections, lab, watch[0])
    assert (lab.who("start"), lab.who("start_and_wait")) == ([], ["awg1"])
    assert sorted(lab.who("wait_done")) == ["awg1", "digitizer"]


def test_what_was_set_is_asked_whether_it_was_well_all_the_time(connections, lab, watch):
    lab.fails["gs1", "status"] = [InstrumentOverheatedError("is too hot", subject="instrument gs1")]
    with pytest.raises(InstrumentOverheatedError):
        played(connections, lab, watch[0])
    assert sorted(lab.who("status")) == ["gs1", "sgs1", "sgs2"]


def test_who_is_done_is_not_waited_for_again(connections, lab, watch):
    lab.late.add("awg1")

    def report(stage, done):
        watch[1].append((stage, done))
        if stage == "play":
            lab.late.clear()

    played(connections, lab, replace(watch[0], report=report))
    assert sorted(lab.who("wait_done")) == ["awg1", "awg1", "digitizer"]
    assert [done < 1 for stage, done in watch[1] if stage == "play"] == [True, False]


def test_a_follower_that_still_waits_after_the_leader_has_missed_a_trigger(connections, lab, watch, monkeypatch):
    monkeypatch.setattr(steps, "_STRAGGLE_SECONDS", 0.05)
    lab.late.add("digitizer")
    began = time.monotonic()
    with pytest.raises(InstrumentTriggerMissedError) as caught:
        played(connections, lab, watch[0])
    assert time.monotonic() - began < 2
    assert caught.value.subject == "instrument digitizer"
    assert lab.who("fetch") == []


def test_bits_are_not_told_from_what_was_beyond_full_scale(connections, lab, watch):
    lab.overrange = (True,)
    with pytest.raises(InstrumentOverrangeError, match="in program circuit-0") as caught:
        played(connections, lab, watch[0])
    assert caught.value.subject == "instrument digitizer"
    ((_, data),) = played(connections, lab, watch[0], meas_level=1)
    assert data.overrange == (True,)


@pytest.mark.parametrize(
    ("place", "found"),
    [(0, "program circuit-0,"), (1, "program circuit-1 with binding 0,"), (3, "program circuit-1 with binding 2,"),
     (4, "program circuit-2,")],
)  # fmt: skip
def test_what_was_beyond_full_scale_is_named_by_its_place_in_the_list(connections, lab, watch, place, found):
    chunk = make_chunk(lab.device, angles=(0.1, 0.2, 0.3))
    chunk = swept_chunk(chunk, {1: ([], np.zeros((3, 0)))})
    lab.overrange = tuple(k == place for k in range(5))
    prepared = prepare(connections, validate(connections, chunk, partition_chunk(chunk, lab.device)), watch[0])
    with pytest.raises(InstrumentOverrangeError, match=found):
        play(connections, prepared, watch[0])


def test_the_seconds_of_a_stage_add_up_also_when_it_fails(watch):
    watch[0].times["play"] = 60.0
    with watch[0].timed("play"):
        pass
    first = watch[0].times["play"]
    assert 60 < first < 70
    with pytest.raises(ZeroDivisionError), watch[0].timed("play"):
        _ = 1 / 0
    assert first < watch[0].times["play"] < 70
