"""What pytest must not collect: Alembic runs this file with a connection in hand, it cannot be imported by itself."""

collect_ignore = ["include/warehouse/migrations/env.py"]
