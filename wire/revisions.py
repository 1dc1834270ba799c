"""What came with which revision of the wire, so that a newer daemon and an older client understand each other.

Fields of messages need no list: a side that does not know one ignores it. The device description does: clients of
revision 0 refuse a key that they do not know, so each client gets the keys of its own revision.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEVICE_KEYS: dict[str, int] = {
    "alerts": 1, "emulator": 1, "instruments.*.oscillator_event_memory": 1,
    "instruments.*.oscillator_waveform_memory": 1, "instruments.*.program_memory": 1, "interlocks": 1,
    "limits.free_disk": 1, "limits.max_result": 1, "limits.rack_time": 1, "limits.session_silence": 1,
    "limits.session_time": 1, "maintenance.overdue": 1, "maintenance.overdue_limit": 1, "maintenance.self_test": 1,
    "metrics": 1, "oscillators.*.max_power": 1, "ports.*.bias.slew": 1, "ports.*.safety": 1, "processor_type": 1,
    "quotas": 1, "retention": 1, "sharing": 1, "tags": 1,
}  # fmt: skip
"""Keys of the device description that revision 0 had not, with the revision they came with; ``*`` is any name or place
in a list: ``"ports.*.ring_time"``."""

REQUESTS: dict[str, int] = {
    "AddNote": 1, "CloseSession": 1, "GetAlerts": 1, "GetChunk": 1, "GetJobLog": 1, "GetMeasurements": 1, "GetNotes": 1,
    "GetQueue": 1, "GetRacks": 1, "GetSession": 1, "GetSessions": 1, "GetSubmission": 1, "OpenSession": 1,
    "RearmInterlock": 1, "SetQueue": 1, "TellMeasurement": 1, "TestAlerts": 1, "UpdateJob": 1, "UseInstrument": 1,
}  # fmt: skip
"""Requests that a daemon of revision 0 does not know, with the revision they came with."""


def readable(description: Mapping[str, Any], revision: int, keys: Mapping[str, int] = DEVICE_KEYS) -> dict[str, Any]:
    """Return a device description without the keys that came after ``revision``."""
    result = _copy(description)
    for path, since in keys.items():
        if since > revision:
            _drop(result, path.split("."))
    return result  # type: ignore[no-any-return]


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _drop(value: Any, path: list[str]) -> None:
    first, *rest = path
    if not rest:
        if isinstance(value, dict):
            value.pop(first, None)
    elif first == "*":
        for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            _drop(item, rest)
    elif isinstance(value, dict):
        _drop(value.get(first), rest)
