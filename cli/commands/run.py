"""`pulsed run`: circuits from a file through the backend to counts on the terminal."""

from __future__ import annotations

import io
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from pulsed.cli.options import as_json_option, daemon_options, yes_option
from pulsed.cli.screens.progress import shown
from pulsed.cli.screens.status import counts_chart
from pulsed.cli.screens.terminal import Terminal, plain
from pulsed.cli.screens.text import note, say_json
from pulsed.model.errors import CircuitError, InvalidValueError, PulsedError
from pulsed.model.qpy import check_qpy

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.result import Result

    from pulsed.provider import PulsedJob

_COMMENT = re.compile(r"//[^\n]*|/\*(?:.*?\*/|.*)", re.DOTALL)
_VERSION = re.compile(r"\s*OPENQASM\s+(\d+)")
"""The version comes first, but for comments."""
_WORD = re.compile(r"[A-Za-z_][\w.]*")
_TELLING = {
    2: {"qreg", "creg", "qelib1.inc", "opaque"},
    3: {"qubit", "bit", "stdgates.inc", "def", "defcal", "cal", "let", "const", "input", "output", "for", "while"},
}
"""Words that only one version has, by version; a file of version 3 may use the older words too."""
_SHORT = 8
"""Letters of an id that a command is shown with."""
_AGAIN = 4.0
"""Seconds in which a second Ctrl-C cancels the job."""


def read_circuits(path: Path, *, includes: bool = True) -> list[QuantumCircuit]:
    """Read the circuits of an OpenQASM 2 or 3 file, or of a QPY file.

    Without ``includes``, OpenQASM reads no other file than its standard ones: a text that somebody sent would else show
    what it names.

    Raises :class:`IncompatibleError` for an old QPY file or none, :class:`CircuitError` for a damaged one and
    :class:`InvalidValueError` for another kind of file.
    """
    if path.suffix == ".qpy":
        return _read_qpy(path)
    if path.suffix in {".qasm", ".qasm2", ".qasm3", ".inc"}:
        return [_read_qasm(path, includes=includes)]
    raise InvalidValueError("not a file of circuits", subject=str(path), value=path.suffix, legal=".qasm, .qpy")


def _read_qpy(path: Path) -> list[QuantumCircuit]:
    from qiskit import qpy

    content = path.read_bytes()
    check_qpy(content, qpy.common.QPY_VERSION, str(path))
    try:
        return list(qpy.load(io.BytesIO(content), **_boxes("annotation_factories", "QPY_ANNOTATIONS")))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a damaged file shows as almost any error, panics of compiled code among them
        # Qiskit's own words are a backtrace of many lines.
        raise CircuitError(
            f"is a damaged QPY file ({type(error).__name__}): write it again",
            subject=str(path),
        ) from error


def _boxes(keyword: str, name: str) -> dict[str, Any]:
    """Return the keyword with which Qiskit reads boxes that are played as a schedule; Qiskit 1.4 has none."""
    from pulsed import pulse

    try:
        return {keyword: getattr(pulse, name)}
    except ImportError:
        return {}


def _read_qasm(path: Path, *, includes: bool) -> QuantumCircuit:
    # a byte-order mark is none of the language's characters
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    version, why = _language(text, path.suffix)
    try:
        circuit = _read_qasm3(text, path) if version == 3 else _read_qasm2(text, path, includes=includes)
    except CircuitError as error:
        if why:
            what = f"{error.message} (read as OpenQASM {version}, since {why})"
            raise CircuitError(what, subject=error.subject, value=error.value, legal=error.legal) from error
        raise
    circuit.name = path.stem
    return circuit


def _language(text: str, suffix: str) -> tuple[int, str]:
    """Return the version of OpenQASM that a text is read as, and why, unless it says so itself."""
    code = _COMMENT.sub(" ", text)
    stated = _VERSION.match(code)
    if stated is not None:
        return (3 if stated[1] == "3" else 2), ""
    if suffix in {".qasm2", ".qasm3"}:
        return int(suffix[-1]), f"it has no version line, and its name ends in {suffix}"
    words = set(_WORD.findall(code))
    for version in (3, 2):
        if found := sorted(words & _TELLING[version]):
            return version, f"it has no version line, and says {found[0]}"
    return 3, "it has no version line, and nothing else in it tells"


def _read_qasm2(text: str, path: Path, *, includes: bool) -> QuantumCircuit:
    from qiskit import qasm2
    from qiskit.exceptions import QiskitError

    known = qasm2.LEGACY_CUSTOM_INSTRUCTIONS
    folders = (path.parent,) if includes else ()  # without any, a name from the root on is not found either
    try:
        return qasm2.loads(text, include_path=folders, custom_instructions=known)
    except QiskitError as error:
        raise CircuitError(f"is not OpenQASM: {error.message}", subject=str(path)) from error


def _read_qasm3(text: str, path: Path) -> QuantumCircuit:
    file = str(path)
    from qiskit import qasm3
    from qiskit.exceptions import MissingOptionalLibraryError, QiskitError

    try:
        from pulsed.pulse.openpulse import syntax

        # the importer's own parser says nothing of where an error is
        syntax.statements(text)
        return qasm3.loads(text, **(_boxes("annotation_handlers", "QASM3_ANNOTATIONS") if "@pulsed." in text else {}))
    except (ModuleNotFoundError, MissingOptionalLibraryError) as error:
        raise CircuitError("OpenQASM 3 needs: pip install 'pulsed[openqasm]'", subject=file) from error
    except PulsedError as error:
        raise CircuitError(f"{error.subject}: {error.message}", subject=file) from error
    except QiskitError as error:
        raise CircuitError(f"is not OpenQASM: {error.message}", subject=file) from error
    except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        # what the importer does not check itself: an index out of range, for one
        raise CircuitError(f"cannot be read as a circuit: {error}", subject=file) from error


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--shots", type=int, help="Shots per circuit. Default: the backend's.")
@click.option("--transpile/--no-transpile", default=True, show_default=True, help="Fit the circuit to the chip first.")
@yes_option
@daemon_options
@as_json_option
def run(
    file: str, shots: int | None, transpile: bool, yes: bool, url: str | None, key: str | None, as_json: bool
) -> None:  # fmt: skip
    """Run the circuits of an OpenQASM or QPY file and show the counts."""
    circuits = read_circuits(Path(file))
    console = Terminal(error=True)
    with console.status("connecting ..." if not as_json else ""):
        from qiskit import transpile as fit
        from qiskit.exceptions import QiskitError

        from pulsed.provider import PulsedProvider

        provider = PulsedProvider(url, key)
        (backend,) = provider.backends()
        try:
            fitted = fit(circuits, backend) if transpile else circuits
        except QiskitError as error:
            message = " ".join(str(error.message).split())
            raise CircuitError(f"does not fit {backend.name}: {message}", subject=file) from error
        options: dict[str, Any] = {} if shots is None else {"shots": shots}
        options |= {"confirm_rack_time": True} if yes else {}
        job = backend.run(fitted, job_name=Path(file).name, **options)
    try:
        with shown(provider.client, job.job_id(), console):
            result = job.result()
    except KeyboardInterrupt:
        _interrupted(job)
        raise
    names = [circuit.name for circuit in circuits]
    if as_json:
        counts = [{"name": name, "counts": result.get_counts(i)} for i, name in enumerate(names)]
        say_json({"job_id": job.job_id(), "programs": counts})
    else:
        _show(names, result, job.job_id(), job.calibration_id)


def _interrupted(job: PulsedJob) -> None:
    """Say what becomes of the job; at a terminal, cancel it at a second Ctrl-C that comes soon."""
    job_id = job.job_id()
    cancel = f"`pulsed cancel {job_id[:_SHORT]}` cancels it"
    if not sys.stdin.isatty():
        note(f"job {job_id} goes on: {cancel}")
        return
    note(f"job {job_id} goes on: {cancel}, and so does Ctrl-C within {_AGAIN:g} s")
    try:
        time.sleep(_AGAIN)
    except KeyboardInterrupt:
        note(f"job {job_id} is cancelled" if job.cancel() else f"job {job_id} had ended before")


def _show(names: list[str], result: Result, job_id: str, calibration_id: str) -> None:
    console = Terminal()
    for i, name in enumerate(names):
        counts = result.get_counts(i)
        console.print(Text.assemble(plain(name, "bold"), f", {sum(counts.values())} shots"))
        console.print(counts_chart(counts))
        console.print()
    console.print(plain(f"job {job_id}, calibration set {calibration_id}", "dim"))
