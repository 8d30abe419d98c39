"""What a task costs: how long each try worked, kept in ``ops.task_run``."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from typing import TYPE_CHECKING, Any

from include.errors import NothingToDo

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

log = logging.getLogger(__name__)
# The callback of a failed task comes after it, under the same name: the task's own time is what counts.
RECORD = """
insert into ops.task_run (pipeline, dag_id, run_id, task_id, map_index, try_number, started_at, seconds, cpu_seconds,
    is_failed)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing
"""


@contextmanager
def timed(engine: Engine, pipeline: str, context: Mapping[str, Any]) -> Iterator[None]:
    """Record how long the block works, however it ends; where the warehouse does not answer, the log says so."""
    from sqlalchemy.exc import DBAPIError

    started_at, started, cpu = datetime.now(UTC), time.monotonic(), _cpu_seconds()
    is_failed = True
    try:
        yield
        is_failed = False
    except NothingToDo:
        is_failed = False
        raise
    finally:
        ti = context["ti"]
        place = (pipeline, ti.dag_id, ti.run_id, ti.task_id, ti.map_index, ti.try_number)
        took = (started_at, time.monotonic() - started, _cpu_seconds() - cpu, is_failed)
        try:
            with engine.begin() as connection:
                connection.exec_driver_sql(RECORD, (*place, *took))
        except DBAPIError as error:
            log.warning("what this task cost is not kept in ops.task_run: %s", error.orig)


def _cpu_seconds() -> float:
    """Return the processor time of this process and its children that have ended."""
    spent = [getrusage(whose) for whose in (RUSAGE_SELF, RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in spent)
