"""One vocabulary for the quarantine."""

from pathlib import Path

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    sql = Path(__file__).parents[2] / "sql" / "0009_quarantine.sql"
    op.get_bind().exec_driver_sql(sql.read_text(encoding="utf-8").replace("%", "%%"))


def downgrade() -> None:
    op.execute("drop index ops.quarantine_waiting")
    op.execute("alter table ops.quarantine drop column is_waiting, drop constraint quarantine_status_check")
    op.execute("update ops.quarantine set status = 'accepted' where status = 'overridden'")
    op.execute("alter table ops.quarantine add check (status in ('open', 'accepted', 'released', 'superseded'))")
    op.execute("create index quarantine_waiting on ops.quarantine (pipeline, source)"
               " where loaded_at is null and status in ('open', 'accepted')")  # fmt: skip
