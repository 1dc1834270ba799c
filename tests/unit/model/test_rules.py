"""What cannot work is refused by name: who owns a setting, who triggers whom, what converts to what."""

from fractions import Fraction
from pathlib import Path

import pytest

from pulsed.model.device import load_device, read_device

CONFIGS = Path(__file__).parents[3] / "configs"
FOLLOWER = 'trigger = "awg1"\n\n[instruments.digitizer]'
RECORDER = 'trigger = "awg1"\n\n[instruments.sgs1]'
DRIVE2 = '[oscillators.drive2]\ninstrument = "sgs1"\nfrequency = "{} GHz"\n\n[oscillators.drive]'


def read(tmp_path, *pairs, config="sim5"):
    text = (CONFIGS / f"{config}.toml").read_text()
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new, 1)
    path = tmp_path / "rack.toml"
    path.write_text(text)
    return read_device(path)


@pytest.mark.parametrize("frequency", [4.8, 5.1])
def test_a_source_has_one_oscillator(tmp_path, frequency):
    """Of two the last would win; with the same frequency a job's setting of one would change the other."""
    found = read(tmp_path, ("[oscillators.drive]", DRIVE2.format(frequency))).problems
    assert [p.subject for p in found] == ["oscillators.drive.instrument"]
    assert "oscillators.drive2 already" in found[0].message


@pytest.mark.parametrize(("old", "name"), [(FOLLOWER, "awg2"), (RECORDER, "digitizer")])
def test_a_player_without_a_trigger_beside_the_leader_is_refused(tmp_path, old, name):
    found = read(tmp_path, (old, old.replace('trigger = "awg1"', ""))).problems
    assert [(p.subject, p.legal) for p in found] == [(f"instruments.{name}.trigger", "awg1")]


@pytest.mark.parametrize(
    ("old", "giver", "why"),
    [
        (FOLLOWER, "sgs1", "no AWG"),
        (FOLLOWER, "sa", "no AWG"),
        (FOLLOWER, "digitizer", "a digitizer"),
        (RECORDER, "awg2", "gives none on"),
    ],
)
def test_a_trigger_comes_from_the_awg_that_leads(tmp_path, old, giver, why):
    found = read(tmp_path, (old, old.replace('"awg1"', f'"{giver}"'))).problems
    assert len(found) == 1
    assert why in found[0].message
    assert found[0].legal == "awg1"


def test_a_rack_without_a_leader_says_so(tmp_path):
    leader = ("event_memory = 1_048_576\n\n", 'event_memory = 1_048_576\ntrigger = "sa"\n\n')
    found = {p.subject: p for p in read(tmp_path, leader).problems}
    assert "gives no trigger at a shot" in found["instruments.awg1.trigger"].message


@pytest.mark.parametrize(
    ("pairs", "subject"),
    [
        ([("5812", "5811")], "instruments.awg2.address"),
        ([("TCPIP::127.0.0.1::5812", "tcpip0::127.0.0.1::5811")], "instruments.awg2.address"),
        ([('instrument = "sgs2"\nfrequency', 'instrument = "digitizer"\nfrequency')], "oscillators.readout.instrument"),
        ([('instrument = "sgs2"', 'instrument = "awg1"')], "oscillators.readout.instrument"),
    ],
)
def test_an_instrument_is_one_thing_at_one_address(tmp_path, pairs, subject):
    assert subject in {p.subject for p in read(tmp_path, *pairs).problems}


@pytest.mark.parametrize(
    ("old", "new", "subject", "legal"),
    [
        ("default_shots = 1024", "default_shots = 100_001", "limits.default_shots", "max_shots = 100000"),
        ('rep_delay = "800 us"', 'rep_delay = "0.5 us"', "limits.rep_delay", "1 µs"),
        ('rep_delay = "800 us"', 'rep_delay = "11 ms"', "limits.rep_delay", "10 ms"),
        ('rep_delay = "800 us"', 'rep_delay = "500.0005 us"', "limits.rep_delay", "multiples of 1 ns"),
        ("max_shots = ", "job_seconds = 599.0\nmax_shots = ", "limits.job_seconds", "limits.rack_time = 600 s"),
        ('rep_delay_min = "1 us"', 'rep_delay_min = "1 s"', "limits.rep_delay_min", "10 ms"),
        ("[[0, 1, 2, 3, 4]]", "[[0, 1, 2, 3, 4], []]", "meas_map.1", "0 to 4"),
        ('frequency = "5.10 GHz"', "frequency = 5.10", "oscillators.drive.frequency", "5.1 GHz"),
        ('dt = "1 ns"', 'dt = "1 s"', "dt", "1 ns"),
        ('online_date = "2026-11-21"', 'online_date = "tomorrow"', "online_date", ""),
        ("granularity = 8", "granularity = 7", "timing.granularity", "multiples of 8 dt"),
        ("min_length = 16", "min_length = 8", "timing.min_length", "from 16 dt"),
        ('dt = "1 ns"', 'dt = "2/9 ns"', "timing.granularity", "multiples of 36 dt"),
        ('clock = "1 GHz"', 'clock = "0.3 GHz"', "timing.pulse_alignment", "multiples of 10 dt"),
        ("min_length = 16\nmax", "min_length = 70_000\nmax", "ports.d0.min_length", "max_length = 65536"),
        ("oscillators = 8", "oscillators = 1", "ports.d0.oscillators", "from 2"),
        ('frequency = "5.10 GHz"', 'frequency = "4.10 GHz"', "qubits.0.design_frequency", "4.45 GHz"),
        ("power = 13.0", "power = nan", "oscillators.drive.power", ""),
        ("target = 1\n\n[[c", "target = 1\n\n[[couplings]]\ncontrol = 0\ntarget = 1\n\n[[c", "couplings.1", ""),
        ('design_frequency = "4.970 GHz"', "design_frequency = 4.970", "qubits.0.design_frequency", "GHz"),
    ],
)
def test_what_cannot_be_is_one_problem_that_says_what_can(tmp_path, old, new, subject, legal):
    found = {p.subject: p for p in read(tmp_path, (old, new)).problems}
    assert legal in found[subject].legal
    if subject in ("dt", "oscillators.drive.frequency"):
        assert len(found) == 1, "a number without its unit is compared with nothing"


def test_a_key_that_cannot_be_read_hides_no_other(tmp_path):
    found = read(
        tmp_path, ('dt = "1 ns"', 'dt = "soon"'), ("max_shots = 100_000", "max_shots = -1"), ("5812", "5811"),
        ('direction = "input"', 'direction = "in"\nspeed = 3'), ('drive = "d0"', 'drive = "d9"'),
        ('"5.10 GHz"', "5.10"), (FOLLOWER, FOLLOWER.replace("trigger", "triger")),
    ).problems  # fmt: skip
    assert {p.subject for p in found} == {
        "dt", "limits.max_shots", "instruments.awg2.address", "ports.in.direction", "ports.in.speed", "qubits.0.drive",
        "oscillators.drive.frequency", "instruments.awg2.triger",
    }  # fmt: skip


def test_one_clock_for_the_readout_tone_up_and_down(tmp_path):
    other = '[oscillators.down]\ninstrument = "sgs3"\nfrequency = "{} GHz"\n\n[oscillators.drive]'
    source = '[instruments.sgs3]\ndriver = "sgs100a"\naddress = "TCPIP::127.0.0.1::5899::SOCKET"\n\n[instruments.sa]'
    path = ('direction = "input"\nlo = "readout"', 'direction = "input"\nlo = "down"')
    pairs = [("[instruments.sa]", source), path]
    assert read(tmp_path, *pairs, ("[oscillators.drive]", other.format("7.11"))).problems == []
    found = read(tmp_path, *pairs, ("[oscillators.drive]", other.format("7.10"))).problems
    assert {(p.subject, p.legal) for p in found} == {("ports.in.lo", "readout")}


def test_a_rational_dt_is_kept_exactly(tmp_path):
    grid = [("granularity = 8\nmin_length = 16\npulse_alignment = 1\nfeedback_latency = 400\nacquire_alignment = 4",
             "granularity = 36\nmin_length = 72\npulse_alignment = 9\nacquire_alignment = 9")]  # fmt: skip
    reading = read(tmp_path, ('dt = "1 ns"', 'dt = "2/9 ns"'), *grid)
    assert reading.problems == []
    assert reading.device.dt == Fraction(2, 9 * 10**9)
    again = type(reading.device).model_validate_json(reading.device.model_dump_json())
    assert again == reading.device


def test_a_date_may_be_a_date_of_toml(tmp_path):
    assert read(tmp_path, ('online_date = "2026-11-21"', "online_date = 2026-11-22")).device.online_date == "2026-11-22"


def test_the_shipped_racks_have_no_problem():
    for path in CONFIGS.glob("*.toml"):
        assert load_device(path).num_qubits > 1


@pytest.mark.parametrize("key", ["clock", "bandwidth"])
def test_a_number_beyond_all_numbers_is_refused_at_its_key(tmp_path, key):
    text = (CONFIGS / "sim5.toml").read_text()
    old = next(line for line in text.splitlines() if line.startswith(f"{key} = "))
    found = read(tmp_path, (old, f'{key} = "1e400 Hz"')).problems
    assert found[0].subject == f"ports.d0.{key}"
    assert "too large for a number" in found[0].message


def test_a_name_with_a_dot_is_one_name(tmp_path):
    """A number that cannot be meant is set aside by the key that names it."""
    text = (CONFIGS / "sim5.toml").read_text()
    path = tmp_path / "rack.toml"
    path.write_text(
        text.replace("[oscillators.readout]", '[oscillators."a.b"]').replace('lo = "readout"', 'lo = "a.b"')
    )
    assert read_device(path).problems == []
    path.write_text(path.read_text().replace('"7.11 GHz"', "7.11"))
    assert [problem.subject for problem in read_device(path).problems] == ["oscillators.a.b.frequency"]
