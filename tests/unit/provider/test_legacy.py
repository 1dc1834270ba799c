"""Programs of ``qiskit.pulse``, with a stand-in for that package where Qiskit has none any more."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from pulsed.provider import PulsedBackend
from pulsed.provider.errors import RunInputError, UnsupportedCircuitError
from pulsed.provider.legacy import from_qiskit
from pulsed.pulse.channels import AcquireChannel, ControlChannel, DriveChannel, MemorySlot
from pulsed.pulse.configuration import Discriminator, Kernel
from pulsed.pulse.instructions import Acquire, Delay, Play, SetFrequency, ShiftPhase
from pulsed.pulse.library import Drag, Gaussian, Waveform
from pulsed.pulse.schedule import Schedule
from pulsed.pulse.serialize import loads


def thing(kind: str, **fields: object) -> object:
    return type(kind, (SimpleNamespace,), {})(**{"name": None, **fields})


def line(kind: str, index: int) -> object:
    return thing(kind, index=index)


def pulse(kind: str, samples: np.ndarray, **parameters: float) -> object:
    return thing(
        "SymbolicPulse", pulse_type=kind, parameters=parameters, name="p",
        get_waveform=lambda: SimpleNamespace(samples=samples),
    )  # fmt: skip


class OldSchedule:
    def __init__(self, *timed: tuple[int, object]) -> None:
        self.instructions = timed
        self.name = "old"
        self.metadata = {"from": "1.4"}
        self.parameters: set[object] = set()

    def is_parameterized(self) -> bool:
        return bool(self.parameters)


class OldBlock:
    def __init__(self, inside: OldSchedule) -> None:
        self.inside = inside

    def is_parameterized(self) -> bool:
        return False


@pytest.fixture(autouse=True)
def _old_package(monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("qiskit.pulse")
    package.Schedule = OldSchedule  # type: ignore[attr-defined]
    package.ScheduleBlock = OldBlock  # type: ignore[attr-defined]
    package.transforms = SimpleNamespace(block_to_schedule=lambda block: block.inside)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "qiskit.pulse", package)


DRAG = {"duration": 160, "amp": 0.2, "sigma": 40.0, "beta": 1.5, "angle": 0.3}


def old_program() -> OldSchedule:
    d0, a0 = line("DriveChannel", 0), line("AcquireChannel", 0)
    return OldSchedule(
        (0, thing("ShiftPhase", operands=(0.4, d0), channel=d0)),
        (0, thing("SetFrequency", operands=(4.9e9, d0), channel=d0)),
        (0, thing("Play", pulse=pulse("Drag", Drag(**DRAG).get_waveform().samples, **DRAG), channel=d0)),
        (160, thing("Delay", duration=16, channel=line("ControlChannel", 2))),
        (160, thing("RelativeBarrier", channels=(d0, a0))),
        (
            176,
            thing(
                "Acquire", duration=1200, channel=a0, mem_slot=line("MemorySlot", 1), reg_slot=None,
                kernel=SimpleNamespace(name="boxcar", params={"start": 8}),
                discriminator=SimpleNamespace(name="linear", params={}),
            ),
        ),
    )  # fmt: skip


def test_every_instruction_becomes_ours() -> None:
    ours = from_qiskit(old_program())
    assert ours == Schedule(
        (0, ShiftPhase(0.4, DriveChannel(0))),
        (0, SetFrequency(4.9e9, DriveChannel(0))),
        (0, Play(Drag(**DRAG), DriveChannel(0))),
        (160, Delay(16, ControlChannel(2))),
        (176, Acquire(1200, AcquireChannel(0), MemorySlot(1), kernel=Kernel("boxcar", start=8),
                      discriminator=Discriminator("linear"))),
    )  # fmt: skip
    assert (ours.name, ours.metadata) == ("old", {"from": "1.4"})


def test_a_block_becomes_a_schedule(backend: PulsedBackend, daemon) -> None:
    backend.run([OldBlock(old_program())])
    assert loads(daemon.received[0][1][0]) == from_qiskit(old_program())


def test_a_pulse_with_other_samples_keeps_its_own() -> None:
    samples = Gaussian(160, 0.2, 40.0).get_waveform().samples.copy()
    samples[80] *= 0.9
    channel = line("DriveChannel", 0)
    theirs = pulse("Gaussian", samples, duration=160, amp=0.2, sigma=40.0, angle=0.0)
    (_, play), = from_qiskit(OldSchedule((0, thing("Play", pulse=theirs, channel=channel)))).instructions  # fmt: skip
    assert isinstance(play.pulse, Waveform)
    assert np.array_equal(play.pulse.samples, samples)


def test_run_takes_them(backend: PulsedBackend, daemon) -> None:
    backend.run(old_program())
    request, parts = daemon.received[0]
    assert request.kinds == ("schedule",)
    assert loads(parts[0]) == from_qiskit(old_program())


def test_unknown_instruction_and_open_parameter_are_named(backend: PulsedBackend) -> None:
    with pytest.raises(UnsupportedCircuitError, match=r"'old'.*got Snapshot"):
        backend.run(OldSchedule((0, thing("Snapshot"))))
    program = old_program()
    program.parameters = {type("Parameter", (), {"name": "phi"})()}
    with pytest.raises(UnsupportedCircuitError, match=r"without a value.*phi"):
        backend.run(program)


def test_without_the_package_nothing_is_of_it(backend: PulsedBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "qiskit.pulse")
    with pytest.raises(RunInputError, match="OldSchedule"):
        backend.run(old_program())
