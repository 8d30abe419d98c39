"""Measured quality: profiles, scores, the way out of quarantine, suspect data."""

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    sql = Path(__file__).parents[2] / "sql" / "0003_quality.sql"
    op.get_bind().exec_driver_sql(sql.read_text(encoding="utf-8").replace("%", "%%"))


def downgrade() -> None:
    op.execute("drop view mart.quality_scorecard")
    op.execute("drop function ops.flag(text, timestamptz, timestamptz, text, text)")
    op.execute("drop function ops.flag(text, timestamptz, text, text)")
    op.execute("drop function ops.unflag(bigint, text)")
    op.execute("drop table ops.suspect, ops.quality_score, ops.column_profile")
    op.execute("delete from ops.quarantine where row_number is null")
    op.execute("drop index ops.quarantine_of_an_empty_batch")
    op.execute("alter table ops.quarantine drop column valid_at, drop column row_count, drop column fetched_at,"
               " drop column pending, drop column status,"
               " drop column status_at, drop column status_by, drop column status_reason, drop column loaded_at,"
               " alter column payload_id set not null, alter column row_number set not null,"
               " alter column raw_row set not null")  # fmt: skip
    op.execute("alter table ops.quality_result drop column stage, drop column dimension, drop column note")
