"""A prediction, and all that it came from: feature row, core rows, payloads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from include.page.data.reading import Row, first, rows

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from include.spec.model import Pipeline

NEWEST_ROWS = 40  # of those that features read back
BY_NUMBER = "select * from ml.prediction where prediction_id = %s"
BY_REQUEST = """
select prediction_id, kind, row_number, pipeline, model_version from ml.prediction where request_id = %s
order by row_number, prediction_id limit 100
"""
NEWEST = """
select prediction_id, kind, entity, valid_at, target_at, predicted, lower_bound, upper_bound, model_version,
    predicted_at
from ml.prediction where pipeline = %s and {} is not null order by {} desc limit 20
"""
# What came: of a request what it was told, else the target as last revised.
TRUTH = """
select coalesce(f.actual, t.target) as actual, t.target_at, f.outcome, f.given_by,
    case when f.actual is null then t.first_known_at else f.given_at end as known_at
from (select %(pipeline)s::text as pipeline, %(entity)s::text as entity, %(valid_at)s::timestamptz as valid_at) p
left join feature.target t on t.pipeline = p.pipeline and t.entity = p.entity and t.valid_at = p.valid_at
left join lateral (
    select actual, outcome, given_by, given_at from ml.feedback
    where request_id = %(request_id)s and row_number = %(row_number)s order by version desc limit 1
) f on true
"""
TABLE = """
select table_name, is_current from feature.set
where pipeline = %s order by set_id = %s desc, is_current desc limit 1
"""
PAYLOADS = """
select payload_id, source, window_start_at, window_end_at, sha256, uri, media_type, size_bytes, status_code, request,
    headers, is_simulated, fetched_at, pipeline from raw.payload where payload_id = any(%s)
"""
LIVE_BY = """
select l.decision_id, l.decided_at, d.verdict, d.reasons from mart.live_version l join ml.decision d using (decision_id)
where l.pipeline = %(pipeline)s and l.version = %(model_version)s order by l.decision_id desc limit 1
"""
LOADED_BY = """
select dag_id, run_id, loaded_at, source, table_name, received_count, quarantined_count from ops.lineage
where pipeline = %s and source = %s and payload_ids @> array[%s]::bigint[] order by loaded_at limit 20
"""


class Read(NamedTuple):
    """The rows of a table behind a prediction.

    Attributes
    ----------
    rows : list of dict
        The predicted row, its older versions, then the newest of those that features read back, as they stand now.
    read_back : int
        How many rows features read back.
    from_at : datetime or None
        Time of the oldest of them, UTC; None where there is none.
    earlier : int
        How many of them are older than those in `rows`.
    """

    rows: list[Row]
    read_back: int
    from_at: Any
    earlier: int


def prediction(connection: Connection, number: int) -> Row | None:
    """Return a prediction by its number."""
    return first(connection, BY_NUMBER, (number,))


def of_request(connection: Connection, request_id: str) -> list[Row]:
    """Return the predictions that answered a request, or were made beside its answer."""
    return rows(connection, BY_REQUEST, (request_id,))


def newest(connection: Connection, pipeline: str) -> list[Row]:
    """Return a pipeline's newest predictions: of the newest rows, and the newest answers to requests."""
    queries = [NEWEST.format(*place) for place in (("valid_at", "valid_at"), ("request_id", "predicted_at"))]
    every = [row for query in queries for row in rows(connection, query, (pipeline,))]
    return list({row["prediction_id"]: row for row in every}.values())


def truth(connection: Connection, made: Row) -> Row | None:
    """Return what came: `actual`, `known_at`, and what a client told; None where there is nothing."""
    values = {key: made[key] for key in ("pipeline", "valid_at", "request_id", "row_number")}
    row = first(connection, TRUTH, values | {"entity": made["entity"] or ""})
    return row if row and (row["actual"] is not None or row["outcome"] is not None) else None


def feature_row(connection: Connection, made: Row, set_id: str | None) -> tuple[Row | None, bool]:
    """Return the row of features that a prediction was made from, and whether its version was trained on that set.

    Parameters
    ----------
    set_id : str or None
        Of the version's features; None where nobody knows: then the set that is shown now is taken.
    """
    from psycopg2.extensions import quote_ident

    table = first(connection, TABLE, (made["pipeline"], set_id))
    if table is None or made["valid_at"] is None:
        return None, False
    name = quote_ident(table["table_name"], connection.connection.driver_connection)
    query = f"select * from feature.{name} where valid_at = %s and entity = %s"
    is_own = set_id is not None and str(table["table_name"]).endswith(f"_{set_id}")
    return first(connection, query, (made["valid_at"], made["entity"] or "")), is_own


def core_rows(connection: Connection, spec: Pipeline, made: Row, known_at: Any) -> dict[str, Read]:
    """Return, by table, the rows behind a prediction: its own with their older versions, and what features read back.

    Parameters
    ----------
    known_at : datetime
        When the predicted row could be known, UTC.
    """
    from psycopg2.extensions import quote_ident

    from include.features.reach import reaches

    link = connection.connection.driver_connection
    values = {"at": made["valid_at"], "entity": made["entity"] or "", "known": known_at, "newest": NEWEST_ROWS}
    told = {}
    for name, source in spec.sources.items():
        table, read = spec.table(name), [reach for reach in reaches(spec) if reach.source == name]
        is_loaded = connection.exec_driver_sql("select to_regclass(%s)", (f'core."{table}"',)).scalar()
        if not is_loaded or not (read or source.main):
            continue
        own, history = (quote_ident(one, link) for one in (table, f"{table}_history"))
        known, shown = "valid_at <= %(at)s and available_at <= %(known)s", []
        if source.main:
            entity = ", ".join(quote_ident(key, link) for key in source.key)
            is_own = f"and concat_ws('|', {entity}) = %(entity)s" if entity else ""
            shown = rows(connection, f"select * from core.{own} where valid_at = %(at)s {is_own}", values)
            older = f"select * from core.{history} where valid_at = %(at)s {is_own} order by recorded_at desc limit 5"
            shown += rows(connection, older, values)
            known = f"valid_at < %(at)s {is_own}"
        wanted = []
        for reach in read:
            if reach.days:
                wanted.append(f"available_at > %(known)s - interval '{reach.days} days'")
            elif count := reach.rows + (not source.main):  # a row without a value is passed over beside the main source
                has_value = "" if source.main else f"and {quote_ident(reach.column, link)} is not null"
                wanted.append(
                    f"valid_at >= (select min(valid_at) from (select distinct valid_at from core.{own}"
                    f" where {known} {has_value} order by valid_at desc limit {count}) newest)"
                )
        if wanted:
            query = (
                f"select count(*) over () as total, min(valid_at) over () as from_at, t.* from core.{own} t"
                f" where {known} and ({' or '.join(wanted)}) order by valid_at desc limit %(newest)s"
            )
            back = rows(connection, query, values)
            total, from_at = (back[0].pop("total"), back[0].pop("from_at")) if back else (0, None)
            shown += [{key: row[key] for key in row if key not in ("total", "from_at")} for row in back]
            told[f"core.{table}"] = Read(shown, total, from_at, total - len(back))
        else:
            told[f"core.{table}"] = Read(shown, 0, None, 0)
    return told


def payloads(connection: Connection, numbers: list[int]) -> dict[int, Row]:
    """Return payloads by their numbers."""
    return {row["payload_id"]: row for row in rows(connection, PAYLOADS, (numbers,))}


def loads_of(connection: Connection, payload: Row) -> list[Row]:
    """Return the loads that read a payload."""
    return rows(connection, LOADED_BY, (payload["pipeline"], payload["source"], payload["payload_id"]))


def made_live_by(connection: Connection, made: Row) -> Row | None:
    """Return the newest decision that made a prediction's version live; None where none did."""
    return first(connection, LIVE_BY, made)
