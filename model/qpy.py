"""What may be read as QPY, Qiskit's file format of circuits, told from its header alone."""

from __future__ import annotations

from pulsed.model.errors import IncompatibleError
from pulsed.model.payload import Part

QPY_MIN = 13
"""QPY below this carries symbolic expressions that are executed when they are read."""
_KIND_AT = 19


def check_qpy(part: Part, newest: int, subject: str) -> None:
    """Look at the header alone. Raises :class:`IncompatibleError` for what must or can not be decoded.

    A file begins with ``QISKIT``, its version as one byte, and has the kind of its programs at byte 19.

    Args:
        part: the file, or its first 20 bytes.
        newest: the newest version that the reader's Qiskit knows.
        subject: what the error names.

    """
    head = bytes(memoryview(part)[: _KIND_AT + 1])
    if head[:6] != b"QISKIT" or len(head) <= _KIND_AT:
        raise IncompatibleError("is not a QPY file", subject=subject, value=head[:6])
    version, legal = head[6], f"QPY {QPY_MIN} to {newest}"
    if version < QPY_MIN:
        raise IncompatibleError(
            "QPY of this version can execute code when it is read, and is refused: write it with a newer version",
            subject=subject, value=f"QPY {version}", legal=legal,
        )  # fmt: skip
    if version > newest:
        raise IncompatibleError(
            "QPY of this version is newer than the Qiskit that reads it: write it with an older version",
            subject=subject, value=f"QPY {version}", legal=legal,
        )  # fmt: skip
    if head[_KIND_AT:] != b"q":
        raise IncompatibleError(
            "this QPY does not hold circuits: send pulse schedules as kind 'schedule'", subject=subject,
            value=head[_KIND_AT:], legal="circuits",
        )  # fmt: skip
