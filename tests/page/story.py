"""A pipeline that has lived: loads, decisions, a rollback, predictions, alerts, and rows that wait for a person."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from include.alerts.record import raise_alert
from include.promotion.ledger import append
from include.sources.payload import Payload, Spool
from include.warehouse.batch import RunRef
from include.warehouse.payloads import index_payload
from include.windows import Window
from tests.database.conftest import JANUARY, Warehouse

SCRIPT = "<script>document.title='stolen'</script>"  # what a source, or a person, may write
CONTENT = f"at,level,note\n2025-01-01T00:00:00,1.5,{SCRIPT}\n".encode()
HOURS = 48
RUN = RunRef("ingest_readings", "manual__2025-02-01T00:00:00+00:00")
PREDICT = """
insert into ml.prediction (pipeline, entity, valid_at, target_at, model_version, predicted, lower_bound, upper_bound,
    is_honest, is_simulated, run_id, kind)
select 'readings', '', valid_at, target_at, 1, target + 0.1, target - 1, target + 1, true, true, 's1', 'batch'
from feature.readings where target is not null returning prediction_id, valid_at
"""
SERVED = """
insert into ml.prediction (pipeline, entity, valid_at, model_version, predicted, is_honest, is_simulated, run_id, kind,
    request_id, row_number, inputs, warnings, latency_ms, asked_by)
values ('readings', null, null, 1, 2.5, true, false, '', 'served', 'req-7', %s, '{"level_m": 2.25}',
    '{"level_m is beyond what was learnt"}', 1.5, 'desk') returning prediction_id
"""
MEASURED = """
insert into ml.performance (pipeline, window_start_at, window_end_at, model_version, kind, subject, statistic,
    reference, value, threshold, status, row_count, run_id)
values ('readings', %(start)s, %(end)s, 1, 'error', 'prediction', 'mae', 0.2, %(value)s, 0.5, %(status)s, 24, 'm')
"""
MOVED = """
insert into ml.drift (pipeline, window_start_at, window_end_at, model_version, kind, subject, statistic, reference,
    value, threshold, status, row_count, run_id)
values ('readings', %(start)s, %(end)s, 1, 'joint', 'level_m', 'shift', 0, 4, 2, 'breach', 24, 'm')
"""
SCORE = """
insert into ops.quality_score (pipeline, source, window_start_at, window_end_at, batch_sha256, dimension, column_name,
    score, threshold, measured_count, basis, is_loaded, is_simulated, run_id)
values ('readings', 'meter', %(start)s, %(end)s, 'a', %(dimension)s, '*', %(score)s, 80, 24, 'counted', true, true, 'm')
"""
ASK = """
insert into ops.label_request (pipeline, entity, valid_at, why, doubt, predicted, model_version, run_id)
values ('readings', '', %s, 'surprising', 2, 1, 1, 'm1')
"""


class Story(NamedTuple):
    """What a test may ask about: numbers by what they are of."""

    payload: int
    gone: int
    prediction: int
    served: int
    promoted: int
    decisions: list[int]


def rules(**texts: str) -> list[dict[str, Any]]:
    return [{"rule": rule, "status": "passed", "text": text, "figures": {}} for rule, text in texts.items()]


def evidence(chosen: str, champion: int | None, **more: Any) -> dict[str, Any]:
    metrics = {"mae": 0.21, "r2": 0.9, "rows": 120}
    compared = "mae 12.3 % smaller than the champion's on the same 120 held-out rows" if champion else "none stood"
    return {
        "chosen": chosen,
        "candidates": {chosen: metrics, "naive": {"mae": 0.5, "r2": 0.1, "rows": 120}},
        "naive": {"mae": 0.5, "r2": 0.1, "rows": 120},
        "champion": {"version": champion, "metrics": None},
        "rules": rules(**{"better than the champion": compared, "beats naive": f"errs less {SCRIPT}"}),
        "asked_by": "the error grew",
        "report": "runs:/0123abcd/report.html",
        **more,
    }


def tell(warehouse: Warehouse) -> Story:
    """Fill a warehouse, the lake included."""
    at = datetime(2025, 2, 1, 6, tzinfo=UTC)
    stored = warehouse.lake.put(Payload(Spool.of([CONTENT]), "text/csv", {}, 200, {}, at, is_simulated=True))
    manifest = {
        **{"sha256": stored.sha256, "uri": stored.uri, "media_type": "text/csv", "byte_count": len(CONTENT)},
        **{"status": 200, "request": {"url": f"http://meters/{SCRIPT}"}, "headers": {}, "is_simulated": True},
        "fetched_at": at.isoformat(),
    }
    swept = manifest | {"sha256": "0" * 64, "uri": f"{warehouse.lake._files.uri('payloads/00/' + '0' * 62)}.zst"}
    with warehouse.engine.begin() as connection:
        payload = index_payload(connection, "readings", "meter", JANUARY, manifest)
        gone = index_payload(connection, "readings", "meter", JANUARY, swept | {"is_simulated": False})
    rows = [{"valid_at": JANUARY.start + timedelta(hours=hour), "level_m": 1.0 + hour % 7} for hour in range(HOURS)]
    held = [(HOURS, "range", "level_m", f"level_m is 900 {SCRIPT}", '{"level": "900"}')]
    warehouse.load(warehouse.batch(rows, payload_id=payload, quarantined=held, is_simulated=True), run_id=RUN.run_id)
    warehouse.build_features()
    decisions = _decide(warehouse)
    predictions = warehouse.sql(PREDICT)
    served = warehouse.one(SERVED, 0)
    warehouse.one(SERVED, 1)
    days = [Window(JANUARY.start + timedelta(days=day), JANUARY.start + timedelta(days=day + 1)) for day in range(3)]
    with warehouse.engine.begin() as connection:
        for number, day in enumerate(days):
            place = {"start": day.start, "end": day.end}
            status = "breach" if number == 2 else "ok"
            connection.exec_driver_sql(MEASURED, place | {"value": 0.1 + 0.3 * number, "status": status})
            connection.exec_driver_sql(MOVED, place)
            for dimension, score in (("completeness", 100.0), ("validity", 60.0)):
                connection.exec_driver_sql(SCORE, place | {"dimension": dimension, "score": score})
        connection.exec_driver_sql(ASK, (JANUARY.start,))
        raise_alert(connection, warehouse.spec, "failure", f"ingest_readings extract: {SCRIPT}", RUN)
    newest = max(predictions, key=lambda row: row[1])[0]
    return Story(payload, gone, newest, served, decisions[1], decisions)


def _decide(warehouse: Warehouse) -> list[int]:
    """Version 1 is promoted, 2 after an approval takes over, and the way back is taken by hand; a third waits."""
    approval = {"answer": "approved", "by": "ada", "at": "2025-02-01T09:00:00+00:00", "decision_id": 1}
    waits = evidence("linear", 1)
    waits["rules"].append({"rule": "a person approves", "status": "waits", "text": "waits for a person", "figures": {}})
    entries = [
        ("retrain", ["there is no champion yet"], {"figures": {}}, None, "monitor_readings", "m1"),
        ("promote", ["linear: errs least", "none stood"], evidence("linear", None), 1, "train_readings", "t1"),
        ("promote", ["forest: errs least", "approved"], evidence("forest", 1, approval=approval), 2, "train_readings",
         "t2"),
        ("rollback", ["it was wrong at night", "version 1 comes back for version 2, by ana", "it answers as ever"],
         {"from": 2, "to": 1, "by": "ana", "figures": None}, 1, "rollback_readings", "r1"),
        ("hold", ["linear: errs least", "waits for a person"], waits, 3, "train_readings", "t3"),
    ]  # fmt: skip
    numbers = []
    for verdict, reasons, facts, version, dag_id, run_id in entries:
        with warehouse.engine.begin() as connection:
            run = RunRef(dag_id, run_id)
            window = Window(JANUARY.start - timedelta(days=31), JANUARY.start)
            numbers.append(append(connection, "readings", window, verdict, reasons, facts, version, run))
    return numbers
