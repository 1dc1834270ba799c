"""What the audit log costs: submissions beside a daemon that writes none."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec
import zmq
from qiskit import QuantumCircuit

from benchmarks.figures import Figure, paired, rate, times
from pulsed.client.keys import LOCAL, client_path, load_key
from pulsed.testing.daemon_process import DaemonProcess
from pulsed.testing.jobs import job, packed
from pulsed.wire import messages as m
from pulsed.wire.protocol import frames_of

_SUBMITTED = 100
_replies = msgspec.msgpack.Decoder(m.AnyReply)


def figures() -> Iterator[Figure]:
    """Yield how fast submissions are accepted, beside a daemon that writes no audit log."""
    with tempfile.TemporaryDirectory() as directory:
        daemons = [DaemonProcess(Path(directory) / name, audited=name == "with") for name in ("with", "without")]
        try:
            with contextlib.ExitStack() as stack:
                for daemon in daemons:
                    daemon.tell("hold")  # what plays would disturb
                    daemon.start()
                sends = [_submitter(daemon, stack) for daemon in daemons]
                for at_once in (1, 100):
                    ours, reference = (times(_SUBMITTED // at_once, partial(send, at_once)) for send in sends)
                    yield rate(
                        f"submissions, {at_once} at once, beside no audit log", paired(ours, reference, pairs=21),
                        work=_SUBMITTED, unit="/s", at_least=0.9,
                    )  # fmt: skip
        finally:
            for daemon in daemons:
                daemon.untell("hold")
                daemon.stop()


def _submitter(daemon: DaemonProcess, stack: contextlib.ExitStack) -> Callable[[int], None]:
    """Return what submits so many jobs at once, and waits until all are accepted."""
    dealer = _dealer(daemon, stack)
    program = packed(QuantumCircuit(1, 1))

    def send(count: int) -> None:
        for number in range(count):
            dealer.send_multipart([*frames_of(m.Submit(number, job(), "sim5")), program])
        for _ in range(count):
            assert isinstance(_replies.decode(dealer.recv()), m.JobReply)

    return send


def _dealer(daemon: DaemonProcess, stack: contextlib.ExitStack) -> zmq.Socket[bytes]:
    key = load_key(client_path(daemon.home, LOCAL))
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    stack.callback(context.destroy, 0)
    dealer = context.socket(zmq.DEALER)
    dealer.curve_serverkey = key.server.encode()
    dealer.curve_publickey, dealer.curve_secretkey = key.public.encode(), key.secret.encode()
    dealer.connect(daemon.endpoint)
    return dealer
