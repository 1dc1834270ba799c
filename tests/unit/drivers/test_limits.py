from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pulsed.configs
from pulsed.compiler.program import PortSettings
from pulsed.drivers.contract import INSTRUMENT_STEPS, InstrumentState, check_step
from pulsed.drivers.instruments.virtual.awg8 import AwgDriver, to_codes
from pulsed.drivers.instruments.virtual.dig2 import DigitizerDriver
from pulsed.drivers.limits import check_playback, check_recording, real_phase
from pulsed.drivers.rack.partition import partition_chunk
from pulsed.model.device import load_device
from pulsed.model.errors import IllegalStepError, InstrumentLimitError
from pulsed.testing.chunks import make_chunk

DEVICE = load_device(Path(pulsed.configs.__file__).parent / "sim5.toml")
SHARES = partition_chunk(make_chunk(DEVICE, (0.1, 0.2)), DEVICE)
AWG = AwgDriver("awg2", DEVICE.instruments["awg2"])
DIGITIZER = DigitizerDriver("digitizer", DEVICE.instruments["digitizer"])
READOUT = SHARES.playbacks["awg2"]
RECORDING = SHARES.recordings["digitizer"]


class Lengths:
    """Envelopes of other lengths."""

    def __init__(self, lengths):
        self.lengths = np.array(lengths)

    def name(self, row):
        return f"{row:02x}"


def broken(field, value, row=1):
    events = READOUT.events.copy()
    events[field][row] = value
    return replace(READOUT, events=events)


def test_what_fits_is_accepted():
    AWG.validate(READOUT)
    DIGITIZER.validate(RECORDING)


@pytest.mark.parametrize("pair", [1, 4])
def test_the_first_and_the_last_pair_are_accepted(pair):
    events = READOUT.events.copy()
    events["pair"] = pair
    settings = next(iter(READOUT.pairs.values()))
    AWG.validate(replace(READOUT, events=events, pairs={pair: settings}))


@pytest.mark.parametrize(
    ("work", "what", "legal"),
    [
        (broken("amplitude", 1.1), "amplitude", "0 to 1"),
        (broken("amplitude", -0.1), "amplitude", "0 to 1"),
        (broken("amplitude", np.nan), "amplitude", "0 to 1"),
        (broken("frequency", 5.1e8), "band", "-5e+08 to 5e+08 Hz"),
        (broken("frequency", np.inf), "band", "-5e+08 to 5e+08 Hz"),
        (broken("phase", np.nan), "phase", "rad"),
        (broken("time", -1), "before the shot", "from 0"),
        (broken("time", 10**6), "after the program", "length"),
        (broken("pair", 5), "pair", "1 to 4"),
        (broken("oscillator", 8), "oscillator", "0 to 7"),
        (replace(READOUT, envelopes=Lengths([40, 1004])), "grid", "multiples of 8 samples"),
        (replace(READOUT, envelopes=Lengths([40, 8])), "short", "16 to 65536 samples"),
        (replace(READOUT, envelopes=Lengths([40, 65544])), "long", "16 to 65536 samples"),
        (broken("oscillator", 0), "overlap", "from sample 1040"),
    ],
)
def test_each_limit_names_channel_time_value_and_what_is_legal(work, what, legal):
    with pytest.raises(InstrumentLimitError) as caught:
        AWG.validate(work)
    error = caught.value
    assert error.subject == "instrument awg2"
    assert what in error.message
    assert "channel m" in error.message
    assert "program circuit-" in error.message
    assert str(work.events["time"][0 if "grid" in what or "short" in what or "long" in what else 1]) in error.message
    assert legal in error.legal
    assert error.value


@given(
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 8), st.floats(0, 1)), min_size=1, max_size=8),
    st.tuples(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3)),
    st.tuples(*[st.floats(-1.2, 1.2)] * 4),
)
def test_what_is_accepted_can_not_clip(tones, offset, correction):
    """Every phase of every tone: the worst sum of those that sound at once, made sample by sample."""
    # One event per oscillator, so that only the sum can be wrong.
    tones = list({oscillator: (oscillator, start, level) for oscillator, start, level in tones}.values())
    events = np.zeros(len(tones), READOUT.events.dtype)
    events["pair"] = 2
    events["oscillator"], events["time"], events["amplitude"] = zip(*[(o, 8 * t, a) for o, t, a in tones], strict=True)
    settings = PortSettings(correction, offset)
    work = replace(READOUT, events=events, envelopes=Lengths([40, 1000]), pairs={2: settings})
    level = np.zeros(120)
    for _, start, amplitude in tones:
        level[8 * start : 8 * start + 40] += amplitude
    a, b, c, d = correction
    worst = max(
        level.max() * np.hypot(a, b) + abs(offset[0]),
        level.max() * np.hypot(c, d) + abs(offset[1]),
    )
    if worst > 1 + 1e-5:
        with pytest.raises(InstrumentLimitError, match="full scale"):
            AWG.validate(work)
    elif worst < 1:
        AWG.validate(work)


def record(field, value, row=1):
    rows = RECORDING.rows.copy()
    rows[field][row] = value
    return replace(RECORDING, rows=rows)


@pytest.mark.parametrize(
    ("work", "what"),
    [
        (record("length", 1004), "grid"),
        (record("length", 8), "short"),
        (record("length", 16392), "long"),
        (record("time", -8, 0), "before"),
        (record("time", 10**6), "after"),
        (record("frequency", 6e8), "band"),
        (record("kernel", 0), "kernel"),
        (replace(record("time", 48), rows=np.sort(record("window", 1).rows, order=["entry", "window"])), "overlap"),
    ],
)
def test_limits_of_a_recording(work, what):
    with pytest.raises(InstrumentLimitError) as caught:
        DIGITIZER.validate(work)
    assert what in caught.value.message
    assert "channel a" in caught.value.message
    assert caught.value.subject == "instrument digitizer"


def test_a_period_shorter_than_the_table():
    chunk = make_chunk(DEVICE, rep_delay=Fraction(-1, 10**6))
    with pytest.raises(InstrumentLimitError, match="shot to shot"):
        AWG.validate(partition_chunk(chunk, DEVICE).playbacks["awg2"])


def test_more_events_than_the_memory_holds():
    many = make_chunk(DEVICE, np.linspace(0, 0.5, 40))
    work = partition_chunk(many, DEVICE).playbacks["awg1"]
    driver = AwgDriver("awg1", DEVICE.instruments["awg1"])
    driver._sequences.capacity = 79
    with pytest.raises(InstrumentLimitError, match="sequence memory"):
        driver.validate(work)
    same = partition_chunk(make_chunk(DEVICE, [0.1] * 40), DEVICE).playbacks["awg1"]
    driver.validate(same)


def test_a_shot_marker_counts_as_an_event_of_each_sequence():
    work = partition_chunk(make_chunk(DEVICE, np.linspace(0, 0.5, 40)), DEVICE).playbacks["awg1"]
    described = DEVICE.instruments["awg1"]
    for marker in (0, 100):
        driver = AwgDriver("awg1", described.model_copy(update={"options": {"shot_marker": marker}}))
        most = len(work.events) + (40 if marker else 0)
        driver._sequences.capacity = most
        driver.validate(work)
        driver._sequences.capacity = most - 1
        with pytest.raises(InstrumentLimitError, match="sequence memory"):
            driver.validate(work)


def test_codes_of_full_scale():
    codes = to_codes(np.array([1, -1, 1j, -1j, 0, (1 + 1j) / np.sqrt(2)]))
    assert codes.tolist() == [[8191, 0], [-8191, 0], [0, 8191], [0, -8191], [0, 0], [5792, 5792]]


@pytest.mark.parametrize("old", InstrumentState)
@pytest.mark.parametrize("new", InstrumentState)
def test_the_table_of_states(old, new):
    if new in INSTRUMENT_STEPS[old]:
        check_step("awg1", old, new)
    else:
        with pytest.raises(IllegalStepError) as caught:
            check_step("awg1", old, new)
        assert caught.value.subject == "instrument awg1"
    assert InstrumentState.CLOSED in INSTRUMENT_STEPS[old]


# --- what differs between makers, as data ----------------------------------------------------------------------------


def limits(**changes):
    return replace(AwgDriver.capabilities, **changes)


def events(*rows):
    """Return the playback of (slot, time, envelope, amplitude, phase) rows of one entry, on one pair."""
    table = np.zeros(len(rows), READOUT.events.dtype)
    for row, (slot, time, envelope, amplitude, phase) in zip(table, rows, strict=True):
        row["slot"], row["oscillator"], row["pair"] = slot, slot, 2
        row["time"], row["envelope"], row["amplitude"], row["phase"] = time, envelope, amplitude, phase
    return replace(READOUT, events=table, envelopes=Lengths([16, 24]))


@pytest.mark.parametrize(
    ("rows", "changes", "what", "legal"),
    [
        ([(0, 4, 0, 0.1, 0)], {"start_grid": 8}, "off the grid", "multiples of 8 samples"),
        ([(0, 0, 0, 0.1, 0), (0, 16, 0, 0.1, 0)], {"min_gap": 20}, "too closely", "from 20 samples"),
        ([(0, 0, 0, 0.1, 0), (0, 20, 0, 0.1, 0)], {"oscillator_events": 1}, "more events", "up to 1"),
        ([(0, 0, 0, 0.1, 0), (0, 20, 1, 0.1, 0)], {"oscillator_waveforms": 1}, "more waveforms", "up to 1"),
        (
            [(0, 0, 0, 0.1, 0), (0, 20, 1, 0.1, 0)],
            {"oscillator_waveform_memory": 39},
            "samples of waveforms",
            "up to 39",
        ),
        ([(0, 0, 0, 0.1, 0), (0, 20, 0, 0.1, 1)], {"levels": 1}, "amplitude and phase", "up to 1"),
    ],
)
def test_limits_of_one_oscillator(rows, changes, what, legal):
    with pytest.raises(InstrumentLimitError, match=what) as caught:
        check_playback(events(*rows), limits(**changes), "instrument box")
    assert (caught.value.subject, caught.value.legal) == ("instrument box", legal)
    assert f"channel {READOUT.channels[0]}" in caught.value.message
    check_playback(events(*rows), limits(), "instrument box")
    if "oscillator" in next(iter(changes)) or "min_gap" in changes:
        apart = [(slot + k, *rest) for k, (slot, *rest) in enumerate(rows)]
        check_playback(events(*apart), limits(**changes), "instrument box")


def test_a_turn_takes_no_room_between_pulses():
    check_playback(events((0, 0, -1, 0, 0.1), (0, 3, 0, 0.1, 0)), limits(min_gap=4), "instrument box")


def test_a_limit_that_is_reached_is_not_passed():
    rows = [(0, 0, 0, 0.1, 0), (0, 20, 1, 0.1, 0)]
    reached = limits(
        min_gap=20, start_grid=20, oscillator_events=2, oscillator_waveforms=2, oscillator_waveform_memory=40, levels=1
    )
    check_playback(events(*rows), reached, "instrument box")


def test_an_instrument_that_corrects_its_own_mixers_takes_no_correction():
    with pytest.raises(InstrumentLimitError, match="corrected by the instrument itself"):
        check_playback(replace(READOUT, pairs={2: PortSettings(offset=(0.01, 0))}), limits(correction="none"), "box")
    check_playback(replace(READOUT, pairs={2: PortSettings()}), limits(correction="none"), "box")


def test_pairs_may_be_numbered_otherwise():
    with pytest.raises(InstrumentLimitError, match="no such pair") as caught:
        check_playback(READOUT, limits(pair_numbers=(21, 22, 41)), "box")
    assert caught.value.legal == "21, 22, 41"
    numbered = replace(READOUT, events=READOUT.events.copy(), pairs={41: PortSettings()})
    numbered.events["pair"] = 41
    check_playback(numbered, limits(pair_numbers=(21, 22, 41)), "box")


class Kernels(Lengths):
    def __init__(self, weights):
        super().__init__([len(weights)])
        self.weights = np.asarray(weights, complex)

    def read(self, row):
        return self.weights


RAMP = np.linspace(-1, 1, 1000)


@pytest.mark.parametrize(
    ("weights", "complex_", "real", "boxcar"),
    [
        (np.ones(1000), True, True, True),
        (np.full(1000, 1j), True, True, True),
        (RAMP, True, True, False),
        (RAMP * np.exp(2.1j), True, True, False),
        (np.exp(1j * RAMP), True, False, False),
    ],
)
def test_kernels_that_a_digitizer_can_multiply_with(weights, complex_, real, boxcar):
    rows = RECORDING.rows.copy()
    rows["kernel"] = 0
    work = replace(RECORDING, rows=rows, envelopes=Kernels(weights))
    for kind, good in (("complex", complex_), ("real", real), ("boxcar", boxcar)):
        can = replace(DigitizerDriver.capabilities, weights=kind)
        if good:
            check_recording(work, can, "box")
        else:
            with pytest.raises(InstrumentLimitError, match="kernel cannot be multiplied with"):
                check_recording(work, can, "box")


def test_the_phase_of_weights_turns_them_real():
    for phase in (0.0, 0.7, 2.9, -1.4):
        turned = RAMP * np.exp(1j * phase)
        assert np.abs((turned * np.exp(-1j * real_phase(turned))).imag).max() < 1e-12


def test_windows_begin_on_the_grid():
    with pytest.raises(InstrumentLimitError, match="window begins off the grid"):
        check_recording(RECORDING, replace(DigitizerDriver.capabilities, start_grid=16), "box")
