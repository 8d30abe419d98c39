"""Draw the snapshot a training reads: streamed from the feature table into a file that never changes again."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import datetime
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, BinaryIO

from include.errors import NothingToDo
from include.steps.run import Run, asked_window, loaded_window

if TYPE_CHECKING:
    import pandas as pd

    from include.spec.model import Pipeline

log = logging.getLogger(__name__)


def take_snapshot(run: Run) -> dict[str, Any]:
    """Keep the exact rows this training reads in the lake, and return where they are.

    They pass some thousand at a time: memory does not grow with them, the disk holds them meanwhile.

    Raises
    ------
    NothingToDo
        If there are fewer rows than the spec asks for, all are excluded, or a training has read the very
        same rows before; the run is skipped.
    """
    from include.lake.frames import read_parquet, write_parquet
    from include.training.snapshot import Content, holdout_start, refuse_empty, refuse_few, sizes

    window, name = asked_window(run) or loaded_window(run), run.pipeline.pipeline
    content = Content()
    with TemporaryFile() as spool, TemporaryFile() as file:
        write_parquet(content.of(_frames(run, window.end, spool)), file)
        refuse_few(run.pipeline, content.rows, window.end, force=bool(run.params.get("force")))
        start = holdout_start(run.pipeline, content.newest)
        parts = sizes(read_parquet(file, ["valid_at", "target_known_at"]), start)
        refuse_empty(run.pipeline, content.rows, parts, start)
        _refuse_again(run, content.sha256)
        uri = run.lake.put_snapshot(f"{name}/{content.sha256}", file)
    with run.engine.begin() as connection:
        is_simulated, origin = _is_simulated(connection, name), _origin_of_sources(connection, name)
        connection.exec_driver_sql(
            "insert into ml.snapshot (snapshot_id, pipeline, uri, row_count, cut_at, holdout_start_at, is_simulated)"
            " values (%s, %s, %s, %s, %s, %s, %s) on conflict do nothing",
            (content.sha256, name, uri, content.rows, window.end, start, is_simulated),
        )
    log.info("%s: %d rows to fit, %d held out from %s", name, *parts, start)
    return {
        **window.to_dict(),
        "snapshot_id": content.sha256,
        "uri": uri,
        "holdout_start": start.isoformat(),
        "data_origin": "SIMULATED" if is_simulated else origin,
        "rows": content.rows,
    }


def what_decides(pipeline: Pipeline) -> dict[str, Any]:
    """Return the parts of a spec by which a training comes to its verdict: with the same rows, to the same."""
    parts = {"target", "training", "promotion", "behaviour"}
    return pipeline.model_dump(mode="json", include=dict.fromkeys(parts, True) | {"monitoring": {"slices"}})


def _frames(run: Run, cut: datetime, spool: BinaryIO) -> Iterator[pd.DataFrame]:
    """Yield the rows that a training at `cut` (UTC) may read and nobody doubts, as they come."""
    from include.features.read import feature_frames, read_marks
    from include.steps.excluded import tell_left_out
    from include.training.snapshot import readable, trusted

    marks, rows, left_out = read_marks(run.engine, run.pipeline), 0, 0
    for frame in feature_frames(run.engine, run.pipeline, cut, spool):
        kept = trusted(run.pipeline, frame, marks)
        rows, left_out = rows + len(frame), left_out + len(frame) - len(kept)
        yield readable(run.pipeline, kept, cut)
    tell_left_out(run, left_out, rows, marks)
    if left_out and left_out == rows:
        raise NothingToDo(
            f"{run.pipeline.pipeline}: all {left_out} rows before {cut:%Y-%m-%d %H:%M} UTC are excluded: take marks"
            " back with select ops.unflag(excluded_id, reason), see ops.excluded, or set quality.excluded to keep in"
            f" {run.pipeline.where('quality')}"
        )


def _refuse_again(run: Run, snapshot_id: str) -> None:
    """Raise where another run has decided by the same spec on the same rows: this one would come to the same.

    A verdict that is void, or waited for something, is none to rely on.
    """
    from include.promotion.ledger import moving
    from include.steps.champion import settle

    if run.params.get("force"):
        return
    with moving(run.engine, run.pipeline.pipeline) as connection:
        settle(connection, run)
        before = connection.exec_driver_sql(
            "select run_id, verdict from ml.decision d where pipeline = %s and evidence->>'snapshot_id' = %s"
            " and evidence->'decided_by' = %s::jsonb and run_id <> %s and verdict in ('promote', 'reject')"
            " and not exists (select from ml.decision v where v.voids = d.decision_id) order by decision_id limit 1",
            (run.pipeline.pipeline, snapshot_id, json.dumps(what_decides(run.pipeline)), run.ref.run_id),
        ).first()
    if before is not None:
        raise NothingToDo(
            f"{run.pipeline.pipeline}: run {before[0]} trained on these very rows, verdict {before[1]}; with"
            ' {"force": true} they are trained again'
        )


def _is_simulated(connection: Any, pipeline: str) -> bool:
    return bool(
        connection.exec_driver_sql(
            "select coalesce(bool_or(is_simulated), false) from ops.run where pipeline = %s", (pipeline,)
        ).scalar_one()
    )


def _origin_of_sources(connection: Any, pipeline: str) -> str:
    """Say which of a pipeline's sources are SIMULATED; real where none is."""
    rows = connection.exec_driver_sql(
        "select distinct source from raw.payload where pipeline = %s and is_simulated order by source", (pipeline,)
    )
    names = [row[0] for row in rows]
    return f"real, with SIMULATED {', '.join(names)}" if names else "real"
