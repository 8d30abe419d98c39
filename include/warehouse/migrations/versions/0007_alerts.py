"""Alerts as an outbox."""

from pathlib import Path

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    sql = Path(__file__).parents[2] / "sql" / "0007_alerts.sql"
    op.get_bind().exec_driver_sql(sql.read_text(encoding="utf-8").replace("%", "%%"))


def downgrade() -> None:
    op.execute("alter table ops.alert drop column severity, drop column status, drop column attempts,"
               " drop column delivered_at, drop column last_error")  # fmt: skip
