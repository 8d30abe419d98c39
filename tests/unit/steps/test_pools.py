"""A pool that nobody declared is made before a run waits for it."""

import runpy
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.listeners.listener import ListenerManager
from airflow.listeners.spec import dagrun
from airflow.models.pool import Pool
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from include.steps.pools import DESCRIPTION, make_missing


@pytest.fixture
def session() -> Iterator[Session]:
    """Airflow's table of pools, alone."""
    engine = create_engine("sqlite://")
    Pool.__table__.create(engine)
    with Session(engine) as session:
        Pool.create_or_update_pool("banxico_api", 2, "declared", include_deferred=False, session=session)
        session.commit()
        yield session
    engine.dispose()


def pools(session: Session) -> dict[str | None, tuple[int, str | None]]:
    return {pool.pool: (pool.slots, pool.description) for pool in Pool.get_pools(session=session)}


@pytest.mark.parametrize(
    ("names", "made"),
    [(["banxico_api"], []), (["new_api"], ["new_api"]), (["b_api", "a_api", "b_api"], ["a_api", "b_api"])],
)
def test_what_is_missing_is_made_and_what_is_declared_stays(
    session: Session, names: list[str], made: list[str]
) -> None:
    make_missing(session, names)
    assert pools(session) == {"banxico_api": (2, "declared")} | dict.fromkeys(made, (1, DESCRIPTION))


def test_airflow_has_them_made_when_a_run_begins(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = runpy.run_path(str(Path(__file__).resolve().parents[3] / "plugins" / "scheduling.py"))["Scheduling"]
    listening = ListenerManager()
    listening.add_hookspecs(dagrun)
    for listener in plugin.listeners:
        listening.add_listener(listener)
    monkeypatch.setattr("airflow.settings.NonScopedSession", lambda: Session(session.get_bind()))
    tasks = [SimpleNamespace(pool="new_api"), SimpleNamespace(pool="banxico_api")]
    listening.hook.on_dag_run_running(dag_run=SimpleNamespace(dag=SimpleNamespace(tasks=tasks)), msg="started")
    assert list(pools(session)) == ["banxico_api", "new_api"]
