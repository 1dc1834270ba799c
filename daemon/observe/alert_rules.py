"""When somebody has to be told: what is wrong at one moment, and what of that is news. No clock, no network."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from pulsed.daemon.observe.metrics import is_well
from pulsed.daemon.observe.snapshot import DaemonSnapshot
from pulsed.model.alerts import Alert, AlertState
from pulsed.model.interlock_status import InterlockState
from pulsed.model.observation import Alerts

HOUR = 3600.0
_NAMED = 5
"""Nodes that an alert names one by one."""


@dataclass(frozen=True)
class AlertCondition:
    """Something that is wrong."""

    rule: str
    subject: str
    message: str
    hold: float = 0.0
    """Seconds for which it has to last until somebody is told."""


def conditions(snapshot: DaemonSnapshot, rules: Alerts, restarts: Mapping[str, int]) -> Iterator[AlertCondition]:
    """Yield everything that is wrong. ``restarts``: how often each worker was started again within an hour."""
    status = snapshot.status
    if rules.instrument_lost is not None:
        for name, item in status.instruments.items():
            if not is_well(bool(item.identity), item.error):
                why = item.error.message if item.error is not None else "it does not answer"
                yield AlertCondition("instrument_lost", name, f"instrument {name}: {why}", rules.instrument_lost)
    for one in status.interlocks if rules.interlock else ():
        if one.state is InterlockState.TRIPPED:
            text = f"{one.sentence()}; outputs are off and no job plays until an operator arms it again"
            yield AlertCondition("interlock", one.name, text)
    if snapshot.waiting_since is not None and not status.running and rules.queue_stuck is not None:
        still = snapshot.now - max(snapshot.moved, snapshot.waiting_since)
        if still >= rules.queue_stuck:
            why = f": {status.message}" if status.message else ""
            text = f"{status.pending_jobs} jobs wait, and none has moved for {still / 60:.0f} min{why}"
            yield AlertCondition("queue_stuck", "queue", text)
    if rules.disk_low is not None and snapshot.free_disk is not None and snapshot.free_disk < rules.disk_low:
        text = (
            f"{_mebibytes(snapshot.free_disk)} are free on the disk of the store, {_mebibytes(rules.disk_low)} should"
        )
        yield AlertCondition("disk_low", "disk", text)
    yield from _drift(snapshot) if rules.drift else ()
    if rules.worker_restarts is not None:
        for name, number in sorted(restarts.items()):
            if number >= rules.worker_restarts:
                text = f"the {name} worker was started again {number} times within an hour"
                yield AlertCondition("worker_restarts", name, text)


def _drift(snapshot: DaemonSnapshot) -> Iterator[AlertCondition]:
    for subject, why in sorted(snapshot.status.faults.items()):
        yield AlertCondition("drift", subject, f"{subject} is faulty: {why}")
    if drifted := snapshot.health.drifted:
        more = f", and {len(drifted) - _NAMED} more" if len(drifted) > _NAMED else ""
        yield AlertCondition("drift", "calibration", f"out of spec: {', '.join(drifted[:_NAMED])}{more}")


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"


class RestartCount:
    """How often each worker was started again within the last hour."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}
        self._times: dict[str, deque[float]] = {}

    def step(self, restarts: Mapping[str, int], now: float) -> dict[str, int]:
        """Take in how often each was since the start; return how often within an hour."""
        found = {}
        for name, number in restarts.items():
            times = self._times.setdefault(name, deque(maxlen=1000))
            times.extend([now] * max(0, number - self._seen.get(name, 0)))
            self._seen[name] = number
            while times and now - times[0] > HOUR:
                times.popleft()
            found[name] = len(times)
        return found


@dataclass
class _Known:
    condition: AlertCondition
    since: float
    told: float | None = None


@dataclass
class AlertTable:
    """What is wrong since when, and what was told of it. Times are Unix times."""

    rules: Alerts
    backend: str = ""
    left_out: int = 0
    """Messages that were not sent because there were too many."""
    _known: dict[tuple[str, str], _Known] = field(default_factory=dict)
    _sent: deque[float] = field(default_factory=deque)

    @property
    def active(self) -> list[Alert]:
        """What was told and is not over."""
        return [self._alert(known, AlertState.FIRING, known.since) for known in self._known.values() if known.told]

    def step(self, found: Iterable[AlertCondition], now: float) -> list[Alert]:
        """Take in what is wrong now; return what has to be told, at most ``rules.most`` an hour."""
        current = {(one.rule, one.subject): one for one in found}
        news: list[Alert] = []
        for key, condition in current.items():
            known = self._known.setdefault(key, _Known(condition, now))
            known.condition = condition
            if known.told is None and now - known.since >= condition.hold:
                known.told = now
                news.append(self._alert(known, AlertState.FIRING, now))
            elif known.told is not None and now - known.told >= self.rules.repeat:
                known.told = now
                news.append(self._alert(known, AlertState.REPEATED, now))
        for key in self._known.keys() - current.keys():
            known = self._known.pop(key)
            if known.told is not None:
                news.append(self._alert(known, AlertState.OVER, now))
        return self._bounded(news, now)

    def _bounded(self, news: list[Alert], now: float) -> list[Alert]:
        while self._sent and now - self._sent[0] > HOUR:
            self._sent.popleft()
        room = max(0, self.rules.most - len(self._sent))
        kept = news[:room]
        if kept and self.left_out:
            text = f"{kept[0].message} ({self.left_out} messages before this one were left out: too many in an hour)"
            kept[0] = msgspec.structs.replace(kept[0], message=text)
            self.left_out = 0
        self.left_out += len(news) - len(kept)
        self._sent.extend([now] * len(kept))
        return kept

    def _alert(self, known: _Known, state: AlertState, now: float) -> Alert:
        one = known.condition
        return Alert(one.rule, one.subject, state, one.message, self.backend, known.since, now)
