"""Loads tell what they corrected and withdrew, rows that are gone have no prediction, decisions are found by index."""

from pathlib import Path

from alembic import op

revision = "0011"
down_revision = "0010"
IS_THERE = """
left join feature.set s on s.pipeline = p.pipeline and s.is_current
left join pg_class c on c.relnamespace = 'feature'::regnamespace and c.relname = s.table_name
left join feature.row r on r.tableoid = c.oid and (r.entity, r.valid_at) = (p.entity, p.valid_at)
where (s.pipeline is null or r.valid_at is not null) and p.kind = 'batch'
"""
VIEWS = (
    ("0001_base.sql", "mart.load", "loaded_at\nfrom", "loaded_at, corrected_count, withdrawn_count\nfrom"),
    ("0006_predictions.sql", "mart.latest_prediction", "where p.kind = 'batch'\n", IS_THERE),
)
COMMENTS = """
comment on view mart.load is 'The loads in order, with their counts';
comment on view mart.latest_prediction is 'Predictions of rows that are there, by the live version, else by the last';
do $$ declare c record; begin
    for c in select attname, col_description(t.attrelid, t.attnum) as told
        from pg_attribute t join pg_attribute v using (attname)
        where (t.attrelid, v.attrelid) = ('ops.run'::regclass, 'mart.load'::regclass)
    loop execute format('comment on column mart.load.%I is %L', c.attname, c.told); end loop;
end $$
"""


def upgrade() -> None:
    for file, view, old, new in VIEWS:
        op.execute(_definition(file, view).replace(old, new))
    op.execute(COMMENTS)
    op.execute("create index decision_by_run on ml.decision (dag_id, run_id, decision_id)")
    op.execute("create index decision_that_made_live on ml.decision (pipeline, decision_id)"
               " where verdict in ('promote', 'rollback')")  # fmt: skip


def downgrade() -> None:
    op.execute("drop index ml.decision_by_run, ml.decision_that_made_live")
    op.execute("drop view mart.load")
    for file, view, *_ in VIEWS:
        op.execute(_definition(file, view))


def _definition(file: str, view: str) -> str:
    text = (Path(__file__).parents[2] / "sql" / file).read_text(encoding="utf-8")
    return f"create or replace view {view} as {text.partition(f'create view {view} as')[2].partition(';')[0]}"
