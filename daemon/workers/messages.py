"""What the daemon tells its workers and what they answer, as tagged unions. The parts follow beside them."""

from __future__ import annotations

import msgspec

from pulsed.model.errors import ErrorInfo, JobCancelledError, JobFailedError, PulsedError
from pulsed.model.interlock_status import Value
from pulsed.model.job import Bindings, JobRequest, RunOptions
from pulsed.model.payload import Part, unpack_frames
from pulsed.model.result import ProgramResult

NOT_SAFE = 3
"""Exit code of a rack worker that tried to switch the outputs off, and did not hear of each that it is."""
NEVER_OWNED = 4
"""Exit code of a rack worker that never had the instruments, so that it says nothing of their outputs."""

GateKey = tuple[str, tuple[int, ...], tuple[float, ...]]


class _Tagged(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    pass


class SetUp(_Tagged, frozen=True):
    """The first request. Parts: the device description as JSON; for a compiler, a calibration set as JSON too."""

    factory: str
    """``"module:name"`` of the compiler or the rack."""
    log: str = ""
    """File that the worker's log is appended to."""
    memory: int = 0
    """Bytes of data that the worker may use; 0 for no bound."""
    private: tuple[str, ...] = ()
    """Files that the worker must not read; none for a worker that may."""
    holder: str = ""
    """For a rack worker: who takes the instruments to switch their outputs off when the daemon goes before it connects
    them, because the worker before this one did not get to it. Empty when they are known to be off."""
    halted: str = ""
    """For a rack worker: as :class:`Halt`."""


class Compile(_Tagged, frozen=True):
    """Parts: those of the submission, and the calibration set as JSON last when ``with_calibration``."""

    job_id: str
    kinds: tuple[str, ...]
    num_programs: int
    options: RunOptions
    gates: tuple[GateKey, ...]
    calibration_id: str
    with_calibration: bool = False
    bindings: tuple[Bindings, ...] = ()


class Connect(_Tagged, frozen=True):
    """Connect the instruments, or connect them again."""

    seconds: float
    holder: str = ""
    """Who has them from now on, for another daemon that wants them."""


class PlayChunk(_Tagged, frozen=True):
    """Play the chunk that the parts are."""

    job_id: str
    chunk: int
    seconds: float
    """Until it has to be done."""


class CheckChunk(_Tagged, frozen=True):
    """Check the chunk that the parts are against every limit of the rack; speak to no instrument."""

    job_id: str
    chunk: int


class CheckHealth(_Tagged, frozen=True):
    """Ask the instruments how they are, between two jobs."""

    seconds: float
    """Until each has to have answered."""


class UseFrontPanel(_Tagged, frozen=True):
    """Set something of one instrument, where ``settings`` has any, and read what it has."""

    instrument: str
    settings: dict[str, float] = {}
    reading: str = ""
    """A parameter; empty: everything that it was set to."""
    seconds: float = 5.0


class Abort(_Tagged, frozen=True):
    """Stop playing this job as soon as may be."""

    job_id: str


class Halt(_Tagged, frozen=True):
    """Stop playing, whatever it is, and from now on neither play nor set anything; why is in ``reason``.

    An empty reason ends that.
    """

    reason: str


class MakeSafe(_Tagged, frozen=True):
    """Switch all outputs off."""

    seconds: float
    """Until each instrument has to have done so."""


class Ping(_Tagged, frozen=True):
    """Say that you live: the thread that reads answers at once, whatever the other one does."""


class Quit(_Tagged, frozen=True):
    """Make everything safe, close and exit."""


class Ready(_Tagged, frozen=True):
    """The worker has imported what it needs."""

    qpy: tuple[int, int] = (0, 0)
    seconds: float = 0.0
    confined: str = ""
    """What keeps it from what it must not read, in words."""


class Pong(_Tagged, frozen=True):
    """The worker lives."""


class ChunkInfo(msgspec.Struct, frozen=True):
    """What the daemon has to know of a chunk that it does not decode."""

    parts: int
    first_program: int
    programs: int
    first_shot: int
    shots: int
    seconds: float
    """Wall time that the pulses take."""
    bytes: int = 0
    """Of its results; what is averaged over several chunks counts in the first of them."""


class Compiled(_Tagged, frozen=True):
    """Parts: those of all chunks, one after the other."""

    job_id: str
    chunks: tuple[ChunkInfo, ...]
    seconds: float


class Connected(_Tagged, frozen=True):
    """The instruments answer."""

    identities: dict[str, str]


class PlayProgress(_Tagged, frozen=True):
    """How far the chunk is."""

    job_id: str
    what: str
    fraction: float


class ChunkPlayed(_Tagged, frozen=True):
    """Parts: the arrays of the results."""

    job_id: str
    chunk: int
    programs: tuple[ProgramResult, ...]
    times: dict[str, float]


class ChunkChecked(_Tagged, frozen=True):
    """The rack could play the chunk."""

    job_id: str
    chunk: int


class HealthReport(_Tagged, frozen=True):
    """How the instruments are."""

    problems: dict[str, ErrorInfo] = {}
    """By instrument, of those that are not well."""


class MadeSafe(_Tagged, frozen=True):
    """The outputs are off, but for those of the instruments with an error."""

    problems: tuple[ErrorInfo, ...] = ()


class InterlockReading(_Tagged, frozen=True):
    """What an interlock has read."""

    name: str
    value: Value | None = None
    """None when it could not be read."""
    unit: str = ""
    error: str = ""
    """Why not."""


class FrontPanel(_Tagged, frozen=True):
    """What an instrument has, as it answers."""

    readings: dict[str, str]


class RequestFailed(_Tagged, frozen=True):
    """A request that ended in an error. ``job_id`` is empty when it was about no job."""

    error: ErrorInfo
    job_id: str = ""
    identities: dict[str, str] = {}
    """Of the instruments that do answer, when a connection failed."""


CompileRequest = SetUp | Compile | Ping | Quit
RackRequest = (
    SetUp | Connect | PlayChunk | CheckChunk | CheckHealth | UseFrontPanel | Halt | MakeSafe | Abort | Ping | Quit
)
InterlockRequest = SetUp | Ping | Quit
CompileReply = Ready | Pong | Compiled | RequestFailed
UNASKED = (PlayProgress, Pong, InterlockReading)
"""What a worker says besides its answer to a request."""
RackReply = (
    Ready | Pong | Connected | PlayProgress | ChunkPlayed | ChunkChecked | HealthReport | MadeSafe | FrontPanel
    | RequestFailed
)  # fmt: skip
InterlockReply = Ready | Pong | InterlockReading | RequestFailed
AnyRequest = CompileRequest | RackRequest | InterlockRequest
AnyReply = CompileReply | RackReply | InterlockReply

encode = msgspec.msgpack.Encoder().encode
json_of = msgspec.json.Encoder().encode
compile_requests = msgspec.msgpack.Decoder(CompileRequest)
rack_requests = msgspec.msgpack.Decoder(RackRequest)
interlock_requests = msgspec.msgpack.Decoder(InterlockRequest)
replies = msgspec.msgpack.Decoder(AnyReply)


_read_request = msgspec.msgpack.Decoder(JobRequest).decode


def read_submission(payload: Part) -> tuple[JobRequest, list[memoryview]]:
    """Return what was submitted of the form that the store keeps it in."""
    head, *parts = unpack_frames(payload)
    return _read_request(head), parts


def describe(error: BaseException) -> ErrorInfo:
    """Return ``error`` as data; one that is none of ours becomes a failed job that names it."""
    if isinstance(error, PulsedError):
        return error.to_info()
    return JobFailedError(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__).to_info()


def job_cancelled(job_id: str) -> JobCancelledError:
    """Return the error of a job that was cancelled."""
    return JobCancelledError("the job was cancelled", subject=f"job {job_id}")
