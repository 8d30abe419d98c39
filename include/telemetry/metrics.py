"""The loop's metrics in Prometheus's text format, read from the warehouse and from Airflow's metadata when asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from include.alerts.incidents import GRADES

if TYPE_CHECKING:
    from prometheus_client.core import Metric
    from sqlalchemy.engine import Connection

    from include.health.looking import Looked

LEVELS = {grade: level for level, grade in enumerate(GRADES)}  # healthy 0 … degraded 3


class Family(NamedTuple):
    """A metric, and the query that returns its labels' values and then its value."""

    name: str
    about: str
    labels: tuple[str, ...]
    query: str
    is_counter: bool = False


# Of the warehouse.
FAMILIES = (
    Family(
        "ciclo_loaded_until_seconds",
        "End of the newest window that was loaded, seconds since 1970",
        ("pipeline",),
        "select pipeline, extract(epoch from max(window_end_at)) from ops.run group by 1",
    ),
    Family(
        "ciclo_rows_total",
        "Rows of loads by what became of them",
        ("pipeline", "outcome"),
        "select pipeline, outcome, sum(count) from ops.run, lateral (values ('inserted', inserted_count),"
        " ('revised', revised_count), ('quarantined', quarantined_count)) v (outcome, count) group by 1, 2",
        is_counter=True,
    ),
    Family(
        "ciclo_windows",
        "Windows by the status they were closed with last",
        ("pipeline", "status"),
        "select pipeline, status, count(*) from mart.window_status group by 1, 2",
    ),
    Family(
        "ciclo_quality_score",
        "Score of the newest batch, 0 to 100",
        ("pipeline", "source", "dimension"),
        "select distinct on (pipeline, source, dimension) pipeline, source, dimension, score from ops.quality_score"
        " where column_name = '*' order by pipeline, source, dimension, window_end_at desc, measured_at desc",
    ),
    Family(
        "ciclo_quarantined_rows",
        "Rows and batches that wait in quarantine",
        ("pipeline",),
        "select pipeline, count(*) from ops.quarantine where is_waiting group by 1",
    ),
    Family(
        "ciclo_measure",
        "Newest figure of the monitor that is known, in its statistic's unit; slices left out",
        ("pipeline", "kind", "subject", "statistic"),
        "select distinct on (pipeline, kind, subject, statistic) pipeline, kind, subject, statistic, value"
        " from (select * from ml.drift union all select * from ml.performance) m"
        " where slice = '' and value is not null and kind <> 'serving'"
        " order by pipeline, kind, subject, statistic, window_end_at desc, measured_at desc",
    ),
    Family(
        "ciclo_measures_out_of_limits",
        "Figures of the newest window by their status: breach, or unknown where it could not be measured",
        ("pipeline", "status"),
        "select m.pipeline, m.status, count(*) from (select * from ml.drift union all select * from ml.performance) m"
        " join (select pipeline, max(window_end_at) as window_end_at from ml.look group by 1) n"
        " using (pipeline, window_end_at) where m.status <> 'ok' group by 1, 2",
    ),
    Family(
        "ciclo_decisions_total",
        "Decisions by verdict",
        ("pipeline", "verdict"),
        "select pipeline, verdict, count(*) from ml.decision group by 1, 2",
        is_counter=True,
    ),
    Family(
        "ciclo_live_version",
        "Version that is live",
        ("pipeline",),
        "select p.pipeline, version"
        " from (select distinct pipeline from ml.decision) p, ml.live_at(p.pipeline, 'infinity')",
    ),
    Family(
        "ciclo_live_since_seconds",
        "When the version that is live became so, seconds since 1970",
        ("pipeline",),
        "select p.pipeline, extract(epoch from since_at) from (select distinct pipeline from ml.decision) p,"
        " ml.live_at(p.pipeline, 'infinity')",
    ),
    Family(
        "ciclo_alerts",
        "Alerts by what became of them",
        ("pipeline", "severity", "status"),
        "select pipeline, severity, status, count(*) from ops.alert group by 1, 2, 3",
    ),
    Family(
        "ciclo_drill_ok",
        "Whether the newest rehearsal passed: rollback, reproduce, features",
        ("pipeline", "kind"),
        "select distinct on (pipeline, kind) pipeline, kind, (status = 'identical')::int from ml.drill"
        " order by pipeline, kind, drilled_at desc",
    ),
    Family(
        "ciclo_restore_ok",
        "Whether the newest rehearsal of a restore passed; without a sample there was none",
        (),
        "select (status = 'passed')::int from ops.drill order by drilled_at desc limit 1",
    ),
    Family(
        "ciclo_restore_rehearsed_seconds",
        "When a rehearsal of a restore passed last, seconds since 1970",
        (),
        "select extract(epoch from max(drilled_at)) from ops.drill where status = 'passed' having count(*) > 0",
    ),
)
# Of Airflow's metadata: what the loop costs and how often it fails.
RUNS = (
    Family(
        "ciclo_runs",
        "DAG runs that have ended and Airflow still keeps, by state",
        ("dag_id", "state"),
        "select dag_id, state, count(*) from dag_run where state in ('success', 'failed') group by 1, 2",
    ),
    Family(
        "ciclo_recent_failed_runs",
        "DAG runs that failed within the last hour",
        ("dag_id",),
        "select dag_id, count(*) filter (where state = 'failed' and end_date > now() - interval '1 hour')"
        " from dag_run group by 1",
    ),
    Family(
        "ciclo_run_seconds",
        "How long the newest run that has ended took, seconds",
        ("dag_id",),
        "select distinct on (dag_id) dag_id, extract(epoch from end_date - start_date) from dag_run"
        " where end_date is not null order by dag_id, end_date desc",
    ),
    Family(
        "ciclo_recent_task_seconds",
        "Time that the tasks took which ended within the last hour: what the loop costs, seconds",
        ("dag_id",),
        "select dag_id, coalesce(sum(duration) filter (where end_date > now() - interval '1 hour'), 0)"
        " from task_instance group by 1",
    ),
    Family(
        "ciclo_airflow_tasks",
        "Task instances that have not ended, by state",
        ("state",),
        "select state, count(*) from task_instance where state in ('scheduled', 'queued', 'running', 'up_for_retry',"
        " 'deferred') group by 1",
    ),
    Family(
        "ciclo_airflow_heartbeat_seconds",
        "Newest sign of life of Airflow's scheduler, DAG processor and triggerer, seconds since 1970",
        ("component",),
        "select job_type, extract(epoch from max(latest_heartbeat)) from job where job_type <> 'LocalTaskJob'"
        " group by 1",
    ),
)


def exposition(metrics: Iterator[Metric]) -> bytes:
    """Return metrics in Prometheus's text format."""
    from prometheus_client import CollectorRegistry, generate_latest

    class Collector:
        def collect(self) -> Iterator[Metric]:
            yield from metrics

    registry = CollectorRegistry()
    registry.register(Collector())
    return bytes(generate_latest(registry))


def of_queries(connection: Connection, families: tuple[Family, ...]) -> Iterator[Metric]:
    """Yield a metric for each query; without rows it has no samples."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    for family in families:
        kind = CounterMetricFamily if family.is_counter else GaugeMetricFamily
        metric = kind(family.name, family.about, labels=family.labels)
        for *labels, value in connection.exec_driver_sql(family.query):
            metric.add_metric([str(label) for label in labels], float(value))
        yield metric


def of_health(looked: Looked) -> Iterator[Metric]:
    """Yield how each aspect of each pipeline is, and what could not be read."""
    from prometheus_client.core import GaugeMetricFamily

    health = GaugeMetricFamily(
        "ciclo_health", "0 healthy, 1 warning, 2 unknown, 3 degraded", labels=("pipeline", "aspect", "word")
    )
    for pipeline, one in looked.health.items():
        for aspect, told in one.aspects.items():
            health.add_metric((pipeline, aspect, told["word"]), LEVELS[told["grade"]])
    yield health
    yield GaugeMetricFamily("ciclo_unreadable", "Servers that could not be asked", value=len(looked.problems))
    yield from _rows(looked.pipelines)


def _rows(states: Mapping[str, Mapping[str, Any]]) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    rows = GaugeMetricFamily("ciclo_rows", "Rows of the main table", labels=("pipeline",))
    for pipeline, state in states.items():
        rows.add_metric((pipeline,), state["rows"])
    yield rows
