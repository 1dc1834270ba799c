"""`pulsed run`: circuits from a file through the backend to counts on the terminal."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
from rich.console import Console
from rich.text import Text

from pulsed.cli.screens import counts_chart
from pulsed.model.errors import CircuitError, IncompatibleError, InvalidValueError

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.result import Result

_OLDEST_QPY = 13
"""Files below this version can hold code that runs when they are read."""
_VERSION_AT = 6
"""A QPY file begins with QISKIT and one byte, its version."""


def read_circuits(path: Path) -> list[QuantumCircuit]:
    """Read the circuits of an OpenQASM 2 or 3 file, or of a QPY file.

    Raises :class:`IncompatibleError` for an old QPY file, :class:`CircuitError` for one that cannot be read and
    :class:`InvalidValueError` for another kind of file.
    """
    if path.suffix == ".qpy":
        return _read_qpy(path)
    if path.suffix in {".qasm", ".qasm2", ".qasm3", ".inc"}:
        return [_read_qasm(path)]
    raise InvalidValueError("not a file of circuits", subject=str(path), value=path.suffix, legal=".qasm, .qpy")


def _read_qpy(path: Path) -> list[QuantumCircuit]:
    from qiskit import qpy
    from qiskit.exceptions import QiskitError

    head = path.read_bytes()[: _VERSION_AT + 1]
    if len(head) <= _VERSION_AT or not head.startswith(b"QISKIT"):
        raise CircuitError("is not a QPY file", subject=str(path))
    if head[_VERSION_AT] < _OLDEST_QPY:
        raise IncompatibleError(
            "QPY of this version can carry code: write it again with Qiskit 1.4 or newer",
            subject=str(path), value=head[_VERSION_AT], legal=f"from {_OLDEST_QPY} on",
        )  # fmt: skip
    try:
        with path.open("rb") as file:
            return list(qpy.load(file))
    except (QiskitError, ValueError, KeyError, EOFError, struct.error) as error:
        raise CircuitError(f"is not a QPY file that can be read: {error}", subject=str(path)) from error


def _read_qasm(path: Path) -> QuantumCircuit:
    from qiskit import qasm2, qasm3
    from qiskit.exceptions import MissingOptionalLibraryError, QiskitError

    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        if "OPENQASM 3" in text:
            return qasm3.loads(text)
        circuit = qasm2.loads(text, include_path=(path.parent,), custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS)
    except MissingOptionalLibraryError as error:
        raise CircuitError("OpenQASM 3 needs the package qiskit-qasm3-import", subject=str(path)) from error
    except QiskitError as error:
        raise CircuitError(f"is not OpenQASM: {error.message}", subject=str(path)) from error
    circuit.name = path.stem
    return circuit


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
