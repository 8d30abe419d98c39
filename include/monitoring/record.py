"""Store what the monitor measured. A run that measures a window again replaces its own figures, nobody else's."""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

    from include.monitoring.measure import Drift, Profile
    from include.training.evaluate import Metrics
    from include.warehouse.batch import RunRef
    from include.windows import Window


def record_profiles(connection: Connection, pipeline: str, scope: str, scope_id: str, profiles: list[Profile]) -> None:
    """Store the profiles of a window or a snapshot."""
    connection.exec_driver_sql(
        "delete from ml.profile where pipeline = %s and scope = %s and scope_id = %s", (pipeline, scope, scope_id)
    )
    connection.exec_driver_sql(
        "insert into ml.profile (pipeline, scope, scope_id, feature, row_count, null_count, mean, standard_deviation,"
        " minimum, maximum) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [(pipeline, scope, scope_id, *astuple(item)) for item in profiles],
    )


def snapshot_means(engine: Engine, pipeline: str, snapshot_id: str) -> dict[str, float | None]:
    """Return each feature's mean in a training snapshot."""
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "select feature, mean from ml.profile where pipeline = %s and scope = 'snapshot' and scope_id = %s",
            (pipeline, snapshot_id),
        )
        return {row.feature: row.mean for row in rows}


def record_drift(
    connection: Connection, pipeline: str, window: Window, version: int, drift: list[Drift], run: RunRef
) -> None:
    """Store the shift of each watched feature; figures of other runs stay."""
    place = (pipeline, window.start, window.end, version, run.run_id)
    connection.exec_driver_sql(
        "delete from ml.drift where (pipeline, window_start_at, window_end_at, model_version, run_id)"
        " = (%s, %s, %s, %s, %s)",
        place,
    )
    if drift:
        connection.exec_driver_sql(
            "insert into ml.drift (pipeline, window_start_at, window_end_at, model_version, run_id, feature, row_count,"
            " reference_mean, mean, shift_pct, threshold_pct, is_breached)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [(*place, *astuple(item)) for item in drift],
        )


def record_performance(
    connection: Connection, pipeline: str, window: Window, version: int, error: Metrics, run: RunRef
) -> None:
    """Store a version's error on a window; figures of other runs stay."""
    connection.exec_driver_sql(
        "insert into ml.performance (pipeline, window_start_at, window_end_at, model_version, row_count, r2, rmse, mae,"
        " coverage, run_id) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " on conflict (pipeline, window_start_at, window_end_at, model_version, run_id) do update set row_count ="
        " excluded.row_count, r2 = excluded.r2, rmse = excluded.rmse, mae = excluded.mae, coverage = excluded.coverage,"
        " measured_at = now()",
        (
            pipeline,
            window.start,
            window.end,
            version,
            error.rows,
            error.r2,
            error.rmse,
            error.mae,
            error.coverage,
            run.run_id,
        ),
    )
