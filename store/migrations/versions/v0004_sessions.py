"""Sessions and batches."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "session",
        sa.Column("rack", sa.String(64), nullable=False),
        sa.Column("session_id", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created", sa.Float(53), nullable=False),
        sa.Column("info", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("session_id", "rack"),
        sqlite_with_rowid=False,
    )
    op.create_index("session_by_state", "session", ["state", "rack"])
    op.create_index("session_by_age", "session", ["created", "rack"])
