"""What each load was made of."""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    sql = Path(__file__).parents[2] / "sql" / "0002_loading.sql"
    op.get_bind().exec_driver_sql(sql.read_text(encoding="utf-8").replace("%", "%%"))


def downgrade() -> None:
    op.execute("drop table ops.lineage")
    op.execute("alter table ops.run drop column reopened")
