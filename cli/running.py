"""`pulsed run`: circuits from a file through the backend to counts on the terminal."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
from rich.console import Console
from rich.text import Text

from pulsed.cli.screens import counts_chart
from pulsed.model.errors import CircuitError, InvalidValueError, PulsedError
from pulsed.model.qpy import check_qpy

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.result import Result

_OPENQASM_3 = re.compile(r"(?>\s+|//[^\n]*\n|/\*.*?\*/)*+OPENQASM\s+3", re.DOTALL)
"""The version comes first, but for comments."""


def read_circuits(path: Path) -> list[QuantumCircuit]:
    """Read the circuits of an OpenQASM 2 or 3 file, or of a QPY file.

    Raises :class:`IncompatibleError` for an old QPY file or none, :class:`CircuitError` for a damaged one and
    :class:`InvalidValueError` for another kind of file.
    """
    if path.suffix == ".qpy":
        return _read_qpy(path)
    if path.suffix in {".qasm", ".qasm2", ".qasm3", ".inc"}:
        return [_read_qasm(path)]
    raise InvalidValueError("not a file of circuits", subject=str(path), value=path.suffix, legal=".qasm, .qpy")


def _read_qpy(path: Path) -> list[QuantumCircuit]:
    from qiskit import qpy

    content = path.read_bytes()
    check_qpy(content, qpy.common.QPY_VERSION, str(path))
    try:
        return list(qpy.load(io.BytesIO(content)))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a damaged file shows as almost any error, panics of compiled code among them
        # Qiskit's own words are a backtrace of many lines.
        raise CircuitError(
            f"is a damaged QPY file ({type(error).__name__}): write it again",
            subject=str(path),
        ) from error


def _read_qasm(path: Path) -> QuantumCircuit:
    from qiskit import qasm2
    from qiskit.exceptions import QiskitError

    text = path.read_text(encoding="utf-8", errors="replace")
    if _OPENQASM_3.match(text):
        circuit = _read_qasm3(text, str(path))
    else:
        known = qasm2.LEGACY_CUSTOM_INSTRUCTIONS
        try:
            circuit = qasm2.loads(text, include_path=(path.parent,), custom_instructions=known)
        except QiskitError as error:
            raise CircuitError(f"is not OpenQASM: {error.message}", subject=str(path)) from error
    circuit.name = path.stem
    return circuit


def _read_qasm3(text: str, file: str) -> QuantumCircuit:
    from qiskit import qasm3
    from qiskit.exceptions import MissingOptionalLibraryError, QiskitError

    try:
        from pulsed.pulse.openpulse import syntax

        # the importer's own parser says nothing of where an error is
        syntax.statements(text)
        return qasm3.loads(text)
    except (ModuleNotFoundError, MissingOptionalLibraryError) as error:
        raise CircuitError("OpenQASM 3 needs: pip install 'pulsed[openqasm]'", subject=file) from error
    except PulsedError as error:
        raise CircuitError(f"{error.subject}: {error.message}", subject=file) from error
    except QiskitError as error:
        raise CircuitError(f"is not OpenQASM: {error.message}", subject=file) from error
    except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        # what the importer does not check itself: an index out of range, for one
        raise CircuitError(f"is no circuit that can be read: {error}", subject=file) from error


def run(file: str, shots: int | None, *, transpile: bool, url: str | None, key: str | None, as_json: bool) -> None:
    """Run the circuits of ``file`` and print what came back."""
    circuits = read_circuits(Path(file))
    console = Console(stderr=True, highlight=False)
    with console.status("connecting ..." if not as_json else ""):
        from qiskit import transpile as fit
        from qiskit.exceptions import QiskitError

        from pulsed.provider import PulsedProvider

        (backend,) = PulsedProvider(url, key).backends()
        try:
            fitted = fit(circuits, backend) if transpile else circuits
        except QiskitError as error:
            message = " ".join(str(error.message).split())
            raise CircuitError(f"does not fit {backend.name}: {message}", subject=file) from error
        options = {} if shots is None else {"shots": shots}
        job = backend.run(fitted, job_name=Path(file).name, **options)
    with console.status(f"job {job.job_id()} ..."):
        result = job.result()
    names = [circuit.name for circuit in circuits]
    if as_json:
        counts = [{"name": name, "counts": result.get_counts(i)} for i, name in enumerate(names)]
        click.echo(msgspec.json.format(msgspec.json.encode({"job_id": job.job_id(), "programs": counts}), indent=1))
    else:
        _show(names, result, job.job_id(), job.calibration_id)


def _show(names: list[str], result: Result, job_id: str, calibration_id: str) -> None:
    console = Console(highlight=False)
    for i, name in enumerate(names):
        counts = result.get_counts(i)
        console.print(Text.assemble((name, "bold"), f", {sum(counts.values())} shots"))
        console.print(counts_chart(counts))
        console.print()
    console.print(Text(f"job {job_id}, calibration set {calibration_id}", "dim"))
