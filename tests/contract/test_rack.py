"""The rack against the simulated rack's process: play, errors, and what it does when an instrument is lost."""

import threading
import time
from fractions import Fraction

import msgspec
import numpy as np
import pytest

from pulsed.compiler.program import FIELDS, Block, Branch, Chunk, IqDiscriminator, PortSettings
from pulsed.drivers.contract import InstrumentState, after
from pulsed.drivers.rack.rack import Rack
from pulsed.model.device import Identity, PortSafety
from pulsed.model.errors import (
    ConfigError,
    InstrumentLimitError,
    InstrumentTimeoutError,
    InstrumentUnreachableError,
    SafetyLimitError,
    WrongInstrumentError,
)
from pulsed.model.payload import read_array
from pulsed.testing.chunks import READOUT, make_chunk, swept_chunk
from pulsed.testing.doubles import ScriptedInstrument, Stall
from pulsed.testing.read_back import AwgMemory


@pytest.fixture
def rack(rack_process):
    rack = Rack(rack_process.device)
    rack.connect(after(5))
    yield rack
    assert rack.safe_state() == []
    rack.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("instrument-")]


def changed(device, name, **changes):
    instruments = {**device.instruments, name: device.instruments[name].model_copy(update=changes)}
    return device.model_copy(update={"instruments": instruments})


def arrays(results, parts, name):
    return [read_array(getattr(result, name), parts) for result in results]


def traffic(rack):
    return {name: (driver.session.round_trips, driver.session.bytes_sent) for name, driver in rack.drivers.items()}


def test_identities(rack):
    assert set(rack.identities) == set(rack.device.instruments)
    assert rack.identities["awg1"].startswith("pulsed,AWG8,AWG8-0001")


@pytest.mark.parametrize("iq", [False, True])
def test_level_2(rack, iq):
    chunk = make_chunk(rack.device, (0.1, 0.2, 0.3), shots=50, iq=iq)
    results, parts, times = rack.play(chunk)
    assert [result.name for result in results] == ["circuit-0", "circuit-1", "circuit-2"]
    assert all(bits.shape == (50, 1) for bits in arrays(results, parts, "bits"))
    assert set(times) == {"validate", "upload", "arm", "play", "fetch", "classify"}
    assert [result.iq is not None for result in results] == [iq] * 3
    if iq:
        points = arrays(results, parts, "iq")[0]
        one = chunk.settings.discriminators[0].one
        expected = (points.real > one.real / 2) << np.arange(2)
        assert np.array_equal(arrays(results, parts, "bits")[0][:, 0], expected.sum(axis=1))


def test_level_1_is_the_mean_of_its_shots(rack, rack_process):
    chunk = make_chunk(rack.device, shots=400, meas_level=1)
    single = arrays(*rack.play(chunk)[:2], "iq")[0]
    average = arrays(*rack.play(make_chunk(rack.device, shots=400, meas_level=1, meas_return="avg"))[:2], "iq")[0]
    assert single.shape == (400, 2)
    assert average.shape == (2,)
    # Two means of 400 shots each, real and imaginary part of two qubits: four times the standard error of each.
    error = single.std(axis=0) / np.sqrt(400)
    assert np.all(np.abs(single.mean(axis=0) - average) < 6 * np.sqrt(2) * error)


def test_level_0_integrates_to_level_1(rack):
    """The boxcar of the records is what the digitizer integrates: the same road, demodulated here."""
    chunk = make_chunk(rack.device, shots=200, meas_level=0)
    records = arrays(*rack.play(chunk)[:2], "records")[0]
    assert records.shape == (200, 2, READOUT)
    assert np.array_equal(records[:, 0], records[:, 1]), "both qubits were read in one window"
    averaged = arrays(*rack.play(make_chunk(rack.device, shots=200, meas_level=0, meas_return="avg"))[:2], "records")[0]
    assert averaged.shape == (2, READOUT)
    rows = chunk.array(chunk.programs[0].acquisitions)
    time = (rows["time"][0] + np.arange(READOUT)) * 1e-9
    tone = np.exp(2j * np.pi * rows["frequency"][0] * time)
    points = arrays(*rack.play(make_chunk(rack.device, shots=200, meas_level=1))[:2], "iq")[0][:, 0]
    mine = (records[:, 0] * tone).mean(axis=1)
    error = np.sqrt(points.var() / 200 + mine.var() / 200)
    assert abs(points.mean() - mine.mean()) < 6 * error
    assert points.std() == pytest.approx(mine.std(), rel=0.5)


def test_what_a_port_may_never_put_out_is_not_sent_and_the_next_chunk_plays(rack_process):
    port = rack_process.device.ports["d0"].model_copy(update={"safety": PortSafety(amplitude=0.25)})
    rack = Rack(rack_process.device.model_copy(update={"ports": {**rack_process.device.ports, "d0": port}}))
    rack.connect(after(5))
    try:
        before = traffic(rack)
        with pytest.raises(
            SafetyLimitError, match=r"ports\.d0: program circuit-1 has a higher amplitude.*0\.3 of full"
        ):
            rack.play(make_chunk(rack.device, (0.2, 0.3)))
        sent = {name: trips - before[name][0] for name, (trips, _) in traffic(rack).items()}
        assert not any(sent.values())
        assert len(rack.play(make_chunk(rack.device, (0.2,)))[0]) == 1
    finally:
        assert rack.safe_state() == []
        rack.close()


def test_a_warm_play_uploads_nothing(rack):
    chunk = make_chunk(rack.device)
    rack.play(chunk)
    before = traffic(rack)
    rack.play(chunk)
    spent = {name: (trips - before[name][0], sent - before[name][1]) for name, (trips, sent) in traffic(rack).items()}
    # Are they still well, and as they were left?
    asked = "*ESR?;:STAT:QUES:COND?;:SOUR:FREQ?;:SOUR:POW?;:OUTP:STAT?;*OPC?;:SYST:ERR:ALL?\n"
    assert spent["sgs1"] == spent["sgs2"] == (1, len(asked))
    for name in ("awg1", "awg2", "digitizer"):
        assert spent[name][0] <= 4
        assert spent[name][1] < 400, "commands only, no tables"


def test_a_changed_pulse_uploads_only_what_changed(rack):
    chunk = make_chunk(rack.device, (0.111,))
    rack.play(chunk)
    before = traffic(rack)
    rack.play(make_chunk(rack.device, (0.112,)))
    spent = {name: sent - before[name][1] for name, (_, sent) in traffic(rack).items()}
    # One sequence of two events on awg1 and the list; the envelope is there. Nothing new for the readout.
    assert 80 < spent["awg1"] < 600
    assert spent["awg2"] < 400


def test_repeated_blocks_are_unrolled(rack):
    """A block that repeats is the same as its copies one after the other."""
    chunk = make_chunk(rack.device)
    program = chunk.programs[0]
    (block,) = program.blocks
    pulses = Block((0, 1), (0, 0), 48, repeat=3)
    readout = Block((1, 4), (0, 2), block.duration)
    new = msgspec.structs.replace(program, blocks=(pulses, readout), duration=3 * 48 + block.duration)
    head = msgspec.structs.replace(chunk.head, programs=(new,))
    shares = rack.validate(Chunk(head, chunk.parts))
    events = shares.playbacks["awg1"].events
    assert sorted(events["time"][events["slot"] == 0]) == [24, 72, 120]
    assert shares.recordings["digitizer"].rows["time"].tolist() == [40 + 144, 40 + 144]
    assert shares.playbacks["awg1"].entries["length"][0] == new.duration + 24
    assert shares.playbacks["awg1"].entries["period"][0] == new.duration + 24 + 500_000
    rack.play(Chunk(head, chunk.parts))


def branching(device, wait=400, slot=0, value=1, **changes):
    """Return a chunk that reads both qubits, waits, and plays the pulse on qubit 0 again if a bit says so."""
    chunk = make_chunk(device, **changes)
    program = chunk.programs[0]
    (block,) = program.blocks
    blocks = (block, Block((0, 0), (0, 0), wait), Block((0, 1), (0, 0), 40, branch=Branch(slot, value)))
    new = msgspec.structs.replace(program, blocks=blocks, duration=block.duration + wait + 40)
    return Chunk(msgspec.structs.replace(chunk.head, programs=(new,)), chunk.parts)


@pytest.mark.parametrize("value", [0, 1])
def test_a_branch_becomes_a_condition_and_a_bit_on_the_line(rack, value):
    """Qubit 1's bit is number 1, as the only one that is waited for; its boundary is that of its discriminator."""
    turned = IqDiscriminator(1 + 1j, 1 + 3j)
    chunk = branching(rack.device, slot=1, value=value, discriminators={0: turned, 1: turned})
    shares = rack.validate(chunk)
    events = shares.playbacks["awg1"].events
    assert sorted(zip(events["time"].tolist(), events["condition"].tolist(), strict=True)) == [
        (24, 0), (24, 0), (24 + 40 + READOUT + 400, 1 if value else -1)
    ]  # fmt: skip
    rows = shares.recordings["digitizer"].rows
    assert dict(zip(rows["qubit"].tolist(), rows["feedback"].tolist(), strict=True)) == {0: 0, 1: 1}
    told = rows[rows["feedback"] == 1][0]
    assert (told["angle"], told["threshold"]) == pytest.approx((np.pi / 2, 2.0))
    rack.play(chunk)


def test_the_pulse_is_played_where_its_bit_says_so(rack, rack_process):
    """A boundary that every point is above, or below: qubit 0 is driven again in all shots or in none."""
    populations = []
    for zero, one in ((-3 + 0j, -1 + 0j), (1 + 0j, 3 + 0j)):
        chunk = branching(rack.device, angles=(0.4,), discriminators={q: IqDiscriminator(zero, one) for q in (0, 1)})
        shot = chunk.programs[0]
        again = Block(shot.blocks[0].events, shot.blocks[0].acquisitions, shot.blocks[0].duration)
        readout = Block((1, 4), (0, 2), again.duration)
        new = msgspec.structs.replace(shot, blocks=(*shot.blocks, readout), duration=shot.duration + readout.duration)
        rack.play(Chunk(msgspec.structs.replace(chunk.head, programs=(new,)), chunk.parts))
        (found,) = rack_process.ask("predict")["result"]
        joint = np.array(found["populations"])
        populations.append(joint.sum(axis=tuple(range(1, joint.ndim)))[1])
    # Two pulses of one phase, far from zero and from each other.
    assert abs(populations[0] - populations[1]) > 0.1


@pytest.mark.parametrize(
    ("wait", "slot", "match"), [(399, 0, "has not come yet"), (0, 1, "has not come yet"), (400, 7, "is not measured")]
)
def test_a_bit_that_is_not_there_in_time_is_refused(rack, wait, slot, match):
    before = traffic(rack)
    with pytest.raises(InstrumentLimitError, match=match) as caught:
        rack.play(branching(rack.device, wait, slot))
    assert caught.value.subject == "instrument awg1"
    assert caught.value.legal
    assert "d0" in caught.value.message
    assert {name: sent for name, (_, sent) in traffic(rack).items()} == {n: sent for n, (_, sent) in before.items()}


def test_a_branch_on_two_bits_becomes_a_decision_of_the_digitizer(rack, rack_process):
    """Qubit 0 is driven again where both bits have their values: a boundary that all points are above, or below."""
    above, below = IqDiscriminator(-3 + 0j, -1 + 0j), IqDiscriminator(1 + 0j, 3 + 0j)
    populations = {}
    for values in ((1, 1), (1, 0), (0, 0)):
        chunk = branching(rack.device, angles=(0.4,), discriminators={0: above, 1: below})
        shot = chunk.programs[0]
        branch = Branch(0, values[0], ((1, values[1]),))
        blocks = (*shot.blocks[:2], msgspec.structs.replace(shot.blocks[2], branch=branch))
        again = Block((1, 4), (0, 2), shot.blocks[0].duration)
        new = msgspec.structs.replace(shot, blocks=(*blocks, again), duration=shot.duration + again.duration)
        chunk = Chunk(msgspec.structs.replace(chunk.head, programs=(new,)), chunk.parts)
        shares = rack.validate(chunk)
        terms = shares.recordings["digitizer"].decisions[["number", "term"]].tolist()
        assert terms == [(3, 1 if values[0] else -1), (3, 2 if values[1] else -2)]
        assert set(shares.playbacks["awg1"].events["condition"].tolist()) == {0, 3}
        rack.play(chunk)
        (found,) = rack_process.ask("predict")["result"]
        joint = np.array(found["populations"])
        populations[values] = joint.sum(axis=tuple(range(1, joint.ndim)))[1]
    # Bit 0 is always 1, bit 1 always 0: two pulses of one phase, far from one.
    assert abs(populations[1, 0] - populations[1, 1]) > 0.1
    assert populations[1, 1] == pytest.approx(populations[0, 0], abs=0.02)


def test_an_acquisition_does_not_wait(rack):
    chunk = branching(rack.device)
    program = chunk.programs[0]
    blocks = (*program.blocks[:2], msgspec.structs.replace(program.blocks[0], branch=Branch(0, 1)))
    head = msgspec.structs.replace(chunk.head, programs=(msgspec.structs.replace(program, blocks=blocks),))
    with pytest.raises(InstrumentLimitError, match="acquisition cannot wait"):
        rack.play(Chunk(head, chunk.parts))


def test_a_branch_needs_a_discriminator(rack):
    with pytest.raises(ConfigError, match="discriminator"):
        rack.validate(branching(rack.device, meas_level=1, discriminators={1: IqDiscriminator(0j, 1e-3 + 0j)}))


def test_a_marker_at_the_start_of_each_shot(rack_process):
    """The option of the driver, seen where an oscilloscope would: 24 samples before the followers begin."""
    rack = Rack(changed(rack_process.device, "awg1", options={"shot_marker": 100}))
    rack.connect(after(5))
    try:
        rack.play(make_chunk(rack.device, (0.1, 0.2)))
        up = {"instrument": "awg1", "pair": 1, "marker": 1, "start": -24, "stop": 76, "condition": 0}
        assert rack_process.ask("markers")["result"] == [[up], [up]]
    finally:
        assert rack.safe_state() == []
        rack.close()


@pytest.mark.parametrize("samples", [-1, 2.5, "long", True, 10**10])
def test_a_shot_marker_is_a_number_of_samples(rack_process, samples):
    with pytest.raises(ConfigError) as caught:
        Rack(changed(rack_process.device, "awg1", options={"shot_marker": samples}))
    assert caught.value.subject == "instruments.awg1.options.shot_marker"


def test_a_shot_marker_ends_with_the_shot(rack_process):
    rack = Rack(changed(rack_process.device, "awg1", options={"shot_marker": 10_000}))
    with pytest.raises(InstrumentLimitError, match="shot_marker"):
        rack.validate(make_chunk(rack.device))
    rack.close()


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"rep_delay": Fraction(1, 3 * 10**9)}, InstrumentLimitError),
        ({"shots": 2**32}, InstrumentLimitError),
        ({"angles": (1.01,)}, InstrumentLimitError),
        ({"ports": {"d0": PortSettings(offset=(0.7, 0.0))}}, InstrumentLimitError),
        ({"los": {"drive": (50e9, 10.0)}}, InstrumentLimitError),
        ({"discriminators": {}}, ConfigError),
        ({"shots": 10**6, "meas_level": 0}, InstrumentLimitError),
    ],
)
def test_what_does_not_fit_is_refused_and_the_rack_goes_on(rack, settings, error):
    with pytest.raises(error) as caught:
        rack.play(make_chunk(rack.device, **settings))
    assert caught.value.subject
    assert caught.value.legal
    rack.play(make_chunk(rack.device))


def test_progress_may_cancel(rack):
    class CancelledError(Exception):
        pass

    def progress(stage, done):
        if stage == "upload" and done == 1:
            raise CancelledError

    with pytest.raises(CancelledError):
        rack.play(make_chunk(rack.device), progress)
    assert {driver.state for driver in rack.drivers.values()} == {InstrumentState.IDLE}
    rack.play(make_chunk(rack.device))


def test_a_run_longer_than_its_deadline_is_stopped(rack):
    with pytest.raises(InstrumentTimeoutError):
        rack.play(make_chunk(rack.device, tuple(np.linspace(0, 0.5, 40)), shots=100_000), deadline=after(0.4))
    assert {driver.state for driver in rack.drivers.values()} == {InstrumentState.IDLE}
    rack.play(make_chunk(rack.device))


def test_verify_reads_back(rack):
    rack.play(make_chunk(rack.device), verify=True)


def test_a_reboot_between_two_chunks_is_noticed_and_repaired(rack):
    chunk = make_chunk(rack.device)
    rack.play(chunk)
    driver = rack.drivers["awg2"]
    epoch = driver.epoch
    driver.session.transact(("*RST",), (), after(5))
    results, parts, _ = rack.play(chunk)
    assert driver.epoch != epoch
    assert arrays(results, parts, "bits")[0].shape == (64, 1)


def test_an_unreachable_instrument(rack_process):
    with ScriptedInstrument() as peer:
        address = peer.address
    rack = Rack(changed(rack_process.device, "digitizer", address=address))
    with pytest.raises(InstrumentUnreachableError) as caught:
        rack.connect(after(5))
    assert caught.value.subject == "instrument digitizer"
    assert {driver.state for driver in rack.drivers.values()} == {InstrumentState.CLOSED}
    rack.close()


def test_several_unreachable_instruments_are_one_error_with_all_as_its_cause(rack_process):
    with ScriptedInstrument() as peer:
        address = peer.address
    device = changed(changed(rack_process.device, "digitizer", address=address), "sgs2", address=address)
    rack = Rack(device)
    with pytest.raises(InstrumentUnreachableError) as caught:
        rack.connect(after(5))
    assert "instrument sgs2" in str(caught.value)
    assert {cause.subject for cause in caught.value.causes} == {"instrument digitizer", "instrument sgs2"}
    assert len(caught.value.__cause__.exceptions) == 2
    rack.close()


def test_all_that_refuse_a_chunk_are_named(rack):
    quiet = traffic(rack)
    chunk = make_chunk(rack.device, los={"drive": (50e9, 10.0)}, ports={"d0": PortSettings(offset=(0.7, 0.0))})
    with pytest.raises(InstrumentLimitError, match=r"awg1.*also affected.*sgs1.*frequency") as caught:
        rack.play(chunk)
    assert [cause.subject for cause in caught.value.causes] == ["instrument awg1", "instrument sgs1"]
    assert traffic(rack) == quiet


def test_another_instrument(rack_process):
    rack = Rack(changed(rack_process.device, "awg2", identity=Identity(serial="AWG8-0007")))
    with pytest.raises(WrongInstrumentError) as caught:
        rack.connect(after(5))
    assert caught.value.subject == "instrument awg2"
    assert "AWG8-0002" in caught.value.value
    rack.close()


def test_a_stalled_instrument(rack_process):
    with ScriptedInstrument({"*IDN?": Stall()}) as peer:
        rack = Rack(changed(rack_process.device, "sgs1", address=peer.address))
        began = time.monotonic()
        with pytest.raises(InstrumentTimeoutError) as caught:
            rack.connect(after(0.5))
        assert time.monotonic() - began < 20
    assert caught.value.subject == "instrument sgs1"
    rack.close()


@pytest.mark.parametrize("driver", ["nothing", "sgs100a", "awg"])
def test_a_driver_that_is_not_there_or_of_another_kind(rack_process, driver):
    with pytest.raises(ConfigError) as caught:
        Rack(changed(rack_process.device, "digitizer", driver=driver))
    assert caught.value.subject == "instruments.digitizer.driver"
    assert "digitizer" in caught.value.legal


def test_close_and_safe_state_before_and_after_everything(rack_process):
    rack = Rack(rack_process.device)
    assert rack.safe_state() == []
    rack.close()
    rack.close()
    assert rack.safe_state() == []


def test_a_killed_rack_is_found_and_reconnected(start_rack):
    process = start_rack()
    rack = Rack(process.device)
    rack.connect(after(5))
    chunk = make_chunk(rack.device, tuple(np.linspace(0, 0.5, 50)), shots=100_000)
    threading.Timer(0.5, process.process.kill).start()
    began = time.monotonic()
    with pytest.raises(InstrumentUnreachableError) as caught:
        rack.play(chunk, deadline=after(60))
    assert time.monotonic() - began < 40
    assert caught.value.subject.startswith("instrument ")
    problems = rack.safe_state()
    assert {type(problem) for problem in problems} == {InstrumentUnreachableError}
    with pytest.raises(InstrumentUnreachableError):
        rack.reconnect(after(0.3))
    restart = threading.Timer(0.5, start_rack, (process.ports,))
    restart.start()
    rack.reconnect(after(20))
    restart.join()
    results, _, _ = rack.play(make_chunk(rack.device))
    assert results[0].shots == 64
    rack.close()


def test_a_program_that_plays_and_measures_nothing(rack):
    """It still takes its time; its memory has no slots."""
    chunk = make_chunk(rack.device, (0.1, 0.2))
    empty = msgspec.structs.replace(chunk.programs[0], blocks=(Block((0, 0), (0, 0), 1040),), memory_slots=0)
    unread = msgspec.structs.replace(chunk.programs[1], memory_slots=12)
    head = msgspec.structs.replace(chunk.head, programs=(empty, unread))
    results, parts, _ = rack.play(Chunk(head, chunk.parts))
    assert [bits.shape for bits in arrays(results, parts, "bits")] == [(64, 0), (64, 2)]


@pytest.mark.parametrize("level", [0, 1])
def test_nothing_measured_at_lower_levels(rack, level):
    chunk = make_chunk(rack.device, meas_level=level)
    empty = msgspec.structs.replace(chunk.programs[0], blocks=(Block((0, 0), (0, 0), 1040),))
    results, parts, _ = rack.play(Chunk(msgspec.structs.replace(chunk.head, programs=(empty,)), chunk.parts))
    (array,) = arrays(results, parts, "records" if level == 0 else "iq")
    assert array.shape == ((64, 2, 0) if level == 0 else (64, 2))
    assert not array.any()


def test_bindings_go_down_as_values(rack, rack_process):
    """One sequence and a row of values for each; the instruments play what they would of each by itself."""

    def chunk(phases):
        rows = [(0, FIELDS.index("phase"), 0, 2.0), (0, FIELDS.index("amplitude"), 1, -1.0)]
        values = np.stack([phases, np.linspace(0, 0.5, len(phases))], axis=1)
        return swept_chunk(
            make_chunk(rack.device, (0.213, 0.117), shots=5, rep_delay=Fraction(1, 10**4)), {0: (rows, values)}
        )

    phases = np.linspace(0, 3, 60)
    memory = AwgMemory("awg1", rack_process.addresses["awg1"])
    held = len(memory.read())
    results, parts, _ = rack.play(chunk(phases))
    assert [result.name for result in results] == ["circuit-0"] * 60 + ["circuit-1"]
    assert all(bits.shape == (5, 1) for bits in arrays(results, parts, "bits"))
    assert len(memory.read()) == held + 2
    swept = memory.played()
    rack.play(chunk(phases).unrolled())
    for ours, theirs in zip(swept, memory.played(), strict=True):
        assert ours.spans() == theirs.spans()
        for pair, segments in ours.pairs.items():
            for one, other in zip(segments, theirs.pairs[pair], strict=True):
                np.testing.assert_allclose(one.samples, other.samples, atol=1e-12)
    rack.play(chunk(phases))
    before = traffic(rack)
    rack.play(chunk(phases + 0.1))
    sent = {name: after[1] - before[name][1] for name, after in traffic(rack).items()}
    values = 61 * 2 * 8
    assert values < sent["awg1"] < values + 700
    assert max(sent["awg2"], sent["digitizer"]) < 700, "what does not change is there"
