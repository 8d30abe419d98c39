"""How each pipeline stands, read from the warehouse."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from include.alerts.overdue import overdue
from include.promotion.ledger import standing_pin
from include.promotion.shadow import progress
from include.registry.aliases import champion
from include.warehouse.engine import connect_engine
from include.warehouse.loaded_windows import rows_outside, windows_to_read_again
from include.windows import Window

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from include.spec.model import Pipeline


def pipelines(url: str, specs: Mapping[str, Pipeline]) -> dict[str, dict[str, Any]]:
    """Return, for each pipeline, its rows, last window, last decision and what its loops did, by a warehouse's URL.

    Returns
    -------
    dict
        By pipeline: `rows`, `is_simulated`, `last_window` (text or None), `last_decision`, `live` (by which decision
        its version is), `pin` and `shadow` (which challenger waits there; text or None),
        `waits_for_approval` (a version, or None), `drill` (the newest rehearsal of the undo), `failed_drills` (in
        words), `failure` (the newest of a DAG that has not come to an end since; text or None), `features` (how the
        features of pipeline.yaml stand, and those without any value), `unloaded_windows` (blocked, empty, overdue),
        `low_scores` (of the newest batches, in words), `monitor` (its newest decision, and what training made of it),
        `skew` (text or None), `overdue` (in words, what should be there by now), `undelivered_alerts`,
        `silences` (in words), `outdated_windows` (loaded under an older contract), `rows_outside` (by source, rows of
        its file before the first window and after the last), `loads`, `verdicts` and `trainings`; counts are whole
        numbers.

    Raises
    ------
    sqlalchemy.exc.OperationalError
        If the warehouse does not answer.
    """
    with connect_engine(url).connect() as connection:
        return {name: _pipeline(connection, spec) for name, spec in specs.items()}


# Nothing but a person's word is missing, and nobody has given it, decided anew, or moved the champion since.
WAITS = """
select model_version, decision_id, dag_id, run_id, decided_at from ml.decision d
where pipeline = %s and verdict = 'hold' and evidence @> '{"rules": [{"rule": "a person approves", "status": "waits"}]}'
    and not exists (select from jsonb_array_elements(evidence->'rules') r
        where r->>'status' <> 'passed' and r->>'rule' not in ('a person approves', 'a window in shadow'))
    and not exists (select from ml.decision n where n.pipeline = d.pipeline and n.decision_id > d.decision_id
        and (n.dag_id = d.dag_id or n.verdict in ('promote', 'rollback')))
order by decision_id desc limit 1
"""
FAILURE = """
select message from ops.alert where pipeline = %(pipeline)s and kind = 'failure'
    and message ~ '^(ingest|score|monitor|train)_' and raised_at > coalesce((
        select max(done.at) from (
            select dag_id, loaded_at as at from ops.run where pipeline = %(pipeline)s
            union all select dag_id, decided_at from ml.decision where pipeline = %(pipeline)s
        ) done where done.dag_id = replace(split_part(message, ' ', 1), 'score_', 'monitor_')), '-infinity')
order by raised_at desc limit 1
"""
LAST = (
    "select verdict, reasons, model_version, decided_at from ml.decision where pipeline = %s"
    " order by decision_id desc limit 1"
)
# What the newest decision of the monitor was, what stopped it from judging, and what training made of it since.
MONITOR = """
select m.verdict, m.reasons, m.decided_at, m.decided_at < now() - interval '2 hours' as is_long_ago,
    coalesce(case when look.status not in ('loaded', 'quiet')
        then look.status || ': ' || look.reason end, '') as unjudged,
    (select verdict from ml.decision t where t.pipeline = m.pipeline and t.dag_id = 'train_' || m.pipeline
        and t.decision_id > m.decision_id order by decision_id desc limit 1) as training
from ml.decision m left join lateral (select status, reason from ml.look where pipeline = m.pipeline
    order by window_end_at desc limit 1) look on true
where m.pipeline = %s and m.dag_id = 'monitor_' || m.pipeline and not m.evidence ? 'shadow'
order by m.decision_id desc limit 1
"""
LOW_SCORES = """
select distinct on (source, dimension, column_name)
    format('%%s %%s is %%s, below %%s: %%s', source, dimension, round(score::numeric, 1), threshold, basis) as low,
    score < threshold as is_low
from ops.quality_score s where pipeline = %s and column_name = '*' and window_end_at =
    (select max(window_end_at) from ops.quality_score n where (n.pipeline, n.source) = (s.pipeline, s.source))
order by source, dimension, column_name, measured_at desc
"""
SKEW = """
select case when status = 'breach' then reason end from ml.performance where pipeline = %s and statistic = 'skew_share'
order by window_end_at desc, measured_at desc limit 1
"""
SILENCES = """
select coalesce(nullif(aspect, ''), 'every') || ' alert is silent until ' || to_char(until_at at time zone 'UTC',
    'YYYY-MM-DD HH24:MI') || ' UTC, by ' || made_by || ': ' || reason
from ops.silence where pipeline = %s and until_at > now() order by until_at
"""
LIVE = "select version, since_at, verdict, reasons from ml.live_at(%s, 'infinity')"
DRILL = (
    "select model_version as version, drilled_at, status, seconds, reason from ml.drill where pipeline = %s"
    " and kind = 'rollback' order by drilled_at desc limit 1"
)
FAILED_DRILLS = """
select kind || ': ' || reason from (
    select distinct on (kind) * from ml.drill where pipeline = %s order by kind, drilled_at desc
) d where status in ('different', 'unloadable') order by kind
"""
COUNTS = ("inserted", "revised", "corrected", "withdrawn", "quarantined", "checks_passed", "checks_total")


def _pipeline(connection: Connection, spec: Pipeline) -> dict[str, Any]:
    name = spec.pipeline
    sums = ", ".join(f"coalesce(sum({count}_count), 0)::bigint as {count}" for count in COUNTS)
    done = connection.exec_driver_sql(
        f"select count(*) as windows, {sums}, coalesce(bool_or(is_simulated), false) as is_simulated"
        " from ops.run where pipeline = %s",
        (name,),
    )
    loads = dict(done.mappings().one())
    counts = "select verdict, count(*) from ml.decision where pipeline = %s group by verdict"
    verdicts = {verdict: int(count) for verdict, count in connection.exec_driver_sql(counts, (name,))}
    return {
        "title": spec.title,
        "rows": _count(connection, name),
        "is_simulated": loads.pop("is_simulated"),
        "simulated_sources": _simulated(connection, name),
        "last_window": _last_window(connection, name),
        "loads": loads,
        "verdicts": verdicts,
        "trainings": verdicts.get("promote", 0) + verdicts.get("reject", 0),
        "last_decision": _first(connection, LAST, name),
        "live": _first(connection, LIVE, name),
        "pin": str(pin) if (pin := standing_pin(connection, name, datetime.now(UTC))) else None,
        "shadow": progress(connection, name, datetime.now(UTC)),
        "waits_for_approval": connection.exec_driver_sql(WAITS, (name,)).scalar(),
        "drill": _first(connection, DRILL, name),
        "failed_drills": [told for (told,) in connection.exec_driver_sql(FAILED_DRILLS, (name,))],
        "failure": _failure(connection, name),
        "features": _features(connection, spec),
        "unloaded_windows": _unloaded(connection, spec),
        "low_scores": [low for low, is_low in connection.exec_driver_sql(LOW_SCORES, (name,)) if is_low],
        "monitor": _first(connection, MONITOR, name),
        "skew": connection.exec_driver_sql(SKEW, (name,)).scalar(),
        "overdue": overdue(connection, spec, datetime.now(UTC)),
        "undelivered_alerts": _undelivered(connection, name),
        "silences": [told for (told,) in connection.exec_driver_sql(SILENCES, (name,))],
        "rows_outside": rows_outside(connection, spec),
        "outdated_windows": [str(window) for window in windows_to_read_again(connection, spec)],
    }


def with_champions(states: dict[str, dict[str, Any]], url: str, mlflow_url: str) -> dict[str, dict[str, Any]]:
    """Return the states with each pipeline's `champion`: version, candidate, metrics beside the naive model's; or None.

    Raises
    ------
    SourceUnavailable
        If MLflow does not answer.
    """
    with connect_engine(url).connect() as connection:
        return {name: {**state, "champion": _champion(connection, mlflow_url, name)} for name, state in states.items()}


def _champion(connection: Connection, mlflow_url: str, pipeline: str) -> dict[str, Any] | None:
    standing = champion(mlflow_url, pipeline)
    if standing is None:
        return None
    evidence = connection.exec_driver_sql(
        "select evidence from ml.decision where pipeline = %s and verdict = 'promote' and model_version = %s"
        " order by decision_id desc limit 1",
        (pipeline, standing.version),
    ).scalar()
    figures = evidence or {}
    return {
        "version": standing.version,
        "candidate": standing.tags.get("candidate"),
        "trained_until": standing.tags.get("trained_until"),
        "data_origin": standing.tags.get("data_origin"),
        "metrics": figures.get("candidates", {}).get(figures.get("chosen")),
        "naive": figures.get("naive"),
    }


def _count(connection: Connection, table: str) -> int:
    exists = connection.exec_driver_sql("select to_regclass(%s)", (f'core."{table}"',)).scalar()
    return int(connection.exec_driver_sql(f'select count(*) from core."{table}"').scalar_one()) if exists else 0


def _simulated(connection: Connection, pipeline: str) -> list[str]:
    rows = connection.exec_driver_sql(
        "select distinct source from raw.payload where pipeline = %s and is_simulated order by source", (pipeline,)
    )
    return [row[0] for row in rows]


def _last_window(connection: Connection, pipeline: str) -> str | None:
    row = connection.exec_driver_sql(
        "select window_start_at, window_end_at from ops.run where pipeline = %s"
        " order by window_end_at desc, loaded_at desc limit 1",
        (pipeline,),
    ).first()
    return str(Window(row[0], row[1])) if row else None


def _features(connection: Connection, spec: Pipeline) -> dict[str, Any]:
    """Return how the set of features that pipeline.yaml defines stands: missing, building, due or built."""
    from include.features.sets import set_id

    row = connection.exec_driver_sql(
        "select filled_at is not null, isempty(due), table_name from feature.set where (pipeline, set_id) = (%s, %s)",
        (spec.pipeline, set_id(spec)),
    ).first()
    if row is None:
        return {"state": "missing", "without_value": []}
    is_filled, is_built, table = row
    state = "built" if is_built else "due" if is_filled else "building"
    # Of planner's statistics, which cost nothing to read; there are none before the first analyze.
    empty = connection.exec_driver_sql(
        "select attname from pg_stats where schemaname = 'feature' and tablename = %s and null_frac = 1"
        " and attname = any(%s) order by attname",
        (table, spec.feature_names()),
    )
    return {"state": state, "without_value": [name for (name,) in empty]}


def _unloaded(connection: Connection, pipeline: Pipeline) -> list[str]:
    """Return the windows that closed otherwise than loaded, unchanged or rightly empty, each with its reason."""
    is_fine = pipeline.sources[pipeline.main].empty_window == "fine"
    rows = connection.exec_driver_sql(
        "select window_start_at, window_end_at, status, reason from mart.window_status where pipeline = %s"
        " and status = any(%s) order by window_end_at",
        (pipeline.pipeline, ["blocked", "overdue"] + ["empty"] * (not is_fine)),
    )
    return [f"{Window(start, end)} {status}: {reason}" for start, end, status, reason in rows]


def _undelivered(connection: Connection, pipeline: str) -> list[str]:
    """Return where alerts of the last seven days did not arrive, tried twice, how many and why the newest did not."""
    rows = connection.exec_driver_sql(
        "select destination, count(*), (array_agg(last_error order by tried_at desc))[1] from ops.alert"
        " where pipeline = %s and (status = 'failed' and raised_at > now() - interval '7 days'"
        " or status = 'pending' and attempts > 1) group by 1 order by 1",
        (pipeline,),
    )
    return [f"{count} to {destination}: {error}" for destination, count, error in rows]


def _first(connection: Connection, query: str, pipeline: str) -> dict[str, Any] | None:
    """Return the first row of a query on a pipeline, its times as text; None where there is none."""
    row = connection.exec_driver_sql(query, (pipeline,)).mappings().first()
    if row is None:
        return None
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in row.items()}


def _failure(connection: Connection, pipeline: str) -> str | None:
    """Return the newest failure of a DAG that has loaded, or decided, nothing since; scoring shows in the monitor."""
    message = connection.exec_driver_sql(FAILURE, {"pipeline": pipeline}).scalar()
    return None if message is None else " ".join(str(message).split())[:200]
