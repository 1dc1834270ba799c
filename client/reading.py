"""What a daemon of another version says, as far as this version understands it.

Config files refuse a key that nobody knows: it would be a mistake that does nothing. What a daemon sends has been
checked by the daemon, so here such a key is one of a newer version, and is passed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from pydantic import ValidationError

import pulsed
from pulsed.model.chunk_results import ChunkResult, decode_chunk
from pulsed.model.device import AS_IT_IS, DeviceDescription
from pulsed.model.errors import IncompatibleError
from pulsed.model.payload import Part
from pulsed.model.result import JobResult, decode

_UNKNOWN = "extra_forbidden"
"""What pydantic calls a key that a model does not have."""


def read_device(data: bytes, version: str) -> DeviceDescription:
    """Return the device description that a daemon of ``version`` sent as JSON, without the keys we do not know.

    Raises :class:`IncompatibleError` for what cannot be read even so.
    """
    try:
        return DeviceDescription.model_validate_json(data, context=AS_IT_IS)
    except ValidationError as error:
        places = [item["loc"] for item in error.errors(include_url=False) if item["type"] == _UNKNOWN]
        failure = error
    try:
        if places:
            content = msgspec.json.decode(data)
            for place in places:
                _drop(content, place)
            return DeviceDescription.model_validate_json(msgspec.json.encode(content), context=AS_IT_IS)
    except (ValidationError, LookupError, TypeError, msgspec.MsgspecError) as error:
        raise _not_readable("device description", version, error) from error
    raise _not_readable("device description", version, failure) from failure


def read_result(parts: Sequence[Part], version: str) -> tuple[JobResult, Sequence[Part]]:
    """Return the result that a daemon of ``version`` sent, and the parts its references count from.

    Raises :class:`IncompatibleError`.
    """
    try:
        return decode(parts)
    except (msgspec.MsgspecError, LookupError) as error:
        raise _not_readable("result", version, error) from error


def read_chunk_heads(heads: Sequence[Part], version: str) -> list[ChunkResult]:
    """Return what a daemon of ``version`` says is in the chunks of a result. Raises :class:`IncompatibleError`."""
    try:
        return [decode_chunk(head) for head in heads]
    except msgspec.MsgspecError as error:
        raise _not_readable("result", version, error) from error


def _drop(content: Any, place: tuple[str | int, ...]) -> None:
    *above, last = place
    for step in above:
        content = content[step]
    del content[last]


def _not_readable(what: str, version: str, error: Exception) -> IncompatibleError:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        why = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    else:
        why = str(error)
    return IncompatibleError(
        f"this version of pulsed cannot read the daemon's {what}; install the daemon's version: {why}",
        subject=f"daemon {version}", value=f"client {pulsed.__version__}",
    )  # fmt: skip
