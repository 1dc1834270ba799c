"""Do the tests notice? A sample of mutants of drivers, daemon and compiler, each in a copy of the tree.

`make mutants` runs it. The tests that mirror a module are asked first, then those of its folder, then those that see it
through the whole stack; the first that fails kills the mutant, if it passes without the change. What survives is
printed: a test is missing, or the change is none, which `equivalent.txt` says with the reason.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from mutate import Mutant, mutants

ROOT = Path(__file__).parents[2]
EQUIVALENT = Path(__file__).with_name("equivalent.txt")
STACK: dict[str, tuple[str, ...]] = {
    "drivers": ("tests/contract",),
    "daemon": ("tests/system/test_daemon*.py", "tests/system/test_cli_jobs.py"),
    "compiler": ("tests/system/test_main_job.py", "tests/system/test_p*.py", "tests/system/test_active_reset.py"),
}
"""Tests that see a folder's modules at work together with all others."""
_FAILED = ("FAILED tests/", "ERROR tests/")
LIMIT = 900.0
"""Seconds for one round of tests; a mutant that takes longer hangs, and is noticed."""


def equivalent() -> dict[str, str]:
    """Return the mutants that change nothing, with the reason."""
    lines = [line for line in EQUIVALENT.read_text().splitlines() if line and not line.startswith("#")]
    return {mutant: reason for mutant, _, reason in (line.rpartition(" | ") for line in lines)}


def everything(root: Path) -> list[Mutant]:
    """Return all mutants of all modules of the three folders."""
    paths = sorted(path for folder in STACK for path in (root / folder).rglob("*.py"))
    return [mutant for path in paths for mutant in mutants(str(path.relative_to(root)), path.read_text())]


def nearest(root: Path, module: Path) -> Iterator[list[str]]:
    """Yield the tests to ask about a module of ``root``: the nearest first."""
    unit = root / "tests" / "unit"
    mirror = unit / module.parent / f"test_{module.stem}.py"
    dotted = "pulsed." + ".".join(module.with_suffix("").parts)
    near = [mirror]
    if not mirror.exists():
        near = [path for path in (unit / module.parts[0]).rglob("test_*.py") if dotted in _names(path)]
    if near:
        yield sorted(str(path.relative_to(root)) for path in near)
    yield [f"tests/unit/{module.parts[0]}"]
    yield sorted(str(path.relative_to(root)) for item in STACK[module.parts[0]] for path in root.glob(item))


@cache
def _names(path: Path) -> set[str]:
    """Return the modules that a test file imports from."""
    return {node.module or "" for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)}


def asked(root: Path, tests: Sequence[str], limit: float = LIMIT) -> tuple[bool, str]:
    """Run tests in ``root``; return whether all passed, and how it ended."""
    many = ["-n", "2", "--dist", "loadfile"] if not tests[0].startswith("tests/unit") else []
    options = ["-q", "-x", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
    command = [sys.executable, "-m", "pytest", *options, *many, *tests]
    environment = {**os.environ, "PYTHONPATH": str(root / "src")}
    with subprocess.Popen(
        command, cwd=root, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL, start_new_session=True,
    ) as child:  # fmt: skip
        try:
            said, _ = child.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
            return False, "does not end"
    failed = [line.partition(" ")[2].partition(" - ")[0] for line in said.splitlines() if line.startswith(_FAILED)]
    return child.returncode == 0, (failed or said.splitlines()[-1:] or ["no word"])[0]


def killed(root: Path, mutant: Mutant, rounds: int | None = None) -> str:
    """Return the test that notices ``mutant``; empty when none does, of so many rounds when ``rounds`` are given.

    Raises :class:`RuntimeError` for a test that fails without the change, too.
    """
    for tests in itertools.islice(nearest(root, Path(mutant.path)), rounds):
        with changed(root / mutant.path, mutant.text):
            passed, how = asked(root, tests)
        if passed:
            continue
        # The file for a test whose name cannot be told from what it said.
        if how.startswith("tests/") and not any(asked(root, [test])[0] for test in (how, how.partition("::")[0])):
            raise RuntimeError(f"fails without any change: {how}")
        return how
    return ""


@contextlib.contextmanager
def changed(path: Path, text: str) -> Iterator[None]:
    """Have ``text`` in a file for a while, and what was there afterwards, with its times."""
    whole, times = path.read_text(), path.stat()
    path.write_text(text)
    try:
        yield
    finally:
        path.write_text(whole)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def copied(folder: Path) -> Path:
    """Copy the tree to ``folder``, with what numba has compiled: times stay, so that it is not compiled again."""
    ignored = shutil.ignore_patterns(".*", "dist", "build", "demo-output")
    return Path(shutil.copytree(ROOT, folder / "tree", symlinks=True, ignore=ignored))


def main() -> int:
    """Try a sample of mutants; return 1 when fewer are killed than there should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--least", type=float, default=0.9, help="share that has to be killed")
    given = parser.parse_args()
    known = equivalent()
    drawn = random.Random(given.seed).sample(everything(ROOT), given.number)
    sample = [mutant for mutant in drawn if str(mutant) not in known]
    print(f"{given.number} mutants of seed {given.seed}, {given.number - len(sample)} of them known to change nothing")
    survived = []
    with tempfile.TemporaryDirectory() as folder:
        root = copied(Path(folder))
        for number, mutant in enumerate(sample, 1):
            began = time.monotonic()
            by = killed(root, mutant)
            took = f"line {mutant.line}, {time.monotonic() - began:.0f} s"
            print(f"{number:3} {mutant.kind:12} {mutant} ({took}): {by or 'SURVIVED'}", flush=True)
            if not by:
                survived.append(mutant)
    share = 1 - len(survived) / max(1, len(sample))
    print(f"{share:.0%} of {len(sample)} killed; survivors:", *survived, sep="\n  ")
    return int(share < given.least)


if __name__ == "__main__":
    sys.exit(main())
