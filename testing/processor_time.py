"""Where the processor time of a run of tests goes: a plugin of pytest, `make test PROFILE=1`.

Each phase of each test is counted in the process that runs it and in the processes that ended within it, which are
waited for; a process that is killed together with its parent counts nowhere. Seconds on the clock are of a machine that
does other things, too; seconds of processor are not.
"""

from __future__ import annotations

import resource
import time
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

TABLE = Path("build/processor-time.txt")
_PRINTED = 25


def _used() -> tuple[float, float, float]:
    """Return seconds on the clock, and of processor by this process and by the children that have ended."""
    own, children = (resource.getrusage(of) for of in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return time.monotonic(), own.ru_utime + own.ru_stime, children.ru_utime + children.ru_stime


class ProcessorTime:
    """Collects what reports bring, by test and by file."""

    def __init__(self) -> None:
        self.tests: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
        self._before = _used()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Note in the report what was used since the last one."""
        report = yield
        now = _used()
        report.used = [after - before for after, before in zip(now, self._before, strict=True)]
        self._before = now
        return report

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Add a phase up, where the reports of all workers come together."""
        total = self.tests[report.nodeid]
        for place, seconds in enumerate(getattr(report, "used", ())):
            total[place] += seconds

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Write the table, and show its beginning."""
        if not self.tests:
            return
        TABLE.parent.mkdir(exist_ok=True)
        TABLE.write_text(self.table())
        terminalreporter.section(f"processor time by file; all of it is in {TABLE}")
        terminalreporter.write_line(self.table(_PRINTED))

    def table(self, most: int | None = None) -> str:
        """Return the files, what uses most first, and below each, unless only ``most`` are wanted, its tests."""
        files: dict[str, list[str]] = defaultdict(list)
        for test in self.tests:
            files[test.partition("::")[0]].append(test)
        sums = {file: _sum([self.tests[test] for test in of]) for file, of in files.items()}
        lines = [f"{'clock':>8} {'processor':>10} {'own':>8} {'children':>9}"]
        lines.append(_line(_sum(list(sums.values())), f"{len(self.tests)} tests"))
        for file in sorted(sums, key=lambda file: -sum(sums[file][1:]))[:most]:
            lines.append(_line(sums[file], file))
            if most is None:
                inside = sorted(files[file], key=lambda test: -sum(self.tests[test][1:]))
                lines += [_line(self.tests[test], "    " + test.partition("::")[2]) for test in inside
                          if sum(self.tests[test][1:]) >= 0.1]  # fmt: skip
        return "\n".join(lines) + "\n"


def _sum(rows: list[list[float]]) -> list[float]:
    return [sum(column) for column in zip(*rows, strict=True)]


def _line(used: list[float], name: str) -> str:
    clock, own, children = used
    return f"{clock:8.1f} {own + children:10.1f} {own:8.1f} {children:9.1f}  {name}"


def pytest_configure(config: pytest.Config) -> None:
    """Count in every process of the run."""
    config.pluginmanager.register(ProcessorTime())
