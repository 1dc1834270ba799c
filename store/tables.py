"""The tables. Types are portable, every row names its rack, and big blobs have rows of their own.

A job is one row with what lists need as columns and the whole :class:`pulsed.model.job.JobInfo` as msgpack;
the columns are copies for the index, the msgpack is what counts. Blobs are apart because an update of a row
writes the whole row again. No key begins with the rack: SQLite, which knows nothing of how values are spread,
would take it for a good choice and read the whole rack.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

HEAD = "0009"
"""The newest migration; a test holds it equal to what ``migrations/versions`` has."""

metadata = MetaData()


def _rack() -> Column[str]:
    return Column("rack", String(64), nullable=False)


def _number() -> Column[int]:
    return Column("number", BigInteger, nullable=False)


def _blobs_of_job(name: str, *columns: Column[int] | Column[float]) -> Table:
    key = ["number", "rack", *(column.name for column in columns if column.name == "index")]
    return Table(
        name,
        metadata,
        _rack(),
        _number(),
        *columns,
        Column("data", LargeBinary, nullable=False),
        PrimaryKeyConstraint(*key),
        ForeignKeyConstraint(["number", "rack"], ["job.number", "job.rack"]),
    )


lease = Table(
    "lease",
    metadata,
    _rack(),
    Column("holder", String(255), nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("expires", Float(53), nullable=False),
    PrimaryKeyConstraint("rack"),
)
"""Who owns a rack, until when (Unix time), and the fencing number, which grows with each take."""

rack_address = Table(
    "rack_address",
    metadata,
    _rack(),
    Column("url", String(255), nullable=False),
    Column("server_key", String(40), nullable=False),
    PrimaryKeyConstraint("rack"),
    sqlite_with_rowid=False,
)
"""Where the daemon of a rack listens, and its public key, for clients of the other racks of the database."""

job = Table(
    "job",
    metadata,
    _rack(),
    _number(),
    Column("job_id", String(64), nullable=False),
    Column("owner", String(255), nullable=False),
    Column("state", String(16), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("created", Float(53), nullable=False),
    Column("name", String(255), nullable=False),
    Column("info", LargeBinary, nullable=False),
    PrimaryKeyConstraint("number", "rack"),
    UniqueConstraint("job_id", "rack", name="job_by_id"),
    Index("job_by_state", "state", "rack", "number"),
    Index("job_by_owner", "owner", "rack", "number"),
    sqlite_with_rowid=False,
)
"""``number`` is the order of submission within the rack."""

job_tag = Table(
    "job_tag",
    metadata,
    _rack(),
    Column("tag", String(255), nullable=False),
    _number(),
    PrimaryKeyConstraint("tag", "rack", "number"),
    ForeignKeyConstraint(["number", "rack"], ["job.number", "job.rack"]),
    Index("job_tag_by_job", "number", "rack"),
    sqlite_with_rowid=False,
)

job_session = Table(
    "job_session",
    metadata,
    _rack(),
    Column("session_id", String(64), nullable=False),
    _number(),
    PrimaryKeyConstraint("session_id", "rack", "number"),
    ForeignKeyConstraint(["number", "rack"], ["job.number", "job.rack"]),
    Index("job_session_by_job", "number", "rack"),
    sqlite_with_rowid=False,
)
"""The jobs of each session and batch."""

job_log = Table(
    "job_log",
    metadata,
    _rack(),
    _number(),
    Column("index", Integer, nullable=False),
    Column("time", Float(53), nullable=False),
    Column("what", String(32), nullable=False),
    Column("detail", Text, nullable=False),
    PrimaryKeyConstraint("number", "rack", "index"),
    ForeignKeyConstraint(["number", "rack"], ["job.number", "job.rack"]),
    sqlite_with_rowid=False,
)
"""What was written down about a job, in the order of ``index``."""

session = Table(
    "session",
    metadata,
    _rack(),
    Column("session_id", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("created", Float(53), nullable=False),
    Column("info", LargeBinary, nullable=False),
    PrimaryKeyConstraint("session_id", "rack"),
    Index("session_by_state", "state", "rack"),
    Index("session_by_age", "created", "rack"),
    sqlite_with_rowid=False,
)
"""Sessions and batches; ``info`` is the :class:`pulsed.model.session.SessionInfo` as msgpack, which counts."""

pruned_job = Table(
    "pruned_job",
    metadata,
    _rack(),
    Column("job_id", String(64), nullable=False),
    Column("pruned", Float(53), nullable=False),
    PrimaryKeyConstraint("job_id", "rack"),
    sqlite_with_rowid=False,
)
"""Jobs that were forgotten, and when (Unix time)."""

usage = Table(
    "usage",
    metadata,
    _rack(),
    Column("user", String(255), nullable=False),
    Column("info", LargeBinary, nullable=False),
    PrimaryKeyConstraint("user", "rack"),
    sqlite_with_rowid=False,
)
"""What each user has used; ``info`` is the :class:`pulsed.model.queue.UserUsage` as msgpack."""

queue_control = Table(
    "queue_control",
    metadata,
    _rack(),
    Column("info", LargeBinary, nullable=False),
    PrimaryKeyConstraint("rack"),
)
"""The mode of the queue: a :class:`pulsed.model.queue.QueueControl` as msgpack."""

interlocks = Table(
    "interlocks",
    metadata,
    _rack(),
    Column("info", LargeBinary, nullable=False),
    PrimaryKeyConstraint("rack"),
)
"""The interlocks that have tripped: a list of :class:`pulsed.model.interlock_status.TrippedInterlock` as msgpack."""

payload = _blobs_of_job("payload")
result = _blobs_of_job("result")
chunk = _blobs_of_job("chunk", Column("index", Integer, nullable=False), Column("saved", Float(53), nullable=False))

calibration_set = Table(
    "calibration_set",
    metadata,
    _rack(),
    _number(),
    Column("calibration_id", String(64), nullable=False),
    Column("parent", BigInteger, nullable=True),
    Column("base", BigInteger, nullable=False),
    Column("weight", Integer, nullable=False),
    Column("stored", Float(53), nullable=False),
    Column("head", LargeBinary, nullable=False),
    PrimaryKeyConstraint("number", "rack"),
    UniqueConstraint("calibration_id", "rack", name="calibration_set_by_id"),
    sqlite_with_rowid=False,
)
"""One row per set. ``head`` is the set without its values. The values are those of ``base``, which is stored
whole, with the changes of each set from there on applied; ``weight`` counts the rows which that takes."""

calibration_change = Table(
    "calibration_change",
    metadata,
    _rack(),
    _number(),
    Column("name", String(255), nullable=False),
    Column("value", LargeBinary, nullable=True),
    PrimaryKeyConstraint("number", "rack", "name"),
    ForeignKeyConstraint(["number", "rack"], ["calibration_set.number", "calibration_set.rack"]),
    sqlite_with_rowid=False,
)
"""The values of a set that differ from its parent's, all of them in a base; NULL for one that is gone."""

calibration_current = Table(
    "calibration_current",
    metadata,
    _rack(),
    _number(),
    Column("since", Float(53), nullable=False),
    Column("calibration", BigInteger, nullable=False),
    PrimaryKeyConstraint("number", "rack"),
    ForeignKeyConstraint(["calibration", "rack"], ["calibration_set.number", "calibration_set.rack"]),
    Index("calibration_current_by_time", "since", "rack", "number"),
    sqlite_with_rowid=False,
)
"""Which set became active when (Unix time). Going back to an older set is one more row."""

calibration_commit = Table(
    "calibration_commit",
    metadata,
    _rack(),
    _number(),
    Column("by", String(255), nullable=False),
    Column("why", Text, nullable=False),
    Column("changed", LargeBinary, nullable=False),
    PrimaryKeyConstraint("number", "rack"),
    ForeignKeyConstraint(["number", "rack"], ["calibration_current.number", "calibration_current.rack"]),
    sqlite_with_rowid=False,
)
"""Who made a set active and why; ``changed`` are the names of what differs from the set before, as msgpack."""

calibration_history = Table(
    "calibration_history",
    metadata,
    _rack(),
    _number(),
    Column("name", String(255), nullable=False),
    Column("value", LargeBinary, nullable=True),
    PrimaryKeyConstraint("name", "rack", "number"),
    ForeignKeyConstraint(["number", "rack"], ["calibration_current.number", "calibration_current.rack"]),
    sqlite_with_rowid=False,
)
"""The same by name, with the new value; NULL for one that is gone, and for a fault. ``number`` is that of
``calibration_current``."""

calibration_tag = Table(
    "calibration_tag",
    metadata,
    _rack(),
    Column("tag", String(255), nullable=False),
    Column("calibration", BigInteger, nullable=False),
    PrimaryKeyConstraint("tag", "rack"),
    ForeignKeyConstraint(["calibration", "rack"], ["calibration_set.number", "calibration_set.rack"]),
    Index("calibration_tag_by_set", "calibration", "rack"),
    sqlite_with_rowid=False,
)
"""Names of sets."""

run = Table(
    "run",
    metadata,
    _rack(),
    _number(),
    Column("run_id", String(64), nullable=False),
    Column("routine", String(255), nullable=False),
    Column("target", String(255), nullable=False),
    Column("record", LargeBinary, nullable=False),
    PrimaryKeyConstraint("number", "rack"),
    UniqueConstraint("run_id", "rack", name="run_by_id"),
    Index("run_by_routine", "routine", "rack", "number"),
    Index("run_by_target", "target", "routine", "rack", "number"),
    sqlite_with_rowid=False,
)
"""One row per measurement; ``record`` is the :class:`pulsed.model.calibration.RunRecord` as msgpack, which counts."""

note = Table(
    "note",
    metadata,
    _rack(),
    _number(),
    Column("about", String(255), nullable=False),
    Column("note", LargeBinary, nullable=False),
    PrimaryKeyConstraint("number", "rack"),
    Index("note_by_about", "about", "rack", "number"),
    sqlite_with_rowid=False,
)
"""What people wrote down; ``note`` is the :class:`pulsed.model.notes.Note` as msgpack, which counts."""
