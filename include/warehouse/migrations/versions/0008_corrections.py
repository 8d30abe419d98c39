"""Corrections beside revisions."""

from pathlib import Path

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    sql = Path(__file__).parents[2] / "sql" / "0008_corrections.sql"
    op.get_bind().exec_driver_sql(sql.read_text(encoding="utf-8").replace("%", "%%"))


def downgrade() -> None:
    op.execute("drop index ops.lineage_by_window")
    for table in ("lineage", "run"):
        op.execute(f"alter table ops.{table} drop column corrected_count, drop column withdrawn_count")
    op.execute("alter table ops.lineage drop column window_start_at, drop column window_end_at,"
               " drop column contract_sha256, drop column before_count, drop column after_count")  # fmt: skip
