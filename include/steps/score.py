"""The tasks of ``score_<pipeline>``: write the champion's predictions for a window."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from psycopg2.extras import Json, execute_values

from include.errors import NothingToDo
from include.steps.run import Run, asked_window, loaded_window

if TYPE_CHECKING:
    import pandas as pd

    from include.registry.mlflow_registry import Version

log = logging.getLogger(__name__)


def predict(run: Run) -> dict[str, Any]:
    """Predict every row of the window with the champion and write predictions and features, in one transaction.

    Idempotent: a row that this version has already scored is left as it is.

    Raises
    ------
    NothingToDo
        If there is no champion yet, or no row has the features it needs; the run is skipped.
    """
    from include.features.read import read_features
    from include.registry.mlflow_registry import CHAMPION, by_alias, load
    from include.training.snapshot import predictable
    from include.warehouse.engine import transaction

    name = run.pipeline.pipeline
    window = asked_window(run) or loaded_window(run)
    champion = by_alias(name, CHAMPION)
    if champion is None:
        raise NothingToDo(f"{name}: there is no champion yet; train_{name} makes one once there are enough rows")
    frame = read_features(run.engine, run.pipeline, window.end)
    inside = (frame["valid_at"] >= window.start) & (frame["valid_at"] < window.end)
    rows = predictable(run.pipeline, frame[inside])
    if rows.empty:
        raise NothingToDo(f"{name} {window}: no row has the features version {champion.number} needs")
    model = load(champion)
    scored = rows.assign(predicted=model.predict(rows), half_width=model.half_width_)
    with transaction(run.engine) as connection, connection.cursor() as cursor:
        written = _write(cursor, run, champion, scored)
    log.info("%s %s: version %d scored %d rows, %d of them new", name, window, champion.number, len(rows), written)
    return {**window.to_dict(), "version": champion.number, "rows": len(rows), "written": written}


def _write(cursor: Any, run: Run, champion: Version, scored: pd.DataFrame) -> int:
    """Write predictions and the features they were made from; return how many were new."""
    import pandas as pd

    name, version = run.pipeline.pipeline, champion.number
    is_simulated = champion.tags["data_origin"] == "SIMULATED"
    seen_until = pd.Timestamp(champion.tags["cut_at"])
    predictions, vectors = [], []
    for row in scored.to_dict("records"):
        place = (name, row["entity"], row["valid_at"], version)
        bounds = (row["predicted"] - row["half_width"], row["predicted"] + row["half_width"])
        is_seen = pd.notna(row["target_known_at"]) and row["target_known_at"] < seen_until
        predictions.append((*place, row["predicted"], *bounds, is_seen, is_simulated, run.ref.run_id))
        features = {f: None if pd.isna(row[f]) else row[f] for f in run.pipeline.feature_names()}
        vectors.append((*place, Json(features)))
    written = execute_values(
        cursor,
        "insert into ml.prediction (pipeline, entity, valid_at, model_version, predicted, lower_bound, upper_bound,"
        " is_seen, is_simulated, run_id) values %s on conflict do nothing returning 1",
        predictions,
        page_size=1000,
        fetch=True,
    )
    execute_values(
        cursor,
        "insert into feature.vector (pipeline, entity, valid_at, model_version, features) values %s"
        " on conflict do nothing",
        vectors,
        page_size=1000,
    )
    return len(written)
