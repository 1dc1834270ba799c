"""The audit log: a chain that survives kills, and shows what was done to it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pulsed.model.errors import StoreError
from pulsed.store.audit_log import AuditLog, AuditRecord, files_of, records_of
from pulsed.store.audit_verify import verify

COUNT = 30


def record(number: int) -> AuditRecord:
    return AuditRecord("ann", "submit", "done", "experimenter", "127.0.0.1", f"job{number}", "1 programs, 7 shots")


def written(folder: Path, count: int = COUNT, most: int = 1 << 24) -> Path:
    log = AuditLog(folder, most)
    for number in range(count):
        log.append([record(number)])
    log.close()
    return folder


def lines_of(folder: Path) -> list[bytes]:
    return files_of(folder)[0].read_bytes().splitlines(keepends=True)


def put(folder: Path, lines: list[bytes]) -> None:
    files_of(folder)[0].write_bytes(b"".join(lines))


def test_what_is_written_is_read_and_whole(tmp_path: Path) -> None:
    folder = written(tmp_path / "audit")
    found = list(records_of(folder))
    assert [one.object for one in found] == [f"job{number}" for number in range(COUNT)]
    assert [one.n for one in found] == list(range(1, COUNT + 1))
    report = verify(folder)
    assert (report.records, report.first, report.last, report.faults) == (COUNT, 1, COUNT, ())
    assert folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())


def test_an_empty_log_is_whole(tmp_path: Path) -> None:
    assert verify(tmp_path / "none").faults == ()
    log = AuditLog(tmp_path / "audit")
    log.append([])
    log.close()
    assert verify(tmp_path / "audit").faults == ()


@pytest.mark.parametrize("index", [0, 1, 14, COUNT - 2, COUNT - 1])
def test_a_changed_line_is_found_where_it_is(tmp_path: Path, index: int) -> None:
    folder = written(tmp_path / "audit")
    lines = lines_of(folder)
    lines[index] = lines[index].replace(b"ann", b"bob")
    put(folder, lines)
    (fault,) = verify(folder).faults
    assert (fault.file, fault.line) == ("000000001.jsonl", index + 1)
    assert "changed" in fault.what


@pytest.mark.parametrize("index", [0, 1, 14, COUNT - 2])
def test_a_removed_line_is_found_where_it_was(tmp_path: Path, index: int) -> None:
    folder = written(tmp_path / "audit")
    lines = lines_of(folder)
    del lines[index]
    put(folder, lines)
    (fault,) = verify(folder).faults
    assert fault.line == index + 1
    assert fault.what == f"record {index + 1} was removed before this line"


@pytest.mark.parametrize("kept", [0, 1, 14, COUNT - 1])
def test_what_was_cut_off_the_end_is_missed_also_when_it_goes_on(tmp_path: Path, kept: int) -> None:
    folder = written(tmp_path / "audit")
    put(folder, lines_of(folder)[:kept])
    (fault,) = verify(folder).faults
    first = f"record {COUNT} was" if kept == COUNT - 1 else f"records {kept + 1} to {COUNT} were"
    assert fault.what == f"{first} cut off behind this line"
    written(folder, 3)
    (fault,) = verify(folder).faults
    assert fault.line == kept + 1
    assert fault.what == f"{first} removed before this line"


def test_lines_in_another_order_are_found(tmp_path: Path) -> None:
    folder = written(tmp_path / "audit")
    lines = lines_of(folder)
    lines[10], lines[11] = lines[11], lines[10]
    put(folder, lines)
    faults = verify(folder).faults
    assert [fault.line for fault in faults] == [11, 12, 13]
    assert faults[0].what == "record 12 stands before record 11"
    assert faults[1].what == "record 11 stands after record 12"


@pytest.mark.parametrize("index", [0, 14, COUNT - 1])
def test_what_cannot_be_read_is_found(tmp_path: Path, index: int) -> None:
    folder = written(tmp_path / "audit")
    lines = lines_of(folder)
    lines[index] = b"\xff{\n"
    put(folder, lines)
    faults = verify(folder).faults
    assert str(faults[0]) == f"000000001.jsonl, line {index + 1}: cannot be read"


def test_a_line_put_in_and_a_whole_new_end_are_found(tmp_path: Path) -> None:
    """Whoever knows how lines are made still cannot make one fit between two others."""
    folder = written(tmp_path / "audit")
    forged = written(tmp_path / "forged", COUNT + 5)
    lines, others = lines_of(folder), lines_of(forged)
    put(folder, [*lines[:10], others[10], *lines[10:]])
    assert verify(folder).faults[0].line in (10, 11)
    put(folder, lines[:20] + others[20:])
    assert verify(folder).faults[0].line == 20


def test_a_head_that_is_gone_is_told(tmp_path: Path) -> None:
    folder = written(tmp_path / "audit")
    (folder / "head.json").unlink()
    (fault,) = verify(folder).faults
    assert fault.file == "head.json"


def test_rotation_keeps_the_chain_and_old_files_may_be_kept_elsewhere(tmp_path: Path) -> None:
    folder = written(tmp_path / "audit", 100, most=4000)
    files = files_of(folder)
    assert len(files) > 3
    report = verify(folder)
    assert report.faults == ()
    assert report.records == 100 + len(files) - 1
    files[0].unlink()
    first = int(files[1].stem)
    (fault,) = verify(folder).faults
    assert (fault.file, fault.line) == (files[1].name, 1)
    assert fault.what == f"records 1 to {first - 1} were removed before this line"
    assert verify(folder, first).faults == ()
    files[2].unlink()
    (fault,) = verify(folder, first).faults
    assert fault.file == files[3].name


def test_two_writers_make_one_chain_also_where_files_change(tmp_path: Path) -> None:
    one, other = AuditLog(tmp_path, 4000), AuditLog(tmp_path, 4000)
    for number in range(60):
        (one if number % 3 else other).append([record(number)])
        (other if number % 3 else one).sync()
    one.close()
    other.close()
    assert verify(tmp_path).faults == ()
    assert [r.object for r in records_of(tmp_path) if r.what == "submit"] == [f"job{k}" for k in range(60)]


@pytest.mark.parametrize("behind_head", [False, True])
def test_every_way_to_cut_the_last_line_as_it_is_written_is_repaired(tmp_path: Path, behind_head: bool) -> None:
    written(tmp_path, 2)
    log = AuditLog(tmp_path)
    log.append([record(2)])
    whole = files_of(tmp_path)[0].read_bytes()
    begin = whole[:-1].rindex(b"\n") + 1
    for length in range(begin + 1, len(whole)):
        copy = tmp_path / f"cut{length}"
        copy.mkdir()
        (copy / "000000001.jsonl").write_bytes(whole[:length])
        (copy / "head.json").write_bytes((tmp_path / "head.json").read_bytes())
        report = verify(copy)
        assert report.faults == ()
        assert f"ends in {length - begin} bytes" in report.note
        written(copy, 1)
        report = verify(copy)
        assert (report.faults, report.note, report.last) == ((), "", 4)
        assert [one.what for one in records_of(copy)] == ["submit", "submit", "audit.repair", "submit"]
    log.close()


def test_killed_writers_leave_a_whole_chain(tmp_path: Path) -> None:
    """Every record whose writer was told that it is written is there, whenever the writer is killed."""
    script = (
        "import sys, threading; from pathlib import Path; from pulsed.store.audit_log import AuditLog, AuditRecord\n"
        "log = AuditLog(Path(sys.argv[1]), 20000)\n"
        "def sync():\n"
        "    while True: log.sync()\n"
        "threading.Thread(target=sync, daemon=True).start()\n"
        "n = 0\n"
        "while True:\n"
        "    log.append([AuditRecord(sys.argv[2], 'submit', 'done', object=str(n), detail='x' * (n % 300))])\n"
        "    sys.stdout.write(f'{n}\\n'); sys.stdout.flush(); n += 1\n"
    )
    told: dict[str, int] = {}
    chance = random.Random(3)
    for turn in range(6):
        writers = {
            f"writer{turn}.{k}": subprocess.Popen(
                [sys.executable, "-c", script, str(tmp_path), f"writer{turn}.{k}"], stdout=subprocess.PIPE
            )
            for k in range(2)
        }
        for name, process in writers.items():
            assert process.stdout is not None
            assert process.stdout.readline()
            told[name] = 0
        time.sleep(chance.uniform(0.0, 0.2))
        for name, process in writers.items():
            os.kill(process.pid, signal.SIGKILL)
            assert process.stdout is not None
            *whole, _ = process.stdout.read().split(b"\n")
            told[name] = int(whole[-1]) if whole else 0
            process.stdout.close()
            process.wait()
    written(tmp_path, 1)
    assert verify(tmp_path).faults == ()
    there: dict[str, set[int]] = {}
    for one in records_of(tmp_path):
        if one.who.startswith("writer"):
            there.setdefault(one.who, set()).add(int(one.object))
    for name, last in told.items():
        assert there[name] >= set(range(last + 1))


def test_a_disk_that_takes_a_part_of_a_line_has_none_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = AuditLog(tmp_path)
    log.append([record(0)])
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:20]))
    for _ in range(3):
        with pytest.raises(StoreError, match="no space left"):
            log.append([record(1), record(2)])
    monkeypatch.setattr(os, "write", write)
    log.append([record(3)])
    log.close()
    assert [one.object for one in records_of(tmp_path)] == ["job0", "job3"]
    assert verify(tmp_path).faults == ()
