"""What the pages say of values: filters and functions of the templates."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from jinja2 import Environment

from pulsed.model.errors import ErrorInfo, from_info
from pulsed.model.job import JobState
from pulsed.model.units import format_quantity
from pulsed.model.visible import visible
from pulsed.model.wording import duration, moment, show_value, when

MARKS = {
    "up": "●", "good": "●", "fresh": "●", "done": "✓", "open": "●", "running": "▶", "ready": "●", "compiling": "◔",
    "queued": "○", "interrupted": "‖", "failed": "✕", "cancelled": "–", "lost": "✕", "down": "✕", "starting": "◔",
    "stopped": "✕", "paused": "‖", "draining": "▽", "locked": "▣", "stale": "◐", "never": "○", "faulty": "⊘",
    "unused": "·", "suspect": "?", "design": "°", "set": "*", "closing": "▽", "ended": "–", "bad data": "✕",
    "out of spec": "◐", "old": "◐", "firing": "▲", "repeated": "▲", "booked": "○",
    "armed": "●", "tripped": "✕", "unread": "◔",
}  # fmt: skip
"""By state: a mark beside its word, so that no meaning is in the colour alone."""
TONES = {
    "good": "up good fresh done open running ready armed", "bad": "failed lost down stopped firing repeated tripped",
    "warn": "interrupted paused draining locked stale suspect old closing cancelled unread", "off": "faulty unused",
}  # fmt: skip
_TONE = {state: tone for tone, states in TONES.items() for state in states.split()} | {
    "bad data": "bad", "out of spec": "warn",
}  # fmt: skip


def mark(state: str) -> str:
    """Return the mark of a state."""
    return MARKS.get(str(state), "○")


def tone(state: str) -> str:
    """Return the tone of a state: a class of the style sheet."""
    return _TONE.get(str(state), "calm")


def span(seconds: float) -> str:
    """Return a time that is going by in words, without fractions of a second: ``4 s``, ``12 min``, ``3 d 4 h``."""
    whole = round(abs(seconds))
    if whole < 120:
        return f"{whole} s"
    if whole < 48 * 3600:
        return duration(whole)
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def age(text: str, now: float) -> float | None:
    """Return how many seconds ago an ISO 8601 time was; None for what is none."""
    try:
        return now - datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def error_text(info: ErrorInfo) -> str:
    """Return what the daemon says of an error, and of all that belongs to it."""
    return str(from_info(info))


def firmware(identity: str) -> str:
    """Return the last part of an instrument's identity."""
    return identity.rsplit(",", maxsplit=1)[-1].strip() if identity.count(",") >= 3 else ""


def model(identity: str) -> str:
    """Return maker and model of an instrument's identity."""
    return " ".join(part.strip() for part in identity.split(",")[:2])


def serial(identity: str) -> str:
    """Return the serial number of an instrument's identity."""
    return identity.split(",")[2].strip() if identity.count(",") >= 3 else ""


def fill(environment: Environment, clock: Callable[[], float] = time.time) -> None:
    """Give templates what they say things with."""
    filters: dict[str, Callable[..., Any]] = {
        "text": lambda value: visible(str(value)),
        "text_lines": lambda value: "\n".join(map(visible, value.splitlines())),
        "when": when, "moment": moment, "duration": duration, "span": span, "mark": mark, "tone": tone,
        "ago": lambda then: span(clock() - then), "until": lambda then: span(max(0.0, then - clock())),
        "hertz": lambda value: format_quantity(value, "Hz"), "amperes": lambda value: format_quantity(value, "A"),
        "shown": show_value, "firmware": firmware, "model": model, "serial": serial, "error_text": error_text,
        "age": lambda text: None if (past := age(text, clock())) is None else span(past),
    }  # fmt: skip
    environment.filters.update(filters)
    environment.globals.update(now=clock, JobState=JobState)
