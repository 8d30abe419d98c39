"""Decisions are chained by their hashes; what was live when; rehearsals of the undo; what was pruned."""

from include.warehouse.migrate import run, run_file

revision = "0019"
down_revision = "0018"
LIVE = """
create or replace view mart.live_version as
select pipeline, model_version as version, window_end_at as from_at,
       lead(window_end_at) over (partition by pipeline order by decision_id) as to_at, decided_at, decision_id
from ml.decision where verdict in ('promote', 'rollback')
"""
upgrade = run_file("0019_ledger.sql")
downgrade = run(
    "comment on column ops.alert.kind is 'failure, quality, overdue, retrain, investigate or promotion'",
    "drop table ml.pruned",
    "drop table ml.drill",
    "drop index ml.shadow_of_a_row",
    "drop function ml.live_at",
    LIVE,
    "drop trigger decision_is_chained on ml.decision",
    "drop function ml.chain_decision",
    "drop index ml.decision_with_pin",
    "drop index ml.decision_of_removal",
    "drop function ml.decision_hash",
    "alter table ml.decision drop column voids, drop column position, drop column previous_hash, drop column hash",
    "drop table ml.ledger_head",
    "drop function ml.refuse_head_change",
)
