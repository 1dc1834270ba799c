"""Every option that `run` takes, and every field that a request has, does something: the table has all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from pulsed.compiler.program import Chunk
from pulsed.daemon.jobs.execution_stage import ExecutionStage
from pulsed.daemon.jobs.scheduler import Scheduler
from pulsed.model.errors import PulsedError, RackTimeError
from pulsed.model.job import JobState, RunOptions, Spectrum
from pulsed.provider import PulsedBackend
from pulsed.provider.errors import OptionValueError, StaleCalibrationError, UnsupportedCircuitError
from pulsed.provider.options import DEFAULTS, PER_CALL
from pulsed.pulse.channels import DriveChannel
from pulsed.pulse.instructions import Play
from pulsed.pulse.library import Constant
from pulsed.pulse.schedule import Schedule


class Bench:
    """A backend whose jobs are run by the daemon's double, and compiled by the daemon's own worker."""

    def __init__(self, backend: PulsedBackend, daemon: Any, worker: Any, calibration: Any) -> None:
        self.backend, self.daemon, self.worker, self.calibration = backend, daemon, worker, calibration

    def run(self, circuit: QuantumCircuit | None = None, **options: Any) -> SimpleNamespace:
        """Return the job of x and measure on qubit 0, its request, the first chunk made of it and its data."""
        job = self.backend.run(circuit or flip(), **options)
        request, parts = self.daemon.received[-1]
        (chunk,) = self.worker.compile(request, parts)
        return SimpleNamespace(job=job, request=request, chunk=chunk, data=job.result().data(0))

    def frequency(self, channel: str, **options: Any) -> float:
        """Return at which frequency (Hz) the first pulse on ``channel`` leaves."""
        chunk = self.run(**options).chunk
        return leaving(chunk, channel)

    def other_set(self) -> Any:
        """Return an older set, with a pulse of x half as high, which the daemon has."""
        value = self.calibration.values["Q0.x.amplitude"]
        half = type(value)(value.value / 2)
        older = self.calibration.with_values({"Q0.x.amplitude": half}, "2026-11-19T12:00:00+00:00")
        self.daemon.sets[older.calibration_id] = older
        return older


def flip(angle: Any = None) -> QuantumCircuit:
    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    if angle is not None:
        circuit.rz(angle, 0)
        circuit.x(0)
    circuit.measure(0, 0)
    return circuit


def leaving(chunk: Chunk, channel: str) -> float:
    slot = next(i for i, one in enumerate(chunk.head.slots) if one.channel == channel)
    (program,) = chunk.programs
    event = next(one for one in chunk.array(program.events) if one["slot"] == slot)
    return float(event["frequency"])


def moved(bench: Bench, channel: str, **options: Any) -> None:
    """One pulse leaves 3 MHz higher than without the option."""
    assert bench.frequency(channel, **options) - bench.frequency(channel) == pytest.approx(3e6, abs=1)


def frequencies(bench: Bench, what: str) -> list[float]:
    defaults = bench.backend.defaults()
    return [one + 3e6 for one in (defaults.qubit_freq_est if what == "d" else defaults.meas_freq_est)]


def _shots(bench: Bench) -> None:
    assert (bench.run(shots=7).chunk.settings.shots, bench.run().chunk.settings.shots) == (7, 1024)


def _memory(bench: Bench) -> None:
    assert len(bench.run(memory=True).data["memory"]) == 1024
    assert "memory" not in bench.run().data


def _meas_level(bench: Bench) -> None:
    assert bench.run(meas_level=1).chunk.settings.meas_level == 1
    assert "counts" in bench.run().data
    assert "counts" not in bench.run(meas_level=1).data


def _meas_return(bench: Bench) -> None:
    found = bench.run(meas_level=1, meas_return="avg")
    assert found.chunk.settings.meas_return == "avg"
    assert found.data["memory"].ndim == bench.run(meas_level=1).data["memory"].ndim - 1


def _rep_delay(bench: Bench) -> None:
    assert bench.run(rep_delay=2e-4).chunk.settings.rep_delay == Fraction(2, 10**4)
    assert bench.run().chunk.settings.rep_delay == Fraction(str(bench.backend.device.limits.rep_delay))


def _confirm_rack_time(bench: Bench) -> None:
    limits = bench.backend.device.limits
    long = {"shots": limits.max_shots, "rep_delay": limits.rep_delay_max}
    assert limits.max_shots * limits.rep_delay_max > limits.rack_time
    bench.daemon.hold = True  # nobody waits for it
    with pytest.raises(RackTimeError, match="confirm_rack_time=True"):
        bench.backend.run(flip(), **long)
    assert bench.daemon.received == []
    bench.backend.run(flip(), **long, confirm_rack_time=True)
    assert bench.daemon.received[0][0].options.confirm_rack_time


def _init_qubits(bench: Bench) -> None:
    rest = Fraction(str(bench.backend.device.limits.rep_delay))
    waits = [bench.run(rep_delay=1e-5, init_qubits=init).chunk.settings.rep_delay for init in (True, False)]
    assert waits == [rest, Fraction(1, 10**5)]
    assert bench.run(rep_delay=5e-3, init_qubits=True).chunk.settings.rep_delay == Fraction(5, 10**3)


def _dynamic(bench: Bench) -> None:
    branching = QuantumCircuit(1, 1)
    branching.measure(0, 0)
    with branching.if_test((branching.clbits[0], 1)):
        branching.x(0)
    bench.daemon.hold = True  # it simulates no circuit that branches
    for options in ({}, {"dynamic": True}):
        bench.backend.run([flip(), branching], **options)
    with pytest.raises(UnsupportedCircuitError, match=r"circuit 1 .*, instruction 1: .*got if_else"):
        bench.backend.run([flip(), branching], dynamic=False)
    bench.backend.run(flip(), dynamic=False)


def _iq(bench: Bench) -> None:
    assert bench.run(iq=True).chunk.settings.iq
    assert "iq" in bench.run(iq=True).data
    assert "iq" not in bench.run().data


def _dry_run(bench: Bench) -> None:
    assert asked_of_rack(bench.run(dry_run=True).request, bench.backend.device) == ["check"]
    assert asked_of_rack(bench.run().request, bench.backend.device) == ["play"]


def asked_of_rack(request: Any, device: Any) -> list[str]:
    """Return what the daemon's stage of execution asks of the rack worker for a job of one chunk."""
    asked: list[str] = []

    async def at_once(*_: object) -> None:
        pass

    async def check(*_: object) -> None:
        asked.append("check")

    async def play(*_: object) -> None:
        asked.append("play")
        raise PulsedError("there is no rack")

    async def execute() -> None:
        ended, ready = asyncio.Event(), iter(["job"])
        info = SimpleNamespace(job_id="job", session_id="", state=JobState.READY, options=request.options, attempts=0,
                               calibration_id="", owner="me", num_programs=0)  # fmt: skip
        job = SimpleNamespace(info=info, since=0.0, spent=lambda *_: None,
                              chunks=[SimpleNamespace(seconds=1.0, bytes=0)], chunk_parts=[()], stored={},
                              seconds={}, size=0, last_chunk=None)  # fmt: skip
        registry = SimpleNamespace(
            to_play=asyncio.Event(), to_compile=asyncio.Event(), jobs={"job": job}, alive=lambda _: True,
            queue=SimpleNamespace(take_to_play=lambda _: next(ready, None)), step=lambda *_, **__: None,
            sessions=SimpleNamespace(begins=lambda *_: None, rests=lambda *_: None), charge=lambda *_: None,
            finish=lambda *_: ended.set(), end=lambda *_: ended.set(),
        )  # fmt: skip
        rack = SimpleNamespace(recovered=at_once, client=SimpleNamespace(check=check, play=play))
        stage = asyncio.create_task(ExecutionStage(registry, rack, device, 1.0).run())  # type: ignore[arg-type]
        over = asyncio.create_task(ended.wait())
        await asyncio.wait({stage, over}, return_when=asyncio.FIRST_COMPLETED)
        if stage.done():
            stage.result()  # raises what the stage could not do with these doubles
        stage.cancel()

    asyncio.run(execute())
    return asked


def _priority(bench: Bench) -> None:
    queue = Scheduler()
    for priority in (0, 5):
        queue.add(str(priority), bench.run(priority=priority).request.priority)
    assert [queue.position(job_id, 0.0) for job_id in ("5", "0")] == [0, 1]


def _due(bench: Bench) -> None:
    queue = Scheduler()
    for due in (None, "2100-01-02T00:00:00Z", datetime(2100, 1, 1, tzinfo=UTC)):
        queue.add(str(due), 0, due=bench.run(due=due).request.due)
    order = queue.order(0.0)
    assert order == ["2100-01-01 00:00:00+00:00", "2100-01-02T00:00:00Z", "None"]


def _seed_simulator(bench: Bench) -> None:
    with pytest.raises(OptionValueError, match="seed_simulator"):
        bench.run(seed_simulator=1)


def _settings(bench: Bench) -> None:
    name = bench.backend.device.ports[bench.backend.device.qubits[0].drive].lo
    key = f"oscillators.{name}.frequency"
    lo = bench.backend.device.oscillators[name].frequency + 10e6
    assert bench.frequency("d0") - bench.frequency("d0", settings={key: lo}) == pytest.approx(10e6, abs=1)


def _hold_calibration(bench: Bench) -> None:
    bench.backend.follow()
    before, other = bench.backend.calibration_id, bench.other_set()
    bench.backend.set_options(hold_calibration=True)
    bench.daemon.put_in_force(other)
    assert bench.backend.calibration_id == before
    bench.backend.set_options(hold_calibration=False)
    assert bench.backend.calibration_id == other.calibration_id


def _dynamical_decoupling(bench: Bench) -> None:
    assert bench.backend.get_scheduling_stage_plugin() == "pulsed"
    bench.backend.set_options(dynamical_decoupling=False)
    assert bench.backend.get_scheduling_stage_plugin() == "default"


def _on_stale_calibration(bench: Bench) -> None:
    older = bench.other_set().calibration_id
    bench.backend.run(flip(), calibration_id=older)
    with pytest.raises(StaleCalibrationError):
        bench.backend.run(flip(), calibration_id=older, on_stale_calibration="refuse")


def _calibrations(bench: Bench) -> None:
    pulse = Schedule((0, Play(Constant(160, 0.3), DriveChannel(0))))
    durations = [
        bench.run(**options).chunk.programs[0].duration for options in ({}, {"calibrations": {("x", 0): pulse}})
    ]
    assert durations[1] - durations[0] == 160 - 40


def _calibration_id(bench: Bench) -> None:
    older = bench.other_set()
    job = bench.backend.run(flip(), calibration_id=older.calibration_id)
    (mine,), (now,) = job.schedules(), bench.backend.run(flip()).schedules()
    first = [one.filter(channels=[DriveChannel(0)]).instructions[0][1].pulse.amp for one in (mine, now)]
    assert first[0] == first[1] / 2


def _parameter_binds(bench: Bench) -> None:
    angle = Parameter("angle")
    bench.daemon.hold = True  # it simulates no circuit with parameters
    bench.backend.run(flip(angle), parameter_binds={angle: [0.0, 1.0]})
    (chunk,) = bench.worker.compile(*bench.daemon.received[-1])
    bound = chunk.unrolled()
    events = [bound.array(program.events)["phase"] for program in bound.programs]
    assert np.abs(events[1] - events[0]).max() == pytest.approx(1.0)


def _spectrum(bench: Bench) -> None:
    """It is a field of a request alone: the calibration asks for it."""
    request = bench.run().request
    asked = Spectrum(bench.backend.device.qubits[0].drive, (5e9,))
    options = RunOptions(spectrum=asked, shots=10)
    (chunk,) = bench.worker.compile(
        SimpleNamespace(**{name: getattr(request, name) for name in request.__struct_fields__} | {"options": options}),
        bench.daemon.received[-1][1],
    )
    assert chunk.settings.spectrum == asked


EFFECTS: dict[str, Callable[[Bench], None]] = {
    "shots": _shots,
    "memory": _memory,
    "meas_level": _meas_level,
    "meas_return": _meas_return,
    "rep_delay": _rep_delay,
    "init_qubits": _init_qubits,
    "dynamic": _dynamic,
    "qubit_lo_freq": lambda bench: moved(bench, "d0", qubit_lo_freq=frequencies(bench, "d")),
    "meas_lo_freq": lambda bench: moved(bench, "m0", meas_lo_freq=frequencies(bench, "m")),
    "schedule_los": lambda bench: moved(bench, "d0", schedule_los={DriveChannel(0): frequencies(bench, "d")[0]}),
    "seed_simulator": _seed_simulator,
    "iq": _iq,
    "dry_run": _dry_run,
    "job_name": lambda bench: _same(bench.run(job_name="mine").job.name(), "mine"),
    "job_tags": lambda bench: _same(bench.run(job_tags=["a", "b"]).job.tags(), ["a", "b"]),
    "priority": _priority,
    "due": _due,
    "dynamical_decoupling": _dynamical_decoupling,
    "hold_calibration": _hold_calibration,
    "on_stale_calibration": _on_stale_calibration,
    "settings": _settings,
    "confirm_rack_time": _confirm_rack_time,
    "calibrations": _calibrations,
    "calibration_id": _calibration_id,
    "parameter_binds": _parameter_binds,
    "spectrum": _spectrum,
}
"""What shows that an option acts; it fails when the option does nothing."""


def _same(found: object, wanted: object) -> None:
    assert found == wanted


@pytest.mark.parametrize("name", sorted(EFFECTS))
def test_it_acts(name: str, backend: PulsedBackend, daemon: Any, worker: Any, calibration: Any) -> None:
    EFFECTS[name](Bench(backend, daemon, worker, calibration))


def test_the_table_has_them_all() -> None:
    assert set(EFFECTS) == {*DEFAULTS, *PER_CALL, *RunOptions.__struct_fields__}
