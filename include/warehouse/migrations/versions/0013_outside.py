"""Loads tell how many rows came that lie outside their window."""

from include.warehouse.migrate import run

revision = "0013"
down_revision = "0012"
LOAD = """
create or replace view mart.load as
select pipeline, window_start_at, window_end_at, received_count, inserted_count, revised_count, unchanged_count,
       quarantined_count, checks_passed_count, checks_total_count, is_simulated, loaded_at, corrected_count,
       withdrawn_count{}
from ops.run order by loaded_at
"""
RECEIVED = "inserted + revised + corrected + unchanged + quarantined"
COMMENT = "comment on column {}.{} is '{}'"
OUTSIDE = "Rows that came and lie outside the window, or have no time and belong to the first window of their payload"
TABLES = ("ops.lineage", "ops.run", "mart.load")


def _received(told: str) -> list[str]:
    return [COMMENT.format(table, "received_count", f"Rows received; {told}") for table in TABLES]


upgrade = run(
    *(f"alter table ops.{table} add column outside_count bigint not null default 0" for table in ("lineage", "run")),
    LOAD.format(", outside_count"),
    *_received(f"{RECEIVED} + outside"),
    *(COMMENT.format(table, "outside_count", OUTSIDE) for table in TABLES),
)
downgrade = run(
    "drop view mart.load",
    LOAD.format(""),
    *(f"alter table ops.{table} drop column outside_count" for table in ("lineage", "run")),
    *_received(RECEIVED),
)
