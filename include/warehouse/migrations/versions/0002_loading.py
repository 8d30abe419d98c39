"""The schema staging and the tables that go with it."""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    sql = Path(__file__).parents[2] / "sql" / "0002_loading.sql"
    op.get_bind().exec_driver_sql(sql.read_text(encoding="utf-8").replace("%", "%%"))


def downgrade() -> None:
    op.execute("drop schema staging cascade")
    op.execute("drop table ops.staging, ops.lineage")
