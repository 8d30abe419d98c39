"""What the database says about itself: schemas, tables, views, columns and functions, with their comments."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

# Schemas in the order in which data goes through them; of public, which has Alembic's mark alone, nothing is told.
QUERY = """
    select n.nspname as name, obj_description(n.oid, 'pg_namespace') as comment, array(
        select to_jsonb(t) from (
            select c.relname as name, n.nspname || '.' || c.relname as full_name, c.relkind in ('v', 'm') as is_view,
                   obj_description(c.oid, 'pg_class') as comment, array(
                select distinct s.relnamespace::regnamespace || '.' || s.relname
                from pg_rewrite r join pg_depend d on d.objid = r.oid and d.refclassid = 'pg_class'::regclass
                join pg_class s on s.oid = d.refobjid and s.oid <> c.oid where r.ev_class = c.oid) as reads, array(
                select to_jsonb(col) from (
                    select a.attname as name, format_type(a.atttypid, a.atttypmod) as type,
                           a.attnotnull as is_required, col_description(c.oid, a.attnum) as comment,
                           exists (select from pg_constraint k where k.conrelid = c.oid and k.contype = 'p'
                                   and a.attnum = any(k.conkey)) as is_key,
                           (select string_agg(distinct k.confrelid::regclass::text, ', ') from pg_constraint k
                            where k.conrelid = c.oid and k.contype = 'f' and a.attnum = any(k.conkey)) as leads_to,
                           exists (select from pg_index i where i.indrelid = c.oid and i.indisunique
                                   and not i.indisprimary and i.indnkeyatts = 1 and i.indkey[0] = a.attnum) as is_unique
                    from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                    order by a.attnum) col) as columns
            from pg_class c where c.relnamespace = n.oid and c.relkind in ('r', 'p', 'v', 'm', 'f')
            order by c.relname) t) as tables, array(
        select to_jsonb(f) from (
            select p.proname as name, pg_get_function_arguments(p.oid) as arguments,
                   pg_get_function_result(p.oid) as result, obj_description(p.oid, 'pg_proc') as comment
            from pg_proc p where p.pronamespace = n.oid and p.prorettype <> 'trigger'::regtype
            order by p.proname, p.oid) f) as functions
    from pg_namespace n where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'public')
    order by array_position(array['raw', 'core', 'feature', 'ml', 'ops', 'mart'], n.nspname::text), n.nspname
"""


def read(connection: Connection) -> list[Any]:
    """Return every schema of ours in the order in which data goes through them.

    Returns
    -------
    list
        Schemas: `name`, `comment`, `tables` and `functions`, both by name. A function has `name`, `arguments`,
        `result`, `comment`; those of triggers are left out. A table or view has `name`, `full_name`, `is_view`,
        `comment`, `columns`, `reads` (the tables and views that a view is made from), and as `current` the table
        whose history it is, or None. A column has `name`, `type`,
        `is_required`, `comment`, which carries the unit, `is_key`, `leads_to` (the tables of its foreign keys)
        and `is_unique`.
    """
    text = connection.exec_driver_sql(f"select coalesce(jsonb_agg(s), '[]')::text from ({QUERY}) s").scalar_one()
    schemas: list[Any] = json.loads(text, object_hook=lambda fields: SimpleNamespace(**fields))
    for schema in schemas:
        tables = {table.name: table for table in schema.tables}
        for table in schema.tables:
            current = tables.get(table.name.removesuffix("_history"))
            table.current = None if current is table else current
    return schemas


def uncommented(schemas: list[Any]) -> list[str]:
    """Return the full names of what nobody has explained. Pure."""
    names = [schema.name for schema in schemas if not schema.comment]
    for schema in schemas:
        for table in schema.tables:
            names += [] if table.comment else [table.full_name]
            names += [f"{table.full_name}.{column.name}" for column in table.columns if not column.comment]
        names += [f"{schema.name}.{each.name}({each.arguments})" for each in schema.functions if not each.comment]
    return names
