"""What the database says about itself: schemas, tables, views, columns and functions, with their comments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

OWN = "n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'public')"  # public has Alembic's mark alone
SCHEMAS = (
    f"select n.nspname, obj_description(n.oid, 'pg_namespace') from pg_namespace n where {OWN} order by array_position("
    "array['raw', 'core', 'feature', 'ml', 'ops', 'mart'], n.nspname::text), n.nspname"
)
RELATIONS = f"""
    select n.nspname, c.relname, c.relkind in ('v', 'm'), obj_description(c.oid, 'pg_class')
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where {OWN} and c.relkind in ('r', 'p', 'v', 'm', 'f') order by c.relname
"""
COLUMNS = f"""
    select n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
           col_description(c.oid, a.attnum),
           coalesce((select 'key' from pg_constraint k
                     where k.conrelid = c.oid and k.contype = 'p' and a.attnum = any(k.conkey)), ''),
           coalesce((select string_agg(distinct k.confrelid::regclass::text, ', ') from pg_constraint k
                     where k.conrelid = c.oid and k.contype = 'f' and a.attnum = any(k.conkey)), ''),
           exists (select from pg_index i where i.indrelid = c.oid and i.indisunique and not i.indisprimary
                   and i.indnkeyatts = 1 and i.indkey[0] = a.attnum)
    from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
    where {OWN} and c.relkind in ('r', 'p', 'v', 'm', 'f') and a.attnum > 0 and not a.attisdropped order by a.attnum
"""
FUNCTIONS = f"""
    select n.nspname, p.proname, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid),
           obj_description(p.oid, 'pg_proc')
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where {OWN} and p.prorettype <> 'trigger'::regtype order by p.proname, p.oid
"""


@dataclass(frozen=True)
class DbColumn:
    """One column; `references` names the tables its foreign keys lead to, `comment` carries the unit."""

    name: str
    type: str
    is_required: bool
    comment: str | None
    is_key: bool
    references: str
    is_unique: bool


@dataclass(frozen=True)
class Table:
    """A table, or a view."""

    schema: str
    name: str
    is_view: bool
    comment: str | None
    columns: tuple[DbColumn, ...]

    @property
    def full_name(self) -> str:
        """``schema.table``."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True)
class Function:
    """A function that people may call; those of triggers are left out."""

    schema: str
    name: str
    arguments: str
    result: str
    comment: str | None


@dataclass(frozen=True)
class Schema:
    """One schema with everything in it, tables and functions by name."""

    name: str
    comment: str | None
    tables: tuple[Table, ...]
    functions: tuple[Function, ...]


def read(connection: Connection) -> list[Schema]:
    """Return every schema of ours in the order in which data goes through them."""

    def rows(query: str) -> list[tuple]:
        return [tuple(row) for row in connection.exec_driver_sql(query)]

    columns, functions = rows(COLUMNS), [Function(*row) for row in rows(FUNCTIONS)]
    tables = [
        Table(schema, name, is_view, comment, tuple(_column(row) for row in columns if row[:2] == (schema, name)))
        for schema, name, is_view, comment in rows(RELATIONS)
    ]
    return [
        Schema(
            name,
            comment,
            tuple(table for table in tables if table.schema == name),
            tuple(function for function in functions if function.schema == name),
        )
        for name, comment in rows(SCHEMAS)
    ]


def _column(row: tuple) -> DbColumn:
    _, _, name, type_, is_required, comment, key, references, is_unique = row
    return DbColumn(name, type_, is_required, comment, bool(key), references, is_unique)


def uncommented(schemas: list[Schema]) -> list[str]:
    """Return the full names of what nobody has explained. Pure."""
    found = [schema.name for schema in schemas if not schema.comment]
    for schema in schemas:
        for table in schema.tables:
            found += [] if table.comment else [table.full_name]
            found += [f"{table.full_name}.{column.name}" for column in table.columns if not column.comment]
        found += [f"{schema.name}.{each.name}({each.arguments})" for each in schema.functions if not each.comment]
    return found
