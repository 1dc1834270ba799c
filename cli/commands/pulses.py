"""`pulsed pulses`: what a job or a file of circuits plays, down to the sample."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import RenderableType

from pulsed.cli.commands.run import read_circuits
from pulsed.cli.options import as_json_option, daemon_options
from pulsed.cli.screens.terminal import loading, plain_table, show_answer
from pulsed.cli.screens.text import say
from pulsed.model.errors import InvalidValueError

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

    from pulsed.model.sheet import PulseSheet
    from pulsed.provider import PulsedBackend, PulsedJob


@click.command()
@click.argument("what", metavar="JOB|FILE")
@click.option("--program", type=click.IntRange(0), default=0, show_default=True, help="Number of the circuit.")
@click.option("--channels", is_flag=True, help="A row per channel, with its frames, instead of one per port.")
@click.option("--transpile/--no-transpile", default=True, show_default=True, help="Fit a file's circuit to the chip.")
@click.option("--includes/--no-includes", default=True, help="Whether an OpenQASM 2 file may read others it names.")
@click.option("--html", metavar="FILE", help="Write a page that one can zoom and that needs nothing else.")
@daemon_options
@as_json_option
def pulses(
    what: str, program: int, channels: bool, transpile: bool, includes: bool, html: str | None, url: str | None,
    key: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Show what a job or a file of circuits plays: a row per port, or per channel, that one can zoom.

    A job is shown with the calibration set that it ran with, a file with the active one. Nothing is played.
    """
    with loading("loading the compiler ..."):
        from pulsed.provider import PulsedProvider

        provider = PulsedProvider(url, key)
        (backend,) = provider.backends()
        if Path(what).suffix:
            circuits = read_circuits(Path(what), includes=includes)
            number = len(circuits)
            _check(program, number, what)
            found = _of_circuit(backend, circuits[program], channels=channels, transpile=transpile)
        else:
            found, number = _of_job(provider.job(what), program, channels=channels)
    if html is not None:
        say(f"wrote {found.save(html)}")
        return
    show_answer({"programs": number, **found.plain()} if as_json else None, _screen(found), as_json=as_json)


def _of_job(job: PulsedJob, program: int, *, channels: bool) -> tuple[PulseSheet, int]:
    number = job.info().num_programs
    _check(program, number, f"job {job.job_id()}")
    wanted = range(program, program + 1)
    if channels:
        (schedule,) = job.schedules(wanted)
        return schedule.draw(interactive=True, dt=job.backend().dt), number
    (preview,) = job.previews(wanted)
    return preview.sheet(), number


def _of_circuit(backend: PulsedBackend, circuit: QuantumCircuit, *, channels: bool, transpile: bool) -> PulseSheet:
    from qiskit import transpile as fit

    circuit = fit(circuit, backend) if transpile else circuit
    if channels:
        sheet: PulseSheet = backend.schedule(circuit).draw(interactive=True, dt=backend.dt)
        return sheet
    return backend.preview(circuit).sheet()


def _check(program: int, number: int, what: str) -> None:
    if program >= number:
        raise InvalidValueError("has no such circuit", subject=what, value=program, legal=f"0 to {number - 1}")


def _screen(sheet: PulseSheet) -> RenderableType:
    unit, scale = ("ns", 1e9) if sheet.seconds else ("dt", 1.0)
    table = plain_table(f"at ({unit})", f"takes ({unit})", "row", "what", right=(f"at ({unit})", f"takes ({unit})"),
                        words=("what",))  # fmt: skip
    events = [(span.start, span.end - span.start, row.name, span.text) for row in sheet.rows
              for span in (*row.pulses, *row.windows)]  # fmt: skip
    events += [(mark.at, 0.0, row.name, mark.text) for row in sheet.rows for mark in row.frames]
    for at, takes, name, text in sorted(events):
        table.add_row(f"{at * scale:.10g}", f"{takes * scale:.10g}" if takes else "", name, text)
    return table
