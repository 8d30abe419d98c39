"""The tasks of ``drill``: rehearse what has to work on the day it is needed, and keep what was seen in ``ml.drill``."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from include.errors import CicloError, ContractBroken, NothingToDo
from include.steps.run import Run
from include.windows import Window

if TYPE_CHECKING:
    from include.registry.mlflow_registry import Version

ROWS = 200  # newest rows whose features are built again
FAILED = ("different", "unloadable")
log = logging.getLogger(__name__)
Outcome = tuple[str, str]  # a status of ml.drill, and what was seen


def roll_back(run: Run) -> dict[str, Any]:
    """Load the version that an undo would bring back, the only one where there is no other, and compare its answers."""
    from include.registry.mlflow_registry import CHAMPION, PREVIOUS, by_alias, load
    from include.steps.rollback import compare_answers

    name = run.pipeline.pipeline
    version = by_alias(name, PREVIOUS) or by_alias(name, CHAMPION)
    return _drill(run, "rollback", version, lambda one: compare_answers(one, load(one)))


def reproduce(run: Run) -> dict[str, Any]:
    """Train the champion again from its snapshot, spec and seed, and compare what both predict."""
    from include.registry.mlflow_registry import CHAMPION, by_alias
    from include.steps.reproduce import reproduce

    def again(version: Version) -> Outcome:
        outcome = reproduce(run.engine, run.lake, version)
        return "identical" if outcome.is_equal else "different", str(outcome)

    return _drill(run, "reproduce", by_alias(run.pipeline.pipeline, CHAMPION), again)


def build_again(run: Run) -> dict[str, Any]:
    """Build the champion's features of the newest rows again, and compare them with those that it is asked with."""
    from include.registry.mlflow_registry import CHAMPION, by_alias

    return _drill(run, "features", by_alias(run.pipeline.pipeline, CHAMPION), lambda _: _features(run))


def _features(run: Run) -> Outcome:
    import numpy as np
    from psycopg2 import sql

    from include.features.build import build
    from include.features.context import read_context
    from include.features.read import feature_rows
    from include.warehouse.engine import transaction

    spec, names = run.pipeline, run.pipeline.feature_names()
    newest = "select min(valid_at), max(valid_at) from (select valid_at from feature.{} order by 1 desc limit %s) n"
    with transaction(run.engine) as connection, connection.cursor() as cursor:
        cursor.execute(sql.SQL(newest).format(sql.Identifier(spec.pipeline)), (ROWS,))
        [(first, last)] = cursor.fetchall()
        if first is None:
            return "unknown", "there are no rows with features yet"
        window = Window(first, last + timedelta(microseconds=1))
        start = time.perf_counter()
        built = build(spec, read_context(cursor, spec, window), window).sort_values(["entity", "valid_at"])
        milliseconds = 1000 * (time.perf_counter() - start)
    kept = feature_rows(run.engine, spec, window, run.run_after)
    both = kept[["entity", "valid_at", *names]].merge(built, on=["entity", "valid_at"], suffixes=("", " again"))
    ours, theirs = both[names].to_numpy("float64"), both[[f"{name} again" for name in names]].to_numpy("float64")
    is_same = np.isclose(ours, theirs, rtol=1e-12, atol=0, equal_nan=True)
    odd = [name for name, column in zip(names, is_same.T, strict=True) if not column.all()]
    if odd or len(both) != len(kept):
        return "different", f"of {len(kept)} rows {len(both)} were built again; these features differ: {', '.join(odd)}"
    took = f"{len(both)} rows of {len(names)} features in {milliseconds:.0f} ms"
    return "identical", f"built again as they are kept, {took}"


def _drill(run: Run, kind: str, version: Version | None, rehearse: Callable[[Version], Outcome]) -> dict[str, Any]:
    """Rehearse, and record what was seen.

    Raises
    ------
    NothingToDo
        If the pipeline has no version yet.
    ContractBroken
        If it would not work; that is recorded, too.
    """
    name = run.pipeline.pipeline
    if version is None:
        raise NothingToDo(f"{name}: there is no version yet")
    start = time.monotonic()
    try:
        status, reason = rehearse(version)
    except CicloError as error:
        status, reason = "unloadable", str(error)
    seconds = time.monotonic() - start
    with run.engine.begin() as connection:
        connection.exec_driver_sql(
            "insert into ml.drill (pipeline, kind, model_version, status, seconds, reason, run_id)"
            " values (%s, %s, %s, %s, %s, %s, %s)",
            (name, kind, version.number, status, seconds, reason, run.ref.run_id),
        )
    log.info("%s, %s: %s, %.2f s", name, kind, reason, seconds)
    if status in FAILED:
        raise ContractBroken(f"{name}, {kind} of version {version.number}: {reason}: docs/runbooks/drill.md")
    return {"version": version.number, "status": status, "seconds": seconds, "reason": reason}
