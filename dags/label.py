"""
**Makes** a version of a row's target in `ops.label_request`, from what a person answers in the form of this DAG. Only
pipelines with `monitoring.label` in pipeline.yaml have it.

**Steps**: `store_label` checks the answer against the column's contract and stores it with its author; the log says
what was stored. Which rows wait: `select * from ops.label_request where answered_at is null`.

**Params**: `request`, the number of the row that waits; `value`, its target, in its unit; `reason`, kept on record:
`airflow dags trigger label_<pipeline> --conf '{"request":17,"value":2.4,"reason":"read from the reference"}'`

**Rerun**: start a new run for each answer; a request that was answered is refused.

**It matters** when it fails: the answer was not stored, and its log says why.
"""

from airflow.sdk import Param, dag, get_current_context, task

from include.spec.model import Pipeline
from include.steps import wiring
from include.steps.run import open_run

PARAMS = {
    "request": Param(type="integer", minimum=1, description="Number of the row that waits: request_id."),
    "value": Param(type="number", description="Its target, in its unit."),
    "reason": Param(type="string", minLength=1, description="Why it is that; kept on record."),
}


def build(spec: Pipeline) -> None:
    """Register ``label_<pipeline>``."""

    @task
    def store_label() -> None:
        from include.steps.label import store_label

        context = get_current_context()
        with open_run(spec, context) as run:
            store_label(run, context["dag_run"].triggering_user_name or f"run {run.ref.run_id}")

    @dag(**wiring.dag_options(spec, "label", __doc__, "rerun/now"), schedule=None, params=PARAMS)
    def label() -> None:
        store_label()

    label()


for pipeline in wiring.pipelines():
    if pipeline.monitoring.label:
        build(pipeline)
