"""A process that is killed while it writes: what it was told is stored, is stored; the rest is whole or absent."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from pulsed.model.job import JobState
from pulsed.store import Store

GROUP = 5
ROUNDS = 6
ROUND = 7
"""How often the writer is told in each turn of its loop, the last but one time that a job is done."""

WRITER = """
import itertools, json, os, sys
from pulsed.model.calibration import CalibrationSet, Value
from pulsed.model.job import JobInfo, JobState
from pulsed.store import Store

url, life, group = sys.argv[1], sys.argv[2], int(sys.argv[3])
store = Store(url, "sim5")
store.open(0.0, "writer")

def say(*what):
    os.write(1, json.dumps(what).encode() + b"\\n")

calibration = CalibrationSet("sim5", {f"Q{i}.f01": Value(float(i)) for i in range(20)}, created=life)
for n in itertools.count():
    ids = [f"{life}-{n}-{k}" for k in range(group)]
    jobs = [(JobInfo(i, "sim5", JobState.QUEUED, "alice", 0.0, tags=(f"{life}-{n}",)), i.encode() * 300) for i in ids]
    store.add_jobs(jobs, 0.0)
    say("added", *ids)
    for i in ids[:2]:
        for state in (JobState.COMPILING, JobState.READY, JobState.RUNNING):
            store.step(i, state, 1.0)
        say("running", i)
        for k in range(2):
            store.save_chunk(i, k, b"chunk" * 500, 2.0)
        say("chunks", i)
    store.finish(ids[0], ids[0].encode() * 1000, 3.0)
    say("done", ids[0])
    calibration = calibration.with_values({"Q3.f01": Value(float(n))}, created=f"{life}-{n}")
    store.set_current_calibration(store.put_calibration(calibration, 4.0), 4.0)
    say("calibrated", calibration.calibration_id)
"""


def killed_after(url: str, life: int, lines: int, seconds: float) -> list[list[str]]:
    """Kill a writer ``seconds`` after it was told ``lines`` times, and return all that it was told."""
    command = [sys.executable, "-c", WRITER, url, str(life), str(GROUP)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        told = b"".join(process.stdout.readline() for _ in range(lines))
        time.sleep(seconds)
        os.kill(process.pid, signal.SIGKILL)
        told += process.stdout.read()
    assert process.returncode == -signal.SIGKILL
    return [json.loads(line) for line in told.splitlines()]


def check(store: Store, told: list[list[str]]) -> None:
    for kind, *ids in told:
        if kind == "calibrated":
            assert store.calibration(ids[0]).calibration_id == ids[0]
            continue
        for job_id in ids:
            job = store.job(job_id)
            assert store.payload(job_id) == job_id.encode() * 300
            if kind == "chunks":
                assert job.state is JobState.DONE or [store.chunk(job_id, k) for k in (0, 1)] == [b"chunk" * 500] * 2
            elif kind == "done":
                assert job.state is JobState.DONE
            elif kind == "running":
                assert job.state in (JobState.RUNNING, JobState.DONE)
    groups: dict[str, int] = {}
    for job in store.jobs(limit=None):
        groups[job.tags[0]] = groups.get(job.tags[0], 0) + 1
        assert store.payload(job.job_id) == job.job_id.encode() * 300
        if job.state is JobState.DONE:
            assert store.result(job.job_id) == job.job_id.encode() * 1000
            assert store.chunk_numbers(job.job_id) == []
        else:
            assert job.chunks_done == len(store.chunk_numbers(job.job_id))
    assert set(groups.values()) == {GROUP}


def test_a_killed_writer_leaves_a_whole_store(tmp_path: Path):
    seed = random.SystemRandom().randrange(2**32)
    draw = random.Random(seed)
    path = tmp_path / "pulsed.db"
    url = f"sqlite:///{path}"
    told: list[list[str]] = []
    for life in range(ROUNDS):
        told += killed_after(url, life, draw.randrange(ROUND, 5 * ROUND), draw.uniform(0.0, 0.02))
        store = Store(url, "sim5")
        store.open(100.0, "successor")
        try:
            check(store, told)
            last = [ids[0] for kind, *ids in told if kind == "calibrated"][-1:]
            current = store.current_calibration()
            # One more may have become active just before the kill, its answer lost; the first of a life has a
            # parent that was never stored.
            assert not last or (
                current is not None
                and (last[0] in (current.calibration_id, current.parent) or current.created == f"{life}-0")
            )
            assert current is None or store.calibration_log(1)[0].calibration_id == current.calibration_id
        except Exception as error:
            raise AssertionError(f"round {life} with seed {seed}: {error}") from error
        finally:
            store.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()
    assert sum(kind == "done" for kind, *_ in told) >= ROUNDS, f"seed {seed}"
