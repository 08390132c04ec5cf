"""Runs migrations on the connection that ``live.store.schema`` hands over."""

from alembic import context

from live.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # SQLite can, too, when the transaction is begun by hand
)
with context.begin_transaction():
    context.run_migrations()
