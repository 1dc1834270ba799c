"""Where the daemons of a database are."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "rack_address",
        sa.Column("rack", sa.String(64), nullable=False),
        sa.Column("url", sa.String(255), nullable=False),
        sa.Column("server_key", sa.String(40), nullable=False),
        sa.PrimaryKeyConstraint("rack"),
        sqlite_with_rowid=False,
    )
