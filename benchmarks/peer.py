"""Other people's compilers, each in an environment of its own, on the workloads of ours."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from qiskit import QuantumCircuit, qpy

from pulsed.compiler.gates import gate_schedules
from pulsed.provider.backend import PulsedBackend
from pulsed.pulse.frames import rz_phase
from pulsed.pulse.instructions import Acquire, Play, ShiftPhase

QPY_OF_1_4 = 13
"""The newest QPY that Qiskit 1.4 reads."""


class Peer:
    """A script of ``benchmarks/peers`` that answers one line of JSON with another, at its own pace."""

    def __init__(self, environment: str, script: str) -> None:
        root = Path(__file__).parents[1]
        python = root / f".venv-peers-{environment}" / "bin" / "python"
        self._process = subprocess.Popen(
            [python, root / "benchmarks" / "peers" / script], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    @staticmethod
    def installed(environment: str, what: str) -> bool:
        """Whether the environment is there; if not, say on stderr that ``what`` is left out."""
        found = (Path(__file__).parents[1] / f".venv-peers-{environment}" / ".installed").exists()
        if not found:
            print(f"{what} is not measured: `make peers` installs .venv-peers-{environment}", file=sys.stderr)
        return found

    def ask(self, request: Any) -> Any:
        """Send one request and return the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the peer ended with {self._process.wait()}")
        return json.loads(line)

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()


def gates_of(backend: PulsedBackend) -> dict[str, Any]:
    """Return what Qiskit's ``schedule`` needs to know of ``backend``: dt, meas_map, and the gates' own pulses."""
    gates = gate_schedules(backend.device, backend.calibration_set)
    entries = []
    for name in gates.instructions:
        for found in gates.qubits_with_instruction(name):
            qubits = [found] if isinstance(found, int) else list(found)
            schedule = gates.get(name, qubits, *([1.0] if name == "rz" else []))
            rows = [[time, *_plain(instruction)] for time, instruction in schedule.instructions]
            entries.append({"name": name, "qubits": qubits, "instructions": rows})
    meas_map = [list(group) for group in backend.device.meas_map]
    return {"dt": float(backend.device.dt), "meas_map": meas_map, "gates": entries, "turn": rz_phase(1.0)}


def _plain(instruction: Any) -> list[Any]:
    if isinstance(instruction, Play):
        pulse: Any = instruction.pulse
        return ["play", type(pulse).__name__, pulse.parameters, instruction.channel.name]
    if isinstance(instruction, ShiftPhase):
        return ["shift_phase", float(instruction.phase), instruction.channel.name]
    if isinstance(instruction, Acquire):
        return ["acquire", instruction.duration, instruction.channel.index]
    return ["delay", instruction.duration, instruction.channels[0].name]


def write_circuits(circuits: Sequence[QuantumCircuit], path: Path) -> None:
    """Write ``circuits`` so that Qiskit 1.4 reads them."""
    with path.open("wb") as file:
        qpy.dump(list(circuits), file, version=QPY_OF_1_4)
