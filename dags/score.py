"""
**Makes** predictions with their interval and the model's version in `ml.prediction`, and the features
they were made from in `feature.vector`, from `core` and the champion in MLflow.

**Steps**: `predict` scores every row of the window in one transaction. It is woken when it is settled
which model stands after a window: by `monitor_<pipeline>` or by `train_<pipeline>`.

**Params**: `start` and `end`, a half-open window in UTC; without them the window that was just
settled: `airflow dags trigger score_<pipeline>`

**Rerun**: clear the run, or trigger it again; a row that a version has scored is left as it is.

**It matters** when it fails: applications and analysts see no newer predictions.
"""

from functools import partial

from airflow.sdk import dag, get_current_context, task

from include.spec.load import load_runnable
from include.spec.model import Pipeline
from include.steps import wiring
from include.steps.run import open_run


def build(spec: Pipeline) -> None:
    """Register ``score_<pipeline>``."""
    run_of = partial(open_run, spec)

    @task(outlets=[wiring.predicted(spec)])
    def predict() -> None:
        from include.steps.score import predict

        context = get_current_context()
        with run_of(context) as run:
            wiring.announce(context, wiring.predicted(spec), predict(run))

    @dag(
        **wiring.dag_options(spec, "score", __doc__, "rerun/now"),
        schedule=[wiring.settled(spec)],
        params=wiring.WINDOW_PARAMS,
    )
    def score() -> None:
        predict()

    score()


for pipeline in load_runnable().values():
    build(pipeline)
