from fractions import Fraction
from pathlib import Path

import pytest

from pulsed.model.device import check_device, load_device
from pulsed.model.errors import ConfigError

SIM5 = Path(__file__).parents[3] / "configs" / "sim5.toml"


@pytest.fixture
def changed(tmp_path):
    def change(*pairs: tuple[str, str]) -> Path:
        text = SIM5.read_text()
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "rack.toml"
        path.write_text(text)
        return path

    return change


def test_the_shipped_rack_is_whole():
    device = load_device(SIM5)
    assert device.num_qubits == 5
    assert device.dt == Fraction(1, 10**9)
    assert {(pair.control, pair.target) for pair in device.couplings} == {(0, 1), (2, 1), (2, 3), (4, 3)}


@pytest.mark.parametrize(
    ("old", "new", "key", "value", "legal"),
    [
        ('drive = "d3"', 'drive = "d9"', "qubits.3.drive", "d9", "d0, d1, d2"),
        ('direction = "input"', 'direction = "up"', "ports.in.direction", "up", "'output' or 'input'"),
        ('trigger = "awg1"\n\n[i', 'triger = "awg1"\n\n[i', "instruments.awg2.triger", "triger", "trigger"),
        ('frequency = "5.10 GHz"', 'frequency = "5.10 Gs"', "oscillators.drive.frequency", "5.10 Gs", ""),
        ("target = 1", "target = 7", "couplings.0", "0 to 7", "0 to 4"),
        ("[[0, 1, 2, 3, 4]]", "[[0, 1, 2, 3], [3]]", "meas_map", "3", "0 to 4"),
        ("pair = 2", "pair = 1", "ports.d1.pair", "1", ""),
        ('lo = "drive"', 'lo = "driv"', "ports.d0.lo", "driv", "drive, readout"),
        ('dt = "1 ns"', "", "dt", "", ""),
        ("max_shots = 100_000", "max_shots = -1", "limits.max_shots", "-1", ""),
        ('"awg1"\n\n[instruments.d', '"awg2"\n\n[instruments.d', "instruments.awg2.trigger", "awg2", "awg1"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_by_key_value_and_legal_values(changed, old, new, key, value, legal):
    device, problems = check_device(changed((old, new)))
    assert device is None
    found = [p for p in problems if p.subject == key]
    assert found, [str(p) for p in problems]
    assert value in found[0].value
    assert legal in found[0].legal


def test_a_circle_of_triggers_is_refused_at_each_instrument_of_it(changed):
    circle = ("event_memory = 1_048_576\n\n", 'event_memory = 1_048_576\ntrigger = "awg2"\n\n')
    _, problems = check_device(changed(circle))
    keys = ["instruments.awg1.trigger", "instruments.awg2.trigger", "instruments.digitizer.trigger"]
    assert [p.subject for p in problems] == keys
    assert all("sgs1" not in p.legal for p in problems), "a local oscillator gives no trigger"


def test_a_pair_whose_drives_have_two_los_is_refused(changed):
    path = changed(('drive = "d1"', 'drive = "ro"'))
    _, problems = check_device(path)
    assert any("one LO" in p.message for p in problems)


def test_all_mistakes_are_listed_and_load_says_how_many_more(changed):
    path = changed(('drive = "d3"', 'drive = "d9"'), ('lo = "readout"', 'lo = "none"'))
    assert len(check_device(path)[1]) >= 2
    with pytest.raises(ConfigError, match="more"):
        load_device(path)


def test_files_that_are_no_toml_or_not_there(tmp_path):
    path = tmp_path / "a.toml"
    with pytest.raises(ConfigError, match="cannot be read"):
        load_device(path)
    path.write_bytes(b"\xff\xfe[[")
    with pytest.raises(ConfigError, match="not TOML"):
        load_device(path)


def test_addresses_can_be_replaced_for_known_instruments_only():
    device = load_device(SIM5)
    moved = device.with_addresses({"awg1": "TCPIP::127.0.0.1::9::SOCKET"})
    assert moved.instruments["awg1"].address.endswith("9::SOCKET")
    assert moved.instruments["awg2"] == device.instruments["awg2"]
    with pytest.raises(ConfigError, match="no such name"):
        device.with_addresses({"awg7": ""})


COUPLER2 = SIM5.with_name("coupler2.toml")


def test_the_shipped_rack_with_a_flux_line_is_whole():
    device = load_device(COUPLER2)
    assert device.ports["f0"].lo is None
    assert device.ports["f0"].bias.level == 0.4e-3
    assert device.couplings[0].flux == "f0"


@pytest.mark.parametrize(
    ("old", "new", "key", "value", "legal"),
    [
        ('flux = "f0"', 'flux = "d0"', "couplings.0.flux", "d0", "f0"),
        ('drive = "d0"', 'drive = "f0"', "qubits.0.drive", "f0", "d0, d1, ro"),
        ('instrument = "gs1", level', 'instrument = "gs2", level', "ports.f0.bias.instrument", "gs2", "gs1"),
        ('instrument = "gs1", level', 'instrument = "sgs1", level', "ports.f0.bias.instrument", "sgs1", ""),
        ('level = "0.4 mA"', 'level = "-1.4 mA"', "ports.f0.bias.level", "-0.0014", "within 0.001 A"),
        ('level = "0.4 mA"', 'level = "0.4 V"', "ports.f0.bias.level", "0.4 V", ""),
        ('level = "0.4 mA"', 'levels = "0.4 mA"', "ports.f0.bias.levels", "levels", "level, range"),
        ("pair = 4\n", 'pair = 4\nlo = "drive"\n', "couplings.0.flux", "f0", "none defined"),
        ('direction = "input"\nlo = "readout"', 'direction = "input"', "qubits.0.acquire", "in", "none defined"),
        (
            'target = 1\nflux = "f0"',
            'target = 1\nflux = "f0"\n[[couplings]]\ncontrol = 1\ntarget = 0\nflux = "f0"',
            "couplings.1.flux", "f0", "",
        ),
    ],
)  # fmt: skip
def test_a_mistake_with_a_flux_line_is_named(tmp_path, old, new, key, value, legal):
    text = COUPLER2.read_text()
    assert old in text
    path = tmp_path / "rack.toml"
    path.write_text(text.replace(old, new))
    device, problems = check_device(path)
    assert device is None
    found = [p for p in problems if p.subject == key]
    assert found, [str(p) for p in problems]
    assert value in found[0].value
    assert legal in found[0].legal


def test_what_only_a_baseband_port_has_is_refused_elsewhere(tmp_path):
    text = COUPLER2.read_text().replace("[ports.d1]\n", '[ports.d1]\nbias = { instrument = "gs1", range = 1e-3 }\n')
    text += '\n[ports.spare]\ninstrument = "digitizer"\npair = 2\ndirection = "input"\nclock = "1 GHz"\n'
    path = tmp_path / "rack.toml"
    path.write_text(text)
    problems = {p.subject: p.message for p in check_device(path)[1]}
    assert "only a baseband port" in problems["ports.d1.lo"]
    assert "ports.d1.bias" in problems["ports.f0.bias.instrument"]
    assert "mixed down" in problems["ports.spare.lo"]


@pytest.mark.parametrize(
    ("old", "new", "key", "meant"),
    [
        ("[instruments.awg1]", "[instrumets.awg1]", "instrumets", "instruments"),  # others stay under the right name
        ("[timing]", "[timming]", "timming", "timing"),
        ("[[qubits]] # Q0", "[[qubit]]", "qubit", "qubits"),
        ('drive = "d3"', 'drvie = "d3"', "qubits.3.drvie", "drive"),
        ("rep_delay_min =", "rep_dealy_min =", "limits.rep_dealy_min", "rep_delay_min"),
    ],
)
def test_a_misspelt_key_is_one_problem_that_says_what_is_meant(changed, old, new, key, meant):
    device, problems = check_device(changed((old, new)))
    assert device is None
    (problem,) = problems
    assert (problem.subject, problem.message) == (key, f"no such key: did you mean {meant}?")
    assert meant in problem.legal.split(", ")


def test_what_else_is_wrong_is_said_beside_misspelt_keys(changed):
    inside = ("[limits]\nmax_shots", "[limts]\nmax_shotz")
    said = {p.subject: p.message for p in check_device(changed(inside, ("granularity = 8", "granularity = -8")))[1]}
    assert said["limts"].endswith("mean limits?")
    assert said["limits.max_shotz"].endswith("mean max_shots?")
    assert "timing.granularity" in said
    assert all(key.endswith("granularity") for key in said.keys() - {"limts", "limits.max_shotz"})


def test_a_key_that_is_like_none_or_like_one_that_is_there_has_no_advice(changed):
    for key in ("colour", "rep_delays"):
        (problem,) = check_device(changed(("[limits]", f"[limits]\n{key} = 1")))[1]
        assert (problem.subject, problem.message) == (f"limits.{key}", "no such key")
