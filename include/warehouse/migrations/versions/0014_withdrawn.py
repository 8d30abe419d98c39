"""A row that the source deleted stays in the history, with the time since when that is known."""

from include.warehouse.migrate import run

revision = "0014"
down_revision = "0013"
# Each table of a source with its history, its columns and its key; the function is made anew.
EACH = """
do $$
declare t record;
begin
    for t in
        select quote_ident(live.relname) as live, quote_ident(c.relname) as history,
            quote_ident(live.relname || '_as_of') as as_of, own.key, own.kept
        from pg_class c
        join pg_attribute a on a.attrelid = c.oid and a.attname = 'superseded_at'
        join pg_class live on live.relnamespace = c.relnamespace and live.relname = left(c.relname, -8)
        join pg_index i on i.indrelid = live.oid and i.indisprimary
        cross join lateral (
            select string_agg(quote_ident(attname), ', ' order by attnum) as kept,
                string_agg(quote_ident(attname), ', ' order by attnum) filter (where attnum = any(i.indkey)) as key
            from pg_attribute where attrelid = live.oid and attnum > 0 and not attisdropped
        ) own
        where c.relnamespace = 'core'::regnamespace and c.relkind = 'r'
    loop
        %s
    end loop;
end $$
"""
MADE_ANEW = """execute format('create or replace function core.%1$s(known_at timestamptz) returns setof core.%2$s
    language sql stable as %6$L', t.as_of, t.live, t.history, t.kept, t.key, format('"""
OF_NOW = """
    select %3$s from (
        select distinct on (%4$s) %3$s, withdrawn_at from (
            select %3$s, null::timestamptz as withdrawn_at from core.%1$s where available_at <= known_at
            union all
            select %3$s, withdrawn_at from core.%2$s where available_at <= known_at and not is_corrected
        ) versions order by %4$s, available_at desc, recorded_at desc
    ) newest where withdrawn_at is null or withdrawn_at > known_at
"""
OF_BEFORE = """
    select distinct on (%4$s) %3$s from (
        select %3$s from core.%1$s where available_at <= known_at
        union all select %3$s from core.%2$s where available_at <= known_at and not is_corrected
    ) versions order by %4$s, available_at desc, recorded_at desc
"""
NAMES = "', t.live, t.history, t.kept, t.key));"
TOLD = "Rows that are not there any more: deleted at the source, or read by mistake; they are in the history"
TOLD_BEFORE = "Rows that the same payloads do not yield any more; they are in the history"


def _comments(text: str) -> list[str]:
    tables = ("ops.lineage", "ops.run", "mart.load")
    return [f"comment on column {table}.withdrawn_count is '{text}'" for table in tables]


def _each(statements: str) -> str:
    return EACH.replace("%s", statements, 1)


ADDED = """execute format('alter table core.%s add column withdrawn_at timestamptz', t.history);
        execute format('comment on column core.%s.withdrawn_at is %L', t.history,
            'When an answer of the source first lacked the row, UTC: it was deleted there; else null');
        """
DROPPED = "execute format('alter table core.%s drop column withdrawn_at', t.history);"
upgrade = run(_each(ADDED + MADE_ANEW + OF_NOW + NAMES), *_comments(TOLD))
downgrade = run(_each(MADE_ANEW + OF_BEFORE + NAMES), _each(DROPPED), *_comments(TOLD_BEFORE))
