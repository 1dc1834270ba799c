"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create everything."""
    _lease()
    _jobs()
    _calibrations()


def _rack() -> sa.Column[str]:
    return sa.Column("rack", sa.String(64), nullable=False)


def _number() -> sa.Column[int]:
    return sa.Column("number", sa.BigInteger, nullable=False)


def _lease() -> None:
    op.create_table(
        "lease",
        _rack(),
        sa.Column("holder", sa.String(255), nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("rack"),
    )


def _jobs() -> None:
    op.create_table(
        "job",
        _rack(),
        _number(),
        sa.Column("job_id", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("created", sa.Float(53), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("info", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("number", "rack"),
        sa.UniqueConstraint("job_id", "rack", name="job_by_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("job_by_state", "job", ["state", "rack", "number"])
    op.create_index("job_by_owner", "job", ["owner", "rack", "number"])
    op.create_table(
        "job_tag",
        _rack(),
        sa.Column("tag", sa.String(255), nullable=False),
        _number(),
        sa.PrimaryKeyConstraint("tag", "rack", "number"),
        sa.ForeignKeyConstraint(["number", "rack"], ["job.number", "job.rack"]),
        sqlite_with_rowid=False,
    )
    op.create_index("job_tag_by_job", "job_tag", ["number", "rack"])
    for name in ("payload", "result"):
        op.create_table(
            name,
            _rack(),
            _number(),
            sa.Column("data", sa.LargeBinary, nullable=False),
            sa.PrimaryKeyConstraint("number", "rack"),
            sa.ForeignKeyConstraint(["number", "rack"], ["job.number", "job.rack"]),
        )
    op.create_table(
        "chunk",
        _rack(),
        _number(),
        sa.Column("index", sa.Integer, nullable=False),
        sa.Column("saved", sa.Float(53), nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("number", "rack", "index"),
        sa.ForeignKeyConstraint(["number", "rack"], ["job.number", "job.rack"]),
    )


def _calibrations() -> None:
    op.create_table(
        "calibration_set",
        _rack(),
        _number(),
        sa.Column("calibration_id", sa.String(64), nullable=False),
        sa.Column("parent", sa.BigInteger, nullable=True),
        sa.Column("base", sa.BigInteger, nullable=False),
        sa.Column("weight", sa.Integer, nullable=False),
        sa.Column("stored", sa.Float(53), nullable=False),
        sa.Column("head", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("number", "rack"),
        sa.UniqueConstraint("calibration_id", "rack", name="calibration_set_by_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "calibration_change",
        _rack(),
        _number(),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("value", sa.LargeBinary, nullable=True),
        sa.PrimaryKeyConstraint("number", "rack", "name"),
        sa.ForeignKeyConstraint(["number", "rack"], ["calibration_set.number", "calibration_set.rack"]),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "calibration_current",
        _rack(),
        _number(),
        sa.Column("since", sa.Float(53), nullable=False),
        sa.Column("calibration", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("number", "rack"),
        sa.ForeignKeyConstraint(["calibration", "rack"], ["calibration_set.number", "calibration_set.rack"]),
        sqlite_with_rowid=False,
    )
    op.create_index("calibration_current_by_time", "calibration_current", ["since", "rack", "number"])
