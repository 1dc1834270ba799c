"""Who changed which calibrated value, when and why; tags of sets; records of measurements."""

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, and fill in what the sets of before say of themselves."""
    _log()
    _tags()
    _runs()
    _fill()


def _rack() -> sa.Column[str]:
    return sa.Column("rack", sa.String(64), nullable=False)


def _number() -> sa.Column[int]:
    return sa.Column("number", sa.BigInteger, nullable=False)


def _log() -> None:
    current = ["calibration_current.number", "calibration_current.rack"]
    op.create_table(
        "calibration_commit",
        _rack(),
        _number(),
        sa.Column("by", sa.String(255), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("changed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("number", "rack"),
        sa.ForeignKeyConstraint(["number", "rack"], current),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "calibration_history",
        _rack(),
        _number(),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("value", sa.LargeBinary, nullable=True),
        sa.PrimaryKeyConstraint("name", "rack", "number"),
        sa.ForeignKeyConstraint(["number", "rack"], current),
        sqlite_with_rowid=False,
    )


def _tags() -> None:
    op.create_table(
        "calibration_tag",
        _rack(),
        sa.Column("tag", sa.String(255), nullable=False),
        sa.Column("calibration", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tag", "rack"),
        sa.ForeignKeyConstraint(["calibration", "rack"], ["calibration_set.number", "calibration_set.rack"]),
        sqlite_with_rowid=False,
    )
    op.create_index("calibration_tag_by_set", "calibration_tag", ["calibration", "rack"])


def _runs() -> None:
    op.create_table(
        "run",
        _rack(),
        _number(),
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("routine", sa.String(255), nullable=False),
        sa.Column("target", sa.String(255), nullable=False),
        sa.Column("record", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("number", "rack"),
        sa.UniqueConstraint("run_id", "rack", name="run_by_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("run_by_routine", "run", ["routine", "rack", "number"])
    op.create_index("run_by_target", "run", ["target", "routine", "rack", "number"])


def _fill() -> None:
    connection = op.get_bind()
    commit = sa.table("calibration_commit", *map(sa.column, ("rack", "number", "by", "why", "changed")))
    history = sa.table("calibration_history", *map(sa.column, ("rack", "number", "name", "value")))
    before: dict[str, dict[str, bytes]] = {}
    rows = connection.execute(
        sa.text("SELECT rack, number, calibration FROM calibration_current ORDER BY rack, number")
    ).all()
    for rack, number, calibration in rows:
        old, new = before.get(rack, {}), _values(connection, rack, calibration)
        changed = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
        key = {"rack": rack, "number": number}
        packed = msgspec.msgpack.encode(changed)
        connection.execute(commit.insert(), {**key, "by": "", "why": "", "changed": packed})
        if changed:
            connection.execute(history.insert(), [{**key, "name": name, "value": new.get(name)} for name in changed])
        before[rack] = new


def _values(connection: sa.Connection, rack: str, number: int) -> dict[str, bytes]:
    chain = [number]
    find = sa.text("SELECT parent, base FROM calibration_set WHERE rack = :rack AND number = :number")
    while True:
        parent, base = connection.execute(find, {"rack": rack, "number": chain[-1]}).one()
        if chain[-1] == base:
            break
        chain.append(parent)
    values: dict[str, bytes] = {}
    changes = sa.text("SELECT name, value FROM calibration_change WHERE rack = :rack AND number = :number")
    for one in reversed(chain):
        for name, value in connection.execute(changes, {"rack": rack, "number": one}):
            if value is None:
                del values[name]
            else:
                values[name] = bytes(value)
    return values
