"""One daemon with the simulated rack for all system tests that do not kill it."""

import pytest

from pulsed.cli.processes import OwnDaemon
from pulsed.cli.server import ask_rack, find_control
from pulsed.provider import PulsedProvider


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    with OwnDaemon(tmp_path_factory.mktemp("lab")) as daemon:
        client = daemon.wait()
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
