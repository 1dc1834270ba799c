"""What could not be made safe is in the log, whatever else happens on the way out."""

from structlog.testing import capture_logs

from pulsed.daemon.rack_worker import RackWorker
from pulsed.model.errors import InstrumentUnreachableError


class StubbornRack:
    """A rack of which one instrument does not answer any more."""

    closed = False

    def safe_state(self):
        return [InstrumentUnreachableError("the connection broke", subject="instrument awg1")]

    def close(self):
        self.closed = True


def test_an_instrument_that_was_not_made_safe_is_logged():
    worker, rack = RackWorker(pipe=None), StubbornRack()
    worker._rack = rack
    with capture_logs() as entries:
        worker._make_safe()
    assert rack.closed
    (entry,) = entries
    assert entry["log_level"] == "error"
    assert entry["error"] == "instrument awg1: the connection broke"
