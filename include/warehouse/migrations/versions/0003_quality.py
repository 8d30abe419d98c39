"""Measured quality: profiles, scores, the way out of quarantine, suspect data."""

from include.warehouse.migrate import run, run_file

revision = "0003"
down_revision = "0002"
upgrade = run_file("0003_quality.sql")
downgrade = run(
    "drop view mart.quality_scorecard",
    "drop function ops.flag(text, timestamptz, timestamptz, text, text)",
    "drop function ops.flag(text, timestamptz, text, text)",
    "drop function ops.unflag(bigint, text)",
    "drop table ops.suspect, ops.quality_score, ops.column_profile",
    "delete from ops.quarantine where row_number is null",
    "drop index ops.quarantine_of_an_empty_batch",
    "alter table ops.quarantine drop column valid_at, drop column row_count, drop column fetched_at,"
    " drop column pending, drop column status,"
    " drop column status_at, drop column status_by, drop column status_reason, drop column loaded_at,"
    " alter column payload_id set not null, alter column row_number set not null,"
    " alter column raw_row set not null",
    "alter table ops.quality_result drop column stage, drop column dimension, drop column note",
)
