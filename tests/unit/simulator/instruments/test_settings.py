"""The instruments that are settings: source, bias, analyser. What they refuse changes nothing, whatever its bytes."""

from __future__ import annotations

import copy
import random

import pytest

from pulsed.simulator.instruments.connection import ScpiConnection
from pulsed.simulator.instruments.gs200 import VirtualGs200
from pulsed.simulator.instruments.n9030b import VirtualN9030b
from pulsed.simulator.instruments.sgs100a import VirtualSgs100a
from pulsed.simulator.instruments.virtual_instrument import VirtualIdentity

SEED = 20261123
KINDS = (VirtualSgs100a, VirtualGs200, VirtualN9030b)
QUIET = {"errors", "event_status", "listeners", "_noise", "_trace", "_events", "faults", "taps", "last_run"}


def make(kind):
    return kind(VirtualIdentity("maker", "model", "1"))


@pytest.fixture
def bias(bench):
    return bench.client(make(VirtualGs200))


@pytest.mark.parametrize("kind", KINDS)
def test_every_setting_is_read_back_and_reset(kind):
    instrument = make(kind)
    for setting in kind.SETTINGS:
        header = setting.header.replace("[", "").replace("]", "")
        words = getattr(setting.parameter, "words", None)
        value = words[-1] if words else {True: "0", False: "1"}.get(setting.default)
        if value is None or (not words and not isinstance(setting.default, bool)):
            value = str(setting.parameter.low)
        answer = ScpiConnection(instrument).feed(f"*RST\n{header} {value};:{header}?\n".encode()).decode().rstrip()
        assert list(instrument.errors) == [], header
        assert (
            answer.upper() == value.upper() or value.upper().startswith(answer.upper()) or float(answer) == float(value)
        ), header
    ScpiConnection(instrument).feed(b"*RST\n")
    assert instrument.values == {setting.name: setting.default for setting in kind.SETTINGS}


def test_levels_stay_within_their_range(bias):
    bias.write("SOUR:RANG 1;LEV 1.2")
    assert bias.query("SOUR:RANG?;LEV?") == "1.000000E+00;1.200000E+00"
    bias.clean()
    bias.write("SOUR:LEV 1.21")
    assert bias.error() == -222
    bias.write("SOUR:RANG 0.1")
    assert bias.error() == -221
    bias.write("SOUR:RANG 33")
    assert bias.error() == -222
    bias.write("SOUR:LEV:AUTO 0.011")
    assert bias.query("SOUR:RANG?;LEV?") == "1.000000E-02;1.100000E-02"
    bias.write("SOUR:FUNC CURR;LEV 0.201")
    assert bias.error() == -222
    assert bias.query("SOUR:FUNC?;RANG?;LEV?") == "CURR;2.000000E-01;0.000000E+00"


def test_what_flows_is_the_level_while_the_output_is_on(bias):
    bias.write("SOUR:LEV 0.5")
    assert bias.instrument.out == 0.0
    bias.write("OUTP ON")
    assert bias.instrument.out == 0.5
    bias.write("SOUR:FUNC CURR")
    assert bias.error() == -221
    bias.instrument.faults.active["overheat"] = 0.0
    bias.instrument.act_on_faults()
    bias.write("*CLS;OUTP ON")
    assert bias.error() == 101
    assert bias.instrument.out == 0.0


def test_a_program_goes_from_level_to_level_in_its_time(bias):
    bias.write("PROG:RUN")
    assert bias.error() == -221
    now = [0.0]
    bias.instrument.now = lambda: now[0]
    bias.write("SOUR:LEV -0.1;:PROG:INT 2;SLOP 1;:PROG:EDIT:STAR;:SOUR:LEV 0.1;LEV 0.3;:PROG:EDIT:END")
    assert bias.query("SOUR:LEV?;:PROG:COUN?") == "-1.000000E-01;2"
    bias.write("PROG:RUN")
    found = []
    for now[0] in (0.0, 0.5, 1.0, 1.9, 2.5, 3.5, 3.99):
        found.append(float(bias.query("SOUR:LEV?")))
    assert found == pytest.approx([-0.1, 0.0, 0.1, 0.1, 0.2, 0.3, 0.3])
    assert bias.query("STAT:EVEN?") == "0"
    now[0] = 4.0
    assert bias.query("STAT:EVEN?;EVEN?;:SOUR:LEV?") == "128;0;3.000000E-01"
    bias.write("PROG:RUN;:SOUR:LEV 0.5")
    assert bias.query("SOUR:LEV?") == "5.000000E-01", "a level that is set ends the program"


def state(instrument):
    return copy.deepcopy({name: value for name, value in vars(instrument).items() if name not in QUIET})


def spoil(rng, message):
    data = bytearray(message)
    for _ in range(rng.choice((0, 1, 1, 2))):
        at = rng.randrange(len(data) + 1)
        data[at : at + rng.randrange(3)] = rng.choice(
            (rng.randbytes(2), b"#", b'"', b",", b"1e400", b"-1", b"nan", b":", b" ", b"?", b"")
        )
    return bytes(data)


@pytest.mark.parametrize("kind", KINDS)
def test_random_and_mutated_messages(kind):
    rng, instrument = random.Random(SEED), make(kind)
    headers = [command.header.replace("[", "").replace("]", "").replace("<6>", "") for command in kind.COMMANDS]
    values = [b"", b"1", b"0", b"0.05", b"5e9", b"ON", b"SWE", b"VOLT", b"CURR", b'""', b"REAL,64", b"1e-3"]
    failed = 0
    for number in range(10_000):
        message = spoil(rng, rng.choice(headers).encode() + b" " + rng.choice(values))
        if rng.random() < 0.05:
            message = rng.randbytes(rng.randrange(40))
        instrument.errors.clear()
        before = state(instrument)
        ScpiConnection(instrument).feed(message.replace(b"\n", b"").replace(b";", b"") + b"\n")
        if instrument.errors:
            failed += 1
            assert state(instrument) == before, f"seed {SEED}, message {number}: {message!r}"
    assert ScpiConnection(instrument).feed(b"*CLS\n*OPC?\n") == b"1\n"
    assert 3000 < failed < 9900
