"""Logs: JSON lines in a file of the home directory, warnings on the console."""

from __future__ import annotations

import logging
import sys
from logging.handlers import RotatingFileHandler, WatchedFileHandler
from pathlib import Path
from typing import Any

import structlog

MOST = 10_000_000
"""Bytes of a log, after which another is begun."""
KEPT = 5
"""Logs of before that are kept, as ``NAME.1`` (the youngest) to ``NAME.5``."""


def set_up(path: Path | None, process: str, *, console: bool, rotate: bool = False) -> None:
    """Send everything that is logged in this process to ``path``, one JSON object per line.

    Lines are short and appended in one write, so several processes may share the file. One of them has to
    ``rotate`` it when it has :data:`MOST` bytes; the others follow.
    """
    handlers: list[logging.Handler] = []
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        file: logging.Handler
        file = RotatingFileHandler(path, maxBytes=MOST, backupCount=KEPT) if rotate else WatchedFileHandler(path)
        file.setFormatter(_formatter(structlog.processors.JSONRenderer(), process))
        handlers.append(file)
    if console:
        stream = logging.StreamHandler(sys.stderr)
        stream.setLevel(logging.WARNING)
        stream.setFormatter(_formatter(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()), process))
        handlers.append(stream)
    root = logging.getLogger("pulsed")
    root.handlers[:] = handlers
    root.setLevel(logging.INFO)
    root.propagate = False
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def begin_again(path: Path) -> None:
    """Put the log of a child process aside when it is full: before it is opened for the next one."""
    if path.exists() and path.stat().st_size >= MOST:
        handler = RotatingFileHandler(path, backupCount=KEPT, delay=True)
        handler.doRollover()
        handler.close()


def _formatter(renderer: Any, process: str) -> structlog.stdlib.ProcessorFormatter:
    def name(_logger: Any, _method: str, event: Any) -> Any:
        event["process"] = process
        return event

    return structlog.stdlib.ProcessorFormatter(
        processors=[name, structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
        ],
    )


def get(name: str) -> Any:
    """Return a logger."""
    return structlog.stdlib.get_logger(f"pulsed.{name}")
