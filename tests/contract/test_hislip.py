"""HiSLIP against the rack's process: stock pyvisa-py, peers that are ill, and the rack as a whole."""

import socket
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
import pyvisa

from pulsed.drivers.contract import after
from pulsed.drivers.rack.rack import Rack
from pulsed.drivers.scpi.session import BlockCommand, Session
from pulsed.model.errors import (
    ConfigError,
    InstrumentDataError,
    InstrumentError,
    InstrumentTimeoutError,
    InstrumentUnreachableError,
)
from pulsed.testing.chunks import make_chunk


def over_hislip(address):
    host, port = address.split("::")[1:3]
    return f"TCPIP::{host}::hislip0,{port}::INSTR"


@pytest.fixture
def awg(rack_process):
    manager = pyvisa.ResourceManager("@py")
    address = over_hislip(rack_process.addresses["awg1"])
    resource = manager.open_resource(address, read_termination="\n", write_termination="\n", timeout=5000)
    yield resource
    resource.write("*RST;*CLS")
    resource.close()


@pytest.fixture
def session(rack_process):
    session = Session("awg1", over_hislip(rack_process.addresses["awg1"]))
    session.connect(after(2))
    yield session
    session.transact(("*RST",), (), after(2))
    session.close()


def test_stock_pyvisa_speaks_to_it(awg):
    assert awg.query("*IDN?").startswith("pulsed,AWG8,AWG8-0001,")
    codes = np.random.default_rng(1).integers(-8000, 8000, 131072).astype("<i2")
    awg.write_binary_values('WAV:DATA 1,"noise",', codes, datatype="h")
    assert awg.query("*OPC?;:SYST:ERR:ALL?") == '1;0,"No error"'
    assert np.array_equal(awg.query_binary_values("WAV:DATA? 1", datatype="h", container=np.array), codes)


def test_status_byte_device_clear_and_trigger(awg):
    awg.write("NONSENSE")
    awg.query("*OPC?")
    assert awg.read_stb() == 4
    awg.query("*CLS;*OPC?")
    awg.write("*IDN?")
    awg.visalib.sessions[awg.session].interface._async.settimeout(5)
    deadline = after(5)
    while awg.read_stb() != 16:
        assert time.monotonic() < deadline
    awg.read()
    assert awg.read_stb() == 0
    awg.clear()
    awg.visalib.sessions[awg.session].interface.trigger()
    assert awg.query("SYST:ERR?").startswith("-211,")


def test_an_answer_to_an_older_question_is_not_taken_for_the_next(awg):
    awg.write("*IDN?")
    assert awg.query("SEQ:CAT?") == ""


@pytest.mark.parametrize("size", [16, 2**18 - 8, 2**18, 2**20 + 8])
def test_blocks_of_any_size_travel_both_ways(session, size):
    """Also such as need several messages: a message holds 1 MiB."""
    count = -(-size // 65536)
    codes = np.random.default_rng(size).integers(-8000, 8000, (count, 65536, 2)).astype("<i2")
    blocks = [BlockCommand(f'WAV:DATA {k},"w",', codes[k].tobytes()) for k in range(count)]
    answers, errors = session.exchange(blocks, [f"WAV:DATA? {k}" for k in range(count)], after(20))
    assert errors == []
    assert [bytes(answer) for answer in answers] == [codes[k].tobytes() for k in range(count)]


@contextmanager
def listener(answer=None):
    """A server that accepts, reads, and sends ``answer`` once; None: nothing, and keeps the connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        clients = []

        def serve():
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                clients.append(client)
                client.recv(100)
                if answer is not None:
                    client.sendall(answer)
                    client.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"TCPIP::127.0.0.1::hislip0,{server.getsockname()[1]}::INSTR"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for client in clients:
                client.close()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (None, InstrumentTimeoutError),
        (b"", InstrumentUnreachableError),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", InstrumentDataError),
        (b"HS\x02\x03" + bytes(12), InstrumentDataError),
    ],
)
def test_a_peer_that_is_no_hislip_server_is_one_typed_error_in_time(answer, error):
    with listener(answer) as address:
        session = Session("awg1", address)
        began = time.monotonic()
        with pytest.raises(error) as caught:
            session.connect(after(0.3))
        assert time.monotonic() - began < 20
    assert caught.value.subject == "instrument awg1"
    assert not session.is_open


def test_other_addresses_are_refused():
    with pytest.raises(ConfigError) as caught:
        Session("awg1", "TCPIP::127.0.0.1::inst0::INSTR").connect(after(1))
    assert "hislip0,PORT" in caught.value.legal


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("silent", InstrumentTimeoutError), ("drop", InstrumentUnreachableError), ("reboot", InstrumentUnreachableError)],
)
def test_the_rack_plays_over_hislip_and_notices_faults(rack_process, kind, expected):
    addresses = {name: over_hislip(address) for name, address in rack_process.addresses.items()}
    rack = Rack(rack_process.device.with_addresses(addresses))
    rack.connect(after(5))
    try:
        rack.play(make_chunk(rack.device, (0.31,), shots=37))
        rack_process.ask("fault", instrument="awg2", kind=kind)
        with pytest.raises(InstrumentError) as caught:
            rack.play(make_chunk(rack.device, (0.32,), shots=38), deadline=after(1.5))
        assert type(caught.value) is expected
        assert caught.value.subject == "instrument awg2"
        rack_process.ask("clear")
        rack.reconnect(after(5))
        results, _, _ = rack.play(make_chunk(rack.device, (0.32,), shots=38))
        assert results[0].shots == 38
    finally:
        rack_process.ask("clear")
        rack.safe_state()
        rack.close()
