"""
**Makes** a window of typed, checked rows in `core.<pipeline>` and its sister tables, from the
sources in `include/pipelines/<pipeline>/pipeline.yaml`.

**Steps**: for each source `extract` keeps the answer byte for byte in the lake and `check` runs the
contract; `load` merges all sources in one transaction and wakes `monitor_<pipeline>`.

**Params**: `start` and `end`, a half-open window in UTC. Without them a scheduled run takes its
data interval, and a run by hand takes everything since the last load:
`airflow dags trigger ingest_<pipeline> --conf '{"start":"2025-01-01","end":"2025-02-01"}'`

**Rerun**: clear the failed run, or trigger the same window again; rows that are there stay as they
are. A source that is down is tried again by itself; a broken contract is not, its task log says
which rule, which rows, and what to do. `Skipped` means the source had nothing for the window.

**It matters** when it fails: nothing newer is loaded, monitored or predicted until it passes.
"""

from functools import partial
from typing import Any

from airflow.sdk import dag, get_current_context, task, task_group

from include.spec.load import load_runnable
from include.spec.model import Pipeline
from include.steps import wiring
from include.steps.run import open_run


def build(spec: Pipeline) -> None:
    """Register ``ingest_<pipeline>``."""
    run_of = partial(open_run, spec)

    @task
    def extract(source: str) -> dict:
        from include.steps.ingest import extract

        with run_of(get_current_context()) as run:
            return extract(run, source, wiring.endpoint(spec.sources[source].connection))

    @task
    def check(extracted: dict) -> dict:
        from include.steps.ingest import check

        with run_of(get_current_context()) as run:
            return check(run, extracted)

    @task(outlets=[wiring.loaded(spec)])
    def load(checked: list[dict]) -> None:
        from include.steps.ingest import load

        context = get_current_context()
        with run_of(context) as run:
            wiring.announce(context, wiring.loaded(spec), load(run, checked))

    def source_group(source: str) -> Any:
        @task_group(group_id=source, tooltip=spec.sources[source].title)
        def group() -> Any:
            return check(extract.override(pool=spec.sources[source].connection)(source))

        return group()

    @dag(
        **wiring.dag_options(spec, "ingest", __doc__, "rerun/window"),
        schedule=wiring.timetable(spec),
        **wiring.lifetime(spec),
        params=wiring.WINDOW_PARAMS,
    )
    def ingest() -> None:
        load([source_group(source) for source in spec.sources])

    ingest()


for pipeline in load_runnable().values():
    build(pipeline)
