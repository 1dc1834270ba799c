"""The compile worker: decodes what clients sent and lowers it, in a process bounded in memory.

The daemon bounds its time, by killing it. One thread compiles; another one reads the pipe, and says that the process
lives. Started by the supervisor as
``python -m pulsed.daemon.workers.compile_worker PIPE PARENT``.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import queue
import resource
import signal
import struct
import sys
import threading
import time
import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from pulsed.compiler.result_size import result_bytes
from pulsed.daemon import logs
from pulsed.daemon.workers import messages
from pulsed.daemon.workers.confinement import confine
from pulsed.daemon.workers.parent_death import set_parent_death_signal
from pulsed.daemon.workers.pipe import WorkerPipe
from pulsed.model.calibration import CalibrationSet, from_json
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import CircuitError, IncompatibleError, InvalidValueError, PulsedError
from pulsed.model.job import Bindings, RunOptions
from pulsed.model.payload import Part
from pulsed.model.qpy import QPY_MIN, check_qpy

_Work = messages.SetUp | messages.Compile
_KEPT_COMPILERS = 2
_SWEEP_SECONDS = 1.0
"""What looking at one program is counted for."""


class _CompilerInterface(Protocol):
    def compile(
        self, programs: Sequence[Any], options: RunOptions, gates: Any = None, bindings: Any = None
    ) -> list[Any]: ...


class _Aborted(BaseException):
    """The daemon does not want the job any more: out of whatever is under way."""


class CompileWorker:
    """Compilers by calibration set, and the requests."""

    def __init__(self, pipe: WorkerPipe) -> None:
        self.pipe = pipe
        self._compilers: OrderedDict[str, _CompilerInterface] = OrderedDict()
        self._sent: tuple[str, CalibrationSet] | None = None
        """The last set that came with a request: the daemon does not send it again, whatever became of it."""
        self._newest = 0
        self._compiling = False
        self._confined = ""
        """What keeps this process from what it must not read."""
        self._requests: queue.SimpleQueue[tuple[_Work | messages.Quit, Sequence[Part]]] = queue.SimpleQueue()

    def interrupt(self, *_: object) -> None:
        """Leave the job that is compiled, if there is one. The handler of SIGUSR1, which the daemon sends for its job.

        The daemon gives its next request after the answer to this one: a signal never means another job.
        """
        if self._compiling:
            self._compiling = False
            raise _Aborted

    def run(self) -> None:
        """Serve requests until the daemon goes."""
        if (first := self.pipe.receive()) is None:
            return
        request = messages.compile_requests.decode(first[0])
        if isinstance(request, messages.SetUp):
            self._confine(request)  # before there is a second thread, which would stay as it is
        if not isinstance(request, messages.Ping):
            self._requests.put((request, first[1:]))
        del first
        threading.Thread(target=self._read, name="requests", daemon=True).start()
        while True:
            request, given = self._requests.get()
            if isinstance(request, messages.Quit):
                return
            job_id = request.job_id if isinstance(request, messages.Compile) else ""
            try:
                answer, parts = self._interruptible(request, given)
            except _Aborted:
                self._compilers.clear()  # whatever they keep may be half made
                aborted = messages.job_cancelled(job_id)
                answer, parts = messages.RequestFailed(aborted.to_info(), job_id), []
            except (Exception, MemoryError) as error:  # noqa: BLE001 - whatever a job does, it is the job that fails
                if not isinstance(error, PulsedError):
                    logs.get("compile").exception("compiling failed")
                answer, parts = messages.RequestFailed(_describe(error), job_id), []
            self.pipe.send([messages.encode(answer), *parts])
            del given, parts  # until the next request comes

    def _confine(self, request: messages.SetUp) -> None:
        log = Path(request.log) if request.log else None
        logs.set_up(log, "compile", console=False)
        if request.private:
            self._confined = confine(log and log.parent, [Path(path) for path in request.private])

    def _read(self) -> None:
        try:
            while (message := self.pipe.receive()) is not None:
                request = messages.compile_requests.decode(message[0])
                if not isinstance(request, messages.Ping):
                    self._requests.put((request, message[1:]))
                else:
                    with contextlib.suppress(OSError):  # the daemon has gone: the next read says so
                        self.pipe.send([messages.encode(messages.Pong())])
                del message
            self._requests.put((messages.Quit(), ()))
        except BaseException:  # noqa: BLE001 - for want of memory, perhaps: who does not hear would only seem hung
            os._exit(1)

    def _interruptible(self, request: _Work, parts: Sequence[Part]) -> tuple[messages.CompileReply, list[Part]]:
        try:
            self._compiling = isinstance(request, messages.Compile)
            return self._serve(request, parts)
        finally:
            self._compiling = False

    def _serve(self, request: _Work, parts: Sequence[Part]) -> tuple[messages.CompileReply, list[Part]]:
        return self._set_up(request, parts) if isinstance(request, messages.SetUp) else self._compile(request, parts)

    def _set_up(self, request: messages.SetUp, parts: Sequence[Part]) -> tuple[messages.Ready, list[Part]]:
        start = time.perf_counter()
        module, _, name = request.factory.partition(":")
        self._factory = getattr(importlib.import_module(module), name)
        self._device = DeviceDescription.model_validate_json(bytes(parts[0]))
        calibration = from_json(bytes(parts[1]))
        self._newest = _prepare_qpy()
        try:
            self._warm(self._compiler(calibration.calibration_id, calibration), calibration)
        except Exception as error:  # noqa: BLE001 - a set that no gate can be made of fails the jobs that use it alone
            logs.get("compile").error("cannot compile with the active set", error=str(messages.describe(error).message))
        if request.memory:
            # Bounds what is allocated, not the address space, of which numeric libraries reserve much.
            resource.setrlimit(resource.RLIMIT_DATA, (request.memory, request.memory))
        return messages.Ready((QPY_MIN, self._newest), time.perf_counter() - start, self._confined), []

    def _warm(self, compiler: _CompilerInterface, calibration: CalibrationSet) -> None:
        """Compile once, so that the first job finds everything imported."""
        from qiskit import QuantumCircuit, qpy

        from pulsed.compiler.gates import gate_table
        from pulsed.compute.numba_start import begin_without_linear_algebra

        calibrated = gate_table(self._device, calibration)
        if ("measure", (0,)) not in calibrated:
            return  # no circuit brings back anything yet
        begin_without_linear_algebra()
        circuit = QuantumCircuit(1, 1)
        if ("x", (0,)) in calibrated:
            circuit.x(0)
        circuit.measure(0, 0)
        file = io.BytesIO()
        qpy.dump([circuit], file, version=QPY_MIN)
        for chunk in compiler.compile(_read_circuits(file.getvalue(), self._newest, "warm-up"), RunOptions(shots=1)):
            chunk.encode()

    def _compiler(self, calibration_id: str, calibration: CalibrationSet | None) -> _CompilerInterface:
        if calibration is not None:
            self._sent = calibration_id, calibration
        if calibration_id not in self._compilers:
            if self._sent is None or self._sent[0] != calibration_id:
                raise CircuitError("the compiler does not have this calibration set", value=calibration_id)
            self._compilers[calibration_id] = self._factory(self._device, self._sent[1])
            if len(self._compilers) > _KEPT_COMPILERS:
                self._compilers.popitem(last=False)
        self._compilers.move_to_end(calibration_id)
        return self._compilers[calibration_id]

    def _compile(self, request: messages.Compile, parts: Sequence[Part]) -> tuple[messages.Compiled, list[Part]]:
        start = time.perf_counter()
        calibration = from_json(bytes(parts[-1])) if request.with_calibration else None
        compiler = self._compiler(request.calibration_id, calibration)
        programs, gates, bindings = self._decode(request, parts)
        chunks = compiler.compile(programs, request.options, gates, bindings)
        infos, encoded = [], []
        for chunk in chunks:
            pieces = chunk.encode()
            infos.append(self._describe(chunk, len(pieces)))
            encoded += pieces
        return messages.Compiled(request.job_id, tuple(infos), time.perf_counter() - start), encoded

    def _decode(
        self, request: messages.Compile, parts: Sequence[Part]
    ) -> tuple[list[Any], dict[messages.GateKey, Any] | None, dict[int, Any] | None]:
        programs: list[Any] = []
        schedules: list[Any] = []
        values: list[Part] = []
        for i, (kind, part) in enumerate(zip(request.kinds, parts, strict=False)):
            subject = f"job {request.job_id}: part {i}"
            if kind == "qpy":
                programs += _read_circuits(part, self._newest, subject)
            elif kind == "values":
                values.append(part)
            else:
                (programs if kind == "schedule" else schedules).append(_read_schedule(part, subject))
        bindings = {
            item.program: _bound(item, part, programs) for item, part in zip(request.bindings, values, strict=True)
        }
        results = len(programs) + sum(item.count - 1 for item in request.bindings)
        if results != request.num_programs or len(bindings) != len(request.bindings):
            raise InvalidValueError(
                "the parts hold another number of programs than the job says", subject=f"job {request.job_id}",
                value=results, legal=request.num_programs,
            )  # fmt: skip
        return programs, dict(zip(request.gates, schedules, strict=True)) or None, bindings or None

    def _describe(self, chunk: Any, parts: int) -> messages.ChunkInfo:
        head, dt = chunk.head, float(self._device.dt)
        shots = head.settings.shots
        results = sum(program.count for program in head.programs)
        once = sum(program.count * program.duration for program in head.programs) * dt
        seconds = shots * (once + results * float(head.settings.rep_delay))
        if head.settings.spectrum is not None:
            seconds = results * _SWEEP_SECONDS
        return messages.ChunkInfo(
            parts, head.first_program, results, head.first_shot, shots, seconds, result_bytes(chunk)
        )


def _bound(item: Bindings, part: Part, programs: Sequence[Any]) -> dict[Any, Any]:
    """Return the values of one program's parameters, by parameter. Raises :class:`InvalidValueError`."""
    import numpy as np
    from qiskit import QuantumCircuit

    from pulsed.compiler.canonical import free_parameters

    if not 0 <= item.program < len(programs):
        raise InvalidValueError(
            "values for a program that does not exist", subject="bindings", value=item.program,
            legal=f"0 to {len(programs) - 1}",
        )  # fmt: skip
    program = programs[item.program]
    free = free_parameters(program) if isinstance(program, QuantumCircuit) else program.parameters
    known = {parameter.name: parameter for parameter in free}
    if set(item.parameters) != known.keys():
        raise InvalidValueError(
            "does not match the parameters of the program", subject=f"bindings of program {item.program}",
            value=", ".join(item.parameters), legal=", ".join(known) or "none",
        )  # fmt: skip
    values = np.frombuffer(part, dtype="<f8").reshape(item.count, len(item.parameters))
    if not np.isfinite(values).all():
        raise InvalidValueError("not finite", subject=f"bindings of program {item.program}")
    return {known[name]: values[:, column] for column, name in enumerate(item.parameters)}


def _describe(error: BaseException) -> Any:
    if isinstance(error, MemoryError):
        return CircuitError("compiling needs more memory than it may have: split the job into smaller ones").to_info()
    return messages.describe(error)


def _prepare_qpy() -> int:
    """Close what QPY would do in silence; return the newest version that this Qiskit reads.

    Raises :class:`IncompatibleError` for a Qiskit whose reader of pulse gates cannot be closed.
    """
    import qiskit
    from qiskit.qpy import common, formats
    from qiskit.qpy.binary_io import circuits

    if not callable(getattr(circuits, "_read_calibrations", None)):
        raise IncompatibleError(
            "this Qiskit reads pulse gates inside of QPY in a way that pulsed does not know: install a version that "
            "pulsed was released with", subject="qiskit", value=qiskit.__version__,
        )  # fmt: skip

    def read_calibrations(file: Any, *_: Any, **__: Any) -> Any:
        (count,) = struct.unpack(formats.CALIBRATION_PACK, file.read(formats.CALIBRATION_SIZE))
        if count:
            raise CircuitError(
                "pulse gates inside of QPY are not read: Qiskit drops or executes them; send them beside it",
                value=f"{count} pulse gates", legal="the argument calibrations of run()",
            )  # fmt: skip
        return defaultdict(dict)

    circuits._read_calibrations = read_calibrations
    # The compiled reader of Qiskit 2 skips pulse gates without a word; QPY from version 18 on has none.
    common.QPY_RUST_READ_MIN_VERSION = max(18, getattr(common, "QPY_RUST_READ_MIN_VERSION", 18))
    return int(common.QPY_VERSION)


def _read_circuits(part: Part, newest: int, subject: str) -> list[Any]:
    from qiskit import qpy

    check_qpy(part, newest, subject)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*pulse gates.*")
            return list(qpy.load(io.BytesIO(part)))
    except (PulsedError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a damaged file shows as almost any error, panics of compiled code among them
        # Qiskit's own words are a backtrace of many lines.
        raise CircuitError(
            f"is a damaged QPY file, or not one of circuits ({type(error).__name__})", subject=subject
        ) from error


def _read_schedule(part: Part, subject: str) -> Any:
    from pulsed.pulse.serialize import loads

    try:
        return loads(bytes(part))
    except PulsedError as error:
        raise CircuitError(
            f"is not a pulse schedule that can be read: {error.message}", subject=subject, value=error.value,
            legal=error.legal,
        ) from error  # fmt: skip
    except Exception as error:
        raise CircuitError(
            f"is not a pulse schedule that can be read ({type(error).__name__})", subject=subject
        ) from error


def main(argv: Sequence[str]) -> None:
    """Run the worker on the pipe with the number ``argv[0]``, as a child of the process ``argv[1]``."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    set_parent_death_signal(int(argv[1]))
    worker = CompileWorker(WorkerPipe(int(argv[0])))
    signal.signal(signal.SIGUSR1, worker.interrupt)
    worker.run()


if __name__ == "__main__":
    main(sys.argv[1:])
