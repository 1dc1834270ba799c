"""A socket in the event loop: whatever comes is read, also while answers go out and after a handler that failed."""

import asyncio

import pytest
import zmq

from pulsed.daemon.front.sockets import AsyncSocket

NUMBER = 250
"""More than are read in one turn."""


@pytest.mark.parametrize("fails", [False, True])
def test_every_message_is_read_and_answered(fails):
    asked, answered, failed = [], [], []

    async def main():
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        loop.set_exception_handler(lambda _, context: failed.append(context["exception"]))
        context = zmq.Context()
        router, dealer = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
        router.bind("inproc://asked")
        dealer.connect("inproc://asked")

        def received(frames):
            address, body = frames
            asked.append(body.bytes)
            server.send([address, body])
            if fails and len(asked) % 50 == 1:
                raise ValueError(len(asked))
            if len(asked) == 100:  # comes while others are read
                client.send([b"late"])

        def returned(frames):
            answered.append(frames[0].bytes)
            if len(answered) == NUMBER + 1:
                done.set()

        server, client = AsyncSocket(router, received), AsyncSocket(dealer, returned)
        for number in range(NUMBER):
            client.send([str(number).encode()])
        await asyncio.wait_for(done.wait(), 30)
        for end in (server, client):
            end.close()
            end.close()
        context.term()

    asyncio.run(main())
    expected = [str(number).encode() for number in range(NUMBER)] + [b"late"]
    assert asked == answered == expected
    assert [str(error) for error in failed] == (["1", "51", "101", "151", "201", "251"] if fails else [])


def test_a_socket_may_be_closed_by_what_it_reads():
    async def main():
        context = zmq.Context()
        pull, push = context.socket(zmq.PULL), context.socket(zmq.PUSH)
        pull.bind("inproc://closed")
        push.connect("inproc://closed")
        read = []

        def received(frames):
            read.append(frames[0].bytes)
            reader.close()

        reader = AsyncSocket(pull, received)
        push.send(b"1")
        push.send(b"2")
        await asyncio.sleep(0.1)
        assert read == [b"1"]
        context.destroy(0)

    asyncio.run(main())
