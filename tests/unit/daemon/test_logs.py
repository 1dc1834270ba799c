"""Logs stay bounded: one process begins another file, the others follow."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from pulsed.daemon import logs
from pulsed.daemon.workers.supervisor import Child, ChildState

WRITER = """
import sys
from pathlib import Path
from pulsed.daemon import logs
logs.MOST = 2000
logs.set_up(Path(sys.argv[1]), sys.argv[2], console=False, rotate=sys.argv[2] == "daemon")
log = logs.get("test")
print(flush=True)
for line in sys.stdin:
    log.info("line", number=int(line))
    print(flush=True)
"""


def test_lines_of_all_processes_go_to_the_present_file_and_none_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "daemon.jsonl"
    writers = {
        name: subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name in ("daemon", "compile")
    }
    for number in range(60):
        for writer in writers.values():
            assert writer.stdin is not None
            assert writer.stdout is not None
            if number == 0:
                writer.stdout.readline()
            writer.stdin.write(f"{number}\n")
            writer.stdin.flush()
            writer.stdout.readline()
    for writer in writers.values():
        writer.communicate()
        assert writer.returncode == 0
    files = sorted(tmp_path.glob("daemon.jsonl*"))
    assert 3 <= len(files) <= logs.KEPT + 1
    assert all(file.stat().st_size <= 2500 for file in files), "one line of another process may come after the end"
    kept = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    for name in writers:
        numbers = sorted(line["number"] for line in kept if line["process"] == name)
        assert numbers == list(range(numbers[0], 60)), f"{name}: all from the oldest kept on"
    assert {json.loads(line)["process"] for line in path.read_text().splitlines()} == set(writers)


async def test_the_output_of_a_child_is_begun_anew_when_it_is_full(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(logs, "MOST", 10)
    output = tmp_path / "maintenance.log"
    output.write_text("the pass of yesterday\n")
    child = Child("maintenance", ["echo", "new"], lambda: None, output)
    process = await child._spawn()
    await process.wait()
    assert output.read_text() == "new\n"
    assert (tmp_path / "maintenance.log.1").read_text() == "the pass of yesterday\n"
    process = await child._spawn()
    await process.wait()
    assert output.read_text() == "new\nnew\n", "not before it is full"
    assert child.state is ChildState.DOWN
