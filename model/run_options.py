"""Every option of a run in one table: name, type, default, bounds, whether it travels, what it does.

A new option that travels is a field of :class:`pulsed.model.job.RunOptions`, one that does not a field of
:class:`LocalOptions`, and what acts on it. The message on the wire, the options of a backend, what the daemon checks
before it accepts a job and ``docs/reference/run-options.md`` follow from the table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, get_args

import msgspec

from pulsed.model.job import JobRequest, Option, RunOptions
from pulsed.model.option_readers import (
    FLAG,
    AbsentReader,
    ChoiceReader,
    IntegerReader,
    TextReader,
    TextsReader,
    TimeReader,
    UnreadReader,
)

if TYPE_CHECKING:
    from pulsed.model.device import DeviceDescription


class LocalOptions(msgspec.Struct, frozen=True):
    """Options that the provider acts on, or that travel in another field of the request."""

    dynamic: Annotated[
        bool | None, Option(ChoiceReader((True, False, None)), "False refuses circuits with control flow.")
    ] = None
    schedule_los: Annotated[
        Any,
        Option(
            UnreadReader("a LoConfig or {channel: Hz}, or a list of equal ones"),
            "Frequencies of single channels, put into `qubit_lo_freq` and `meas_lo_freq`.",
        ),
    ] = None
    seed_simulator: Annotated[None, Option(AbsentReader("the shots come from a rack"), "Has no effect on a rack.")] = (
        None
    )
    job_name: Annotated[str | None, Option(TextReader(255), "The name of the job.")] = None
    job_tags: Annotated[tuple[str, ...], Option(TextsReader(64, 255), "Tags by which the job is found again.")] = ()
    priority: Annotated[int, Option(IntegerReader(-100, 100), "Jobs of a higher priority are played first.")] = 0
    due: Annotated[
        float | None,
        Option(
            TimeReader(),
            "When it should be done: of your jobs of one priority the one due first is first, and its priority is one "
            "higher from `sharing.ageing` before it has to start. Not in a session or batch.",
        ),
    ] = None
    dynamical_decoupling: Annotated[
        bool,
        Option(
            FLAG,
            "What `transpile` makes undoes the ZZ that the calibration set knows: x in waits. By `set_options` alone.",
        ),
    ] = True
    hold_calibration: Annotated[
        bool, Option(FLAG, "Keep the present calibration set when another one becomes active. By `set_options` alone.")
    ] = False
    on_stale_calibration: Annotated[
        str,
        Option(
            ChoiceReader(("run", "warn", "refuse")),
            "What to do when the set of a run, or one that a circuit was transpiled against, is no longer active.",
        ),
    ] = "run"
    calibrations: Annotated[
        Any, Option(UnreadReader("{(gate, qubits, params): schedule}, or None"), "Pulse gates of this call.", "run")
    ] = None
    parameter_binds: Annotated[
        Any,
        Option(
            UnreadReader("one {parameter: values} per program, or None"),
            "Values of the parameters of each program; a result for each value, all lowered at once.",
            "run",
        ),
    ] = None


class RunOption(msgspec.Struct, frozen=True):
    """One option of the table."""

    name: str
    type: Any
    default: Any
    option: Option
    travels: bool
    """Whether it is a field of the message, :class:`RunOptions`."""

    def read(self, value: Any, device: DeviceDescription | None = None) -> Any:
        """Return ``value`` in its plain type. Raises :class:`pulsed.model.errors.InvalidValueError`."""
        return self.option.reader.read(self.name, value, device)


def _rows(struct: type[msgspec.Struct], travels: bool) -> dict[str, RunOption]:
    rows = {}
    for field in msgspec.structs.fields(struct):
        kind, option = get_args(field.type)
        default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
        rows[field.name] = RunOption(field.name, kind, default, option, travels)
    return rows


RUN_OPTIONS: dict[str, RunOption] = _rows(RunOptions, True) | _rows(LocalOptions, False)
"""All options, by name."""


def check_request_options(request: JobRequest, device: DeviceDescription) -> None:
    """Check every option of a submission. Raises :class:`pulsed.model.errors.InvalidValueError`."""
    for name, value in (
        ("job_name", request.name), ("job_tags", request.tags), ("priority", request.priority), ("due", request.due),
    ):  # fmt: skip
        RUN_OPTIONS[name].read(value, device)
    check_options(request.options, device)


def check_options(options: RunOptions, device: DeviceDescription) -> None:
    """Check every option that travels against ``device``, as the settings of the job make it.

    Raises :class:`pulsed.model.errors.InvalidValueError` that names the option.
    """
    device = device.with_settings(RUN_OPTIONS["settings"].read(options.settings, device))
    for row in RUN_OPTIONS.values():
        if row.travels:
            row.read(getattr(options, row.name), device)
