"""Which racks a provider has, and what becomes of one whose daemon does not answer."""

import warnings

import pytest

from pulsed.daemon.front.sockets import reachable
from pulsed.model.errors import ConnectionFailedError
from pulsed.model.rack_address import RackAddress
from pulsed.provider.errors import BackendNotFoundError
from pulsed.provider.racks import Racks, RackUnavailableWarning

HERE = "tcp://127.0.0.1:5810"


class ClientDouble:
    def __init__(self, url, *backends):
        self.url, self.names, self.others, self.made = url, backends, (), []
        self.fails = self.closed = False
        self.hears_daemon = True

    @property
    def greeting(self):
        return self

    @property
    def backends(self):
        return self.names

    def racks(self):
        return self.others

    def of_rack(self, address):
        self.made.append(ClientDouble(address.url, address.rack))
        self.made[-1].fails = self.fails
        return self.made[-1]

    def connect(self):
        if self.fails:
            raise ConnectionFailedError("no daemon answers", subject=self.url)

    def close(self):
        self.closed = True


def address(rack, url="tcp://127.0.0.1:5820", alive=True):
    return RackAddress(rack, url, "k" * 40, alive)


@pytest.fixture
def own():
    return ClientDouble(HERE, "east")


def test_the_own_rack_comes_first_and_once(own):
    own.others = (address("east", HERE), address("north"), address("west"))
    racks = Racks(own)
    assert list(racks.clients()) == ["east", "north", "west"]
    assert racks.clients()["east"] is own
    assert racks.clients()["west"] is own.made[1], "a connection is kept"
    assert len(own.made) == 2


def test_a_rack_without_a_daemon_is_not_there_and_nobody_is_warned(own):
    own.others = (address("west"),)
    racks = Racks(own)
    assert list(racks.clients()) == ["east", "west"]
    own.others = (address("west", alive=False),)
    assert list(racks.clients()) == ["east"]
    assert own.made[0].closed


def test_a_daemon_that_moved_is_followed(own):
    own.others = (address("west"),)
    racks = Racks(own)
    racks.clients()
    own.others = (address("west", "tcp://127.0.0.1:5830"),)
    assert racks.clients()["west"].url == "tcp://127.0.0.1:5830"
    assert own.made[0].closed


def test_a_connection_whose_daemon_has_gone_is_made_anew(own):
    own.others = (address("west"),)
    racks = Racks(own)
    racks.clients()
    own.made[0].hears_daemon, own.fails = False, True
    with pytest.warns(RackUnavailableWarning, match="no daemon answers"):
        assert list(racks.clients()) == ["east"]
    assert own.made[0].closed


def test_a_daemon_that_ought_to_answer_and_does_not_is_told_once(own):
    own.others, own.fails = (address("west"),), True
    racks = Racks(own)
    with pytest.warns(RackUnavailableWarning, match=r"rack west is left out: .*no daemon answers"):
        assert list(racks.clients()) == ["east"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(racks.clients()) == ["east"]
    own.fails = False
    assert list(racks.clients()) == ["east", "west"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.8.8.8"])
def test_another_machine_s_loopback_is_not_ours(host):
    own = ClientDouble("tcp://192.0.2.7:5810", "east")
    own.others = (address("west", f"tcp://{host}:5820"), address("north", "tcp://192.0.2.8:5810"))
    racks = Racks(own)
    with pytest.warns(RackUnavailableWarning, match="for its own machine alone"):
        assert list(racks.clients()) == ["east", "north"]


def test_close_closes_the_others_alone(own):
    own.others = (address("west"),)
    racks = Racks(own)
    racks.clients()
    racks.close()
    assert own.made[0].closed
    assert not own.closed


@pytest.mark.parametrize("everywhere", ["0.0.0.0", "*", "[::]"])
def test_who_listens_everywhere_is_found_by_name(everywhere, monkeypatch):
    monkeypatch.setattr("socket.getfqdn", lambda: "lab.example")
    assert reachable(f"tcp://{everywhere}:5810") == "tcp://lab.example:5810"
    assert reachable("tcp://192.0.2.7:5810") == "tcp://192.0.2.7:5810"


def test_least_busy_of_one_rack(backend):
    provider = backend.provider
    assert provider.least_busy().name == "sim5"
    assert provider.least_busy(filters=lambda backend: backend.num_qubits == 5).name == "sim5"
    with pytest.raises(BackendNotFoundError, match="sim5"):
        provider.least_busy(min_num_qubits=6)
