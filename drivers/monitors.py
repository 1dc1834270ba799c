"""Instruments that are only read, for interlocks: any QCoDeS instrument, by the name of its class.

They are no part of the rack that plays: nothing is set, and each has a connection of its own.
"""

from __future__ import annotations

import contextlib
import importlib
import re
from collections.abc import Mapping
from numbers import Real
from typing import Any

from qcodes.instrument import InstrumentBase

from pulsed.model.errors import ConfigError, InstrumentDataError, InstrumentError, InvalidValueError, PulsedError
from pulsed.model.interlock_status import Value
from pulsed.model.interlocks import Interlock

_SHOWN = 200
"""Letters of what a driver says."""


def load_class(driver: str, key: str = "driver") -> type[Any]:
    """Return the class of QCoDeS that ``MODULE:CLASS`` names. Raises :class:`ConfigError`."""
    module, _, name = driver.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception as error:  # what a module does when it is imported is its own
        raise ConfigError(
            f"the class cannot be loaded: {type(error).__name__}: {error}"[:_SHOWN], subject=key, value=driver,
            legal="MODULE:CLASS of an instrument of QCoDeS that is installed",
        ) from error  # fmt: skip
    if not (isinstance(found, type) and issubclass(found, InstrumentBase)):
        raise ConfigError(
            "is no instrument of QCoDeS", subject=key, value=driver, legal="a class that derives from Instrument"
        )
    return found


def class_problems(interlocks: Mapping[str, Interlock]) -> list[PulsedError]:
    """Return what is wrong with the classes that interlocks name; no instrument is asked."""
    problems: list[PulsedError] = []
    for name, interlock in interlocks.items():
        try:
            load_class(interlock.driver, f"interlocks.{name}.driver")
        except ConfigError as error:
            problems.append(error)
    return problems


class Monitor:
    """One instrument that interlocks read. The constructor does no I/O; one thread may use it.

    Args:
        name: for messages, and for QCoDeS.
        interlock: one that names the instrument; others may read it, too.

    """

    def __init__(self, name: str, interlock: Interlock) -> None:
        self.name = name
        self._interlock = interlock
        self._instrument: Any = None

    def read(self, parameter: str) -> tuple[Value, str]:
        """Return the value that a parameter has now, and its unit; connects first when there is no connection.

        Raises :class:`ConfigError` for a class, :class:`InvalidValueError` for a parameter that is not there, and
        :class:`InstrumentError`. Afterwards there is no connection: the next one begins anew.
        """
        try:
            if self._instrument is None:
                self._instrument = self._open()
            found = self._parameter(parameter)
            return self._value(found.get(), parameter), str(found.unit or "")
        except PulsedError:
            self.close()
            raise
        except Exception as error:  # drivers of others raise what they like
            self.close()
            raise InstrumentError(
                f"cannot be read: {type(error).__name__}: {_said(error)}"[:_SHOWN], subject=f"monitor {self.name}",
                value=parameter,
            ) from error  # fmt: skip

    def close(self) -> None:
        """Close the connection. Idempotent, never raises."""
        instrument, self._instrument = self._instrument, None
        if instrument is not None:
            with contextlib.suppress(Exception):
                instrument.close()

    def _open(self) -> Any:
        interlock = self._interlock
        name = re.sub(r"\W", "_", f"interlock_{self.name}")
        return load_class(interlock.driver, f"interlocks.{self.name}.driver")(
            name, interlock.address, **interlock.options
        )

    def _parameter(self, path: str) -> Any:
        """Return the parameter called ``path``, as ``temperature`` or ``A.temperature``."""
        *modules, name = path.split(".")
        at = self._instrument
        for module in modules:
            if module not in at.submodules:
                raise self._unknown("no such channel or submodule", path, at.submodules)
            at = at.submodules[module]
        if name not in at.parameters or not at.parameters[name].gettable:
            raise self._unknown("no such parameter", path, [key for key, one in at.parameters.items() if one.gettable])
        return at.parameters[name]

    def _unknown(self, message: str, path: str, legal: Any) -> InvalidValueError:
        return InvalidValueError(
            message, subject=f"interlocks.{self.name}.parameter", value=path, legal=", ".join(sorted(legal))[:_SHOWN]
        )

    def _value(self, value: Any, parameter: str) -> Value:
        if isinstance(value, bool | Real):
            return float(value)
        if isinstance(value, str):
            return value[:_SHOWN]
        raise InstrumentDataError(
            "has neither a number nor a word", subject=f"monitor {self.name}", value=f"{parameter}: {value!r}"[:_SHOWN]
        )


def _said(error: Exception) -> str:
    """Return what an error says; QCoDeS adds which parameter it was as one argument more."""
    return str(error.args[0] if error.args and isinstance(error.args[0], str) else error)
