"""What Alembic runs for a migration: everything within the transaction that the caller has opened."""

from alembic import context

attributes = context.config.attributes
context.configure(
    connection=attributes["connection"],
    target_metadata=attributes["metadata"],
    # SQLite takes part in transactions with its table definitions too; Alembic is careful by default.
    transactional_ddl=True,
)
context.run_migrations()
