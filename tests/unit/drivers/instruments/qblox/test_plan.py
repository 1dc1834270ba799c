"""What each sequencer is given, and what is refused with module, sequencer, value and limit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import pulsed.configs
from pulsed.compiler.program import PortSettings
from pulsed.drivers.instruments.qblox.driver import capabilities_of
from pulsed.drivers.instruments.qblox.limits import check_work
from pulsed.drivers.instruments.qblox.modules import MODELS, read_modules, slot_of
from pulsed.drivers.instruments.qblox.plan import make_plan
from pulsed.drivers.instruments.qblox.steps import FULL_GAIN, LEAD
from pulsed.drivers.programs import Transceived
from pulsed.drivers.rack.partition import partition_chunk
from pulsed.model.device import load_device
from pulsed.model.errors import ConfigError, InstrumentLimitError
from pulsed.simulator.instruments.qblox.interpreter import Sequencer
from pulsed.simulator.instruments.qblox.pipeline import QUARTERS
from pulsed.testing.chunks import make_chunk

DEVICE = load_device(Path(pulsed.configs.__file__).parent / "examples" / "qblox.toml")
MODULES = read_modules("cluster", DEVICE.instruments["cluster"].options)
CAN = capabilities_of(MODULES)


def made(shift=60, points=2, **options):
    """Return a chunk's work with windows ``shift`` ns after their pulses."""
    amplitudes = tuple(0.1 + 0.1 * k for k in range(2)) if points == 2 else (0.1,) * points
    programs = partition_chunk(make_chunk(DEVICE, amplitudes, **options), DEVICE)
    recording = programs.recordings["cluster"]
    rows, entries = recording.rows.copy(), recording.entries.copy()
    rows["time"] += shift
    entries["length"] += shift
    return Transceived(programs.playbacks["cluster"], replace(recording, rows=rows, entries=entries))


def plan_of(work):
    return make_plan(work, MODULES, "instrument cluster")


def changed(work, **fields):
    playback = replace(work.playback, events=work.playback.events.copy())
    for name, value in fields.items():
        playback.events[name] = value
    return replace(work, playback=playback)


def executed(plan):
    lengths = {2 * k + j: len(data) for k, data in enumerate(plan.waveforms.values()) for j in (0, 1)}
    return Sequencer(lengths, weights={k: len(w) for k, w in enumerate(plan.weights.values())}).run(plan.text)


def test_each_channel_has_a_sequencer_and_a_readout_shares_one():
    found = {one.place: (one.channels, one.connection, one.bins) for one in plan_of(made(shots=64)).sequencers}
    assert found == {
        (2, 0): (("d0",), "out0", 0), (2, 1): (("d1",), "out1", 0),
        (8, 0): (("m0", "a0"), "io0", 128), (8, 1): (("m1", "a1"), "io0", 128),
    }  # fmt: skip


def test_what_begins_with_its_pulse_is_recorded_by_a_sequencer_of_its_own():
    """As before the time of flight is known: one sequencer needs 4 ns from the pulse to the window."""
    channels = [one.channels for one in plan_of(made(shift=0)).sequencers]
    assert channels == [("d0",), ("d1",), ("m0",), ("m1",), ("a0",), ("a1",)]


def test_phases_and_frequencies_are_those_of_the_events_turned_over():
    """conj(amplitude envelope e^{i phase} e^{-2 pi i f t}) at the start of each event, by what is executed."""
    work = changed(made(), phase=np.linspace(-3, 3, len(made().playback.events)))
    for plan in plan_of(work).sequencers:
        events = work.playback.events
        mine = events[[work.playback.channels[slot] == plan.channels[0] for slot in events["slot"]]]
        bursts = [burst for shots in executed(plan) for burst in shots.bursts]
        assert len(bursts) == len(mine)
        for burst, event in zip(bursts, mine, strict=True):
            assert burst.time - LEAD == event["time"]
            assert abs(burst.frequency / 4 - event["frequency"]) <= 0.125
            assert abs(burst.gain[0] / FULL_GAIN - event["amplitude"]) <= 0.5 / FULL_GAIN
            wanted = 2 * np.pi * event["frequency"] * event["time"] * 1e-9 - event["phase"]
            assert abs(np.angle(np.exp(1j * (2 * np.pi * burst.phase / QUARTERS - wanted)))) < 1e-6


@pytest.mark.parametrize("field", ["amplitude", "phase", "frequency", "time", "nothing"])
def test_a_sweep_plays_and_integrates_what_each_of_its_programs_would(field):
    """One loop; every point within a step of the DAC, and the integrals' factors as well."""
    work = made(points=40, shots=10)
    playback, recording = work.playback, work.recording
    number = np.repeat(np.arange(40), len(playback.events) // 40)
    rows = np.repeat(np.arange(40), len(recording.rows) // 40)
    step = {"amplitude": 0.017, "phase": 2.2, "frequency": 1_000_000.25, "time": 24}.get(field, 0)
    playback.events["amplitude"] = 0.1
    if step:
        drive = np.array([playback.channels[slot][0] == "d" for slot in playback.events["slot"]])
        moved = drive | (field == "time")
        playback.events[field][moved] += (step * number)[moved].astype(playback.events[field].dtype)
    if field == "time":  # a wait has to be at least twice the shortest to grow
        playback.events["time"] += 8
        recording.rows["time"] += 8 + step * rows
        for entries in (playback.entries, recording.entries):
            entries["length"] += 8 + step * np.arange(40)
            entries["period"] += 8 + step * np.arange(40)
    plan = plan_of(work)
    for one in plan.sequencers:
        assert one.text.count("loop R0") == 1
        mine = playback.events[[playback.channels[slot] == one.channels[0] for slot in playback.events["slot"]]]
        bursts = [burst for shots in executed(one) for _ in range(shots.count // 10) for burst in shots.bursts]
        for burst, event in zip(bursts, mine, strict=True):
            assert burst.time - LEAD == event["time"]
            assert abs(burst.frequency / 4 - event["frequency"]) <= 0.25
            assert abs(burst.gain[0] / FULL_GAIN - event["amplitude"]) <= 1.01 / FULL_GAIN
            wanted = 2 * np.pi * event["frequency"] * event["time"] * 1e-9 - event["phase"]
            assert abs(np.angle(np.exp(1j * (2 * np.pi * burst.phase / QUARTERS - wanted)))) < 2e-4
    for entry in range(40):
        alone = plan_of(entry_of(work, entry))
        for column, other in zip(plan.columns[entry], alone.columns[0], strict=True):
            assert abs(column.factor - other.factor) < 2e-4 * abs(other.factor)
            assert column.first == 10 * entry


def entry_of(work, entry):
    """Return one entry of ``work``."""

    def part(whole, rows, name):
        own = rows[rows["entry"] == entry].copy()
        own["entry"] = 0
        one = slice(entry, entry + 1)
        return replace(whole, entries=whole.entries[one].copy(), programs=whole.programs[one], **{name: own})

    playback, recording = work.playback, work.recording
    return Transceived(part(playback, playback.events, "events"), part(recording, recording.rows, "rows"))


def test_columns_say_where_the_integrals_of_a_row_are():
    plan = plan_of(made(shots=64))
    assert [[(c.place, c.first, c.stride) for c in row] for row in plan.columns] == [
        [((8, 0), 0, 1), ((8, 1), 0, 1)], [((8, 0), 64, 1), ((8, 1), 64, 1)],
    ]  # fmt: skip


def test_a_boxcar_is_a_mean():
    plan = plan_of(made())
    assert abs(abs(plan.columns[0][0].factor) - 1e-3) < 1e-15
    (weights,) = plan.sequencers[2].weights.values()
    assert weights.tolist() == [1.0] * 1000


def test_the_name_is_of_all_that_is_sent():
    names = {plan_of(made()).name, plan_of(made(shots=65)).name, plan_of(changed(made(), amplitude=0.3)).name}
    assert len(names) == 3
    assert plan_of(made()).name in names


def pulses(count):
    """Return a playback of one channel with ``count`` pulses 100 ns apart."""
    work = made().playback
    events = np.tile(work.events[work.events["slot"] == 0][:1], count)
    events["time"] = 100 * np.arange(count)
    entries = work.entries.copy()[:1]
    entries["length"], entries["period"] = 100 * count + 100, 100 * count + 1000
    return replace(work, events=events, entries=entries)


def test_programs_that_no_sequencer_holds():
    plan_of(pulses(5458))
    with pytest.raises(InstrumentLimitError, match="more instructions than it holds") as caught:
        plan_of(pulses(5459))
    assert "module 2 (QCM-RF), sequencer 0, channel d0" in caught.value.message
    assert (caught.value.value, caught.value.legal) == ("16386 instructions", "up to 16384")


def test_bins_that_no_sequencer_has():
    with pytest.raises(
        InstrumentLimitError, match=r"module 8 \(QRM-RF\), sequencer 0, channel m0, a0: more bins"
    ) as caught:
        plan_of(made(shots=70_000))
    assert (caught.value.value, caught.value.legal) == ("140000 bins", "up to 131072")


def test_a_seventh_channel_of_a_module_is_refused():
    work = made()
    rows = np.repeat(work.playback.events[:1], 7)
    rows["slot"] = np.arange(7)
    playback = replace(work.playback, events=rows, channels=tuple(f"d{k}" for k in range(7)))
    with pytest.raises(
        InstrumentLimitError, match=r"module 2 \(QCM-RF\) has no sequencer left for channel d6"
    ) as caught:
        plan_of(playback)
    assert (caught.value.value, caught.value.legal) == ("7 channels", "up to 6 at once")


def test_a_change_of_phase_within_a_window_is_refused():
    """The oscillator that turns the pulse also turns what is integrated."""
    work = made()
    extra = work.playback.events[work.playback.events["slot"] == 1][:1].copy()
    extra["time"], extra["phase"], extra["envelope"] = 1050, 1.0, 0
    events = np.concatenate([work.playback.events, extra])
    order = np.argsort(events["entry"], kind="stable")
    with pytest.raises(InstrumentLimitError, match="would change within a pulse or a window") as caught:
        plan_of(replace(work, playback=replace(work.playback, events=events[order])))
    assert "module 8 (QRM-RF), sequencer 0" in caught.value.message


def test_a_shot_that_ends_with_its_last_event_is_refused():
    work = made()
    entries = work.playback.entries.copy()
    entries["period"] = entries["length"] = 40 + 4
    with pytest.raises(InstrumentLimitError, match="ends too early") as caught:
        plan_of(replace(work.playback, entries=entries))
    assert caught.value.legal == "from 48 ns"


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"los": {21: 1e9}}, "LO of pair 21"),
        ({"los": {21: 5.1e9 + 0.5}}, "LO of pair 21"),
        ({"los": {81: 7.1e9}}, "share one LO"),
        ({"pairs": {21: PortSettings(offset=(0.01, 0.0))}}, "corrected by the instrument"),
    ],
)
def test_settings_that_a_module_does_not_have(changes, what):
    work = made()
    with pytest.raises(InstrumentLimitError, match=what):
        check_work(replace(work, playback=replace(work.playback, **changes)), CAN, MODULES, "instrument cluster")
    check_work(work, CAN, MODULES, "instrument cluster")


def test_a_module_without_mixers_has_no_lo():
    modules = {**MODULES, 2: MODELS["QCM"]}
    with pytest.raises(InstrumentLimitError, match=r"module 2 \(QCM\) has no LO"):
        check_work(made(), capabilities_of(modules), modules, "instrument cluster")


def test_modules_are_read_from_the_options():
    assert {slot: model.name for slot, model in MODULES.items()} == {
        2: "QCM-RF", 4: "QCM-RF", 6: "QCM-RF", 8: "QRM-RF",
    }  # fmt: skip
    assert (CAN.outputs, CAN.inputs) == ((21, 22, 41, 42, 61, 62, 81), (81,))
    assert slot_of(42) == (4, 2)
    with pytest.raises(ConfigError, match="no such module") as caught:
        read_modules("cluster", {"slot3": "QCM-FR"})
    assert (caught.value.subject, caught.value.value) == ("instruments.cluster.options.slot3", "QCM-FR")
    with pytest.raises(ConfigError, match="no module is named"):
        read_modules("cluster", {})


@pytest.mark.parametrize(
    ("name", "output", "input_", "connection"),
    [
        ("QCM", 2, 0, "out2_3"), ("QRM", 1, 1, "io0_1"), ("QRM", 0, 1, "in0_1"), ("QCM-RF", 2, 0, "out1"),
        ("QRM-RF", 0, 1, "in0"),
    ],
)  # fmt: skip
def test_connections_as_the_maker_writes_them(name, output, input_, connection):
    assert MODELS[name].connection(output, input_) == connection
