"""What people write down about qubits, pairs, runs and calibration sets."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "note",
        sa.Column("rack", sa.String(64), nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("about", sa.String(255), nullable=False),
        sa.Column("note", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("number", "rack"),
        sqlite_with_rowid=False,
    )
    op.create_index("note_by_about", "note", ["about", "rack", "number"])
