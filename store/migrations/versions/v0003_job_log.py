"""What was written down about a job."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table. Jobs of before have an empty log."""
    op.create_table(
        "job_log",
        sa.Column("rack", sa.String(64), nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("index", sa.Integer, nullable=False),
        sa.Column("time", sa.Float(53), nullable=False),
        sa.Column("what", sa.String(32), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("number", "rack", "index"),
        sa.ForeignKeyConstraint(["number", "rack"], ["job.number", "job.rack"]),
        sqlite_with_rowid=False,
    )
