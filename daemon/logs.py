"""Logs: JSON lines in a file of the home directory, warnings on the console."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import structlog


def set_up(path: Path | None, process: str, *, console: bool) -> None:
    """Send everything that is logged in this process to ``path``, one JSON object per line.

    Lines are short and appended in one write, so several processes may share the file.
    """
    handlers: list[logging.Handler] = []
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = logging.FileHandler(path)
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
