"""What users have used of the rack, the mode of its queue, and the jobs of each session."""

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, and fill in the jobs of sessions."""
    op.create_table(
        "job_session",
        sa.Column("rack", sa.String(64), nullable=False),
        sa.Column("session_id", sa.String(64), nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("session_id", "rack", "number"),
        sa.ForeignKeyConstraint(["number", "rack"], ["job.number", "job.rack"]),
        sqlite_with_rowid=False,
    )
    op.create_index("job_session_by_job", "job_session", ["number", "rack"])
    job = sa.table("job", *(sa.column(name) for name in ("rack", "number", "info")))
    member = sa.table("job_session", *(sa.column(name) for name in ("rack", "session_id", "number")))
    connection = op.get_bind()
    for rack, number, info in connection.execute(sa.select(job.c.rack, job.c.number, job.c.info)).all():
        session_id = msgspec.msgpack.decode(info).get("session_id", "")
        if session_id:
            connection.execute(sa.insert(member).values(rack=rack, session_id=session_id, number=number))
    op.create_table(
        "usage",
        sa.Column("rack", sa.String(64), nullable=False),
        sa.Column("user", sa.String(255), nullable=False),
        sa.Column("info", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("user", "rack"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "queue_control",
        sa.Column("rack", sa.String(64), nullable=False),
        sa.Column("info", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("rack"),
    )
