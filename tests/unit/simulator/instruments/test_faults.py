"""Faults where they act: in the connection and in the instruments. The matrix is in tests/contract/test_faults.py."""

from __future__ import annotations

import pytest

from pulsed.simulator.instruments.connection import ScpiConnection
from pulsed.simulator.instruments.virtual_instrument import RunState

ROW = (1, 0, 1, 0, 1.0, 0.0, 0.0)


@pytest.fixture
def loaded(bench, awg):
    """An AWG with a waveform and a list."""
    awg.write('WAV:DATA 1,"w",', bench.wave(16, 0))
    awg.write('SEQ:DATA 1,"s",100,', bench.events(ROW))
    awg.write("LIST:DATA ", bench.entries((1, 10, 1000)))
    awg.clean()
    return bench.awg1


def ask(instrument, line):
    return ScpiConnection(instrument).feed(line.encode() + b"\n").decode().rstrip("\n")


def test_a_dropped_block_upload_stores_nothing_and_breaks_the_connection(loaded):
    loaded.faults.active["drop"] = 0.0
    connection = ScpiConnection(loaded)
    assert connection.feed(b'*OPC?\nWAV:DATA 9,"w",#264' + bytes(64) + b"\n*OPC?\n") == b"1\n"
    assert connection.broken
    assert 9 not in loaded.waveforms
    assert "drop" not in loaded.faults


def test_a_dropped_answer_is_cut_in_the_middle(loaded):
    loaded.faults.active["drop"] = 0.0
    connection = ScpiConnection(loaded)
    assert connection.feed(b"WAV:DATA? 1\n") == b"#264" + bytes(30)
    assert connection.broken


def test_a_short_block_is_well_formed_and_half_as_long(loaded):
    loaded.faults.active["short"] = 0.0
    assert ScpiConnection(loaded).feed(b"WAV:DATA? 1;*OPC?\n") == b"#232" + bytes(32) + b";1\n"
    assert ScpiConnection(loaded).feed(b"WAV:DATA? 1\n") == b"#264" + bytes(64) + b"\n"


@pytest.mark.parametrize(("kind", "code", "register"), [("overheat", 101, 16), ("reference", 102, 32)])
@pytest.mark.parametrize("armed", [True, False])
def test_a_condition_stops_and_lasts(loaded, kind, code, register, armed):
    ask(loaded, "OUTP1 ON")
    if armed:
        ask(loaded, "INIT")
    loaded.faults.active[kind] = 0.0
    loaded.act_on_faults()
    assert loaded.state is (RunState.FAULT if armed else RunState.IDLE)
    assert loaded.outputs[0].on == (kind != "overheat")
    assert ask(loaded, "SYST:ERR:COUN?;:STAT:QUES:COND?") == f"1;{register}"
    ask(loaded, "*CLS;:ABOR;INIT")
    assert ask(loaded, "SYST:ERR?;:STAT?").startswith(f"{code},")
    assert loaded.state is RunState.IDLE
    del loaded.faults.active[kind]
    ask(loaded, "INIT")
    assert ask(loaded, "SYST:ERR:COUN?;:STAT?;:STAT:QUES:COND?") == "0;ARMED;0"


def test_a_hot_output_stays_off(loaded):
    loaded.faults.active["overheat"] = 0.0
    ask(loaded, "OUTP1 ON;OUTP2 OFF")
    assert not loaded.outputs[0].on
    assert ask(loaded, "SYST:ERR:ALL?").startswith("101,")


def test_power_on_is_a_reboot(loaded):
    epoch = loaded.epoch
    ask(loaded, "OUTP1 ON;*ESE 255;*SRE 255;NONSENSE")
    loaded.power_on()
    assert ask(loaded, "WAV:CAT?;:OUTP1?;:SYST:ERR:COUN?;*ESE?;*SRE?;*ESR?") == ";0;0;0;0;128"
    assert loaded.epoch != epoch


def test_a_leader_ignores_one_trigger(loaded):
    ask(loaded, "INIT")
    loaded.faults.active["trigger"] = 0.0
    ask(loaded, "*TRG")
    assert loaded.state is RunState.ARMED
    ask(loaded, "*TRG")
    assert loaded.state is not RunState.ARMED
