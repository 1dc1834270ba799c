"""How the daemon is, for clients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulsed
from pulsed.daemon.jobs.jobs import Jobs
from pulsed.daemon.observe.snapshot import CalibrationHealth
from pulsed.daemon.workers.compile_client import CompileWorkerClient
from pulsed.daemon.workers.rack_connection import OUTPUTS_UNKNOWN, RackConnection
from pulsed.daemon.workers.supervisor import Child
from pulsed.model.alerts import Alert
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import from_info
from pulsed.wire.messages import Status


@dataclass(frozen=True)
class StatusReport:
    """The parts of a daemon that the status is made of."""

    device: DeviceDescription
    started: float
    """Unix time, seconds."""
    jobs: Jobs
    compiler: CompileWorkerClient
    rack: RackConnection
    companion: Child | None

    def make(
        self, children: Sequence[Child], one_shots: Sequence[Child], alerts: Sequence[Alert],
        health: CalibrationHealth, metrics: str,
    ) -> Status:  # fmt: skip
        """Return the status; ``children`` have to be up for the rack to play, ``one_shots`` run now and then."""
        operational, problems = self._plays(children)
        calibration, jobs, rack = self.jobs.calibrations.active, self.jobs, self.rack
        return Status(
            backend=self.device.name, version=pulsed.__version__, operational=operational,
            message="; ".join(problems), pending_jobs=jobs.pending, running=jobs.running,
            calibration_id=calibration.calibration_id, started=self.started,
            faults={subject: fault.why for subject, fault in calibration.faults.items()},
            instruments=rack.instruments.status(), session=jobs.sessions.holder, queue=jobs.modes.control,
            workers={child.name: child.status() for child in (*children, *one_shots)}, alerts=tuple(alerts),
            calibration_nodes=dict(health.nodes), calibration_looked=health.looked, metrics=metrics,
            interlocks=jobs.interlocks.status(),
        )  # fmt: skip

    def _plays(self, children: Sequence[Child]) -> tuple[bool, list[str]]:
        """Return whether the rack plays, and everything that there is to say of it."""
        waiting = [child.name for child in children if str(child.state) != "up"]
        operational, said = self.rack.available.is_set() and not waiting, list[str]()
        if not operational:
            broken = self.compiler.rpc.error or self.rack.client.rpc.error or self.rack.instruments.error
            problem = str(from_info(broken)) if broken is not None else ""
            said.append(problem or f"waiting for: {', '.join(waiting) or 'the instruments'}")
            if not self.rack.outputs_known:
                said.append(OUTPUTS_UNKNOWN)
            if self.companion is not None and self.companion.last_words:
                said.append(f"the command beside the daemon has ended: {self.companion.last_words}")
        control = self.jobs.modes.control
        if sentence := control.sentence():
            operational = operational and control.mode.accepts
            said.append(sentence)
        for problem in (self.jobs.interlocks.sentence(), *self.jobs.store.problems()):
            if problem:
                operational = False
                said.append(problem)
        return operational, said
