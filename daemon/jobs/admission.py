"""What is checked of a submission before it is accepted, without decoding any program."""

from __future__ import annotations

from collections.abc import Sequence

from pulsed.model.device import DeviceDescription
from pulsed.model.errors import InvalidValueError
from pulsed.model.job import JobRequest
from pulsed.model.payload import Part
from pulsed.model.qpy import check_qpy
from pulsed.model.rack_time import check_rack_time, least_seconds
from pulsed.model.result_size import check_result_size, least_bytes
from pulsed.model.run_options import check_request_options

KINDS = ("qpy", "schedule", "gate", "values")


def check_submission(request: JobRequest, parts: Sequence[Part], device: DeviceDescription, newest_qpy: int) -> None:
    """Check id, sizes, options and versions. Raises :class:`InvalidValueError` or :class:`IncompatibleError`."""
    subject = f"job {request.job_id}"
    if not (0 < len(request.job_id) <= 128 and request.job_id.isprintable()):
        raise InvalidValueError(
            "invalid job id", subject="job_id", value=request.job_id[:128], legal="1 to 128 letters"
        )
    if len(parts) != len(request.kinds):
        raise InvalidValueError("needs one part per kind", subject=subject, value=len(parts), legal=len(request.kinds))
    for kind in request.kinds:
        if kind not in KINDS:
            raise InvalidValueError("no such kind of program", subject=subject, value=kind, legal=", ".join(KINDS))
    if request.kinds.count("gate") != len(request.gates):
        raise InvalidValueError(
            "needs one schedule per pulse gate", subject=subject, value=request.kinds.count("gate"),
            legal=len(request.gates),
        )  # fmt: skip
    _check_bindings(request, parts, subject)
    if not 1 <= request.num_programs <= device.limits.max_circuits:
        raise InvalidValueError(
            "number of circuits out of range", subject=f"{subject}: circuits", value=request.num_programs,
            legal=f"1 to {device.limits.max_circuits}",
        )  # fmt: skip
    check_request_options(request, device)
    if request.due is not None and request.session_id:
        raise InvalidValueError(
            "a job of a session or batch has no due date: these are played in their order", subject=f"{subject}: due",
            value=request.due, legal="none, or a job outside of a session",
        )  # fmt: skip
    seconds = least_seconds(request.num_programs, 0.0, request.options, device.limits)
    check_rack_time(seconds, request.options, device.limits, subject, at_least=True)
    least = least_bytes(request.num_programs, request.options)
    check_result_size(least, request.options, device.limits, subject, at_least=True)
    for i, (kind, part) in enumerate(zip(request.kinds, parts, strict=True)):
        if kind == "qpy":
            check_qpy(part, newest_qpy, f"{subject}: part {i}")


def _check_bindings(request: JobRequest, parts: Sequence[Part], subject: str) -> None:
    values = [part for kind, part in zip(request.kinds, parts, strict=True) if kind == "values"]
    if len(values) != len(request.bindings):
        raise InvalidValueError(
            "needs one part of values per program with bindings", subject=subject, value=len(values),
            legal=len(request.bindings),
        )  # fmt: skip
    for item, part in zip(request.bindings, values, strict=True):
        size = 8 * item.count * len(item.parameters)
        if item.count < 1 or not item.parameters or memoryview(part).nbytes != size:
            raise InvalidValueError(
                "needs one value per binding and parameter", subject=f"{subject}: program {item.program}",
                value=f"{memoryview(part).nbytes} bytes", legal=f"{size} bytes, at least one binding and parameter",
            )  # fmt: skip
