"""What ports and oscillators may never put out, compared with the samples themselves."""

import math
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pulsed.configs
from pulsed.compiler.program import PortSettings
from pulsed.drivers.contract import after
from pulsed.drivers.programs import LIST, PLAYED, Playback
from pulsed.drivers.rack.partition import partition_chunk
from pulsed.drivers.rack.rack import Rack
from pulsed.drivers.rack.safety import check_safety
from pulsed.model.device import PortSafety, check_device, load_device
from pulsed.model.errors import SafetyLimitError
from pulsed.testing.chunks import make_chunk

SIM5 = Path(pulsed.configs.__file__).parent / "sim5.toml"
DEVICE = load_device(SIM5)
SHAPES = [
    np.linspace(0, 1, 16) * np.exp(0.3j),
    np.ones(40, np.complex128),
    np.exp(-0.5 * (np.arange(24) / 8 - 1.5) ** 2).astype(complex),
]
PERIOD = 2000


def guarded(**limits):
    """Return sim5 with limits at d0."""
    port = DEVICE.ports["d0"].model_copy(update={"safety": PortSafety(**limits)})
    return DEVICE.model_copy(update={"ports": {**DEVICE.ports, "d0": port}})


def playback(events, settings=None):
    """Return what ``events`` (entry, pair, oscillator, envelope, time, amplitude, frequency) are."""
    rows = np.zeros(len(events), PLAYED)
    for row, (entry, pair, oscillator, envelope, time, amplitude, frequency) in zip(rows, events, strict=True):
        row["entry"], row["pair"], row["oscillator"], row["envelope"] = entry, pair, oscillator, envelope
        row["time"], row["amplitude"], row["frequency"] = time, amplitude, frequency
    entries = np.zeros(2, LIST)
    entries["bindings"] = 1
    entries["length"], entries["shots"], entries["period"] = 1000, 10, (PERIOD, 2 * PERIOD)
    envelopes = SimpleNamespace(lengths=np.array([len(s) for s in SHAPES]), read=lambda row: SHAPES[row])
    return Playback(rows, entries, envelopes, ("d0",), ("first", "second"), {1: settings or PortSettings()})


def refusals(work, device, **settings):
    chunk = make_chunk(device, **settings)
    return list(check_safety(chunk, device, {"awg1": work}))


def told(work, what, limit):
    """Return the value that is refused under a limit that is far too low; None when nothing is."""
    found = refusals(work, guarded(**{what: limit}))
    return float(found[0].value.split()[0]) if found else None


def samples(work):
    """Return the magnitudes of each tone's samples, by (entry, frequency): float64 (1000,)."""
    tones = {}
    for row in work.events[work.events["pair"] == 1]:
        shape = SHAPES[row["envelope"]]
        tone = tones.setdefault((int(row["entry"]), float(row["frequency"])), np.zeros(1000))
        tone[row["time"] : row["time"] + len(shape)] += row["amplitude"] * np.abs(shape)
    return tones


EVENTS = st.lists(
    st.tuples(
        st.integers(0, 1), st.integers(1, 2), st.just(0), st.integers(0, 2), st.integers(0, 900),
        st.floats(0.01, 1), st.sampled_from([0.0, 80e6, -30e6]),
    ),
    min_size=1, max_size=12,
)  # fmt: skip


@given(EVENTS)
def test_the_share_of_time_is_that_of_the_samples(events):
    work = playback(sorted(events))
    busy = [np.zeros(1000, bool), np.zeros(1000, bool)]
    for row in work.events[work.events["pair"] == 1]:
        busy[row["entry"]][row["time"] : row["time"] + len(SHAPES[row["envelope"]])] = True
    wanted = max(busy[0].sum() / PERIOD, busy[1].sum() / (2 * PERIOD))
    found = told(work, "duty_cycle", 1e-9)
    assert (found or 0.0) == pytest.approx(wanted, rel=1e-3)


@given(EVENTS)
def test_the_average_power_is_that_of_the_samples(events):
    """Exact unless tones of one frequency overlap with different shapes; then it may be more, and never less."""
    work = playback(sorted(events))
    tones = samples(work)
    means = [sum(float(np.sum(s**2)) for (e, _), s in tones.items() if e == entry) for entry in (0, 1)]
    wanted = max(means[0] / PERIOD, means[1] / (2 * PERIOD))
    found = told(work, "average_power", -300.0)
    if not wanted:
        assert found is None
        return
    wanted = DEVICE.ports["d0"].full_scale + 10 * math.log10(wanted)
    assert found >= wanted - 1e-3 * abs(wanted) - 1e-3
    first = work.events[work.events["pair"] == 1]
    end = first["time"] + np.array([len(SHAPES[k]) for k in first["envelope"]])
    apart = all(
        first["time"][i] >= end[j] or first["time"][j] >= end[i]
        for i in range(len(first)) for j in range(i)
        if (first["entry"][i], first["frequency"][i]) == (first["entry"][j], first["frequency"][j])
    )  # fmt: skip
    if apart:
        assert found == pytest.approx(wanted, rel=1e-3, abs=1e-3)


@given(EVENTS)
def test_the_peak_holds_every_sample(events):
    work = playback(sorted(events))
    tones = samples(work)
    peaks = [np.zeros(1000), np.zeros(1000)]
    for (entry, _), tone in tones.items():
        peaks[entry] += tone
    found = told(work, "amplitude", 1e-9)
    assert (found or 0.0) >= max(p.max() for p in peaks) * (1 - 1e-3)
    if found is not None:
        assert told(work, "power", -300.0) == pytest.approx(
            4.0 + 20 * math.log10(found), abs=0.011
        )  # both have four digits


def test_the_value_is_right():
    """One pulse of amplitude 0.5, full for 40 of 2000 samples, at a port of 4 dBm."""
    work = playback([(0, 1, 0, 1, 100, 0.5, 0.0)])
    assert told(work, "amplitude", 0.1) == 0.5
    assert told(work, "power", -100.0) == pytest.approx(4 - 6.0206, abs=1e-3)
    assert told(work, "duty_cycle", 0.001) == 0.02
    assert told(work, "average_power", -100.0) == pytest.approx(4 - 6.0206 + 10 * math.log10(0.02), abs=1e-2)


def test_a_limit_that_is_just_kept_refuses_nothing():
    work = playback([(0, 1, 0, 1, 100, 0.5, 0.0)])
    assert not refusals(work, guarded(amplitude=0.5, power=4 + 20 * math.log10(0.5), duty_cycle=0.02))
    assert len(refusals(work, guarded(amplitude=0.499, power=-3.0, duty_cycle=0.019))) == 3


def test_correction_and_offset_count_for_the_amplitude():
    settings = PortSettings(correction=(1.2, 0.0, 0.0, 1.0), offset=(0.0, -0.05))
    work = playback([(0, 1, 0, 1, 100, 0.5, 0.0)], settings)
    (error,) = refusals(work, guarded(amplitude=0.6))
    assert error.value == "0.65 of full scale"


def test_another_pair_is_another_port():
    assert not refusals(playback([(0, 2, 0, 1, 100, 0.9, 0.0)]), guarded(amplitude=0.1))


def test_the_error_names_program_port_value_and_limit():
    work = playback([(0, 1, 0, 1, 100, 0.2, 0.0), (1, 1, 0, 1, 100, 0.5, 0.0)])
    (error,) = refusals(work, guarded(amplitude=0.25))
    assert isinstance(error, SafetyLimitError)
    assert (error.subject, error.value, error.code) == ("ports.d0", "0.5 of full scale", "safety_limit")
    assert error.legal == "up to 0.25 of full scale (ports.d0.safety.amplitude)"
    assert "program second has a higher amplitude" in error.message


@pytest.mark.parametrize("limits", [{"amplitude": 0.05}, {"average_power": -90.0}, {"duty_cycle": 1e-6}])
def test_a_rack_sends_nothing_of_what_is_refused(limits):
    """The rack is not even connected: had anything been asked of an instrument, the error were another one."""
    rack = Rack(guarded(**limits))
    try:
        with pytest.raises(SafetyLimitError, match="d0"):
            rack.play(make_chunk(rack.device, (0.1,)), deadline=after(5))
    finally:
        rack.close()


def test_an_oscillator_has_a_highest_power():
    source = DEVICE.oscillators["drive"].model_copy(update={"max_power": 14.0})
    device = DEVICE.model_copy(update={"oscillators": {**DEVICE.oscillators, "drive": source}})
    chunk = make_chunk(device)
    programs = partition_chunk(chunk, device).playbacks
    assert not list(check_safety(chunk, device, programs))
    head = msgspec.structs.replace(
        chunk.head, settings=msgspec.structs.replace(chunk.settings, los={"drive": (5.1e9, 14.5)})
    )
    (error,) = check_safety(type(chunk)(head, chunk.parts), device, programs)
    assert (error.subject, error.value) == ("oscillators.drive.power", "14.5 dBm")


def test_the_average_is_over_the_wait_too():
    events = make_chunk(DEVICE, (0.4,), rep_delay=Fraction(1, 1000))
    longer = make_chunk(DEVICE, (0.4,), rep_delay=Fraction(2, 1000))
    values = []
    for chunk in (events, longer):
        device = guarded(average_power=-200.0)
        (error,) = check_safety(chunk, device, partition_chunk(chunk, device).playbacks)
        values.append(float(error.value.split()[0]))
    assert values[0] - values[1] == pytest.approx(10 * math.log10(2), abs=0.02)


def test_what_cannot_be_meant_is_found_in_the_file(tmp_path):
    text = SIM5.read_text().replace("chips/", f"{SIM5.parent}/chips/")
    text = text.replace("[oscillators.drive]", "[oscillators.drive]\nmax_power = 12.0")
    text = text.replace(
        "[ports.in]", "[ports.in.safety]\namplitude = 0.5\n[ports.d0.safety]\namplitude = 1.5\n[ports.in]"
    )
    (tmp_path / "rack.toml").write_text(text)
    _, problems = check_device(tmp_path / "rack.toml")
    found = {problem.subject: problem for problem in problems}
    assert {"oscillators.drive.power", "ports.in.safety", "ports.d0.safety.amplitude"} <= set(found)
    assert found["oscillators.drive.power"].legal == "up to 12 dBm"
