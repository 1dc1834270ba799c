"""HiSLIP in memory, both channels: what IVI-6.1 asks for, and that no bytes can harm it."""

from __future__ import annotations

import random
import struct

import pytest

from pulsed.simulator.instruments.hislip import HislipChannel, HislipSessions, MessageType, message

SEED = 20261122


class Peer:
    """A client: feeds bytes in pieces of any size, reads messages."""

    def __init__(self, hub):
        self.wakes = 0
        self.channel = HislipChannel(hub, self.wake)

    def wake(self):
        self.wakes += 1

    def feed(self, data, piece=1 << 20):
        """Send bytes and return the messages that come back: (kind, control, parameter, payload)."""
        view, answers = memoryview(data), bytearray()
        while True:
            while (part := self.channel.pull()) is not None:
                answers += part
            if not view or self.channel.broken:
                return parse(bytes(answers))
            target = self.channel.get_buffer()
            size = min(len(view), len(target), piece)
            target[:size] = view[:size]
            self.channel.received(size)
            view = view[size:]

    def send(self, kind, control=0, parameter=0, payload=b"", piece=1 << 20):
        return self.feed(message(kind, control, parameter, payload), piece)


def parse(data):
    messages = []
    while data:
        prologue, kind, control, parameter, length = struct.unpack("!2sBBIQ", data[:16])
        assert prologue == b"HS"
        messages.append((MessageType(kind), control, parameter, data[16 : 16 + length]))
        assert len(messages[-1][3]) == length
        data = data[16 + length :]
    return messages


@pytest.fixture
def hub(bench):
    return HislipSessions(bench.awg1)


@pytest.fixture
def sync(hub):
    return Peer(hub)


@pytest.fixture
def aside(hub, sync):
    """The asynchronous channel, both being initialized."""
    ((kind, control, parameter, payload),) = sync.send(MessageType.INITIALIZE, 0, 0x01000000, b"hislip0")
    assert (kind, control, parameter >> 16, payload) == (MessageType.INITIALIZE_RESPONSE, 0, 0x0100, b"")
    peer = Peer(hub)
    assert peer.send(MessageType.ASYNC_INITIALIZE, 0, parameter & 0xFFFF)[0][0] == MessageType.ASYNC_INITIALIZE_RESPONSE
    return peer


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
@pytest.mark.parametrize("piece", [1, 3, 1000])
def test_an_answer_carries_the_number_of_its_question(sync, aside, end, piece):
    for number in (0xFFFFFF00, 0xFFFFFF02):
        (answer,) = sync.send(MessageType.DATA_END, 0, number, b"*OPC?;*ESE?" + end, piece)
        assert answer == (MessageType.DATA_END, 0, number, b"1;0\n")


def test_a_message_may_come_in_parts_and_hold_lines(sync, aside, bench):
    block = b'WAV:DATA 1,"w",#264' + bytes(63)
    assert sync.send(MessageType.DATA, 0, 2, b"OUTP1 ON\n" + block[:40]) == []
    assert sync.send(MessageType.DATA_END, 0, 4, block[40:]) == []
    assert (bench.awg1.outputs[0].on, 1 in bench.awg1.waveforms) == (True, False)
    assert sync.send(MessageType.DATA_END, 0, 6, b"SYST:ERR:ALL?")[0][3].startswith(b"-161,")
    sync.send(MessageType.DATA_END, 0, 8, b'WAV:DATA 1,"w",#264' + b"\n" * 64)
    assert bench.awg1.waveforms[1].codes.tobytes() == b"\n" * 64
    assert len(sync.send(MessageType.DATA_END, 0, 10, b"*OPC?\n*ESE?\n*OPC?")) == 3


def test_a_large_answer_comes_in_messages_of_the_size_that_the_client_takes(sync, aside, bench):
    ((kind, _, _, payload),) = aside.send(MessageType.ASYNC_MAX_MSG_SIZE, payload=(10_000).to_bytes(8, "big"))
    assert (kind, len(payload)) == (MessageType.ASYNC_MAX_MSG_SIZE_RESPONSE, 8)
    data = random.Random(SEED).randbytes(65536 * 2)
    codes = bytes(b & 0x1F if i % 2 else b for i, b in enumerate(data))
    sync.send(MessageType.DATA_END, 0, 2, b'WAV:DATA 1,"w",#6131072' + codes)
    answers = sync.send(MessageType.DATA_END, 0, 4, b"*OPC?;WAV:DATA? 1;*OPC?")
    assert b"".join(answer[3] for answer in answers) == b"1;#6131072" + codes + b";1\n"
    assert [answer[0] for answer in answers] == [MessageType.DATA] * (len(answers) - 1) + [MessageType.DATA_END]
    assert max(len(answer[3]) for answer in answers) <= 10_000
    assert {answer[2] for answer in answers} == {4}


def test_data_needs_both_channels(sync):
    sync.send(MessageType.INITIALIZE, 0, 0x01000000, b"hislip0")
    ((kind, control, _, _),) = sync.send(MessageType.DATA_END, 0, 0, b"*IDN?")
    assert (kind, control) == (MessageType.FATAL_ERROR, 2)
    assert sync.channel.broken


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", 1),
        (message(MessageType.INITIALIZE, 0, 0, b"hislip7"), 3),
        (message(MessageType.ASYNC_INITIALIZE, 0, 77), 3),
    ],
)
def test_a_wrong_start_is_fatal(sync, data, code):
    ((kind, control, _, text),) = sync.feed(data)
    assert (kind, control) == (MessageType.FATAL_ERROR, code)
    assert text
    assert sync.channel.broken


def test_a_session_has_one_asynchronous_channel(hub, aside):
    ((kind, control, _, _),) = Peer(hub).send(MessageType.ASYNC_INITIALIZE, 0, 1)
    assert (kind, control) == (MessageType.FATAL_ERROR, 3)


@pytest.mark.parametrize("kind", [MessageType.ASYNC_STATUS_QUERY, MessageType.INITIALIZE, 99, 200])
def test_an_unknown_message_is_an_error_and_all_goes_on(sync, aside, kind):
    ((answer, control, _, _),) = sync.feed(struct.pack("!2sBBIQ", b"HS", int(kind), 0, 0, 5) + b"12345")
    assert (answer, control) == (MessageType.ERROR, 1)
    ((answer, control, _, _),) = sync.feed(struct.pack("!2sBBIQ", b"HS", int(kind), 0, 0, 3000) + bytes(3000))
    assert (answer, control) == (MessageType.ERROR, 4)
    assert sync.send(MessageType.DATA_END, 0, 2, b"*OPC?")[0][3] == b"1\n"


def status(aside):
    ((kind, control, _, _),) = aside.send(MessageType.ASYNC_STATUS_QUERY)
    assert kind == MessageType.ASYNC_STATUS_RESPONSE
    return control


def test_the_status_byte_tells_of_errors_and_of_an_answer_that_was_not_read(sync, aside):
    assert status(aside) == 0
    sync.send(MessageType.DATA_END, 0, 2, b"NONSENSE")
    assert status(aside) == 4
    sync.send(MessageType.DATA_END, 0, 4, b"SYST:ERR?")
    assert status(aside) == 16
    sync.send(MessageType.DATA_END, 1, 6, b"*OPC")
    assert status(aside) == 0


def test_a_trigger_is_trg(sync, aside, bench):
    sync.send(MessageType.TRIGGER, 0, 2)
    assert sync.send(MessageType.DATA_END, 0, 4, b"SYST:ERR?")[0][3].startswith(b"-211,")


def test_device_clear_forgets_what_is_under_way(sync, aside, bench):
    bench.awg1.step("arm")
    assert sync.send(MessageType.DATA_END, 0, 2, b"*OPC?;WAIT? 60000;*OPC?") == []
    assert sync.channel.waiting == 60.0
    assert aside.send(MessageType.ASYNC_DEVICE_CLEAR)[0][0] == MessageType.ASYNC_DEVICE_CLEAR_ACKNOWLEDGE
    assert (sync.wakes, sync.channel.waiting) == (1, None)
    assert sync.send(MessageType.DATA_END, 0, 4, b"ABOR;STAT?") == []
    assert sync.send(MessageType.DEVICE_CLEAR_COMPLETE)[0][0] == MessageType.DEVICE_CLEAR_ACKNOWLEDGE
    assert sync.send(MessageType.DATA_END, 0, 6, b"STAT?")[0][3] == b"ARMED\n"


def test_locks_are_refused(aside):
    assert aside.send(MessageType.ASYNC_LOCK, 1, 1000)[0][:2] == (MessageType.ASYNC_LOCK_RESPONSE, 0)
    assert aside.send(MessageType.ASYNC_LOCK, 0)[0][:2] == (MessageType.ASYNC_LOCK_RESPONSE, 3)
    assert aside.send(MessageType.ASYNC_LOCK_INFO)[0][:3] == (MessageType.ASYNC_LOCK_INFO_RESPONSE, 0, 0)


def test_what_was_sent_before_a_client_closed_both_is_carried_out(sync, aside, bench):
    """The end of the asynchronous channel may be seen first."""
    aside.channel.closed()
    sync.send(MessageType.DATA_END, 0, 2, b"OUTP1 ON")
    assert bench.awg1.outputs[0].on


def test_the_asynchronous_channel_goes_with_the_other(hub, sync, aside):
    sync.channel.closed()
    assert (aside.channel.broken, aside.wakes) == (True, 1)
    assert hub.find(1) is None


def test_no_bytes_harm_it(bench):
    """Mutated sessions: whatever comes, the channel answers whole messages or breaks, and others are served."""
    rng = random.Random(SEED)
    hub = HislipSessions(bench.awg1)
    for turn in range(3000):
        sync, aside = Peer(hub), Peer(hub)
        number = sync.send(MessageType.INITIALIZE, 0, 0, b"hislip0")[0][2] & 0xFFFF
        aside.send(MessageType.ASYNC_INITIALIZE, 0, number)
        for _ in range(3):
            payload = rng.choice([b"*IDN?", b"OUTP1 ON\n", b"#15hello", rng.randbytes(20), b'WAV:DATA 1,"x",#9'])
            data = bytearray(
                message(MessageType(rng.choice(list(MessageType))), rng.randrange(3), rng.randrange(9), payload)
            )
            if rng.random() < 0.5:
                data[rng.randrange(len(data))] = rng.randrange(256)
            try:
                rng.choice([sync, aside]).feed(bytes(data), rng.choice([1, 7, 1000]))
            except Exception as error:
                raise AssertionError(f"seed {SEED}, turn {turn}, {bytes(data)!r}") from error
        sync.channel.closed()
        aside.channel.closed()
    well, beside = Peer(hub), Peer(hub)
    number = well.send(MessageType.INITIALIZE)[0][2] & 0xFFFF
    beside.send(MessageType.ASYNC_INITIALIZE, 0, number)
    assert well.send(MessageType.DATA_END, 0, 2, b"*OPC?")[0][3] == b"1\n"
