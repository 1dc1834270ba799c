"""Run every benchmark, or those named: one JSON object per figure as it comes, then one table.

``python -m benchmarks [NAME ...]`` ends with 1 when a figure misses its budget or a benchmark fails.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure

Benchmark = Callable[[], Iterable[Figure]]


def main(names: list[str]) -> int:
    """Run the benchmarks ``names`` (all when empty) and return the exit code."""
    files = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if "\ndef run(" in path.read_text())
    unknown = sorted(set(names) - set(files))
    if unknown:
        print(f"no such benchmark: {', '.join(unknown)}; legal: {', '.join(files)}", file=sys.stderr)
        return 2
    figures: list[Figure] = []
    failed: list[str] = []
    for name in names or files:
        try:
            benchmark: Benchmark = importlib.import_module(f"benchmarks.{name}").run
            for figure in benchmark():
                figures.append(figure)
                print(msgspec.json.encode(figure).decode(), flush=True)
        except Exception:  # noqa: BLE001 - one benchmark that fails must not hide the figures of the others
            traceback.print_exc()
            failed.append(name)
    # Wide enough for a row a line, also where there is no terminal to ask.
    Console(width=None if sys.stdout.isatty() else 160).print(_table(figures))
    for name in failed:
        print(f"benchmark {name} failed", file=sys.stderr)
    return int(bool(failed) or not all(figure.ok for figure in figures))


def _table(figures: list[Figure]) -> Table:
    table = Table("what", "value", "unit", "reference", "ratio", "must", "")
    for figure in figures:
        reference = "" if figure.reference is None else f"{figure.reference:.4g}"
        ratio = "" if figure.ratio is None else f"{figure.ratio:.3g}"
        verdict = "[green]ok[/green]" if figure.ok else "[red]misses[/red]"
        table.add_row(figure.name, f"{figure.value:.4g}", figure.unit, reference, ratio, figure.must, verdict)
    return table


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
