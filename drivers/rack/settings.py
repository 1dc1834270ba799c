"""What is fixed while a chunk plays: settings of local oscillators, bias sources, and other kinds that have some."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from pulsed.compiler.program import Chunk
from pulsed.drivers.contract import OutputSettings
from pulsed.drivers.programs import InstrumentPrograms
from pulsed.drivers.rack.connections import Connections

FixedSettings: TypeAlias = tuple[tuple[Any, Any], ...]
"""Each driver that has settings with what it is set to, of the type that its kind says."""


def fixed_settings(connections: Connections, chunk: Chunk) -> FixedSettings:
    """Return what ``chunk`` sets, and what the description says where it sets nothing."""
    return tuple(
        (connections.drivers[item.instrument], item.settings)
        for kind in dict.fromkeys(connections.kinds.values())
        for item in kind.settings(connections.device, chunk.settings)
        if connections.kinds.get(item.instrument) == kind
    )


def configuration(
    connections: Connections, settings: FixedSettings, programs: InstrumentPrograms, deadline: float
) -> dict[str, Callable[[], None]]:
    """Return the task of each instrument that has settings, by its name."""
    tasks: dict[str, Callable[[], None]] = {}
    for driver, wanted in settings:
        tasks[driver.name] = partial(driver.configure, wanted, deadline)
    for name, driver in connections.players.items():
        playback, recording = programs.playbacks.get(name), programs.recordings.get(name)
        input_los = {} if recording is None else recording.los
        if playback is not None:
            wanted = OutputSettings(playback.pairs, playback.los, input_los)
            tasks[name] = partial(connections.generators[name].configure, wanted, deadline)
        elif input_los:
            tasks[name] = partial(driver.configure, OutputSettings(input_los=input_los), deadline)  # type: ignore[union-attr]
    return tasks
