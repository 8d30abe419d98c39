"""``mart``: the worked queries of docs/warehouse.md on a full warehouse, asked as an analyst asks.

Rows are SIMULATED: one a minute of the pipeline air_quality from July 2004 on, each with a prediction; one
prediction in ten is an answer of the service. A line a query: the slowest of three runs, and the indexes its plan uses.
``CICLO_BENCH_ROWS`` takes fewer rows.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
from psycopg2 import sql

from benchmarks.rows import warehouse
from include.features.sets import ensure_set, show
from include.spec.load import ROOT, load_all
from include.warehouse.tables import ensure_table

ROWS = int(os.environ.get("CICLO_BENCH_ROWS", "5000000"))
DOC = ROOT / "docs" / "warehouse.md"
STEP = "interval '1 minute'"
# %(rows)s rows, ten versions one after the other, a decision a window of 500 rows.
FILL = f"""
create temporary table minute as select n, timestamptz '2004-07-01 00:00Z' + n * {STEP} as at from
    generate_series(0, %(rows)s - 1) n;
insert into core.air_quality (valid_at, available_at, payload_id, co_mg_m3)
select at, at + interval '1 hour', 1, 1 + random() from minute;
insert into core.air_quality_history (valid_at, available_at, recorded_at, payload_id, co_mg_m3)
select at, at + interval '30 minutes', at, 1, 1 + random() from minute where n %% 100 = 0;
insert into feature.{{table}} (pipeline, entity, valid_at, available_at, target, target_at, target_known_at,
    target_since_at)
select 'air_quality', '', at, at, 1 + random(), at, at + interval '1 hour', at + interval '1 hour' from minute;
insert into ml.decision (pipeline, window_start_at, window_end_at, verdict, reasons, evidence, model_version,
    dag_id, run_id)
select 'air_quality', at - 500 * {STEP}, at, case when n %% (%(rows)s / 10) = 0 then 'promote' else 'hold' end,
    array['SIMULATED'], '{{{{}}}}', n * 10 / %(rows)s + 1, 'monitor_air_quality', n::text
from minute where n %% 500 = 0 order by n;
insert into ml.prediction (pipeline, entity, valid_at, target_at, model_version, kind, predicted, lower_bound,
    upper_bound, is_honest, is_simulated, run_id, predicted_at)
select 'air_quality', '', at, at, n * 10 / %(rows)s + 1, 'batch', 1 + random(), 1, 2, true, true, 'bench',
    now() - (%(rows)s - n) * {STEP}
from minute where n %% 10 > 0;
insert into ml.prediction (pipeline, entity, valid_at, target_at, model_version, kind, predicted, lower_bound,
    upper_bound, is_honest, is_simulated, run_id, predicted_at, request_id, row_number, inputs, warnings, latency_ms,
    asked_by)
select 'air_quality', '', at, at, n * 10 / %(rows)s + 1, 'served', 1 + random(), 1, 2, true, true, '',
    now() - (%(rows)s - n) * {STEP}, 'request ' || n, 0, '{{{{}}}}', '{{{{}}}}', random(), 'desk'
from minute where n %% 10 = 0;
insert into ml.feedback (request_id, row_number, version, pipeline, actual, outcome, given_by)
select 'request ' || n, 0, 1, 'air_quality', 1.5, '{{{{"sold": true}}}}', 'desk' from minute where n %% 100 = 0;
insert into ops.quality_score (pipeline, source, window_start_at, window_end_at, batch_sha256, dimension, column_name,
    score, threshold, measured_count, basis, is_loaded, is_simulated, run_id)
select 'air_quality', 'station', at, at + interval '1 day', at::text, dimension, column_name,
    90 + 10 * random(), 90, 24, 'SIMULATED', true, true, 'bench'
from minute, unnest(array['completeness', 'validity', 'timeliness', 'uniqueness', 'precision', 'currency']) dimension,
    unnest(array['*', 'co_mg_m3', 'co_sensor', 'nox_ppb', 'nox_sensor']) column_name where n %% 1440 = 0;
insert into ops.window_status (pipeline, window_start_at, window_end_at, status, reason, dag_id, run_id)
select 'air_quality', at, at + interval '1 day', case when n %% 14400 = 0 then 'blocked' else 'loaded' end, 'SIMULATED',
    'ingest_air_quality', n::text
from minute where n %% 1440 = 0;
insert into ops.task_run (pipeline, dag_id, run_id, task_id, map_index, try_number, started_at, seconds, cpu_seconds,
    is_failed)
select 'air_quality', 'ingest_air_quality', n::text, 'load', -1, 1, now() - n * {STEP}, random(), random(),
    n %% 1000 = 0
from minute where n %% 10 = 0;
analyze;
"""


def measure() -> Iterator[dict[str, Any]]:
    """Yield how long each worked query takes."""
    with warehouse() as (_, superuser_url, warehouse_url), closing(psycopg2.connect(warehouse_url)) as link:
        with link, link.cursor() as cursor:
            fill(cursor, ROWS)
        database = superuser_url.rpartition("/")[0] + "/warehouse"
        with closing(psycopg2.connect(database)) as asking, asking.cursor() as cursor:
            cursor.execute("set role analyst")
            for title, query in worked_queries().items():
                seconds = round(max(_seconds(cursor, query) for _ in range(3)), 4)
                plan = {"indexes": _indexes(cursor, query)}
                yield {"name": f"mart: {title}", "ours": seconds, "peer": None, "unit": "s", "rows": ROWS} | plan


def fill(cursor: Any, rows: int) -> None:
    """Fill every table that the worked queries ask, as the role that owns them."""
    spec = load_all()["air_quality"]
    ensure_table(cursor, spec, spec.main)
    ensure_set(cursor, spec)
    cursor.execute("select set_id, table_name from feature.set where pipeline = 'air_quality'")
    [(set_id, table)] = cursor.fetchall()
    cursor.execute(sql.SQL(FILL).format(table=sql.Identifier(table)), {"rows": rows})
    cursor.execute("update feature.set set due = '{}' where pipeline = 'air_quality'")
    show(cursor, spec, set_id)


def worked_queries() -> dict[str, str]:
    """Return the queries of the page by what stands in bold before them; the second under a title has a number."""
    queries: dict[str, str] = {}
    for part in re.split(r"^\*\*", DOC.read_text(encoding="utf-8").partition("## Worked queries")[2], flags=re.M)[1:]:
        title = part.partition("**")[0]
        for number, query in enumerate(re.findall(r"^```sql\n(.*?)^```", part, re.S | re.M), 1):
            queries[f"{title} {number}" if number > 1 else title] = query
    return queries


def _seconds(cursor: Any, query: str) -> float:
    started = time.perf_counter()
    cursor.execute(query)
    cursor.fetchall()
    return time.perf_counter() - started


def _indexes(cursor: Any, query: str) -> list[str]:
    """Return the names of the indexes that the plan of a query reads."""
    cursor.execute(f"explain (format json) {query}")
    [(plan,)] = cursor.fetchall()
    return sorted(set(re.findall(r'"Index Name": "([^"]+)"', json.dumps(plan))))
