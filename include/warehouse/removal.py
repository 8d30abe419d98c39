"""What the warehouse holds of one pipeline, and its removal. Decisions stay: they are append-only."""

from __future__ import annotations

from sqlalchemy.engine import Connection

# Every table whose rows name their pipeline and may be deleted, what refers to others before it.
SHARED = """
select c.table_schema || '.' || c.table_name from information_schema.columns c
join information_schema.tables t using (table_schema, table_name)
where c.column_name = 'pipeline' and t.table_type = 'BASE TABLE' and c.table_schema in ('raw', 'feature', 'ml', 'ops')
    and format('%%I.%%I', c.table_schema, c.table_name)::regclass not in (select inhrelid from pg_inherits)
    and not exists (select from information_schema.triggers g where g.event_manipulation = 'DELETE'
        and (g.event_object_schema, g.event_object_table) = (c.table_schema, c.table_name))
order by c.table_schema = 'raw', 1
"""
LOADED = """
select distinct l.table_name || ending from ops.lineage l, unnest(array['', '_history']) ending
where l.pipeline = %(pipeline)s and to_regclass(l.table_name || ending) is not null
union all select 'feature.' || quote_ident(table_name) from feature.set where pipeline = %(pipeline)s
order by 1
"""


def own_tables(connection: Connection, pipeline: str) -> dict[str, int]:
    """Return the tables that hold nothing but this pipeline, each with its rows."""
    names = connection.exec_driver_sql(LOADED, {"pipeline": pipeline}).scalars().all()
    return {name: int(connection.exec_driver_sql(f"select count(*) from {name}").scalar_one()) for name in names}


def shared_rows(connection: Connection, pipeline: str) -> dict[str, int]:
    """Return how many rows of the pipeline each shared table holds; those without any are left out."""
    counts = {
        name: connection.exec_driver_sql(
            f"select count(*) from only {name} where pipeline = %s", (pipeline,)
        ).scalar_one()
        for name in connection.exec_driver_sql(SHARED).scalars().all()
    }
    return {name: int(count) for name, count in counts.items() if count}


def own_payloads(connection: Connection, pipeline: str) -> list[str]:
    """Return the URIs in the lake of the payloads that no other pipeline has fetched too."""
    uris = connection.exec_driver_sql(
        "select distinct uri from raw.payload where pipeline = %s and sha256 not in"
        " (select sha256 from raw.payload where pipeline <> %s) order by 1",
        (pipeline, pipeline),
    )
    return list(uris.scalars())


def remove(connection: Connection, pipeline: str) -> None:
    """Drop the pipeline's tables and delete its rows in the others, in the caller's transaction. Idempotent."""
    connection.exec_driver_sql("select pg_advisory_xact_lock(hashtext(%s))", (f"load:{pipeline}",))
    connection.exec_driver_sql(f'drop view if exists feature."{pipeline}"')
    for name in own_tables(connection, pipeline):
        connection.exec_driver_sql(f"drop table {name} cascade")  # with the function that shows it as of a time
    for name in shared_rows(connection, pipeline):
        connection.exec_driver_sql(f"delete from {name} where pipeline = %s", (pipeline,))
