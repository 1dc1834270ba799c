"""One seam for heavy work: a local pool of processes, or Dask distributed over TLS when a scheduler is named."""

from __future__ import annotations

import atexit
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from threading import Lock
from typing import ParamSpec, TypeVar

from pulsed.model.errors import ConfigError

P = ParamSpec("P")
A = TypeVar("A")
T = TypeVar("T")

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True)
class PoolSettings:
    """Where work goes. Without a scheduler: to ``workers`` processes here, by default one per processor."""

    scheduler: str = ""
    """Address of a Dask scheduler, ``tls://HOST:PORT``."""
    ca: str = ""
    """Files of PEM: who signed the scheduler's certificate, our own certificate and its key."""
    certificate: str = ""
    key: str = ""
    workers: int = 0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> PoolSettings:
        """Read ``PULSED_SCHEDULER``, ``PULSED_TLS_CA``, ``_CERTIFICATE`` and ``_KEY``, and ``PULSED_WORKERS``."""
        workers = environment.get("PULSED_WORKERS", "0")
        if not workers.isdecimal():
            raise ConfigError(
                "is no number of processes", subject="PULSED_WORKERS", value=workers, legal="0, 1, 2, ..."
            )
        ca, certificate, key = (environment.get(f"PULSED_TLS_{name}", "") for name in ("CA", "CERTIFICATE", "KEY"))
        return cls(environment.get("PULSED_SCHEDULER", ""), ca, certificate, key, int(workers))

    def check(self) -> None:
        """Raise :class:`ConfigError` for a scheduler that is not reached over TLS with files that exist.

        Tasks are functions: whoever can send one runs code on the workers, so there is no unprotected way.
        """
        if not self.scheduler:
            return
        if not self.scheduler.startswith("tls://"):
            raise ConfigError(
                "tasks go over TLS only", subject="scheduler", value=self.scheduler, legal="tls://HOST:PORT"
            )
        for name in ("ca", "certificate", "key"):
            if not Path(getattr(self, name)).is_file():
                raise ConfigError(
                    "no such file", subject=f"scheduler {name}", value=getattr(self, name), legal="a PEM file"
                )


class Workers:
    """Processes that do work. Started with the first task, replaced when one of them dies, ended by :meth:`close`."""

    def __init__(self, settings: PoolSettings | None = None) -> None:
        self.settings = PoolSettings() if settings is None else settings
        self._executor: Executor | None = None
        self._lock = Lock()

    @property
    def count(self) -> int:
        """How many processes a local pool has."""
        return self.settings.workers or len(os.sched_getaffinity(0))

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have ``function`` called in another process and return its future.

        The function must be one of a module, and what it takes and returns must pickle. What it raises the future
        raises; a process that dies under it makes the futures under way raise ``BrokenProcessPool``, and later ones
        find new processes.
        """
        with self._lock:
            if self._executor is None:
                self._executor = self._start()
            try:
                return self._executor.submit(function, *args, **kwargs)
            except BrokenProcessPool:
                self._executor.shutdown(wait=False)
                self._executor = self._start()
                return self._executor.submit(function, *args, **kwargs)

    def map(self, function: Callable[[A], T], items: Iterable[A], /) -> list[T]:
        """Have ``function`` called for each of ``items`` and return what it gave, in order, when all are done.

        Items travel in chunks, first large ones and at the end single ones: a task costs about a millisecond, and no
        process shall wait long for the last one. The error of the first item that has one is raised. For the function,
        and for processes that die, see :meth:`submit`.
        """
        futures = [self.submit(_each, function, chunk) for chunk in _chunks(list(items), self.count)]
        return [result for future in futures for result in future.result()]

    def close(self) -> None:
        """End the processes; tasks that have not begun are cancelled."""
        with self._lock:
            executor, self._executor = self._executor, None
        if isinstance(executor, ProcessPoolExecutor):
            executor.shutdown(wait=True, cancel_futures=True)
        elif executor is not None:
            executor.shutdown(wait=False)  # of Dask: cancels what has not begun

    def _start(self) -> Executor:
        self.settings.check()
        if self.settings.scheduler:
            return _dask(self.settings)
        return ProcessPoolExecutor(self.count, mp_context=_OneThreadContext(), initializer=_begin)


def _dask(settings: PoolSettings) -> Executor:
    try:
        from distributed import Client
        from distributed.security import Security
    except ImportError as error:
        raise ConfigError(
            "a scheduler is named, and Dask is not installed", subject="scheduler", value=settings.scheduler,
            legal="pip install 'pulsed[dask]'",
        ) from error  # fmt: skip
    security = Security(
        tls_ca_file=settings.ca, tls_client_cert=settings.certificate, tls_client_key=settings.key,
        require_encryption=True,
    )  # fmt: skip
    executor: Executor = Client(settings.scheduler, security=security, set_as_default=False).get_executor(pure=False)
    return executor


class _OneThread(SpawnProcess):
    """A process whose linear algebra has one thread: two contended ones are many times slower."""

    def start(self) -> None:
        with _environment(ONE_THREAD):
            super().start()


class _OneThreadContext(SpawnContext):
    Process = _OneThread


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _chunks(items: list[A], workers: int) -> Iterator[list[A]]:
    """Yield ``items`` in chunks: of what is left, half of each worker's share (guided self-scheduling)."""
    at = 0
    while at < len(items):
        size = max(1, (len(items) - at) // (2 * workers))
        yield items[at : at + size]
        at += size


def _each(function: Callable[[A], T], items: list[A]) -> list[T]:
    return [function(item) for item in items]


def _begin() -> None:
    """Leave Ctrl-C to the parent, which ends the pool."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


_default: Workers | None = None
_making = Lock()


def submit(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    """Have ``function`` called by the workers that the environment names; see :meth:`Workers.submit`."""
    return _of_process().submit(function, *args, **kwargs)


def map(function: Callable[[A], T], items: Iterable[A], /) -> list[T]:
    """Have ``function`` called for each of ``items`` by the workers of :func:`submit`; see :meth:`Workers.map`."""
    return _of_process().map(function, items)


def _of_process() -> Workers:
    global _default  # noqa: PLW0603 - one pool per process
    with _making:
        if _default is None:
            _default = Workers(PoolSettings.from_environment(os.environ))
            atexit.register(close)
        return _default


def close() -> None:
    """End the workers of :func:`submit` and :func:`map`; the next task starts new ones."""
    if _default is not None:
        _default.close()
