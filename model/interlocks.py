"""Interlocks: values that stop all output of a rack when they are out of limits, or cannot be read."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from pulsed.model.interlock_status import Value
from pulsed.model.policies import Table
from pulsed.model.units import Seconds

InterlockName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=64)]


def _class_path(text: str) -> str:
    module, colon, name = text.partition(":")
    if not (colon and name.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        raise ValueError("not MODULE:CLASS: write for example 'qcodes.instrument_drivers.Lakeshore:LakeshoreModel336'")
    return text


def _parameter_path(text: str) -> str:
    if not all(part.isidentifier() for part in text.split(".")):
        raise ValueError("not the name of a parameter: write for example 'temperature' or 'A.temperature'")
    return text


class Interlock(Table):
    """A value that is read all the time, and that stops all output when it is out of limits or cannot be read."""

    driver: Annotated[str, AfterValidator(_class_path)]
    """MODULE:CLASS of the QCoDeS instrument that has the value."""
    address: str
    """What the class takes after the name: mostly a VISA address."""
    options: dict[str, str | int | float | bool] = Field(default={})
    """Other arguments of the class, by name."""
    parameter: Annotated[str, AfterValidator(_parameter_path)]
    """The parameter that is read; one of a channel or submodule with its name before it, as `"A.temperature"`."""
    above: float | None = None
    """Trips when the value is above this, in the parameter's unit."""
    below: float | None = None
    """Trips when the value is below this, in the parameter's unit."""
    allowed: tuple[str, ...] = ()
    """For a value that is a word: trips when it is none of these, for example `["closed"]`."""
    hold: Seconds = Field(default=10.0, ge=0)
    """How long the value has to be out of limits, or may not be read, until the interlock trips."""
    every: Seconds = Field(default=1.0, ge=0.05)
    """Time between two readings."""
    jobs: Literal["repeat", "fail"] = "repeat"
    """What becomes of the job that is cut off: its chunk is played again when all is armed again, or it fails."""

    @model_validator(mode="after")
    def _limits_can_hold(self) -> Interlock:
        numbers = self.above is not None or self.below is not None
        if numbers == bool(self.allowed):
            raise ValueError("has no limits that could be kept: above, below or both for a number, allowed for a word")
        if self.above is not None and self.below is not None and self.below > self.above:
            raise ValueError(f"no value is within its limits: below {self.below:g} and above {self.above:g} both trip")
        return self

    def problem(self, value: Value) -> str:
        """Return why a value is not within the limits, in words; empty when it is."""
        if self.allowed:
            return "" if str(value) in self.allowed else f"is {str(value)[:40]!r}, not {' or '.join(self.allowed)}"
        if isinstance(value, str):
            return f"is {value[:40]!r}, which is not a number"
        if math.isnan(value):
            return "is not a number"
        if self.above is not None and value > self.above:
            return f"is {value:g}, above {self.above:g}"
        if self.below is not None and value < self.below:
            return f"is {value:g}, below {self.below:g}"
        return ""

    @property
    def limits(self) -> str:
        """What is good, in words."""
        if self.allowed:
            return " or ".join(self.allowed)
        low = "" if self.below is None else f"from {self.below:g}"
        return " ".join(filter(None, (low, "" if self.above is None else f"up to {self.above:g}")))
