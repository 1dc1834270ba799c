"""Which jobs were forgotten, and when."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "pruned_job",
        sa.Column("rack", sa.String(64), nullable=False),
        sa.Column("job_id", sa.String(64), nullable=False),
        sa.Column("pruned", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "rack"),
        sqlite_with_rowid=False,
    )
