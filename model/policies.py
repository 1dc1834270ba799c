"""Tables of a device description that say what may be asked of a rack: its grid, its limits, its maintenance."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt

from pulsed.model.units import Seconds


class Table(BaseModel):
    """A table of the file: it refuses keys that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Steps = Annotated[int, Field(gt=0, lt=2**31)]
"""A number of dt, as far as Qiskit's timing constraints can hold one."""


class Timing(Table):
    """The grid of the pulse language, in dt."""

    granularity: Steps = 1
    """Lengths of pulses are multiples of this."""
    min_length: Steps = 1
    """Shortest pulse."""
    pulse_alignment: Steps = 1
    """Starts of pulses are multiples of this."""
    acquire_alignment: Steps = 1
    """Starts of acquisitions are multiples of this."""
    feedback_latency: NonNegativeInt | None = None
    """dt from the end of an acquisition at the digitizer until the AWGs can play what its bit decides; None: the rack
    has no feedback, and circuits with `if_test` are refused."""


class Limits(Table):
    """What one job may ask for."""

    max_shots: PositiveInt = 100_000
    """Most shots of one job."""
    max_circuits: PositiveInt = 1000
    """Most circuits and schedules of one job."""
    default_shots: PositiveInt = 1024
    """Shots of a job that does not give their number."""
    max_payload: PositiveInt = 256 * 2**20
    """Bytes of one submission."""
    free_disk: NonNegativeInt = 512 * 2**20
    """Bytes that have to be free on the disk of the store; below, no job is accepted."""
    max_result: PositiveInt = 4 * 2**30
    """Bytes of the result of one job; one that would bring back more, or more than the disk of the store has room for,
    is refused before it plays."""
    rep_delay: Seconds = Field(default=500e-6, gt=0)
    """Time from the end of a program to the next shot, in which qubits relax."""
    rep_delay_min: Seconds = Field(default=1e-6, gt=0)
    """Shortest repetition delay a job may ask for."""
    rep_delay_max: Seconds = Field(default=10e-3, gt=0)
    """Longest repetition delay."""
    rack_time: Seconds = Field(default=600.0, gt=0)
    """Time on the rack of one job above which it is refused unless it is confirmed."""
    job_seconds: float = Field(default=3600.0, gt=0)
    """Longest time on the rack of one job, confirmed or not."""
    compile_seconds: float = Field(default=300.0, gt=0)
    """Longest time that compiling one job may take."""
    session_time: Seconds = Field(default=28800.0, gt=0)
    """Longest time of a session or batch, from the start of its first job; what those have that ask for no other."""
    session_silence: Seconds = Field(default=300.0, gt=0)
    """A session that holds the rack ends when it has had no job for this long."""


Share = Annotated[float, Field(gt=0, le=1000)]
"""Of the rack that a user is due, relative to others."""


class RoleShares(Table):
    """The share of each user of a role who has none of their own."""

    viewer: Share = 1.0
    """Share of each viewer."""
    experimenter: Share = 1.0
    """Share of each experimenter."""
    operator: Share = 1.0
    """Share of each operator."""
    admin: Share = 1.0
    """Share of each admin."""


class Sharing(Table):
    """How users share the rack."""

    half_life: Seconds = Field(default=86400.0, gt=0)
    """After this time what somebody has used of the rack counts half."""
    ageing: Seconds = Field(default=3600.0, gt=0)
    """Waiting this long for a turn is worth one priority."""
    users: dict[str, Share] = Field(default={})
    """By user, the share of the rack that they are due, relative to others."""
    roles: RoleShares = RoleShares()
    """The share of each user of a role who has none of their own."""

    def weight(self, user: str, role: str) -> float:
        """Return the share that a user is due."""
        return self.users.get(user, float(getattr(self.roles, role, 1.0)))


class Quota(Table):
    """What one user may ask for."""

    jobs: PositiveInt | None = None
    """Jobs in the queue at once."""
    shots: PositiveInt | None = None
    """Shots of one job, over all of its circuits."""
    rack_seconds: Seconds | None = Field(default=None, gt=0)
    """Time on the rack per day (UTC), with what is in the queue."""
    bytes: PositiveInt | None = None
    """Bytes of submissions and results per day (UTC), with what is in the queue."""
    priority: int | None = Field(default=None, ge=-100, le=100)
    """Highest priority of a job."""


class RoleQuotas(Table):
    """What each user of a role may ask for."""

    viewer: Quota = Quota()
    """What each viewer may."""
    experimenter: Quota = Quota()
    """What each experimenter may."""
    operator: Quota = Quota()
    """What each operator may."""
    admin: Quota = Quota()
    """What each admin may."""


class Quotas(Table):
    """What users may ask for; what is not given is not limited."""

    roles: RoleQuotas = RoleQuotas()
    """What each user of a role may."""
    users: dict[str, Quota] = Field(default={})
    """By user, what counts in place of that of their role."""

    def of(self, user: str, role: str) -> Quota:
        """Return what a user may."""
        common: Quota = getattr(self.roles, role, Quota())
        named = self.users.get(user, Quota())
        given = {key: getattr(named, key) for key in named.model_fields_set}
        return Quota(**{**dict(common), **given})


class Maintenance(Table):
    """When the daemon runs passes of `pulsed cal maintain` by itself."""

    self_test: bool | None = None
    """Whether `pulsed self-test` runs when the instruments first answer; None: on a rack that is not simulated."""

    every: Seconds | None = Field(default=None, gt=0)
    """Time from the last measurement of a calibration to the next pass; None: only by hand."""
    idle: Seconds = Field(default=10.0, ge=0)
    """A pass begins only when no job has waited or played for this long. Jobs that arrive during a pass go first."""
    limit: Seconds = Field(default=3600.0, gt=0)
    """How long one pass may take, including jobs that go first; the next pass goes on where this one was stopped."""
    overdue: Seconds | None = Field(default=3600.0, ge=0)
    """A pass that could not be made for this long because the rack is never idle is made between the jobs and between
    the chunks of a long one, before all others; at once when a check has found drift. None: never."""
    overdue_limit: Seconds = Field(default=300.0, gt=0)
    """How long such a pass may take; the next one goes on where this one was stopped."""


class Retention(Table):
    """What of jobs that have ended is deleted by the daemon, and when. Without any of it nothing is."""

    results: float | None = Field(default=None, gt=0)
    """Days after which programs and results of a job are deleted; it stays in lists. None: they are kept."""
    jobs: float | None = Field(default=None, gt=0)
    """Days after which a job is forgotten altogether; None: never."""
    size: PositiveInt | None = None
    """Bytes that programs and results of all jobs may have; of more, the oldest are deleted. None: no bound."""
    keep: tuple[str, ...] = ("keep",)
    """Tags of jobs that are left alone."""

    @property
    def deletes(self) -> bool:
        """Whether anything is deleted at all."""
        return self.results is not None or self.jobs is not None or self.size is not None
