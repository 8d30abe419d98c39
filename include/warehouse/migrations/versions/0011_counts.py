"""Counts of corrected rows, no prediction of rows that are gone, decisions found by index."""

from pathlib import Path

from alembic import op

revision = "0011"
down_revision = "0010"
SQL = Path(__file__).parents[2] / "sql"


def upgrade() -> None:
    sql = SQL / "0011_counts.sql"
    op.get_bind().exec_driver_sql(sql.read_text(encoding="utf-8").replace("%", "%%"))


def downgrade() -> None:
    op.execute("drop index ml.decision_by_run, ml.decision_that_made_live")
    op.execute("drop view mart.load")
    for file, view in (("0001_base.sql", "mart.load"), ("0006_predictions.sql", "mart.latest_prediction")):
        _, _, query = (SQL / file).read_text(encoding="utf-8").partition(f"create view {view} as")
        op.execute(f"create or replace view {view} as {query.partition(';')[0]}")
