"""Any order of calls: the store answers as a plain model in memory does."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from pulsed.model.errors import IllegalStepError, NotAllowedError, NotFoundError
from pulsed.model.job import FINAL_STATES, JOB_STEPS, JobInfo, JobState
from pulsed.store import Store
from pulsed.testing.postgres import PostgresServer

OWNERS = st.sampled_from(["alice", "bob"])
TAGS = st.lists(st.sampled_from(["red", "green", "blue"]), max_size=3).map(tuple)
NOT_DONE = st.sampled_from([state for state in JobState if state is not JobState.DONE])
BLOBS = st.binary(max_size=20)


class Model:
    """What the store promises, without a database."""

    def __init__(self) -> None:
        self.jobs: dict[str, JobInfo] = {}
        self.payloads: dict[str, bytes] = {}
        self.chunks: dict[str, dict[int, bytes]] = {}
        self.results: dict[str, bytes] = {}

    def add(self, new: list[tuple[JobInfo, bytes]], now: float) -> list[JobInfo] | None:
        """The answers, or None for a refusal."""
        owners = {job_id: job.owner for job_id, job in self.jobs.items()}
        for info, _ in new:
            if owners.setdefault(info.job_id, info.owner) != info.owner:
                return None
        for info, payload in new:
            if info.job_id not in self.jobs:
                self.jobs[info.job_id] = msgspec.structs.replace(info, times={"queued": now})
                self.payloads[info.job_id] = payload
                self.chunks[info.job_id] = {}
        return [self.jobs[info.job_id] for info, _ in new]

    def change(self, job_id: str, **changes: Any) -> JobInfo:
        self.jobs[job_id] = msgspec.structs.replace(self.jobs[job_id], **changes)
        if self.jobs[job_id].state in FINAL_STATES:
            self.chunks[job_id] = {}
        return self.jobs[job_id]


class StoreMachine(RuleBasedStateMachine):
    ids = Bundle("ids")

    server: PostgresServer | None = None
    """None: SQLite."""

    def make_database(self) -> contextlib.AbstractContextManager[str]:
        if self.server is not None:
            return self.server.database()
        return contextlib.nullcontext(f"sqlite:///{self.directory}/pulsed.db")

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.mkdtemp()
        self.database = contextlib.ExitStack()
        self.store = Store(self.database.enter_context(self.make_database()), "sim5")
        self.store.open(0.0, "daemon")
        self.model = Model()
        self.now = 0.0

    @initialize(target=ids)
    def one_job(self) -> str:
        self._add([(JobInfo("j0", "sim5", JobState.QUEUED, "alice", 0.0), b"")])
        return "j0"

    @rule(
        target=ids,
        number=st.integers(0, 5),
        owner=OWNERS,
        priority=st.integers(-1, 1),
        tags=TAGS,
        payload=BLOBS,
        other=st.integers(0, 5),
    )
    def submit(self, number: int, owner: str, priority: int, tags: tuple[str, ...], payload: bytes, other: int) -> str:
        info = JobInfo(f"j{number}", "sim5", JobState.QUEUED, owner, self.now, tags=tags, priority=priority)
        second = msgspec.structs.replace(info, job_id=f"j{other}", tags=())
        self._add([(info, payload), (second, b"second")])
        return f"j{number}"

    def _add(self, new: list[tuple[JobInfo, bytes]]) -> None:
        self.now += 1
        expected = self.model.add(new, self.now)
        if expected is None:
            with pytest.raises(NotAllowedError):
                self.store.add_jobs(new, self.now)
        else:
            assert self.store.add_jobs(new, self.now) == expected

    @rule(
        job_id=ids, state=st.sampled_from([s for s in JobState if s is not JobState.DONE]), attempts=st.integers(0, 3)
    )
    def step(self, job_id: str, state: JobState, attempts: int) -> None:
        self._step(
            job_id, state, lambda: self.store.step(job_id, state, self.now, attempts=attempts), attempts=attempts
        )

    @rule(job_id=ids, blob=BLOBS)
    def finish(self, job_id: str, blob: bytes) -> None:
        if self._step(job_id, JobState.DONE, lambda: self.store.finish(job_id, blob, self.now)):
            self.model.results[job_id] = blob

    def _step(self, job_id: str, state: JobState, call: Any, **changes: Any) -> bool:
        self.now += 1
        old = self.model.jobs.get(job_id)
        if old is None:
            with pytest.raises(NotFoundError):
                call()
            return False
        if state not in JOB_STEPS[old.state]:
            with pytest.raises(IllegalStepError):
                call()
            return False
        times = {**old.times, state.value: self.now}
        assert call() == self.model.change(job_id, state=state, times=times, **changes)
        return True

    @rule(job_id=ids, tags=TAGS, name=st.sampled_from(["", "bell"]))
    def update(self, job_id: str, tags: tuple[str, ...], name: str) -> None:
        if job_id in self.model.jobs:
            assert self.store.update(job_id, tags=tags, name=name) == self.model.change(job_id, tags=tags, name=name)

    @rule(job_id=ids, index=st.integers(0, 3), blob=BLOBS)
    def save_chunk(self, job_id: str, index: int, blob: bytes) -> None:
        job = self.model.jobs.get(job_id)
        if job is not None and job.state not in FINAL_STATES:
            self.model.chunks[job_id][index] = blob
            expected = self.model.change(job_id, chunks_done=len(self.model.chunks[job_id]))
            assert self.store.save_chunk(job_id, index, blob, self.now) == expected
        else:
            with pytest.raises((IllegalStepError, NotFoundError)):
                self.store.save_chunk(job_id, index, blob, self.now)

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.store.open(self.now, "daemon")

    @rule(
        state=st.none() | st.sampled_from(list(JobState)),
        owner=st.none() | OWNERS,
        tags=TAGS,
        limit=st.none() | st.integers(0, 4),
        skip=st.integers(0, 3),
        newest_first=st.booleans(),
    )
    def search(
        self, state: JobState | None, owner: str | None, tags: Any, limit: int | None, skip: int, newest_first: bool
    ) -> None:
        found = [
            job
            for job in self.model.jobs.values()
            if state in (None, job.state) and owner in (None, job.owner) and set(tags) <= set(job.tags)
        ]
        found = (found[::-1] if newest_first else found)[skip:]
        expected = found if limit is None else found[:limit]
        answer = self.store.jobs(state=state, owner=owner, tags=tags, limit=limit, skip=skip, newest_first=newest_first)
        assert answer == expected

    @invariant()
    def all_is_equal(self) -> None:
        model = self.model
        assert self.store.jobs(limit=None, newest_first=False) == list(model.jobs.values())
        queue = sorted((j for j in model.jobs.values() if j.state not in FINAL_STATES), key=lambda j: -j.priority)
        assert self.store.unfinished() == queue
        for job_id in model.jobs:
            assert self.store.payload(job_id) == model.payloads[job_id]
            stored = {index: self.store.chunk(job_id, index) for index in self.store.chunk_numbers(job_id)}
            assert stored == model.chunks[job_id]
            if job_id in model.results:
                assert self.store.result(job_id) == model.results[job_id]
            else:
                with pytest.raises(NotFoundError):
                    self.store.result(job_id)

    def teardown(self) -> None:
        self.store.close()
        self.database.close()
        shutil.rmtree(self.directory)


StoreMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None, print_blob=True)
TestStoreMachine = StoreMachine.TestCase


def test_postgresql_answers_as_the_model(postgres_server):
    class OnServer(StoreMachine):
        server = postgres_server

    run_state_machine_as_test(OnServer, settings=settings(StoreMachine.TestCase.settings, max_examples=5))
