"""Excluded, not suspect."""

from pathlib import Path

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    sql = Path(__file__).parents[2] / "sql" / "0010_excluded.sql"
    op.get_bind().exec_driver_sql(sql.read_text(encoding="utf-8").replace("%", "%%"))


def downgrade() -> None:
    op.execute("alter view mart.quality_scorecard rename column excluded_count to suspect_count")
    op.execute("alter table ops.excluded rename column excluded_id to suspect_id")
    op.execute("alter table ops.excluded rename to suspect")
