"""Features of raw rows, built by the loop's own function from the rows and what the warehouse has around them."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from include.errors import ConfigError
from include.serving.inputs import MOST_FAULTS, BadRequest, RowReader
from include.serving.lookup import Completed
from include.windows import Window, midnight

if TYPE_CHECKING:
    import pandas as pd
    from psycopg2.extensions import connection as PgConnection

    from include.serving.model import ServedModel
    from include.spec.model import Pipeline

LONGEST = timedelta(days=31)  # from the first to the last raw row


def raw_rows(reader: RowReader, records: list[dict[str, Any]]) -> pd.DataFrame:
    """Return raw rows with the time each is about and when it can be known; checked as a batch of the source would be.

    Raises
    ------
    BadRequest
        422 naming each value that is wrong.
    """
    import pandas as pd
    from pydantic import ValidationError

    from include.sources.masking import masked_row
    from include.sources.publication import available_at
    from include.spec.inputs import faults

    pipeline, wanted = reader.model.pipeline, reader.record
    source, rows, wrong = pipeline.sources[pipeline.main], [], list[str]()
    hash_key = os.environ.get("CICLO_SERVING_HASH_KEY", "")
    for number, record in enumerate(records):
        own = {key: value for key, value in record.items() if key != "valid_at"}
        wrong += [f"raw[{number}].{key}: holds a NUL" for key, value in own.items() if "\0" in str(value)]
        try:
            values = masked_row(source.columns, wanted(**own).model_dump(), hash_key)
            rows.append(values | {"valid_at": _moment(pipeline, record.get("valid_at"))})
            if all(value is None for name, value in values.items() if name not in source.key):
                wrong.append(f"raw[{number}]: no column has a value")
        except ValidationError as error:
            wrong += [f"raw[{number}].{fault}" for fault in faults(error)]
        except ConfigError as error:
            wrong.append(f"raw[{number}]: {error}")
        except (TypeError, ValueError):
            wrong.append(f"raw[{number}].valid_at: expected a time such as 2026-01-31T14:00:00Z")
    times = [row["valid_at"] for row in rows]
    keys = [(*(row[key] for key in source.key), row["valid_at"]) for row in rows]
    if not wrong and max(times) - min(times) > LONGEST:
        wrong.append(f"raw: its rows are about more than {LONGEST.days} days; ask in several requests")
    if not wrong and len(set(keys)) < len(keys):
        wrong.append(f"raw: several rows have the same {', '.join([*source.key, 'valid_at'])}")
    if wrong:
        raise BadRequest(422, "the request does not fit the source", wrong[:MOST_FAULTS])
    frame = pd.DataFrame(rows).astype({"valid_at": "datetime64[us, UTC]"})
    return frame.assign(available_at=available_at(frame["valid_at"], source.published, source.zone))


def _moment(pipeline: Pipeline, value: Any) -> datetime:
    """Return the time a raw row is about; of a source that writes dates a day is its beginning there."""
    from include.features.due import FIRST, LAST

    writes_dates = pipeline.sources[pipeline.main].writes_dates
    if value is None:
        now = datetime.now(UTC)
        return midnight(now.astimezone(pipeline.zone).date(), pipeline.zone) if writes_dates else now
    if writes_dates and len(value) == 10:
        at = midnight(date.fromisoformat(value), pipeline.zone)
    else:
        at = datetime.fromisoformat(value)
    if at.tzinfo is None or not FIRST <= at < LAST:
        raise ValueError(value)
    return at.astimezone(UTC)


def build_features(connection: PgConnection, model: ServedModel, given: pd.DataFrame) -> Completed:
    """Return the features of raw rows, built by the loop's own function from them and what the warehouse has."""
    from include.features.build import build
    from include.features.context import read_context
    from include.features.due import INSTANT
    from include.features.reach import main_rows

    pipeline = model.pipeline
    key = list(pipeline.sources[pipeline.main].key)
    window = Window(given["valid_at"].min().to_pydatetime(), given["valid_at"].max().to_pydatetime() + INSTANT)
    with connection.cursor() as cursor:
        tables = read_context(cursor, pipeline, window, given)
    built = build(pipeline, tables, window).set_index(["entity", "valid_at"])
    names = given[key].astype("str").agg("|".join, axis=1) if key else [""] * len(given)
    places = list(zip(names, given["valid_at"], strict=True))
    rows = built.loc[places]
    main, has_lags = tables[pipeline.main], main_rows(pipeline) > 0
    known = [_known_before(main, key, row) if has_lags else row["valid_at"] for _, row in given.iterrows()]
    return Completed(
        rows[list(model.features)].to_numpy("float64"),
        [entity for entity, _ in places],
        [at.to_pydatetime() for _, at in places],
        known,
        [at.to_pydatetime() for at in given["valid_at"]],
    )


def _known_before(main: pd.DataFrame, key: list[str], row: pd.Series) -> datetime | None:
    """Return when the newest row before a row of its entity could be known, UTC; None where there is none."""
    before = main[main["valid_at"] < row["valid_at"]]
    for name in key:
        before = before[before[name] == row[name]]
    return before["available_at"].max().to_pydatetime() if len(before) else None
