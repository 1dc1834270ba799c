"""The ports of a rack that the daemon starts stay its own, before it listens and while it is away."""

import contextlib
import socket

import pytest

from pulsed.cli.simulated_rack import own_ports


def listening(port: int) -> socket.socket:
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.bind(("127.0.0.1", port))
    found.listen()
    return found


def test_a_port_is_given_to_nobody_else_and_the_rack_may_come_and_go() -> None:
    ports = own_ports(20)
    assert len(set(ports)) == 20
    for _ in range(2):  # the rack, and the one that is started after it has died
        rack = listening(ports[0])
        with socket.create_connection(("127.0.0.1", ports[0])) as client, rack.accept()[0] as peer:
            client.send(b"x")
            assert peer.recv(1) == b"x"
        rack.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", ports[0]))


def test_the_system_chooses_none_of_them_for_others() -> None:
    """Among 500 of 28,000 ports two of these are to be expected, were they free."""
    ports = set(own_ports(100))
    with contextlib.ExitStack() as stack:
        others = [stack.enter_context(socket.socket()) for _ in range(500)]
        for other in others:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("127.0.0.1", 0))
        assert not ports & {other.getsockname()[1] for other in others}
