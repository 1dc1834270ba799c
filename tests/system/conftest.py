"""One daemon with the simulated rack, and one with a scripted one, for all system tests that do not kill them."""

import pytest

from pulsed.cli.processes import OwnDaemon
from pulsed.cli.simulated_rack import ask_rack, find_control
from pulsed.model.errors import NotFoundError
from pulsed.provider import PulsedProvider
from pulsed.testing.daemon_process import DaemonProcess, eventually


def is_warm(home):
    try:
        return bool(find_control(home))
    except NotFoundError:
        return False


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    with OwnDaemon(tmp_path_factory.mktemp("lab")) as daemon:
        client = daemon.wait(600)
        # The rack answers SCPI before its kernels are compiled, and tells where its control socket is after that.
        eventually(lambda: is_warm(daemon.home), "the rack has warmed up", 600)
        yield daemon, client
        client.close()
    assert daemon.survivors() == []


@pytest.fixture(scope="session")
def backend(lab):
    provider = PulsedProvider(client=lab[1])
    return provider.get_backend("sim5")


@pytest.fixture(scope="session")
def truth(lab):
    return ask_rack(find_control(lab[0].home), "truth")


@pytest.fixture(scope="session")
def daemon(tmp_path_factory):
    process = DaemonProcess(tmp_path_factory.mktemp("scripted"), limits={"max_payload": 1_000_000}).start()
    yield process
    assert process.stop() == 0
    assert process.lines("safe"), "the outputs were not made safe at the end"


@pytest.fixture
def client(daemon):
    with daemon.client() as connected:
        yield connected
