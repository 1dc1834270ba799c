import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsed.drivers.contract import after
from pulsed.drivers.scpi.session import NEXT_ERROR, BlockCommand, Session, block_header, parse_errors
from pulsed.model.errors import (
    ConfigError,
    InstrumentDataError,
    InstrumentError,
    InstrumentRefusedError,
    InstrumentTimeoutError,
    InstrumentUnreachableError,
)
from pulsed.testing.doubles import Drop, Garbage, Refuse, ScriptedInstrument, Stall


@pytest.fixture
def peer():
    with ScriptedInstrument({"*IDN?": "maker,model,1,2"}) as peer:
        yield peer


@pytest.fixture
def session(peer):
    session = Session("awg1", peer.address)
    session.connect(after(2))
    yield session
    session.close()


def test_the_constructor_does_no_io():
    session = Session("awg1", "TCPIP::127.0.0.1::1::SOCKET")
    assert not session.is_open


def test_a_transaction_waits_once_and_drains_the_error_queue(session, peer):
    assert session.transact(("OUTP1 ON", "OUTP2 ON"), ("*IDN?",), after(2)) == ["maker,model,1,2"]
    assert peer.received == ["OUTP1 ON", "OUTP2 ON", "*IDN?", "*OPC?", "SYST:ERR:ALL?"]
    assert session.round_trips == 1


@pytest.mark.parametrize("size", [0, 1, 9, 10, 5000, 300_000])
def test_blocks_travel_both_ways(session, peer, size):
    data = bytes(range(256)) * (size // 256 + 1)
    data = data[:size]
    peer.script["FETC:ALL?"] = data
    answers, errors = session.exchange((BlockCommand('WAV:DATA 3,"name",', data),), ("FETC:ALL?", "*IDN?"), after(5))
    assert errors == []
    assert answers == [bytearray(data), "maker,model,1,2"]
    assert peer.blocks == [('WAV:DATA 3,"name",', data)]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=200),
            st.text(st.characters(codec="ascii", exclude_categories=["Cc"], exclude_characters='#;"'), max_size=30),
            st.just('1,2,"a;b#c"'),
        ),
        max_size=5,
    ),
    st.integers(1, 50),
)
def test_every_mixture_of_texts_and_blocks_is_read_back(items, piece):
    """In pieces of any size, because TCP cuts where it likes."""
    session = Session("awg1", "TCPIP::127.0.0.1::1::SOCKET")
    encoded = [
        item.encode() if isinstance(item, str) else block_header(len(item)) + item for item in [*items, "1", "end"]
    ]
    stream = b";".join(encoded) + b"\n"
    pieces = [stream[i : i + piece] for i in range(0, len(stream), piece)]

    def read(into, deadline, asked):
        data = pieces.pop(0)
        into[: len(data[: len(into)])] = data[: len(into)]
        if len(data) > len(into):
            pieces.insert(0, data[len(into) :])
        return min(len(data), len(into))

    session._read = read
    answers = session._receive(after(1), "")
    expected = [item.strip("\r") if isinstance(item, str) else bytearray(item) for item in [*items, "1", "end"]]
    assert [a.rstrip("\r") if isinstance(a, str) else a for a in answers] == expected


def test_a_refusal_carries_the_entry(session, peer):
    peer.script["OUTP9"] = Refuse('-113,"Undefined header; OUTP9"')
    with pytest.raises(InstrumentRefusedError) as caught:
        session.transact(("OUTP9 ON",), (), after(2))
    assert caught.value.subject == "instrument awg1"
    assert caught.value.value == '-113,"Undefined header; OUTP9"'
    assert session.transact((), ("*IDN?",), after(2)) == ["maker,model,1,2"]


def test_a_query_that_is_refused_has_no_answer(session, peer):
    peer.script["BAD?"] = Refuse()
    with pytest.raises(InstrumentRefusedError):
        session.query("BAD?", after(2))


@pytest.mark.parametrize("seconds", [0.05, 0.3])
def test_a_stall_ends_at_the_deadline(session, peer, seconds):
    peer.script["STAT?"] = Stall()
    began = time.monotonic()
    with pytest.raises(InstrumentTimeoutError) as caught:
        session.query("STAT?", after(seconds))
    assert seconds * 0.9 < time.monotonic() - began < 20
    assert caught.value.subject == "instrument awg1"
    assert not session.is_open, "a late answer could be taken for the next one"


def test_a_peer_that_stops_reading_ends_at_the_deadline(session, peer):
    peer.script["HOLD"] = Stall()
    block = BlockCommand("WAV:DATA ", bytes(64 * 2**20))
    with pytest.raises(InstrumentTimeoutError):
        session.transact(("HOLD", block), (), after(0.5))
    assert not session.is_open, "the rest of the block would be taken for commands"


def test_what_is_sent_in_part_closes_the_connection(session, peer):
    peer.script["HOLD"] = Stall()
    with pytest.raises(InstrumentTimeoutError):
        session.send(("HOLD", BlockCommand("WAV:DATA ", bytes(64 * 2**20))), (), after(0.5))
    assert not session.is_open, "the rest of the block would be taken for commands"


def test_a_dropped_connection_is_found_at_once(session, peer):
    peer.script["STAT?"] = Drop()
    began = time.monotonic()
    with pytest.raises(InstrumentUnreachableError):
        session.query("STAT?", after(30))
    assert time.monotonic() - began < 20
    with pytest.raises(InstrumentUnreachableError):
        session.query("STAT?", after(1))


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xfe\n",
        b"hello\n",
        b'"open\n',
        b"#0\n",
        b"#x12\n",
        b"#9999999999\n",
        b"#3abc\n",
        b"#12ab!\n",
        b"\n",
        b";;;\n",
    ],
)
def test_garbage_is_one_typed_error(session, peer, data):
    peer.script["STAT?"] = Garbage(data)
    with pytest.raises(InstrumentError) as caught:
        session.query("STAT?", after(0.5))
    assert caught.value.subject == "instrument awg1"
    assert not session.is_open


def test_nobody_listens(peer):
    address = peer.address
    peer.__exit__(None, None, None)
    with pytest.raises(InstrumentUnreachableError) as caught:
        Session("awg1", address).connect(after(2))
    assert caught.value.subject == "instrument awg1"
    assert caught.value.value == address


@pytest.mark.parametrize("address", ["nonsense", "TCPIP::127.0.0.1::inst0::INSTR", "GPIB::4::INSTR", ""])
def test_an_address_that_is_none_of_a_socket(address):
    with pytest.raises(ConfigError) as caught:
        Session("awg1", address).connect(after(2))
    assert caught.value.value == (address or "''")[: len(address)] if address else True
    assert "SOCKET" in caught.value.legal


def test_an_unknown_host():
    with pytest.raises(InstrumentUnreachableError):
        Session("awg1", "TCPIP::no.such.host.invalid::99::SOCKET").connect(after(2))


def test_errors_without_the_one_that_is_none():
    assert parse_errors('0,"No error"') == []
    assert parse_errors('-113,"a, b",-221,"c"') == ['-113,"a, b"', '-221,"c"']


@pytest.mark.parametrize(
    "text", ["", "0", "No error", '0,"No error', "0,No error", '-113,"a";-221,"b"', "nonsense", '-113,"a",']
)
def test_what_is_no_error_queue_is_not_the_news_that_there_is_no_error(session, peer, text):
    with pytest.raises(ValueError, match="error queue"):
        parse_errors(text)
    if text and ";" not in text:
        peer.script["SYST:ERR:ALL?"] = Garbage(f"1;{text}\n".encode())
        peer.script["*OPC?"] = [Garbage(f"1;{text}\n".encode())]
        with pytest.raises(InstrumentDataError):
            session.transact(("OUTP1 ON",), (), after(2))
        assert not session.is_open


def test_signs_blanks_and_doubled_quotes_are_read():
    assert parse_errors('+0,"No error"') == []
    assert parse_errors('0, "No error"') == []
    assert parse_errors('-222,"say ""no"" to it",+7,"b"') == ['-222,"say ""no"" to it"', '7,"b"']


def test_a_queue_that_is_told_one_by_one_is_read_to_its_end(peer):
    session = Session("bias", peer.address, NEXT_ERROR)
    session.connect(after(2))
    peer.script["BAD"] = Refuse('-113,"Undefined header"')
    peer.script["WORSE"] = Refuse('-222,"Data out of range"')
    answers, errors = session.exchange(("BAD", "WORSE", "BAD"), ("*IDN?",), after(2))
    assert answers == ["maker,model,1,2"]
    assert errors == ['-113,"Undefined header"', '-222,"Data out of range"', '-113,"Undefined header"']
    assert session.exchange((), (), after(2)) == ([], [])
    peer.script["SYST:ERR?"] = '-350,"Queue overflow"'
    with pytest.raises(InstrumentDataError, match="more than"):
        session.exchange((), (), after(2))
    session.close()
