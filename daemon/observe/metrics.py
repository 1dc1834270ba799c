"""The daemon's figures as Prometheus has them: counted from events, or read of a snapshot when somebody asks.

Names keep Prometheus' rules (https://prometheus.io/docs/practices/naming/): base units, ``_total`` for what only grows.
Labels are bounded: by the configuration, or by lists here; what is on none of them counts as ``other``.
"""

from __future__ import annotations

import time
from collections import Counter as Tally
from collections import OrderedDict
from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from pulsed.daemon.observe.snapshot import DaemonSnapshot
from pulsed.model.calibration import CalibrationSet
from pulsed.model.errors import ErrorInfo, PulsedError
from pulsed.model.interlock_status import InterlockState
from pulsed.model.job import FINAL_STATES, JobInfo, JobState
from pulsed.wire.messages import AnyEvent, JobChanged

STAGES = (
    "queue", "store", "compile", "handover", "validate", "upload", "arm", "play", "fetch", "classify", "result",
)  # fmt: skip
"""Work on a job of which there is a figure of its own."""
RULES = ("instrument_lost", "interlock", "queue_stuck", "disk_low", "drift", "worker_restarts")
"""Of alerts."""
STATUSES = ("fresh", "stale", "never", "failed", "faulty", "unused")
"""Of nodes of the calibration graph."""
OTHER = "other"
_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3600)
_WAITS = (0.01, 0.1, 1, 10, 60, 300, 900, 3600, 14400, 86400)
_REMEMBERED = 10_000
"""Jobs that have ended of which it is known that they are counted."""
_LATE = 60.0
"""Seconds after its end for which an event of a job may be the one that says so."""
_MOST_KINDS = 40
"""Reasons to end a connection that are told apart."""


def _codes(root: type[PulsedError]) -> Iterator[str]:
    yield root.code
    for kind in root.__subclasses__():
        yield from _codes(kind)


class DaemonMetrics:
    """The figures of one daemon: :meth:`saw` counts what happens, :meth:`page` reads the rest of a snapshot."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._snapshot: DaemonSnapshot | None = None
        self._counted: OrderedDict[str, None] = OrderedDict()
        self._codes = frozenset(_codes(PulsedError))
        self._on_rack: set[str] = set()
        self._rack_since = 0.0
        self._rack_seconds = 0.0
        self._jobs = Counter("pulsed_jobs", "Jobs that have ended.", ["state"], registry=self.registry)
        for state in FINAL_STATES:
            self._jobs.labels(str(state))
        self._errors = Counter(
            "pulsed_job_errors", "Jobs that have ended with an error, by its code.", ["code"], registry=self.registry
        )
        self._stages = Histogram(
            "pulsed_job_stage_seconds", "What each kind of work on a job took.", ["stage"], buckets=_SECONDS,
            registry=self.registry,
        )  # fmt: skip
        self._waits = Histogram(
            "pulsed_job_waiting_seconds", "From the submission of a job to its first turn on the rack.",
            buckets=_WAITS, registry=self.registry,
        )  # fmt: skip
        self.registry.register(_Pulled(self))
        ProcessCollector(registry=self.registry)

    def saw(self, event: AnyEvent) -> None:
        """Count an event."""
        if not isinstance(event, JobChanged):
            return
        job = event.job
        self._rack(job)
        ended = job.times.get(str(job.state), 0.0)
        if job.state in FINAL_STATES and job.job_id not in self._counted and time.time() - ended < _LATE:
            self._counted[job.job_id] = None
            while len(self._counted) > _REMEMBERED:
                self._counted.popitem(last=False)
            self._count(job)

    def page(self, snapshot: DaemonSnapshot) -> bytes:
        """Return what Prometheus reads."""
        self._snapshot = snapshot
        return generate_latest(self.registry)

    def _rack(self, job: JobInfo) -> None:
        """Keep count of the time for which there is a job on the rack."""
        was = bool(self._on_rack)
        if job.state is JobState.RUNNING:
            self._on_rack.add(job.job_id)
        else:
            self._on_rack.discard(job.job_id)
        now = time.monotonic()
        if not was and self._on_rack:
            self._rack_since = now
        elif was and not self._on_rack:
            self._rack_seconds += now - self._rack_since

    def _count(self, job: JobInfo) -> None:
        self._jobs.labels(str(job.state)).inc()
        if job.error is not None:
            self._errors.labels(job.error.code if job.error.code in self._codes else OTHER).inc()
        for name, seconds in job.times.items():
            if name.startswith("seconds."):
                stage = name.removeprefix("seconds.")
                self._stages.labels(stage if stage in STAGES else OTHER).observe(seconds)
        if (first := job.times.get(str(JobState.RUNNING))) is not None and job.attempts == 1:
            self._waits.observe(max(0.0, first - job.created))

    def families(self) -> Iterator[Metric]:
        """Yield what is read of the snapshot."""
        snapshot = self._snapshot
        if snapshot is None:
            return
        on_rack = time.monotonic() - self._rack_since if self._on_rack else 0.0
        yield _counter("pulsed_rack_busy_seconds", "Time for which there was a job on the rack.",
                       {(): self._rack_seconds + on_rack})  # fmt: skip
        yield _counter("pulsed_instrument_changes", "Times that an instrument was found to be set otherwise than left.",
                       {(name,): snapshot.changes.get(name, 0) for name in snapshot.status.instruments},
                       "instrument")  # fmt: skip
        yield from _daemon(snapshot)
        yield from _rack(snapshot)
        yield from _interlocks(snapshot)
        yield from _door(snapshot, self._codes)
        yield from _calibration(snapshot)


class _Pulled:
    """What the registry asks for the families that are read of the snapshot."""

    def __init__(self, metrics: DaemonMetrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        return self._metrics.families()


_Rows = Mapping[tuple[str, ...], float]


def _gauge(name: str, text: str, rows: _Rows, *labels: str) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, number in rows.items():
        family.add_metric(values, number)
    return family


def _counter(name: str, text: str, rows: _Rows, *labels: str) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, number in rows.items():
        family.add_metric(values, number)
    return family


def _daemon(snapshot: DaemonSnapshot) -> Iterator[Metric]:
    status = snapshot.status
    workers = status.workers
    waited = 0.0 if snapshot.waiting_since is None else max(0.0, snapshot.now - snapshot.waiting_since)
    yield _gauge("pulsed_daemon_info", "The rack and the version of the daemon.",
                 {(status.backend, status.version): 1}, "backend", "version")  # fmt: skip
    yield _gauge("pulsed_start_time_seconds", "Unix time at which the daemon started.", {(): status.started})
    yield _gauge("pulsed_operational", "Whether the rack plays: 1 or 0.", {(): status.operational})
    yield _gauge("pulsed_queue_jobs", "Jobs that wait.", {(): status.pending_jobs})
    yield _gauge("pulsed_queue_oldest_seconds", "How long the job has waited that has waited longest.", {(): waited})
    yield _gauge("pulsed_worker_up", "Whether a process of the daemon takes work: 1 or 0.",
                 {(name,): worker.state == "up" for name, worker in workers.items()}, "worker")  # fmt: skip
    yield _counter("pulsed_worker_restarts", "Times that a process of the daemon had to be started again.",
                   {(name,): worker.restarts for name, worker in workers.items()}, "worker")  # fmt: skip
    alerts = Tally(alert.rule for alert in status.alerts)
    yield _gauge("pulsed_alerts_active", "Alerts that are not over, by their rule.",
                 {(rule,): alerts[rule] for rule in RULES}, "rule")  # fmt: skip
    if snapshot.free_disk is not None:
        yield _gauge("pulsed_disk_free_bytes", "Room on the disk of the store.", {(): snapshot.free_disk})


def _rack(snapshot: DaemonSnapshot) -> Iterator[Metric]:
    found = snapshot.status.instruments
    yield _gauge("pulsed_rack_playing", "Whether there is a job on the rack: 1 or 0.",
                 {(): bool(snapshot.status.running)})  # fmt: skip
    yield _gauge("pulsed_instrument_connected", "Whether an instrument answers: 1 or 0.",
                 {(name,): bool(item.identity) for name, item in found.items()}, "instrument")  # fmt: skip
    yield _gauge("pulsed_instrument_healthy", "Whether it answers, and is as it was left: 1 or 0.",
                 {(name,): is_well(bool(item.identity), item.error) for name, item in found.items()},
                 "instrument")  # fmt: skip


def _interlocks(snapshot: DaemonSnapshot) -> Iterator[Metric]:
    found = snapshot.status.interlocks
    yield _gauge("pulsed_interlock_armed", "Whether an interlock lets the rack play: 1 or 0.",
                 {(one.name,): one.state is InterlockState.ARMED for one in found}, "interlock")  # fmt: skip
    yield _gauge("pulsed_interlock_value", "What an interlock has read last, in the unit of its parameter.",
                 {(one.name,): one.value for one in found if isinstance(one.value, float)}, "interlock")  # fmt: skip
    yield _counter("pulsed_interlock_trips", "Times that an interlock has tripped.",
                   {(one.name,): one.trips for one in found}, "interlock")  # fmt: skip


def _door(snapshot: DaemonSnapshot, codes: frozenset[str]) -> Iterator[Metric]:
    refused: Tally[str] = Tally()
    for code, number in snapshot.refused.items():
        refused[code if code in codes else OTHER] += number
    ended: Tally[str] = Tally()
    for reason, number in snapshot.ended.items():
        ended[reason if reason in ended or len(ended) < _MOST_KINDS else OTHER] += number
    yield _gauge("pulsed_connections", "Open connections, by socket.",
                 {(name,): number for name, number in snapshot.connections.items()}, "socket")  # fmt: skip
    yield _counter("pulsed_requests", "Requests of clients, by their kind.",
                   {(kind,): number for kind, number in snapshot.requests.items()}, "kind")  # fmt: skip
    yield _counter("pulsed_requests_refused", "Requests that were refused, by the code of their error.",
                   {(code,): number for code, number in refused.items()}, "code")  # fmt: skip
    yield _counter("pulsed_connections_ended", "Connections that the daemon has ended, by the reason.",
                   {(reason,): number for reason, number in ended.items()}, "reason")  # fmt: skip


def _calibration(snapshot: DaemonSnapshot) -> Iterator[Metric]:
    calibration, health = snapshot.calibration, snapshot.health
    for name, text, parameter in (
        ("pulsed_qubit_t1_seconds", "T1 of the active calibration set.", "t1"),
        ("pulsed_qubit_t2_seconds", "T2 of the active calibration set.", "t2"),
        ("pulsed_qubit_readout_error_ratio", "Readout error of the active calibration set.", "readout.error"),
    ):
        yield _gauge(name, text, {(q,): number for q, number in _numbers(calibration, parameter).items()}, "qubit")
    gates: _Rows = {(gate, target): error for gate, parameter in GATE_ERRORS.items()
             for target, error in _numbers(calibration, parameter).items()}  # fmt: skip
    yield _gauge("pulsed_gate_error_ratio", "Average error of a gate in the active calibration set.", gates,
                 "gate", "target")  # fmt: skip
    yield _gauge("pulsed_faulty_targets", "Qubits and pairs that are not used.", {(): len(calibration.faults)})
    if health.looked:
        yield _gauge("pulsed_calibration_nodes", "Nodes of the calibration graph, by their status.",
                     {(status,): health.nodes.get(status, 0) for status in STATUSES}, "status")  # fmt: skip
        yield _gauge("pulsed_calibration_looked_time_seconds", "Unix time of the last look at the calibration graph.",
                     {(): health.looked})  # fmt: skip


GATE_ERRORS = {"x": "rb.x", "sx": "rb.sx", "clifford": "rb.error", "ecr": "ecr.error", "cz": "cz.error"}
"""By gate, the calibrated value that is its error; ``clifford`` is the average over the Clifford gates of a target."""


def _numbers(calibration: CalibrationSet, parameter: str) -> dict[str, float]:
    """Return the measured numbers of one kind, by target."""
    found = {}
    for name, value in calibration.values.items():
        subject, _, rest = name.partition(".")
        if rest == parameter and value.quality != "design" and not isinstance(value.value, tuple):
            found[subject] = value.value
    return found


def is_well(connected: bool, error: ErrorInfo | None) -> bool:
    """Whether an instrument is as it shall be."""
    return connected and error is None
