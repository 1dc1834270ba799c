"""Everything in a device description that contradicts something else in it.

A rule may be asked about a draft, in which some keys could not be read: what it asks of those leaves the rest of that
rule open, and no other rule. What only the drivers know is in :mod:`pulsed.drivers.rack.validation`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from pulsed.model.draft import UnknownValue, without
from pulsed.model.errors import ConfigError
from pulsed.model.grids import grids, magnitudes
from pulsed.model.ownership import ownership
from pulsed.model.references import references


def wiring_problems(device: Any) -> list[ConfigError]:
    """Return what is wrong with ``device``, a description or a draft of one, each problem once.

    A number that cannot be meant is one problem, and nothing is compared with it.
    """
    found = _all(magnitudes(device))
    for problem in found:
        device = without(device, tuple(problem.subject.split(".")))
    found += _all(chain(references(device), ownership(device), grids(device)))
    return list({(problem.subject, problem.value): problem for problem in reversed(found)}.values())[::-1]


def _all(rules: Iterable[Iterator[ConfigError]]) -> list[ConfigError]:
    found = []
    for rule in rules:
        try:
            for problem in rule:
                found.append(problem)
        except UnknownValue:
            continue
    return found
