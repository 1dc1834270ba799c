"""What is checked of a submission before it is accepted, without decoding any program."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pulsed.model.device import DeviceDescription
from pulsed.model.errors import InvalidValueError
from pulsed.model.job import JobRequest, RunOptions, Spectrum
from pulsed.model.payload import Part
from pulsed.model.qpy import check_qpy

MEAS_LEVELS = (0, 1, 2)
MEAS_RETURNS = ("single", "avg")
PRIORITIES = range(-100, 101)
KINDS = ("qpy", "schedule", "gate", "values")
_MAX_TEXT = 1024
_MAX_TAGS = 64
_MAX_FREQUENCIES = 2001


def check_submission(request: JobRequest, parts: Sequence[Part], device: DeviceDescription, newest_qpy: int) -> None:
    """Check id, sizes, options and versions. Raises :class:`InvalidValueError` or :class:`IncompatibleError`."""
    subject = f"job {request.job_id}"
    if not (0 < len(request.job_id) <= 128 and request.job_id.isprintable()):
        raise InvalidValueError("not a job id", subject="job_id", value=request.job_id[:128], legal="1 to 128 letters")
    if len(request.name) > _MAX_TEXT or len(request.tags) > _MAX_TAGS or any(len(t) > _MAX_TEXT for t in request.tags):
        raise InvalidValueError(
            "name or tags are too long", subject=subject, legal=f"{_MAX_TAGS} tags, {_MAX_TEXT} letters each"
        )
    if len(parts) != len(request.kinds):
        raise InvalidValueError("not one part per kind", subject=subject, value=len(parts), legal=len(request.kinds))
    for kind in request.kinds:
        if kind not in KINDS:
            raise InvalidValueError("no such kind of program", subject=subject, value=kind, legal=", ".join(KINDS))
    if request.kinds.count("gate") != len(request.gates):
        raise InvalidValueError(
            "not one schedule per pulse gate", subject=subject, value=request.kinds.count("gate"),
            legal=len(request.gates),
        )  # fmt: skip
    _check_bindings(request, parts, subject)
    if not 1 <= request.num_programs <= device.limits.max_circuits:
        raise InvalidValueError(
            "too many or no circuits in one job", subject=f"{subject}: circuits", value=request.num_programs,
            legal=f"1 to {device.limits.max_circuits}",
        )  # fmt: skip
    if request.priority not in PRIORITIES:
        raise InvalidValueError(
            "not a priority", subject="priority", value=request.priority,
            legal=f"{PRIORITIES[0]} to {PRIORITIES[-1]}",
        )  # fmt: skip
    check_options(request.options, device)
    for i, (kind, part) in enumerate(zip(request.kinds, parts, strict=True)):
        if kind == "qpy":
            check_qpy(part, newest_qpy, f"{subject}: part {i}")


def _check_bindings(request: JobRequest, parts: Sequence[Part], subject: str) -> None:
    values = [part for kind, part in zip(request.kinds, parts, strict=True) if kind == "values"]
    if len(values) != len(request.bindings):
        raise InvalidValueError(
            "not one part of values per program with bindings", subject=subject, value=len(values),
            legal=len(request.bindings),
        )  # fmt: skip
    for item, part in zip(request.bindings, values, strict=True):
        size = 8 * item.count * len(item.parameters)
        if item.count < 1 or not item.parameters or memoryview(part).nbytes != size:
            raise InvalidValueError(
                "not one value per binding and parameter", subject=f"{subject}: program {item.program}",
                value=f"{memoryview(part).nbytes} bytes", legal=f"{size} bytes, at least one binding and parameter",
            )  # fmt: skip


def check_options(options: RunOptions, device: DeviceDescription) -> None:
    """Check every option against the device's limits. Raises :class:`InvalidValueError` that names the option."""
    limits, n = device.limits, device.num_qubits
    if not 1 <= options.shots <= limits.max_shots:
        raise InvalidValueError(
            "too many or no shots", subject="shots", value=options.shots, legal=f"1 to {limits.max_shots}"
        )
    if options.meas_level not in MEAS_LEVELS:
        raise InvalidValueError("no such level", subject="meas_level", value=options.meas_level, legal="0, 1 or 2")
    if options.meas_return not in MEAS_RETURNS:
        raise InvalidValueError(
            "no such kind of return", subject="meas_return", value=options.meas_return, legal=", ".join(MEAS_RETURNS)
        )
    delay = options.rep_delay
    if delay is not None and not limits.rep_delay_min <= delay <= limits.rep_delay_max:
        raise InvalidValueError(
            "not within the range of the rack", subject="rep_delay", value=f"{delay:g} s",
            legal=f"{limits.rep_delay_min:g} s to {limits.rep_delay_max:g} s",
        )  # fmt: skip
    _check_spectrum(options.spectrum, device)
    _check_settings(options.settings, device)
    for name, frequencies in (("qubit_lo_freq", options.qubit_lo_freq), ("meas_lo_freq", options.meas_lo_freq)):
        if frequencies is not None and (
            len(frequencies) != n or not all(math.isfinite(f) and f > 0 for f in frequencies)
        ):
            raise InvalidValueError(
                "not one frequency per qubit", subject=name, value=str(frequencies), legal=f"{n} positive numbers in Hz"
            )


def _check_spectrum(spectrum: Spectrum | None, device: DeviceDescription) -> None:
    if spectrum is None:
        return
    ports = [name for name, port in device.ports.items() if port.direction == "output" and port.lo is not None]
    if spectrum.port not in ports:
        raise InvalidValueError(
            "not a port that can be looked at", subject="spectrum.port", value=spectrum.port, legal=", ".join(ports)
        )
    frequencies = spectrum.frequencies
    if not 0 < len(frequencies) <= _MAX_FREQUENCIES or not all(math.isfinite(f) and f > 0 for f in frequencies):
        raise InvalidValueError(
            "not a list of frequencies", subject="spectrum.frequencies", value=str(frequencies[:10]),
            legal=f"1 to {_MAX_FREQUENCIES} positive numbers in Hz",
        )  # fmt: skip
    if not (math.isfinite(spectrum.rbw) and spectrum.rbw > 0):
        raise InvalidValueError("not a bandwidth", subject="spectrum.rbw", value=spectrum.rbw, legal="above 0 Hz")


def _check_settings(settings: dict[str, float], device: DeviceDescription) -> None:
    legal = device.setting_names
    for name, value in settings.items():
        if name not in legal:
            raise InvalidValueError("no such setting", subject="settings", value=name, legal=", ".join(legal))
        positive = name.endswith(".frequency")
        if not math.isfinite(value) or (positive and value <= 0):
            raise InvalidValueError(
                "not a value for this setting", subject=name, value=value,
                legal="above 0 Hz" if positive else "a finite number",
            )  # fmt: skip
