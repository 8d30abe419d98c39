"""The schemas raw, core, feature, ml, ops and mart, and their fixed tables."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    sql = Path(__file__).parents[2] / "sql" / "0001_base.sql"
    op.get_bind().exec_driver_sql(sql.read_text(encoding="utf-8").replace("%", "%%"))


def downgrade() -> None:
    for schema in ("mart", "feature", "ml", "ops", "core", "raw"):
        op.execute(f"drop schema {schema} cascade")
