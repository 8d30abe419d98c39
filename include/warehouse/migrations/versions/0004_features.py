"""Tables of features, and what of them is due."""

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    sql = Path(__file__).parents[2] / "sql" / "0004_features.sql"
    op.get_bind().exec_driver_sql(sql.read_text(encoding="utf-8").replace("%", "%%"))


def downgrade() -> None:
    op.execute("drop view feature.target")
    op.execute("drop table feature.row, feature.set cascade")
