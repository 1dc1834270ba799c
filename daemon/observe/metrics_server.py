"""Serves the page of metrics over HTTP, to Prometheus on this machine: one page, a few connections, little time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from pulsed.daemon import logs
from pulsed.model.errors import ConfigError
from pulsed.model.observation import host_and_port

PATH = "/metrics"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MOST_CONNECTIONS = 16
MOST_BYTES = 16_384
"""Of a request."""
SECONDS = 5.0
"""For a request and its answer."""


class MetricsServer:
    """Listens at ``address`` (HOST:PORT, port 0: a free one). ``page`` returns what is served."""

    def __init__(self, address: str, page: Callable[[], Awaitable[bytes]]) -> None:
        self.url = ""
        """Where the page is, once it is served."""
        self._address, self._page = address, page
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}

    async def start(self) -> None:
        """Serve from now on. Raises :class:`ConfigError` when that is not possible at this address."""
        host, port = host_and_port(self._address)
        try:
            self._server = await asyncio.start_server(self._serve, host, port, limit=MOST_BYTES)
        except OSError as error:
            raise ConfigError(
                f"cannot listen: {error.strerror or error}", subject="metrics.listen", value=self._address,
                legal="an address of this machine that is free",
            ) from error  # fmt: skip
        host, port = self._server.sockets[0].getsockname()[:2]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}{PATH}"
        logs.get("metrics").info("served", url=self.url)

    async def stop(self) -> None:
        """Serve no more."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        tasks = [task for task in self._open.values() if task is not None]
        for writer in self._open:
            writer.transport.abort()
        if tasks:  # not cancelled: the streams of asyncio would log that as an error
            await asyncio.wait(tasks, timeout=SECONDS)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open[writer] = asyncio.current_task()
        try:
            if len(self._open) <= MOST_CONNECTIONS:
                with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                    async with asyncio.timeout(SECONDS):
                        request = await reader.readuntil(b"\r\n\r\n")
                        writer.write(await self._answer(request.split(b"\r\n", 1)[0].decode("latin-1")))
                        await writer.drain()
        finally:
            del self._open[writer]
            writer.close()

    async def _answer(self, line: str) -> bytes:
        method, _, rest = line.partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        if method not in ("GET", "HEAD"):
            return _response("405 Method Not Allowed", b"only GET\n", "text/plain")
        if path != PATH:
            return _response("404 Not Found", f"the figures are at {PATH}\n".encode(), "text/plain")
        page = await self._page()
        return _response("200 OK", page, CONTENT_TYPE, body=method == "GET")


def _response(status: str, content: bytes, kind: str, *, body: bool = True) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    return head.encode() + (content if body else b"")
