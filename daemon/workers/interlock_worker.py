"""The interlock worker: reads the values of the interlocks, each instrument in a thread of its own, and tells them.

It decides nothing. What it does not tell in time counts as not read, so that it may hang, crash or be killed as it
likes. Started by the supervisor as ``python -m pulsed.daemon.workers.interlock_worker PIPE PARENT``.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from pulsed.daemon import logs
from pulsed.daemon.workers import messages
from pulsed.daemon.workers.pipe import WorkerPipe
from pulsed.drivers.monitors import Monitor
from pulsed.model.errors import PulsedError
from pulsed.model.interlocks import Interlock


class Readings:
    """Reads the interlocks of one instrument until the process ends."""

    def __init__(self, pipe: WorkerPipe, interlocks: Mapping[str, Interlock]) -> None:
        self._pipe, self._interlocks = pipe, interlocks
        first = next(iter(interlocks))
        self._monitor = Monitor(first, interlocks[first])
        self._said: dict[str, str] = {}

    def run(self) -> None:
        """Read each when it is its time."""
        due = dict.fromkeys(self._interlocks, time.monotonic())
        while True:
            name = min(due, key=due.__getitem__)
            time.sleep(max(0.0, due[name] - time.monotonic()))
            began = time.monotonic()
            reading = self._read(name)
            with contextlib.suppress(OSError):  # the daemon has gone: the thread that reads the pipe ends this
                self._pipe.send([messages.encode(reading)])
            due[name] = began + self._interlocks[name].every

    def _read(self, name: str) -> messages.InterlockReading:
        try:
            value, unit = self._monitor.read(self._interlocks[name].parameter)
        except PulsedError as error:
            self._say(name, str(error))
            return messages.InterlockReading(name, error=str(error))
        self._say(name, "")
        return messages.InterlockReading(name, value, unit)

    def _say(self, name: str, error: str) -> None:
        if self._said.get(name, "") != error:
            self._said[name] = error
            log = logs.get("interlocks")
            (log.warning if error else log.info)("cannot be read" if error else "is read again", interlock=name,
                                                 error=error)  # fmt: skip


def by_instrument(interlocks: Mapping[str, Interlock]) -> Iterator[dict[str, Interlock]]:
    """Yield the interlocks of each instrument: those with the same driver, address and options share a connection."""
    groups: dict[str, dict[str, Interlock]] = {}
    for name, interlock in interlocks.items():
        key = repr((interlock.driver, interlock.address, sorted(interlock.options.items())))
        groups.setdefault(key, {})[name] = interlock
    yield from groups.values()


def main(argv: Sequence[str]) -> int:
    """Run the worker on the pipe with the number ``argv[0]``."""
    sys.stdout = sys.stderr  # drivers print a line when they connect
    pipe = WorkerPipe(int(argv[0]))
    while (message := pipe.receive()) is not None:
        request = messages.interlock_requests.decode(message[0])
        if isinstance(request, messages.Ping):
            answer: messages.InterlockReply = messages.Pong()
        elif isinstance(request, messages.SetUp):
            logs.set_up(Path(request.log) if request.log else None, "interlocks", console=False)
            tables = msgspec.json.decode(message[1])
            interlocks = {name: Interlock.model_validate(table) for name, table in tables.items()}
            for group in by_instrument(interlocks):
                threading.Thread(target=Readings(pipe, group).run, daemon=True).start()
            answer = messages.Ready()
        else:
            break
        with contextlib.suppress(OSError):
            pipe.send([messages.encode(answer)])
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(code)  # a thread may wait for an instrument that does not answer
