"""The SCPI parser: spellings, blocks, errors, registers, bounds; and that no bytes can harm it."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsed.simulator.instruments.awg8 import EVENT, SEQUENCE, VirtualAwg
from pulsed.simulator.instruments.connection import BLOCK_LIMIT, LINE_LIMIT, ScpiConnection
from pulsed.simulator.instruments.dig2 import VirtualDigitizer
from pulsed.simulator.instruments.scpi import Command, build_table, split
from pulsed.simulator.instruments.virtual_instrument import VirtualIdentity

SEED = 20261121


class _NoBus:
    def start(self, leader):
        leader.step("trigger")

    def abort(self, player):
        pass


def make_awg():
    return VirtualAwg(VirtualIdentity("pulsed", "AWG8", "1"), _NoBus())


def feed(instrument, data):
    return ScpiConnection(instrument).feed(data)


@pytest.mark.parametrize(
    "spelling",
    ["SYST:ERR:COUN?", "SYSTem:ERRor:COUNt?", "system:error:count?", ":SYST:ERR:COUN?", "  syst:ERROR:coun?  "],
)
def test_every_spelling_finds_the_command(awg, spelling):
    assert awg.query(spelling) == "0"
    awg.clean()


@pytest.mark.parametrize("spelling", ["SYSTE:ERR?", "SYST:ER?", "SYST", "SYST:ERR", "OUTP5 ON", "OUTP0?", "*IDN", "É?"])
def test_other_spellings_do_not(awg, spelling):
    assert awg.query(spelling) == ""
    assert awg.error() == -113


def test_a_table_has_optional_nodes_and_suffixes():
    table = build_table([Command("[SOURce]:POWer[:LEVel]", lambda: None), Command("OUTPut<2>:X?", lambda: None)])
    assert {b"POW", b"SOUR:POW:LEV", b"SOURCE:POWER", b"POWER:LEVEL", b"SOUR:POW"} <= set(table)
    assert table[b"OUTP:X?"][1] == (1,)
    assert table[b"OUTPUT2:X?"][1] == (2,)
    assert b"OUTP3:X?" not in table


def test_headers_after_a_semicolon_count_from_the_last_node_or_the_root(awg):
    assert awg.query("OUTP1:CORR 1,0.5,0,1;OFFS 0.25,0;:OUTP1:CORR?;OFFS?") == "1.0,0.5,0.0,1.0;0.25,0.0"
    assert awg.query("OUTP1 ON;*OPC?;OUTP1?;SYST:ERR:COUN?;STAT?;:OUTP2?") == "1;1;0;IDLE;0"
    awg.clean()
    assert awg.query("OUTP1:OFFS 0,0;:CORR?") == ""
    assert awg.error() == -113


def test_a_unit_that_fails_does_not_stop_the_others(awg):
    assert awg.query("OUTP1 ON;BAD;OUTP1?;WAV:DATA? 3;*OPC?") == "1;1"
    assert awg.query("SYST:ERR:COUN?") == "2"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("OUTP1", -109),
        ("OUTP1 ON,OFF", -108),
        ("OUTP1 MAYBE", -224),
        ("OUTP1:OFFS 0.7,0", -222),
        ("OUTP1:OFFS nan,0", -224),
        ("OUTP1:OFFS inf,0", -222),
        ("OUTP1:OFFS 0_1,0", -224),
        ("OUTP1:OFFS ,0", -109),
        ("WAIT? 1e3", -224),
        ("WAIT? -1", -222),
        ("WAIT? " + "9" * 5000, -224),
        ("LIST:DATA 5", -161),
        ("LIST:DATA", -109),
        ("TRIG:SOUR INT", -224),
        ("*ESE 256", -222),
        ("WAV:DATA 1,g,#216" + "0" * 16, -224),
        ("WAV:DATA 1,\"a\",", -109),
        ("OUTP1 #12ON", -161),
        ("LIST:DATA 1#216" + "0" * 16, -102),
        ("LIST:DATA #215" + "0" * 15, -161),
        ("LIST:DATA #0abc", -161),
        ("LIST:DATA #Habc", -161),
        ("LIST:DATA #2x5abc", -161),
        ("LIST:DATA #216" + "0" * 16 + ";*OPC?", -161),
        (";#12ab", -113),
        ('WAV:DATA 1,"' + "n" * 65 + '",#216' + "0" * 16, -223),
        ('WAV:DATA 1,"a;b",#13123', -161),
    ],
)  # fmt: skip
def test_an_error_has_its_code_and_changes_nothing(awg, line, code):
    before = snapshot(awg.instrument)
    assert awg.query(line) == ""
    assert awg.error() == code
    assert snapshot(awg.instrument) == before
    assert awg.query("*OPC?") == "1"


def test_strings_may_hold_separators(bench, awg):
    awg.write('WAV:DATA 7,"a;b,c#1",', bench.wave())
    awg.clean()
    assert awg.query("WAV:CAT?") == '7,16,"a;b,c#1"'


def test_the_queue_overflows_at_its_end(awg):
    for i in range(40):
        awg.query(f"BAD{i}")
    entries = [awg.query("SYST:ERR?") for _ in range(33)]
    assert entries[0] == '-113,"Undefined header; BAD0"'
    assert entries[30] == '-113,"Undefined header; BAD30"'
    assert entries[31:] == ['-350,"Queue overflow"', '0,"No error"']


def test_all_errors_at_once(awg):
    awg.query("BAD")
    awg.query("OUTP1 X")
    assert awg.query("SYST:ERR:ALL?").startswith('-113,"Undefined header; BAD",-224,"Illegal parameter value; ')
    awg.clean()


def test_registers(awg):
    assert awg.query("*ESR?;*ESR?") == "128;0"
    awg.query("*OPC")
    awg.query("BAD")
    awg.query("OUTP1:OFFS 9,9")
    assert awg.query("*STB?") == "4"
    awg.query("*ESE 16;*SRE 32")
    assert awg.query("*STB?;*ESE?;*SRE?") == str(4 + 32 + 64) + ";16;32"
    assert awg.query("*ESR?") == str(1 + 16 + 32)
    awg.query("*CLS")
    assert awg.query("*STB?;*ESR?") == "0;0"
    assert awg.query("*TST?;*WAI;*OPC?") == "0;1"


def test_reset_loses_the_memory_and_says_so(bench, awg):
    epoch = awg.query("SYST:EPOC?")
    awg.write('WAV:DATA 7,"a",', bench.wave())
    awg.write("OUTP1 ON")
    awg.write("BAD")
    awg.write("*RST")
    assert awg.query("WAV:CAT?") == ""
    assert awg.query("OUTP1?") == "0"
    assert awg.query("SYST:EPOC?") != epoch
    assert awg.error() == -113


def test_a_line_too_long_is_dropped(awg):
    awg.connection.feed(b"A" * (LINE_LIMIT + 100) + b";*OPC?\n")
    assert awg.error() == -363
    assert awg.query("*OPC?") == "1"


def test_a_block_too_long_is_skipped_without_being_held(awg):
    length = BLOCK_LIMIT + 1
    awg.connection.feed(f"LIST:DATA #8{length}".encode())
    chunk = bytes(1 << 20)
    for _ in range(length >> 20):
        awg.connection.feed(chunk)
    awg.connection.feed(b"\0")
    assert awg.query("") == ""
    assert awg.error() == -223
    assert awg.query("*OPC?") == "1"


def test_crlf_and_empty_lines(awg):
    assert awg.connection.feed(b"\r\n\n*OPC?\r\n;\n *IDN?;\r\n") == b"1\npulsed,AWG8,1,1.0.0\n"
    awg.clean()


def test_an_empty_block_is_a_block(awg):
    awg.write('SEQ:DATA 1,"empty",100,', b"")
    awg.clean()
    assert awg.query("SEQ:CAT?") == '1,0,"empty"'


def test_a_wait_holds_its_own_connection_only(bench, awg):
    awg.write('SEQ:DATA 1,"empty",100,', b"")
    awg.write("LIST:DATA ", bench.entries((1, 1, 100)))
    awg.write("INIT")
    assert awg.connection.feed(b"*OPC?;WAIT? 5000;STAT?\nOUTP1?\n") == b"1"
    assert awg.connection.waiting == 5
    other = bench.client(bench.awg1)
    assert other.query("STAT?") == "ARMED"
    other.query("ABOR")
    assert awg.connection.feed(b"") == b";IDLE;IDLE\n0\n"
    awg.write("INIT")
    assert awg.connection.feed(b"WAIT? 10\n") == b""
    awg.connection.expire()
    assert awg.connection.feed(b"") == b"ARMED\n"


STREAM = (
    b'*RST;*CLS\nWAV:DATA 3,"a\'#;b",#264'
    + bytes(range(10)) + b"\n#1\n;" + bytes(49)
    + b"\r\nwav:data? 3;*OPC?\nSEQ:DATA 1,\"s\",99,#10\nBAD;SYST:ERR:COUN?\nLIST:DATA #9000000016"
    + bytes([1, 0, 0, 0, 5, 0, 0, 0, 99, 0, 0, 0, 0, 0, 0, 0]) + b"\nINIT;STAT?;LIST:COUN?\nSYST:ERR:ALL?\n"
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, len(STREAM)), max_size=40))
def test_how_the_bytes_are_cut_makes_no_difference(cuts):
    whole = feed(make_awg(), STREAM)
    assert b"ARMED;1\n" in whole
    connection = ScpiConnection(make_awg())
    edges = [0, *sorted(cuts), len(STREAM)]
    pieces = [connection.feed(STREAM[a:b]) for a, b in pairwise(edges)]
    assert b"".join(pieces) == whole


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text('ab"', max_size=6).map(str.encode), min_size=1, max_size=6))
def test_splitting_leaves_strings_whole(parts):
    """Parts with balanced quotes come back as they were, whatever separators the strings hold."""
    balanced = [part if part.count(b'"') % 2 == 0 else part + b'"' for part in parts]
    balanced = [part.replace(b'"', b'";', 1) if b'"' in part else part for part in balanced]
    assert split(b";".join(balanced), b";") == balanced


def snapshot(instrument):
    """Return everything that a command could have changed but registers and error queue."""
    common = (instrument.state, instrument.list.tobytes(), instrument.external, instrument.epoch)
    if isinstance(instrument, VirtualAwg):
        outputs = tuple((o.on, o.correction, o.offset) for o in instrument.outputs)
        waves = {k: (w.name, w.key) for k, w in instrument.waveforms.items()}
        tables = {k: (s.name, s.length, s.events.tobytes()) for k, s in instrument.sequences.items()}
        assert instrument.waveforms.free == 2**24 - sum(w.size for w in instrument.waveforms.values())
        assert instrument.sequences.free == 2**20 - sum(s.size for s in instrument.sequences.values())
        return *common, outputs, waves, tables, instrument.trigger_output
    kernels = {k: (w.name, w.weights.tobytes()) for k, w in instrument.kernels.items()}
    tables = {k: (t.name, t.length, t.records.tobytes()) for k, t in instrument.tables.items()}
    assert instrument.kernels.free == 2**22 - sum(w.size for w in instrument.kernels.values())
    assert instrument.tables.free == 2**20 - sum(t.size for t in instrument.tables.values())
    return *common, instrument.mode, kernels, tables, len(instrument.data)


def corpus(bench):
    """Return valid messages for both instruments."""

    def message(text, block=None):
        if block is None:
            return text.encode() + b"\n"
        return text.encode() + f"#{len(str(len(block)))}{len(block)}".encode() + block + b"\n"

    both = [b"*IDN?\n", b"*CLS\n", b"*ESE 32\n", b"SYST:ERR?\n", b"INIT\n", b"ABOR\n", b"*TRG\n", b"STAT?\n",
            b"WAIT? 10\n", b"TRIG:SOUR EXT\n", b"TRIG:SOUR BUS\n", b"*RST\n", b"*STB?;*ESR?\n",
            message("LIST:DATA ", bench.entries((1, 3, 500)))]  # fmt: skip
    awg = [message('WAV:DATA 2,"w",', bench.wave().tobytes()), b"WAV:DATA? 2\n", b"WAV:CAT?;FREE?\n", b"WAV:DEL 2\n",
           message('SEQ:DATA 1,"s",400,', bench.events((1, 0, 2, 8, 0.5, 0.1, 1e8), (1, 0, 2, 24, 1, 0, 1e8))),
           message('SEQ:DATA 3,"c",400,', np.array([(1, 8, 0, 9, 8, 0, 0, 0), (1, 0, -2, 2**32 - 1, 8, 0, 0.5, 0),
                                                    (1, 0, 2, 2, 24, 1, 0, 1e8)], EVENT).tobytes()),
           message("SEQ:LOAD ", bytes([2, 0, 0, 0, 0, 0, 0, 0]) + np.array(
               [(4, 1, 400, b"x"), (5, 0, 400, b"y")], SEQUENCE).tobytes() + bench.events((1, 0, 2, 8, 0.5, 0.1, 1e8))),
           b"SEQ:DATA? 3;MARK? 3,1\n", b"FEED:LAT?\n",
           b"SEQ:DEL:ALL\n", b"OUTP1:CORR 1,0,0,1;OFFS 0,0.1\n", b"OUTP2 ON;OUTP2?\n", b"TRIG:OUTP OFF\n"]  # fmt: skip
    digitizer = [message('KERN:DATA 2,"k",', np.ones(16, "<c8").tobytes()), b"KERN:CAT?\n", b"KERN:DEL 2\n",
                 message('ACQ:DATA 1,"t",400,', bench.records((0, 2, 8, 16, 1e8), (1, 1 << 16, 24, 16, -1e8))),
                 b"ACQ:MODE RAW\n", b"ACQ:DEL:ALL\n", b"FETC:ALL?\n", b"FETC:DATA? 0;OVER?\n"]  # fmt: skip
    return both + awg, both + digitizer


def mutate(rng, message, others):
    data = bytearray(message)
    for _ in range(rng.choice((0, 1, 1, 2, 4))):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(6)
        if kind == 0 and data:
            data[at % len(data)] = rng.randrange(256)
        elif kind == 1:
            data[at:at] = rng.randbytes(rng.randrange(1, 5))
        elif kind == 2:
            del data[at : at + rng.randrange(1, 6)]
        elif kind == 3:
            data[at:at] = rng.choice(others)[: rng.randrange(1, 30)]
        elif kind == 4:
            del data[at:]
        else:
            data[at:at] = rng.choice((b"#", b'"', b";", b",", b"\n", b"#9999999999", b"-1", b"1e400", b"\xff", b":"))
    return bytes(data)


def test_100000_random_and_mutated_messages(bench):
    """A message that fails, whatever its bytes, changes nothing but queue and registers, and the next one is served."""
    rng = random.Random(SEED)
    failed, valid = 0, corpus(bench)
    instruments = [make_awg(), VirtualDigitizer(VirtualIdentity("pulsed", "DIG2", "3"), _NoBus())]
    for number in range(100_000):
        instrument, messages = instruments[number % 2], valid[number % 2]
        message = rng.choice(messages) if rng.random() < 0.1 else mutate(rng, rng.choice(messages), messages)
        if rng.random() < 0.05:
            message = rng.randbytes(rng.randrange(60)) + b"\n"
        alone = b";" not in message and b"\n" not in message[:-1]
        instrument.errors.clear()
        before = snapshot(instrument) if alone else None
        connection = ScpiConnection(instrument)
        connection.feed(message)
        if instrument.errors:
            failed += 1
            assert before is None or snapshot(instrument) == before, f"seed {SEED}, message {number}: {message!r}"
        assert len(instrument.errors) <= 32
    for instrument in instruments:
        assert feed(instrument, b"*CLS\n*IDN?\n").startswith(b"pulsed,")
    assert 30_000 < failed < 95_000


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_leave_an_instrument_that_answers(data):
    instrument = make_awg()
    ScpiConnection(instrument).feed(data)
    assert feed(instrument, b"*OPC?\n") == b"1\n"
