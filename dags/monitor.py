"""
**Makes** the drift, the error and the decision for a loaded window, in `ml.drift`,
`ml.performance` and `ml.decision`, from `core.<pipeline>` and the champion in MLflow.

**Steps**: `measure_drift` compares the watched features' means with the champion's training data;
`measure_error` measures the champion on targets it had never seen; `decide` writes the verdict
with its reasons; then either `trigger_training` or `keep_champion`.

**Params**: `start` and `end`, a half-open window in UTC; without them the window that was just
loaded: `airflow dags trigger monitor_<pipeline>`

**Rerun**: clear the run, or trigger it again; figures are replaced, decisions are only ever added.

**It matters** when it fails: a model that went stale would go on serving unnoticed.
"""

from functools import partial

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import dag, get_current_context, task

from include.spec.load import load_runnable
from include.spec.model import Pipeline
from include.steps import wiring
from include.steps.run import open_run


def build(spec: Pipeline) -> None:
    """Register ``monitor_<pipeline>``."""
    run_of = partial(open_run, spec)

    @task
    def measure_drift() -> dict:
        from include.steps.monitor import measure_drift

        with run_of(get_current_context()) as run:
            return measure_drift(run)

    @task
    def measure_error() -> dict | None:
        from include.steps.monitor import measure_error

        with run_of(get_current_context()) as run:
            return measure_error(run)

    @task.branch
    def decide(drift: dict, error: dict | None) -> str:
        from include.steps.monitor import decide

        context = get_current_context()
        with run_of(context) as run:
            decision = decide(run, drift, error)
        context["ti"].xcom_push(key="decision", value=decision)
        return "trigger_training" if decision["verdict"] == "retrain" else "keep_champion"

    @task(outlets=[wiring.settled(spec)])
    def keep_champion() -> None:
        context = get_current_context()
        decision = context["ti"].xcom_pull(task_ids="decide", key="decision")
        wiring.announce(context, wiring.settled(spec), {"start": decision["start"], "end": decision["end"]})

    def decided(key: str) -> str:
        return "{{ ti.xcom_pull(task_ids='decide', key='decision')['" + key + "'] }}"

    @dag(
        **wiring.dag_options(spec, "monitor", __doc__, "rerun/now"),
        schedule=[wiring.loaded(spec)],
        params=wiring.WINDOW_PARAMS,
    )
    def monitor() -> None:
        trigger_training = TriggerDagRunOperator(
            task_id="trigger_training",
            trigger_dag_id=f"train_{spec.pipeline}",
            trigger_run_id="decision_" + decided("decision_id"),
            logical_date=None,
            skip_when_already_exists=True,
            conf={key: decided(key) for key in ("start", "end", "reason")},
        )
        decide(measure_drift(), measure_error()) >> [trigger_training, keep_champion()]

    monitor()


for pipeline in load_runnable().values():
    build(pipeline)
