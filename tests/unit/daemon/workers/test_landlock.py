"""What a process gave up it cannot do any longer, and neither can what it starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pulsed.daemon.workers import landlock
from pulsed.daemon.workers.confinement import own_environment, own_folder

HAS_LANDLOCK = pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")
SCRIPT = """
import subprocess, sys
from pathlib import Path
from pulsed.daemon.workers.landlock import READ, WRITE, Access, restrict
folder = Path(sys.argv[1])
paths = [Path(p) for p in {"/usr", "/lib", "/lib64", "/bin", sys.base_prefix, sys.prefix}]
restrict({**{p: READ for p in paths}, folder / "open": WRITE, folder / "read": Access.READ_FILE, folder / "none": READ})
def can(act):
    try: act()
    except PermissionError: return False
    return True
print([
    can((folder / "read").read_bytes), can(lambda: (folder / "read").write_text("x")),
    can((folder / "secret").read_bytes),
    can(lambda: (folder / "open" / "new").write_text("x")), can(lambda: (folder / "new").write_text("x")),
    can(lambda: (folder / "secret").rename(folder / "open" / "mine")),
    subprocess.run(["cat", folder / "secret"], capture_output=True).stdout == b"",
])
"""


@HAS_LANDLOCK
def test_only_what_is_on_the_list_can_be_reached(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    for name in ("read", "secret"):
        (tmp_path / name).write_text("text")
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[True, False, False, True, False, False, True]", done.stderr


def test_the_environment_has_nothing_of_the_daemon(tmp_path: Path) -> None:
    given = {
        "PULSED_HOME": "/srv",
        "PGPASSWORD": "x",
        "PATH": "/bin",
        "LC_ALL": "C",
        "PYTHONPATH": "/p",
        "HOME": "/root",
    }
    kept = own_environment(given, tmp_path)
    assert set(kept) == {
        "PATH", "LC_ALL", "PYTHONPATH", "PYTHONSAFEPATH", "HOME", "TMPDIR", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR"
    }  # fmt: skip
    assert kept["HOME"] == kept["TMPDIR"] == str(tmp_path)


def test_the_folder_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = own_folder(tmp_path)
    assert folder.is_relative_to(tmp_path / "cache")
    assert folder.stat().st_mode & 0o077 == 0
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert own_folder(tmp_path) == tmp_path / "compile"
