"""What the daemon tells its workers and what they answer, as tagged unions. The parts follow beside them."""

from __future__ import annotations

import msgspec

from pulsed.model.errors import ErrorInfo, JobFailedError, PulsedError
from pulsed.model.job import Bindings, RunOptions
from pulsed.model.result import ProgramResult

Gate = tuple[str, tuple[int, ...], tuple[float, ...]]


class _Tagged(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    pass


class SetUp(_Tagged, frozen=True):
    """The first order. Parts: the device description as JSON; for a compiler, a calibration set as JSON too."""

    factory: str
    """``"module:name"`` of the compiler or the rack."""
    log: str = ""
    """File that the worker's log is appended to."""
    memory: int = 0
    """Bytes of data that the worker may use; 0 for no bound."""


class Compile(_Tagged, frozen=True):
    """Parts: those of the submission, and the calibration set as JSON last when ``with_calibration``."""

    job_id: str
    kinds: tuple[str, ...]
    num_programs: int
    options: RunOptions
    gates: tuple[Gate, ...]
    calibration_id: str
    with_calibration: bool = False
    bindings: tuple[Bindings, ...] = ()


class Connect(_Tagged, frozen=True):
    """Connect the instruments, or connect them anew."""

    seconds: float


class Play(_Tagged, frozen=True):
    """Play the chunk that the parts are."""

    job_id: str
    chunk: int
    seconds: float
    """Until it has to be done."""


class Check(_Tagged, frozen=True):
    """Check the chunk that the parts are against every limit of the rack; speak to no instrument."""

    job_id: str
    chunk: int


class Look(_Tagged, frozen=True):
    """Ask the instruments how they are, between two jobs."""

    seconds: float
    """Until each has to have answered."""


class Abort(_Tagged, frozen=True):
    """Stop playing this job as soon as may be."""

    job_id: str


class Quit(_Tagged, frozen=True):
    """Make everything safe, close and exit."""


class Up(_Tagged, frozen=True):
    """The worker has imported what it needs."""

    qpy: tuple[int, int] = (0, 0)
    seconds: float = 0.0


class ChunkInfo(msgspec.Struct, frozen=True):
    """What the daemon has to know of a chunk that it does not decode."""

    parts: int
    first_program: int
    programs: int
    first_shot: int
    shots: int
    seconds: float
    """Wall time that the pulses take."""


class Compiled(_Tagged, frozen=True):
    """Parts: those of all chunks, one after the other."""

    job_id: str
    chunks: tuple[ChunkInfo, ...]
    seconds: float


class Connected(_Tagged, frozen=True):
    """The instruments answer."""

    identities: dict[str, str]


class Playing(_Tagged, frozen=True):
    """How far the chunk is."""

    job_id: str
    what: str
    fraction: float


class Played(_Tagged, frozen=True):
    """Parts: the arrays of the results."""

    job_id: str
    chunk: int
    programs: tuple[ProgramResult, ...]
    times: dict[str, float]


class Checked(_Tagged, frozen=True):
    """The rack could play the chunk."""

    job_id: str
    chunk: int


class Looked(_Tagged, frozen=True):
    """How the instruments are."""

    problems: dict[str, ErrorInfo] = {}
    """By instrument, of those that are not well."""


class Failed(_Tagged, frozen=True):
    """An order that ended in an error. ``job_id`` is empty when it was about no job."""

    error: ErrorInfo
    job_id: str = ""
    identities: dict[str, str] = {}
    """Of the instruments that do answer, when a connection failed."""


CompileOrder = SetUp | Compile | Quit
RackOrder = SetUp | Connect | Play | Check | Look | Abort | Quit
CompileAnswer = Up | Compiled | Failed
RackAnswer = Up | Connected | Playing | Played | Checked | Looked | Failed

encode = msgspec.msgpack.Encoder().encode
compile_orders = msgspec.msgpack.Decoder(CompileOrder)
rack_orders = msgspec.msgpack.Decoder(RackOrder)
answers = msgspec.msgpack.Decoder(CompileAnswer | RackAnswer)


class StoredChunk(msgspec.Struct, frozen=True):
    """The head of a finished chunk in the store; its arrays follow as parts."""

    first_program: int
    first_shot: int
    programs: tuple[ProgramResult, ...]
    times: dict[str, float]


encode_chunk = msgspec.msgpack.Encoder().encode
decode_chunk = msgspec.msgpack.Decoder(StoredChunk).decode


def describe(error: BaseException) -> ErrorInfo:
    """Return ``error`` as data; one that is none of ours becomes a failed job that names it."""
    if isinstance(error, PulsedError):
        return error.to_info()
    return JobFailedError(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__).to_info()
