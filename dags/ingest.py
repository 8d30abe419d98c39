"""
**Makes** a window of typed, checked rows in `core.<pipeline>` and its sister tables, from the
sources in `include/pipelines/<pipeline>/pipeline.yaml`.

**Steps**: for each source `extract` keeps the answer byte for byte in the lake and `check` runs the
contract and divides the rows; `load` merges all sources in one transaction; `build_features` builds the
features of every row the load reaches, in `feature.<pipeline>`; `close_window` gives the window its status
(loaded, unchanged, empty, blocked, overdue), also when a task failed, and wakes what follows unless nothing is new;
earlier windows that late or changed rows touch are handed on with it. `all_loaded` fails where a task before it did.

A run by the clock also finds what earlier ones have missed since `schedule.start` (`find_gaps`), and starts a run
for each such window (`fill_gap`).

**Params**: `start` and `end`, a half-open window in UTC. Without them a scheduled run takes its
data interval, and a run by hand or by an event takes everything since the last load:
`airflow dags trigger ingest_<pipeline> --conf '{"start":"2025-01-01","end":"2025-02-01"}'`

`{"from_lake":true}` asks no source: the window is loaded again from what earlier runs fetched.

**Events**, where `events` in pipeline.yaml declares them: a `NOTIFY` from the database or a message of
a queue starts it, and so does an event of the asset `source_<pipeline>` through Airflow's API, whose
`extra` may name `start` and `end`. One that comes twice or gets lost does no harm: docs/events.md.

**Backfill**: each interval of the schedule a run, also after it has ended: docs/runbooks/backfill.md. In the web UI
*Trigger*, *Backfill*: `airflow backfill create --dag-id ingest_<pipeline> --from-date 2025-01-01 --to-date 2025-06-01`

**Rerun**: clear the failed run, or trigger the same window again; rows that are there stay as they
are. A source that is down is tried again by itself; a broken contract is not, its task log says
which rule, which rows, and what to do. `Skipped` means the source had nothing for the window.

**It matters** when it fails: nothing newer is loaded, monitored or predicted until it passes.
"""

from functools import partial
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import Param, dag, get_current_context, task, task_group

from include.spec.model import Pipeline
from include.steps import wiring
from include.steps.connections import endpoint
from include.steps.run import open_run

FROM_LAKE = {"from_lake": Param(False, type="boolean", description="Take what was fetched before; ask no source.")}


def build(spec: Pipeline) -> None:
    """Register ``ingest_<pipeline>``."""
    run_of = partial(open_run, spec)

    @task
    def extract(source: str) -> dict:
        from include.steps.extract import extract

        with run_of(get_current_context()) as run:
            return extract(run, source, partial(endpoint, spec, source))

    @task
    def check(extracted: dict) -> dict:
        from include.steps.ingest import check

        with run_of(get_current_context()) as run:
            return check(run, extracted)

    @task
    def load(checked: list[dict]) -> list[dict]:
        from include.steps.ingest import load

        context = get_current_context()
        with run_of(context) as run:
            loaded, reopened = load(run, checked)
        context["ti"].xcom_push(key="loaded", value=loaded)
        return reopened

    @task(trigger_rule="none_failed")
    def build_features() -> int:
        from include.steps.ingest import build_features

        with run_of(get_current_context()) as run:
            return build_features(run)

    @task(outlets=[wiring.loaded(spec)], trigger_rule="all_done")
    def close_window(reopened: list[dict] | None) -> None:
        from include.steps.close import close_window

        context = get_current_context()
        ti, run_id = context["ti"], context["dag_run"].run_id
        states = ti.get_task_states(dag_id=context["dag"].dag_id, run_ids=[run_id])[run_id]
        loaded = ti.xcom_pull(task_ids="load", key="loaded")
        built = ti.xcom_pull(task_ids="build_features") or 0
        with run_of(context) as run:
            event = close_window(run, states, loaded, built)
        wiring.announce(context, wiring.loaded(spec), event | {"windows": reopened or []})

    @task
    def find_gaps() -> list[dict]:
        from include.steps.gaps import find_gaps

        context = get_current_context()
        with run_of(context) as run:
            return find_gaps(run, context["ti"].get_dr_count)

    def source_group(source: str) -> Any:
        @task_group(group_id=source, tooltip=spec.sources[source].title)
        def group() -> Any:
            return check(extract.override(pool=spec.sources[source].connection)(source))

        return group()

    @dag(
        **wiring.dag_options(spec, "ingest", __doc__, "rerun/window"),
        schedule=wiring.clock_or_events(spec),
        start_date=wiring.first_day(spec),
        params=wiring.WINDOW_PARAMS | FROM_LAKE,
    )
    def ingest() -> None:
        reopened = load([source_group(source) for source in spec.sources])
        features = build_features()
        all_loaded = EmptyOperator(task_id="all_loaded")
        reopened >> features >> [close_window(reopened), all_loaded]
        TriggerDagRunOperator.partial(
            task_id="fill_gap",
            trigger_dag_id=f"ingest_{spec.pipeline}",
            logical_date=None,
            reset_dag_run=True,  # one that failed is tried again
        ).expand_kwargs(find_gaps())

    ingest()


for pipeline in wiring.pipelines():
    build(pipeline)
