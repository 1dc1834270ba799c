"""The fault matrix of the AWG8 rack on an emulated Cluster; each fault is its named error in time, then all is well."""

import itertools
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

import pulsed.configs
from pulsed.drivers.contract import after
from pulsed.drivers.rack import connections, validation
from pulsed.drivers.rack.rack import Rack
from pulsed.model.errors import (
    ConfigError,
    InstrumentDataError,
    InstrumentError,
    InstrumentOverheatedError,
    InstrumentOverrangeError,
    InstrumentReferenceLostError,
    InstrumentRefusedError,
    InstrumentTimeoutError,
    InstrumentUnreachableError,
    WrongInstrumentError,
)
from pulsed.simulator.instruments.fault_board import KINDS
from pulsed.testing.chunks import make_chunk

pytest.importorskip("qblox_instruments", reason="the maker's package comes with pulsed[qblox]")

from pulsed.drivers.instruments.qblox.driver import ClusterDriver

EXAMPLES = Path(pulsed.configs.__file__).parent / "examples"
LATE = 3.5
PATIENCE = 20.0
ERRORS = {
    "silent": InstrumentTimeoutError,
    "late": InstrumentTimeoutError,
    "drop": InstrumentUnreachableError,
    "short": InstrumentDataError,
    "errors": InstrumentRefusedError,
    "overheat": InstrumentOverheatedError,
    "reference": InstrumentReferenceLostError,
    "overrange": InstrumentOverrangeError,
    "reboot": InstrumentUnreachableError,
    "firmware": WrongInstrumentError,
}
MID_RUN = {
    "silent": InstrumentTimeoutError,
    "reboot": InstrumentUnreachableError,
    "overheat": InstrumentOverheatedError,
    "reference": InstrumentReferenceLostError,
}


numbers = itertools.count(1)


@pytest.fixture(scope="module")
def behind(start_behind):
    """In real time, so that something can happen in a run."""
    return start_behind(EXAMPLES / "qblox.toml", EXAMPLES / "chips" / "qblox5.toml", real_time=True)


@pytest.fixture(scope="module")
def rack(behind):
    found = pytest.MonkeyPatch()
    real = validation.load_driver
    found.setattr(connections, "_SAFE_SECONDS", 1.0)
    found.setattr(
        validation, "load_driver", lambda name, key="driver": ClusterDriver if name == "qblox" else real(name, key)
    )
    rack = Rack(behind.device)
    rack.connect(after(30))
    yield rack
    rack.close()
    found.undo()


def chunk_of(rack, shots=20):
    """Return what nobody holds yet."""
    return make_chunk(rack.device, (0.1 + 1e-3 * next(numbers),), shots=shots)


def check(rack, behind, caught, kind, expected):
    """Check the error, clear the fault, and play."""
    error = caught.value
    if kind == "firmware":
        with pytest.raises(InstrumentError) as caught:
            rack.reconnect(after(5))
        error = caught.value
        assert "2.0.0" in error.value
    assert type(error) is expected, error
    assert error.subject == "instrument cluster"
    behind.ask("clear")
    for module in behind.servers["cluster"].instrument.modules.values():
        module.overrange = False
    if isinstance(error, InstrumentTimeoutError | InstrumentUnreachableError | WrongInstrumentError):
        rack.reconnect(after(60))
    rack.play(chunk_of(rack), deadline=after(60))


@pytest.mark.parametrize("kind", ERRORS)
def test_each_fault_is_its_named_error_in_time_and_then_all_is_well(rack, behind, kind):
    behind.ask("fault", instrument="cluster", kind=kind, **({"seconds": LATE} if kind == "late" else {}))
    began = time.monotonic()
    with pytest.raises(InstrumentError) as caught:
        rack.play(chunk_of(rack), deadline=after(3))
    assert time.monotonic() - began < PATIENCE
    check(rack, behind, caught, kind, ERRORS[kind])


@pytest.mark.parametrize("kind", MID_RUN)
def test_in_the_middle_of_a_run(rack, behind, kind):
    """A lost connection, a reboot, and a frame that becomes unwell."""
    chunk = chunk_of(rack, shots=2000)
    injected = []

    def inject(stage, _done):
        if stage == "play" and not injected:
            injected.append(behind.ask("fault", instrument="cluster", kind=kind))

    with pytest.raises(InstrumentError) as caught:
        rack.play(chunk, inject, deadline=after(6))
    assert injected
    check(rack, behind, caught, kind, MID_RUN[kind])


def test_every_kind_is_in_the_matrix():
    """But for triggers, which a Cluster does not take."""
    assert {*ERRORS, "trigger"} == set(KINDS)


def test_a_firmware_that_the_package_does_not_know_is_named(behind):
    """It says so when connecting, which leaves no socket behind; the maker's driver alone leaves one."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        build = "{0}Version=0.1.0 {0}Build=01/12/2026-00:00:00 {0}Hash=0x1 {0}Dirty=0"
        answer = "Qblox,Cluster MM,7," + " ".join(build.format(one) for one in ("fw", "kmod", "sw", "cfgMan"))
        left = []

        def serve():
            for _ in range(2):
                peer, _ = server.accept()
                with peer:
                    peer.settimeout(30)
                    while peer.recv(100):  # ends when the driver closes its socket
                        peer.sendall(answer.encode() + b"\n")
                left.append(peer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        address = f"TCPIP::127.0.0.1::{server.getsockname()[1]}::SOCKET"
        described = behind.device.instruments["cluster"].model_copy(update={"address": address})
        with pytest.raises(WrongInstrumentError, match="firmware") as caught:
            ClusterDriver("cluster", described).connect(after(10))
        thread.join(5)
        assert len(left) == 2, "both sockets were closed while the error is still held"
    assert "0.1.0" in caught.value.value


def test_a_package_that_is_missing_names_the_extra(behind, monkeypatch):
    monkeypatch.setitem(sys.modules, "qblox_instruments", None)
    with pytest.raises(ConfigError) as caught:
        ClusterDriver("cluster", behind.device.instruments["cluster"])
    assert "pulsed[qblox]" in caught.value.legal
