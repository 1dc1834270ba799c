"""`pulsed demo`: a Bell state on a rack of its own, step by step. Ends by itself and leaves no process behind."""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from pulsed.cli.lab_part import require_lab_part
from pulsed.cli.processes import OwnDaemon
from pulsed.cli.screens import demo_tables
from pulsed.cli.screens.status import counts_chart
from pulsed.cli.screens.terminal import Terminal, plain, plain_table
from pulsed.cli.screens.text import say
from pulsed.model.wording import duration
from pulsed.wire import messages

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

    from pulsed.client import Client
    from pulsed.provider import PulsedBackend, PulsedJob

SHOTS = 16384
"""A share of one half is then known to 0.004, and 0.02 is five standard deviations."""
LEAST = 0.93
CLOSE = 0.02
_QUBITS = (0, 1)


@click.command()
@click.option("--out", metavar="DIR", default="demo-output", show_default=True, help="Where the pictures go.")
@click.pass_context
def demo(context: click.Context, out: str) -> None:
    """Measure a Bell state on the simulated rack, step by step. Needs nothing and leaves nothing running."""
    require_lab_part()
    context.exit(run_demo(out))


def run_demo(out: str) -> int:
    """Run the demo, put the pictures into ``out``, and return the exit code."""
    console = Terminal()
    # So that everything below ends as after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    signal.signal(signal.SIGINT, _Interrupted.come)
    with tempfile.TemporaryDirectory(prefix="pulsed-demo-") as home:
        daemon = OwnDaemon(Path(home))
        try:
            with daemon:
                found, predicted = _Demo(console, daemon, Path(out)).run()
        finally:
            survivors = daemon.survivors()
            if survivors:
                say(f"error: left behind: processes {survivors}", error=True)
    _Interrupted.check()
    return judge(found, predicted) or bool(survivors)


class _Interrupted:
    """Ctrl-C, remembered: Python drops an exception that is raised while some callback of a library runs."""

    seen = False

    @classmethod
    def come(cls, number: int, frame: object) -> None:
        cls.seen = True
        raise KeyboardInterrupt

    @classmethod
    def check(cls) -> None:
        if cls.seen:
            raise KeyboardInterrupt


def judge(found: dict[str, float], predicted: dict[str, float]) -> int:
    """Print prediction and result as the last two lines; return 1 when they disagree or the state is no Bell state."""
    problems = []
    if found["00"] + found["11"] < LEAST:
        problems.append(f"p00 + p11 is below {LEAST}")
    problems += [f"p{key} is off by more than {CLOSE}" for key in predicted if abs(found[key] - predicted[key]) > CLOSE]
    for problem in problems:
        say(f"error: {problem}", error=True)
    for name, shares in (("predicted", predicted), ("bell", found)):
        say(f"{name}: " + " ".join(f"{key}={shares[key]:.4f}" for key in sorted(shares)))
    return 1 if problems else 0


class _Demo:
    """The steps. ``spent`` collects where the time went."""

    def __init__(self, console: Console, daemon: OwnDaemon, out: Path) -> None:
        self.console = console
        self.daemon = daemon
        self.out = out
        self.spent: list[tuple[str, float]] = []
        self._step = 0

    def run(self) -> tuple[dict[str, float], dict[str, float]]:
        """Do everything; return the measured and the predicted share of each outcome."""
        start = time.monotonic()
        client = self._start()
        with client:
            backend = self._backend(client)
            circuit = self._circuit(backend)
            pulses = self._pulses(backend, circuit)
            job = self._play(client, backend, circuit)
            counts, points = self._counts(job)
            predicted = self._predict(backend)
            self._pictures(backend, circuit, pulses, points)
            self._times(job, time.monotonic() - start)
        shares = {key: counts.get(key, 0) / SHOTS for key in ("00", "01", "10", "11")}
        return shares, predicted

    def _heading(self, text: str) -> None:
        _Interrupted.check()
        self._step += 1
        self.console.print()
        self.console.print(Text.assemble((f"{self._step}  ", "cyan"), (text, "bold")))

    def _show(self, what: Any) -> None:
        self.console.print(Padding(what, (0, 0, 0, 3), expand=False))

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        start = time.monotonic()
        yield
        self.spent.append((what, time.monotonic() - start))

    def _bars(self) -> Progress:
        return Progress(
            TextColumn("   {task.description:<18}", markup=False), BarColumn(20),
            TextColumn("{task.fields[note]}", markup=False),
            console=self.console,
        )  # fmt: skip

    def _start(self) -> Client:
        self._heading("Instruments")
        with self._bars() as bars, self._timed("start daemon and rack"):
            task = bars.add_task("connect", total=None, note="daemon, workers and rack start")
            client = self.daemon.wait()
            status = client.status()
            there = sum(1 for item in status.instruments.values() if item.identity and item.error is None)
            total = len(status.instruments)
            bars.update(task, total=total, completed=there, note=f"{there} of {total} instruments")
        self._show(demo_tables.instruments(status))
        return client

    def _backend(self, client: Client) -> PulsedBackend:
        self._heading("Calibration set")
        with self._bars() as bars, self._timed("import Qiskit, make target"):
            task = bars.add_task("import Qiskit", total=2, note="")
            from pulsed.provider import PulsedProvider

            bars.update(task, completed=1, description="make target")
            backend = PulsedProvider(client=client).get_backend("sim5")
            operations = ", ".join(backend.operation_names)
            bars.update(task, completed=2, note=operations)
        self._show(demo_tables.calibration(backend.calibration_set, _QUBITS))
        return backend

    def _circuit(self, backend: PulsedBackend) -> QuantumCircuit:
        self._heading("Circuit, transpiled for the chip")
        from qiskit import QuantumCircuit, transpile

        bell = QuantumCircuit(2, name="bell")
        bell.h(0)
        bell.cx(0, 1)
        bell.measure_all()
        with self._bars() as bars, self._timed("transpile"):
            task = bars.add_task("transpile", total=1, note="")
            fitted = transpile(bell, backend, initial_layout=list(_QUBITS), optimization_level=2)
            gates = ", ".join(f"{count} {name}" for name, count in fitted.count_ops().items() if name != "barrier")
            bars.update(task, completed=1, note=gates)
        self._show(Text(str(fitted.draw("text", idle_wires=False, fold=110)), no_wrap=True, overflow="crop"))
        return fitted

    def _pulses(self, backend: PulsedBackend, circuit: QuantumCircuit) -> demo_tables.Pulses:
        self._heading("Pulses")
        with self._bars() as bars, self._timed("schedule and lower"):
            task = bars.add_task("schedule and lower", total=1, note="")
            pulses = demo_tables.Pulses.of(backend, circuit)
            bars.update(task, completed=1, note=pulses.summary)
        self._show(pulses.table())
        return pulses

    def _play(self, client: Client, backend: PulsedBackend, circuit: QuantumCircuit) -> PulsedJob:
        self._heading(f"Upload and play, {SHOTS} shots")
        with self._bars() as bars, self._timed("submit to result"):
            rows: dict[str, TaskID] = {}

            def told(event: messages.AnyEvent) -> None:
                if isinstance(event, messages.Progress):
                    if event.what not in rows:
                        rows[event.what] = bars.add_task(event.what, total=1.0, note="")
                    bars.update(rows[event.what], completed=event.fraction)

            end = client.subscribe(told)
            job = backend.run(circuit, shots=SHOTS, iq=True)
            job.result()
            end()
            for task in rows.values():
                bars.update(task, completed=1.0)
        return job

    def _counts(self, job: PulsedJob) -> tuple[dict[str, int], Any]:
        self._heading("Counts")
        result = job.result()
        counts = result.get_counts()
        self._show(counts_chart(counts))
        return counts, demo_tables.full_scales(result)

    def _predict(self, backend: PulsedBackend) -> dict[str, float]:
        from pulsed.cli.simulated_rack import ask_rack, find_control

        with self._timed("ask the rack for the truth"):
            (prediction, *_) = ask_rack(find_control(self.daemon.home), "predict")
        return demo_tables.predicted_shares(prediction, backend.calibration_set)

    def _pictures(
        self, backend: PulsedBackend, circuit: QuantumCircuit, pulses: demo_tables.Pulses, points: Any
    ) -> None:
        self._heading("Pictures")
        with self._bars() as bars, self._timed("draw"):
            task = bars.add_task("draw", total=3, note="import matplotlib")
            from pulsed.cli.screens import demo_pictures as pictures

            self.out.mkdir(parents=True, exist_ok=True)
            bars.update(task, completed=1, note="waveforms")
            waveforms, clouds = self.out / "waveforms.png", self.out / "iq.png"
            pictures.draw_waveforms(
                pulses.traces(),
                waveforms,
                f"Bell circuit as the ports play it, before mixer correction; calibration set {backend.calibration_id}",
            )
            bars.update(task, completed=2, note="IQ clouds")
            pictures.draw_clouds(
                demo_tables.clouds(points, backend.calibration_set, _QUBITS),
                clouds,
                f"What came back: {SHOTS} shots of the Bell circuit",
            )
            bars.update(task, completed=3, note="")
        for path in (waveforms, clouds):
            self._show(plain(str(path)))

    def _times(self, job: PulsedJob, total: float) -> None:
        self._heading("Where the time went")
        table = plain_table("what", "time", "", right=("time",), less=("",))
        table.show_header = False
        for what, seconds in self.spent:
            table.add_row(what, duration(seconds), Text("█" * max(1, round(40 * seconds / total)), "cyan"))
            if what == "submit to result":
                for name, part in demo_tables.inside(job.info()):
                    table.add_row(Text(f"  {name}", "dim"), Text(duration(part), "dim"), "")
        table.add_row(Text("all", "bold"), Text(duration(total), "bold"), "")
        self._show(table)
        self.console.print()
