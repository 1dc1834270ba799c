"""The compile worker decodes what clients sent; it is kept from keys, store and network by what the system has.

With Landlock it may read Python, its packages and the system's libraries, write to a folder of its own and to the log,
and nothing else. Without, it has an environment and a folder of its own. What acts is tried out and told.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from pathlib import Path

import platformdirs

import pulsed
from pulsed.daemon.workers import landlock
from pulsed.daemon.workers.landlock import READ, WRITE, Access
from pulsed.model.errors import ConfigError

_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/localtime", "/proc/cpuinfo", "/proc/meminfo",
           "/sys/devices/system", "/dev/urandom", "/dev/random", "/dev/zero")  # fmt: skip
_KEPT = frozenset({"PATH", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "DYLD_LIBRARY_PATH"})
_KEPT_BEGINNINGS = (
    "LC_",
    "PYTHON",
    "OMP_",
    "OPENBLAS_",
    "MKL_",
    "NUMBA_",
    "MALLOC_",
    "QISKIT_",
    "RAYON_",
    "PULSED_TEST_",
)


def own_folder(otherwise: Path) -> Path:
    """Return the folder of compile workers, which is made: compiled kernels are kept there from one to the next.

    It is in ``otherwise`` for a user who has no place for such.
    """
    for place in (Path(platformdirs.user_cache_path("pulsed", appauthor=False)), otherwise):
        folder = place / "compile"
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if folder.stat().st_uid == os.getuid() and os.access(folder, os.W_OK):
                return folder
    raise ConfigError("no folder can be made for the compile worker", subject="compile worker", value=str(otherwise))


def lend_kernels(folder: Path) -> None:
    """Copy the kernels that numba has compiled beside their sources to where a confined worker looks for them.

    It may not write beside the sources, where others read; compiling all of them again takes it half a minute.
    """
    for root in map(Path, pulsed.__path__):
        for package in (path for path in root.iterdir() if path.is_dir()):
            # The name that numba gives to the folder of kernels from this one.
            name = f"{package.name}_{hashlib.sha1(str(package.absolute()).encode()).hexdigest()}"
            for kernel in (package / "__pycache__").glob("*.nb[ci]"):
                there = folder / "numba" / name / kernel.name
                with contextlib.suppress(OSError):
                    if not there.exists() or there.stat().st_mtime < kernel.stat().st_mtime:
                        there.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                        shutil.copy2(kernel, there)


def own_environment(environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return what a compile worker needs of ``environment``: nothing that says where anything of the daemon is."""
    kept = {
        name: value
        for name, value in environment.items()
        if name in _KEPT or name.startswith(_KEPT_BEGINNINGS)
    }  # fmt: skip
    place = str(folder)
    return {
        **kept,
        "HOME": place,
        "TMPDIR": place,
        "XDG_CACHE_HOME": place,
        "NUMBA_CACHE_DIR": str(folder / "numba"),
        "PYTHONSAFEPATH": "1",
    }


def confine(logs: Path | None, private: Iterable[Path]) -> str:
    """Confine this process, which has one thread; return in words what acts, for the status.

    ``private`` is what it must not read: that is tried out.
    """
    folder = Path(os.environ.get("TMPDIR", os.curdir))
    with contextlib.suppress(OSError):
        os.chdir(folder)
    words = "own environment and folder"
    private = list(private)
    if landlock.version():
        threads = sum(1 for _ in Path("/proc/self/task").iterdir())
        try:
            words = f"Landlock {landlock.restrict(_allowed(folder, logs, private))}"
        except OSError as error:
            words = f"{words} (no Landlock: {error.strerror})"
        if threads > 1:
            words = f"{words}, without {threads - 1} threads"
    readable = [path for path in private if _is_readable(path)]
    return words if not readable else f"{words}; can read {', '.join(map(str, readable))}"


def _allowed(folder: Path, logs: Path | None, private: Iterable[Path]) -> dict[Path, Access]:
    # Rules of one path beneath another add up: nothing that holds what is private may be on the list.
    reads = {Path(path) for path in _SYSTEM}
    reads |= {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    reads |= {Path(sys.prefix), Path(sys.base_prefix), *(Path(entry) for entry in sys.path if entry)}
    for root in map(Path, pulsed.__path__):
        reads |= {root, *(path for path in root.iterdir() if path.is_dir())}
    hidden = [path.resolve() for path in private]
    reads = {path.resolve() for path in reads}
    allowed = {path: READ for path in reads if not any(secret.is_relative_to(path) for secret in hidden)}
    allowed |= {Path("/dev/null"): Access.READ_FILE | Access.WRITE_FILE, folder: WRITE}
    if logs is not None:
        allowed[logs] = Access.WRITE_FILE | Access.MAKE_REG
    return allowed


def _is_readable(path: Path) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError:
        return False
    return True
