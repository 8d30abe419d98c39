"""Excluded, not suspect."""

from alembic import op

from include.warehouse.migrate import run, run_file

revision = "0010"
down_revision = "0009"
FUNCTIONS = """
select oid::regprocedure::text, pg_get_functiondef(oid), obj_description(oid)
from pg_proc where pronamespace = 'ops'::regnamespace and proname in ('flag', 'unflag')
"""


def upgrade() -> None:
    run_file("0010_excluded.sql")()
    _name_anew({"ops.suspect": "ops.excluded", "suspect_id": "excluded_id", " as suspect": " as excluded"})


def downgrade() -> None:
    run(
        "alter view mart.quality_scorecard rename column excluded_count to suspect_count",
        "alter table ops.excluded rename column excluded_id to suspect_id",
        "alter index ops.excluded_by_time rename to suspect_by_time",
        "alter table ops.excluded rename to suspect",
    )()
    _name_anew({"ops.excluded": "ops.suspect", "excluded_id": "suspect_id", " as excluded": " as suspect"})


def _name_anew(words: dict[str, str]) -> None:
    """Make the functions again with other words; a parameter's name cannot be changed otherwise."""
    connection = op.get_bind()
    for signature, definition, about in connection.exec_driver_sql(FUNCTIONS).all():
        for old, new in words.items():
            definition, about = definition.replace(old, new), about.replace(old, new)
        connection.exec_driver_sql(f"drop function {signature}")
        connection.exec_driver_sql(definition.replace("%", "%%"))
        connection.exec_driver_sql(f"comment on function {signature} is %s", (about,))
