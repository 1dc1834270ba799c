"""What could not be made safe is in the log, whatever else happens on the way out."""

import pytest
from structlog.testing import capture_logs

from pulsed.daemon.main import RACK
from pulsed.daemon.workers import messages
from pulsed.daemon.workers.rack_connection import RackConnection
from pulsed.daemon.workers.rack_worker import RackWorker
from pulsed.model.device import load_device
from pulsed.model.errors import InstrumentUnreachableError
from pulsed.testing.daemon_process import CONFIGS


class StubbornRack:
    """A rack of which one instrument does not answer any more."""

    closed = False

    def safe_state(self):
        return [InstrumentUnreachableError("the connection broke", subject="instrument awg1")]

    def close(self):
        self.closed = True


def test_an_instrument_that_was_not_made_safe_is_logged():
    worker, rack = RackWorker(pipe=None), StubbornRack()
    worker._rack, worker._owns = rack, True
    with capture_logs() as entries:
        assert worker._make_safe() == messages.NOT_SAFE
    assert rack.closed
    (entry,) = entries
    assert entry["log_level"] == "error"
    assert entry["error"] == "instrument awg1: the connection broke"


def test_instruments_that_are_another_daemons_are_left_alone():
    worker, rack = RackWorker(pipe=None), StubbornRack()
    assert worker._make_safe() == messages.NEVER_OWNED
    worker._rack = rack
    assert worker._make_safe() == messages.NEVER_OWNED
    assert rack.closed


@pytest.mark.parametrize("known", [True, False])
async def test_a_worker_that_never_had_the_instruments_says_nothing_of_their_outputs(tmp_path, known):
    device = load_device(CONFIGS / "sim5.toml")
    connection = RackConnection(device, RACK, tmp_path / "logs" / "log", lambda: None, lambda *_: None)
    worker = connection.client.rpc.worker
    worker.exit_code = 0 if known else -9
    connection._ended()
    worker.exit_code = messages.NEVER_OWNED
    connection._ended()
    assert connection.outputs_known is known
