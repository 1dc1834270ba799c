"""What a person does at the front panel of an instrument, done through the rack: within its limits, and told to it.

What is set here is what the instrument is left with, so that nobody takes it for a change by somebody else. It holds
until the next job, which sets what it needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import partial
from typing import Any

from pulsed.compiler.program import ChunkSettings
from pulsed.drivers.contract import Instrument
from pulsed.drivers.kinds import InstrumentSettings
from pulsed.drivers.rack.connections import Connections
from pulsed.drivers.rack.safety import check_oscillators
from pulsed.model.errors import InstrumentError, InvalidValueError, PulsedError, combined
from pulsed.model.instrument_roles import settings_of

_SHOWN = 400
"""Letters of an answer."""


def use_front_panel(
    connections: Connections, name: str, settings: Mapping[str, float], reading: str, deadline: float
) -> dict[str, str]:
    """Set ``settings`` of the instrument ``name`` and return what it answers: to ``reading``, or to all it was set to.

    Raises:
        InvalidValueError: no such instrument, setting or parameter.
        InstrumentError: it refuses, is beyond its limits or those of the lab, or does not answer.

    """
    if name not in connections.drivers:
        legal = ", ".join(connections.drivers)
        raise InvalidValueError("no such instrument", subject="instrument", value=name, legal=legal)
    driver = connections.drivers[name]
    if settings:
        wanted = _wanted(connections, name, settings)
        connections.gather({name: partial(driver.configure, wanted.settings, deadline)})  # type: ignore[attr-defined]
    return connections.gather({name: partial(_read, driver, reading, deadline)})[name]


def _wanted(connections: Connections, name: str, settings: Mapping[str, float]) -> InstrumentSettings:
    """Return what the instrument is to be set to, checked against its limits and the lab's."""
    device, kind = connections.device, connections.kinds[name]
    legal = set(settings_of(device, name).values())
    for key in settings:
        if key not in legal:
            raise InvalidValueError(
                "cannot be set", subject=f"instrument {name}", value=key,
                legal=", ".join(sorted(legal)) or "nothing of this instrument",
            )  # fmt: skip
    changed = device.with_settings(settings)
    chunk = ChunkSettings(
        shots=1, rep_delay=Fraction(0),
        los={key: (item.frequency, item.power) for key, item in changed.oscillators.items()},
        biases={key.split(".")[1]: value for key, value in settings.items() if key.endswith(".bias")},
    )  # fmt: skip
    problems: list[PulsedError] = list(check_oscillators(chunk, device))
    item = next(one for one in kind.settings(device, chunk) if one.instrument == name)
    try:
        connections.drivers[name].validate(item.settings)  # type: ignore[attr-defined] # of a kind that has settings
    except PulsedError as error:
        problems.append(error)
    if problems:
        raise combined(problems)
    return item


def _read(driver: Instrument, reading: str, deadline: float) -> dict[str, str]:
    """Ask the instrument itself: what a cache says is what was sent."""
    instrument: Any = getattr(driver, "instrument", None)
    if reading:
        parameters = {} if instrument is None else instrument.parameters
        known = sorted(key for key, one in parameters.items() if one.gettable)
        if reading not in known:
            raise InvalidValueError(
                "no such parameter", subject=f"instrument {driver.name}", value=reading,
                legal=", ".join(known) or "this driver has none",
            )  # fmt: skip
        parameter = parameters[reading]
        try:
            value = parameter.get()
        except InstrumentError:
            raise
        except Exception as error:
            message = f"its parameter {reading} cannot be read: {type(error).__name__}: {error}"
            raise InstrumentError(message, subject=f"instrument {driver.name}") from error
        return {reading: f"{value} {parameter.unit or ''}".strip()[:_SHOWN]}
    found = {"identity": str(driver.identify(deadline)), "state": str(driver.state)}
    held = getattr(driver, "held_readings", None)
    return found | (held(deadline) if held is not None else {})
