"""What ``keep_house`` deletes from the warehouse, and what it leaves there."""

from __future__ import annotations

from datetime import timedelta

from include.steps.keep_house import prune_audit
from include.warehouse.engine import connect_engine

REFUSED = """
insert into ops.service_audit (batch_id, minute_at, subject, pipeline, status, request_count)
select 'batch', now() - make_interval(days => day), 'desk', 'plant', 401, 3 from generate_series(0, 40, 10) day
"""


def test_counts_of_refused_requests_go_once_they_are_old(warehouse_url: str) -> None:
    engine = connect_engine(warehouse_url)
    with engine.begin() as connection:
        connection.exec_driver_sql(REFUSED)
    assert [prune_audit(engine, timedelta(days=days)) for days in (50, 25, 25)] == [0, 2, 0]
    with engine.connect() as connection:
        ages = connection.exec_driver_sql("select now()::date - minute_at::date from ops.service_audit").scalars()
        assert sorted(ages) == [0, 10, 20]
    engine.dispose()
