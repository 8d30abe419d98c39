"""A task whose pool does not exist is never started and never fails: the scheduler makes what is missing."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from airflow.listeners import hookimpl

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

DESCRIPTION = "Made for a run, because airflow_settings.yaml declares no pool of this name: one request at a time"
log = logging.getLogger(__name__)


@hookimpl
def on_dag_run_running(dag_run: Any) -> None:
    """Make the pools that the tasks of a run need and that nobody declared; Airflow calls it in the scheduler."""
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:  # the scheduler's own is in the middle of its work
        make_missing(session, {task.pool for task in dag_run.dag.tasks})


def make_missing(session: Session, names: Iterable[str]) -> None:
    """Make pools of one slot for the names that have none; the caller commits."""
    from airflow.models.pool import Pool

    known = {pool.pool for pool in Pool.get_pools(session=session)}
    for name in sorted(set(names) - known):
        Pool.create_or_update_pool(name, 1, DESCRIPTION, include_deferred=False, session=session)
        log.warning("the pool %s was missing and is made, with one slot: declare it in airflow_settings.yaml", name)
