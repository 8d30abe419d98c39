"""
**Makes** predictions with their interval, the model's version and the time they speak of in `ml.prediction`, from
`feature.<pipeline>` and the champion in MLflow.

**Steps**: `predict` scores every row of the window with the champion that stands, before anybody measures or trains
on what the window brought, and beside it, in shadow, the version before it while it is on probation, and a challenger
that waits for its turn; `wake_monitor` hands the window on. A change of champion wakes it, too: then only rows
whose truth is not known yet are scored, and nobody is woken.

**Params**: `start` and `end`, a half-open window in UTC; without them the window that was just
loaded: `airflow dags trigger score_<pipeline>`

**Rerun**: clear the run, or trigger it again; a row that a version has scored is left as it is.

**It matters** when it fails: applications and analysts see no newer predictions, and nothing is monitored.
"""

from functools import partial

from airflow.sdk import dag, get_current_context, task

from include.spec.model import Pipeline
from include.steps import wiring
from include.steps.run import open_run


def build(spec: Pipeline) -> None:
    """Register ``score_<pipeline>``."""
    run_of = partial(open_run, spec)

    @task
    def predict() -> dict:
        from include.steps.score import predict

        with run_of(get_current_context()) as run:
            return predict(run)

    @task.short_circuit
    def is_loaded() -> bool:
        from include.steps.score import is_loaded

        with run_of(get_current_context()) as run:
            return is_loaded(run)

    @task(outlets=[wiring.predicted(spec)])
    def wake_monitor(scored: dict) -> None:
        wiring.announce(get_current_context(), wiring.predicted(spec), scored)

    @dag(
        **wiring.dag_options(spec, "score", __doc__, "rerun/now"),
        schedule=wiring.loaded(spec) | wiring.champion_ready(spec),
        params=wiring.WINDOW_PARAMS,
    )
    def score() -> None:
        scored = predict()
        scored >> is_loaded() >> wake_monitor(scored)

    score()


for pipeline in wiring.pipelines():
    build(pipeline)
