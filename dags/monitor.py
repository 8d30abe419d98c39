"""
**Makes** the drift, the error and the decision for a window, in `ml.drift`, `ml.performance`, `ml.look` and
`ml.decision`, from `feature.<pipeline>`, the predictions in `ml.prediction` and the champion in MLflow.

**Steps**: `measure` compares features, target and predictions with the champion's training data, measures what the
live version had predicted before the truth was known, and compares the champion with its own recipe fitted on newer
data; `decide` weighs harm, worth and cause by the pipeline's policy (`monitoring` in pipeline.yaml,
docs/monitoring.md) and writes the verdict with its reasons; `draw_report` draws all of it (the button "Monitoring
report"); on `retrain` it goes on to `trigger_training`. Earlier windows that a load opened again, or that somebody
asks for, are measured with the version that was live then; the newest window alone is decided on. `end_trials` brings
the previous version back where a champion on probation is proven worse (docs/undo.md), and promotes or rejects a
challenger whose time in shadow is over (docs/promotion.md). Where pipeline.yaml says `monitoring.label`,
`request_labels` asks people for the target of its most doubtful rows (docs/people.md).

**Params**: `start` and `end`, a half-open window in UTC; without them the window that was just
loaded: `airflow dags trigger monitor_<pipeline>`

**Rerun**: clear the run, or trigger it again; figures and decisions of earlier runs stay.

**It matters** when it fails: a model that went stale would go on serving unnoticed.
"""

from functools import partial

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import dag, get_current_context, task

from include.spec.model import Pipeline
from include.steps import wiring
from include.steps.run import open_run


def build(spec: Pipeline) -> None:
    """Register ``monitor_<pipeline>``."""
    run_of = partial(open_run, spec)

    @task
    def measure() -> dict:
        from include.steps.monitor import measure_drift, measure_error

        with run_of(get_current_context()) as run:
            return {"drift": measure_drift(run), "error": measure_error(run)}

    @task.branch
    def decide(measured: dict) -> list[str]:
        from include.steps.monitor import decide

        context = get_current_context()
        with run_of(context) as run:
            decision = decide(run, **measured)
        context["ti"].xcom_push(key="decision", value=decision)
        return ["draw_report", "end_trials"] + ["trigger_training"] * (decision["verdict"] == "retrain")

    @task
    def draw_report() -> None:
        from include.reporting.window_page import draw_report

        context = get_current_context()
        with run_of(context) as run:
            draw_report(run, context["ti"].xcom_pull(task_ids="decide", key="decision"))

    @task
    def request_labels() -> None:
        from include.steps.label import request_labels

        with run_of(get_current_context()) as run:
            request_labels(run)

    @task.short_circuit
    def end_trials() -> dict | None:
        from include.steps.probation import end_probation
        from include.steps.shadow import end_shadow

        context = get_current_context()
        measured = context["ti"].xcom_pull(task_ids="decide", key="decision")["decided_on"]
        with run_of(context) as run:
            return end_probation(run, measured) or end_shadow(run)

    @task(outlets=[wiring.champion_ready(spec)])
    def wake_scoring(change: dict) -> None:
        wiring.announce_champion(get_current_context(), spec, change)

    def decided(key: str) -> str:
        return "{{ ti.xcom_pull(task_ids='decide', key='decision')['" + key + "'] }}"

    @dag(
        **wiring.dag_options(spec, "monitor", __doc__, "rerun/now"),
        schedule=[wiring.predicted(spec)],
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
        measured, change = measure(), end_trials()
        decide(measured) >> [draw_report(), trigger_training, change]
        wake_scoring(change)
        if spec.monitoring.label:
            measured >> request_labels()

    monitor()


for pipeline in wiring.pipelines():
    build(pipeline)
