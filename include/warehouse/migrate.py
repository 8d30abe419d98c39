"""Bring the warehouse's schema up to date."""

from collections.abc import Callable
from pathlib import Path

from alembic import command, op
from alembic.config import Config

from include.warehouse.engine import connect_engine

_LOCK = 4711  # any number, the same for every migration: two of them at once wait for each other


def upgrade(url: str) -> None:
    """Apply every migration that is missing, in one transaction. Running it again changes nothing.

    Parameters
    ----------
    url : str
        ``postgresql://user:password@host:port/database``.

    Raises
    ------
    sqlalchemy.exc.OperationalError
        If the database does not answer; a retry may help.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    engine = connect_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"select pg_advisory_xact_lock({_LOCK})")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.exec_driver_sql(_text("owner.sql"))
    engine.dispose()


def run_file(name: str) -> Callable[[], None]:
    """Return a migration's way up: a file of ``include/warehouse/sql``."""

    def upgrade() -> None:
        op.get_bind().exec_driver_sql(_text(name))

    return upgrade


def run(*statements: str) -> Callable[[], None]:
    """Return a migration's way down: statements, one after the other."""

    def downgrade() -> None:
        for statement in statements:
            op.execute(statement)

    return downgrade


def _text(name: str) -> str:
    """Return a file of ``include/warehouse/sql``, as the driver takes it."""
    return (Path(__file__).parent / "sql" / name).read_text(encoding="utf-8").replace("%", "%%")
