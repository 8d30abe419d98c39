"""Alembic's entry point: run the migrations on the connection that `upgrade` hands over."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, version_table="schema_version", transaction_per_migration=False)
with context.begin_transaction():
    context.run_migrations()
