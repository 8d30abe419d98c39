"""What the commands ask of the running system: its warehouse, its Airflow, its pipelines."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from include.errors import CicloError, ConfigError, SourceUnavailable

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from include.local.airflow_api import AirflowApi
    from include.spec.model import Pipeline
    from include.windows import Window

POLL_SECONDS = 1.0
RUN_SECONDS = 1800


def known_pipelines(name: str | None) -> dict[str, Pipeline]:
    """Return the pipeline of that name, or all.

    Raises
    ------
    ConfigError
        There is none of that name, or a file that is asked for cannot be loaded: a line a fault.
    """
    from include.spec.load import load_each

    known, broken = load_each()
    if name is None and not broken:
        return known
    if lines := [text for of, text in broken.items() if name in (None, of)]:
        raise ConfigError("\n".join(lines))
    if name not in known:
        raise ConfigError(f"there is no pipeline {name}; there are {', '.join(known)}")
    return {name: known[name]}


def faults(name: str | None) -> list[str]:
    """Return what is wrong in the files people write, a line a fault: of one pipeline and what all need, or of all.

    Raises
    ------
    ConfigError
        There is no pipeline of that name.
    """
    from include.local import airflow_settings
    from include.local.runtime import faults_here

    every = faults_here()
    if name is not None and name not in every:
        known_pipelines(name)
    return [
        line for of, lines in every.items() if name in (None, of) or of == airflow_settings.FILE.name for line in lines
    ]


def load_again(api: AirflowApi, pipeline: str, window: Window, conf: dict, why: str) -> str:
    """Run one window's ``ingest_<pipeline>`` to its end; return why it failed, or nothing."""
    run_id = f"{why}__{str(window).replace('..', '__')}__{time.time_ns()}"
    return run_to_end(api, f"ingest_{pipeline}", run_id, conf)


def run_to_end(api: AirflowApi, dag_id: str, run_id: str, conf: dict) -> str:
    """Run a DAG to its end; return why it failed, or nothing."""
    from include.local.airflow_api import DONE
    from include.local.processes import wait_for

    api.trigger(dag_id, run_id, conf)
    if not wait_for(lambda: api.run_state(dag_id, run_id) in DONE, RUN_SECONDS, POLL_SECONDS):
        raise SourceUnavailable(f"{dag_id} {run_id} has not ended in {RUN_SECONDS} s: see {api.url}/dags/{dag_id}")
    return "" if api.run_state(dag_id, run_id) == "success" else api.why_failed(dag_id, run_id)


def rehearse() -> str:
    """Run the DAG ``drill`` to its end and return the ML Test Score in a line.

    Raises
    ------
    CicloError
        If a rehearsal fails.
    """
    from include.local.airflow_api import AirflowApi
    from include.scorecard.marking import mark_all, summary
    from include.spec.load import load_runnable

    if trouble := run_to_end(AirflowApi.of_runtime(), "drill", f"ciclo__{time.time_ns()}", {}):
        raise CicloError(trouble)
    with warehouse().connect() as connection:
        score = summary(mark_all(connection, load_runnable()))["minimum"]
    return (
        f"The undo, the reproduction and the features were rehearsed. ML Test Score: {score:g} of 7 (ciclo scorecard)"
    )


def warehouse() -> Engine:
    """Return the warehouse of this runtime; it is an error if it does not answer."""
    from include.local import environment, preflight
    from include.warehouse.engine import connect_engine

    preflight.check_postgres("or start everything with make run or ciclo up")
    return connect_engine(environment.database_url("warehouse"))
