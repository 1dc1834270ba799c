"""The driver against the contract, with a source of the simulated rack as the instrument."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from plain_source import PlainSource

from pulsed import configs
from pulsed.drivers.contract import after
from pulsed.drivers.scpi.session import Session
from pulsed.model.device import load_device
from pulsed.testing.driver_contract import SourceContract

CONFIG = Path(configs.__file__).parent / "sim5.toml"


@pytest.fixture(scope="session")
def source():
    """Description of a source that answers."""
    command = [sys.executable, "-m", "pulsed.simulator.rack", "--device", str(CONFIG), "--ports", "ephemeral"]
    with subprocess.Popen(
        [*command, "--exit-with-stdin"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as rack:
        addresses = json.loads(rack.stdout.readline())["addresses"]
        yield load_device(CONFIG).with_addresses(addresses).instruments["sgs1"]
        rack.stdin.close()


class TestPlainSource(SourceContract):
    @pytest.fixture
    def make_driver(self, source):
        def make(**changes):
            return PlainSource("sgs1", source.model_copy(update={"driver": "plain_source", **changes}))

        return make

    @pytest.fixture
    def by_hand(self):
        """What somebody else may change."""
        return {"output": "OUTP 0", "frequency": "FREQ 2e9", "power": "POW 1.5"}

    @pytest.fixture
    def outputs(self, source):
        """Ask the instrument itself whether its output is on, over a connection that the driver does not know."""

        def ask(driver):
            session = Session("sgs1", source.address)
            session.connect(after(5))
            answer = session.query("OUTP?", after(5))
            session.close()
            return {"output": answer == "1"}

        return ask
