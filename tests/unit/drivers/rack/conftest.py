"""Drivers without instruments: they write down what a rack asks of them, and fail when told to."""

from pathlib import Path

import numpy as np
import pytest

import pulsed.configs
from pulsed.drivers.contract import Capabilities, Fetched, Handle, InstrumentIdentity, InstrumentState
from pulsed.drivers.rack import validation
from pulsed.model.device import load_device


class FakeInstrument:
    """Keeps a log that all drivers of a rack share: (name, method) in the order of the calls.

    ``fails`` of the rack: (name, method) → errors to raise, one a call.
    """

    capabilities = Capabilities()
    state = InstrumentState.IDLE

    def __init__(self, name, lab):
        self.name, self.lab, self.identity = name, lab, None
        self.settings = self.validated = None

    def did(self, method):
        self.lab.log.append((self.name, method))
        errors = self.lab.fails.get((self.name, method))
        if errors:
            raise errors.pop(0)

    def connect(self, deadline):
        self.did("connect")
        self.identity = InstrumentIdentity("fake", self.name, "1", "0")

    def identify(self, deadline):
        return self.identity

    def close(self):
        self.did("close")

    def reset(self, deadline):
        self.did("reset")

    def status(self, deadline):
        self.did("status")
        return self.state

    def drain_errors(self, deadline):
        return []

    def safe_state(self, deadline):
        self.did("safe_state")


class FakeSource(FakeInstrument):
    def validate(self, settings):
        self.validated = settings
        self.did("validate")

    def configure(self, settings, deadline):
        self.settings = settings
        self.did("configure")


class FakePlayer(FakeInstrument):
    def validate(self, work):
        self.did("validate")

    def upload(self, work, deadline):
        self.did("upload")
        return Handle(self.name, "hash", self.lab.log.count((self.name, "upload")))

    def verify(self, handle, deadline):
        self.did("verify")

    def arm(self, handle, deadline):
        self.did("arm")

    def start(self, deadline):
        self.did("start")

    def stop(self, deadline):
        self.did("stop")

    def wait_done(self, deadline):
        self.did("wait_done")
        return self.name not in self.lab.late


class FakeAwg(FakePlayer):
    capabilities = Capabilities(trigger_input=True, pairs=4, branching=True, late_parameters=True)

    def configure(self, settings, deadline):
        self.settings = settings
        self.did("configure")


class FakeDigitizer(FakePlayer):
    capabilities = Capabilities(trigger_input=True, branching=True, late_parameters=True)

    def fetch(self, handle, deadline):
        self.did("fetch")
        return Fetched("integrate", (np.ones((64, 2), np.complex64),), "full scale", self.lab.overrange)


class FakeAnalyser(FakeInstrument):
    def validate(self, work):
        self.did("validate")

    def sweep(self, work, deadline):
        raise NotImplementedError


class FakeLab:
    """The description of a rack and what its drivers share."""

    def __init__(self):
        self.device = load_device(Path(pulsed.configs.__file__).parent / "coupler2.toml")
        self.log, self.fails, self.late, self.overrange = [], {}, set(), (False,)
        self.classes = {
            "awg": FakeAwg, "digitizer": FakeDigitizer, "sgs100a": FakeSource, "gs200": FakeSource,
            "n9030b": FakeAnalyser,
        }  # fmt: skip

    def did(self, *methods):
        """Return what was asked of the instruments, of ``methods`` alone, in order."""
        return [(name, method) for name, method in self.log if method in methods]

    def who(self, method):
        return [name for name, _ in self.did(method)]


@pytest.fixture
def lab(monkeypatch):
    lab = FakeLab()

    def load(driver, key="driver"):
        return lambda name, description: lab.classes[driver](name, lab)

    monkeypatch.setattr(validation, "load_driver", load)
    return lab
