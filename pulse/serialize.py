"""Pulse programs as bytes and back, exactly: msgpack of plain values, without pickle and without names of classes.

The form is a magic word and a version, then one msgpack array. Samples travel as raw little-endian complex128, each
distinct pulse once. A user's own envelope function travels as its samples, an :class:`AlignFunc` as the positions it
gives. Parameters must be assigned, unless their values travel beside. Nothing that bytes can say leads to more than a
typed error: the reader builds the program with the checks of every constructor, and bounds depth, lengths and samples
before it allocates them.
"""

from __future__ import annotations

import hashlib

import msgspec
from qiskit.exceptions import QiskitError

from pulsed import old_names
from pulsed.model.errors import PulsedError
from pulsed.pulse.exceptions import SerialisationError
from pulsed.pulse.schedule.block import ScheduleBlock
from pulsed.pulse.schedule.timeline import Schedule
from pulsed.pulse.serialize_reader import ProgramReader
from pulsed.pulse.serialize_writer import ProgramWriter

__getattr__ = old_names(__name__)

MAGIC = b"pulsed.pulse\x01"
"""First bytes of every program; the last is the version of the form."""


def dumps(program: Schedule | ScheduleBlock, *, late: bool = False) -> bytes:
    """Return ``program`` as bytes.

    Args:
        program: what to write.
        late: write parameters that have no value; they are read back as parameters of the same names.

    Raises:
        SerialisationError: a parameter without value, or something that has no form as bytes.

    """
    return MAGIC + ProgramWriter(late).program(program, named=True)


def loads(data: bytes) -> Schedule | ScheduleBlock:
    """Return the program that :func:`dumps` wrote.

    Raises:
        SerialisationError: any other bytes.

    """
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise SerialisationError("not bytes", value=type(data).__name__)
    if bytes(data[: len(MAGIC)]) != MAGIC:
        raise SerialisationError("not a pulse program, or of another version", value=bytes(data[:16]), legal=MAGIC)
    try:
        pulses, kernels, root = msgspec.msgpack.decode(memoryview(data)[len(MAGIC) :])
        return ProgramReader(pulses, kernels).program(root)
    except SerialisationError:
        raise
    except PulsedError as error:
        raise SerialisationError(f"the bytes describe an illegal program: {error}") from error
    except (
        msgspec.DecodeError,
        QiskitError,
        TypeError,
        ValueError,
        LookupError,
        ArithmeticError,
        RecursionError,
    ) as error:
        raise SerialisationError(f"the bytes are no pulse program: {error}") from error


def content_hash(program: Schedule | ScheduleBlock) -> str:
    """Return a hash (64 hex digits) of what the program plays, not of its names and metadata.

    Equal schedules have equal hashes however they are nested; a block's hash depends on the order of its parts.

    Raises:
        SerialisationError: as :func:`dumps`.

    """
    return hashlib.blake2b(ProgramWriter().program(program, named=False), digest_size=32).hexdigest()
