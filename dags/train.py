"""
**Makes** a new version of the registered model `<pipeline>` in MLflow and a verdict, promote, reject
or hold, in `ml.decision`, from everything in `core` whose target was known before the window's end.

**Steps**: `take_snapshot` keeps the exact rows in the lake; `fit_candidate` fits every candidate
side by side and logs it to MLflow, or takes it from an earlier run where nothing changed;
`compare_and_decide` compares the best with the champion on the same held-out rows and puts it to every rule
of the gate (docs/promotion.md); `draw_report` evaluates it for people (the button "Evaluation report"; in
MLflow `report.html` of its run); `apply_decision` moves the aliases `champion` and `previous`; if another
champion stands now, `wake_scoring` has the rows scored again whose truth is not known yet. A snapshot that
was trained before is not trained again, unless with `force`. Where pipeline.yaml says `promotion.approval:
manual`, the run waits before the aliases move: `show_evidence` asks, `approve` waits in the web UI (Required
Actions), and `record_answer` writes who answered what, when, to the ledger (docs/people.md). Where the pipeline is
`tier_1`, a challenger that passes is held: it predicts in shadow first, and `monitor_<pipeline>` ends that. Where
nothing serves yet and the challenger is rejected, the naive candidate becomes the first champion.

**Params**: `start` and `end`, a half-open window in UTC, by default the newest loaded; `reason`, kept
with the decision; `force`, to train on fewer rows than `training.min_rows` (promotion stays strict):
`airflow dags trigger train_<pipeline> --conf '{"reason":"new desk policy","force":true}'`

**Rerun**: start a new run; it makes a new version. Clearing a failed task goes on where it stopped.

**It matters** when it fails after `monitor_<pipeline>` asked for it: the old champion keeps serving.
"""

from functools import partial

from airflow.sdk import Param, dag, get_current_context, task

from include.spec.model import Pipeline, span
from include.steps import wiring
from include.steps.run import open_run

PARAMS = {
    **wiring.WINDOW_PARAMS,
    "reason": Param("", type="string", description="Why; kept with the decision and the model."),
    "force": Param(False, type="boolean", description="Train on fewer rows than training.min_rows."),
}


def build(spec: Pipeline) -> None:
    """Register ``train_<pipeline>``."""
    run_of = partial(open_run, spec)

    @task
    def take_snapshot() -> dict:
        from include.steps.snapshot import take_snapshot

        with run_of(get_current_context()) as run:
            return take_snapshot(run)

    @task(map_index_template="{{ candidate }}")
    def fit_candidate(snapshot: dict, candidate: str) -> dict:
        from include.steps.train import fit_candidate

        context = get_current_context()
        context["candidate"] = candidate
        with run_of(context) as run:
            return fit_candidate(run, snapshot, candidate)

    @task
    def compare_and_decide(snapshot: dict, fitted: list[dict]) -> dict:
        from include.steps.train import compare_and_decide

        with run_of(get_current_context()) as run:
            return compare_and_decide(run, snapshot, list(fitted))

    @task
    def draw_report(snapshot: dict, decision: dict) -> None:
        from include.reporting.training_page import draw_report

        with run_of(get_current_context()) as run:
            draw_report(run, snapshot, decision)

    @task.short_circuit(ignore_downstream_trigger_rules=False)
    def show_evidence(decision: dict) -> dict | None:
        from include.steps.approval import show_evidence

        with run_of(get_current_context()) as run:
            return show_evidence(run, decision)

    @task(trigger_rule="none_failed_min_one_success")  # without a question approve is skipped
    def record_answer(decision: dict) -> dict:
        from include.steps.approval import record_answer

        context = get_current_context()
        question, reply = (context["ti"].xcom_pull(task_ids=name) for name in ("show_evidence", "approve"))
        with run_of(context) as run:
            return record_answer(run, decision, question, reply)

    def ask_a_person(decision: dict) -> dict:
        """Wait for the answer where the gate promotes, and return the decision it leads to."""
        from include.steps.asking import Approval

        shown = "{{ ti.xcom_pull(task_ids='show_evidence')['%s'] }}"
        approve = Approval(
            task_id="approve",
            subject=shown % "subject",
            body=shown % "body",
            defaults=Approval.REJECT,
            response_timeout=span(spec.promotion.approval_expires),
        )
        answer = record_answer(decision)
        show_evidence(decision) >> approve >> answer
        return answer

    @task.short_circuit
    def apply_decision(decision: dict) -> bool:
        from include.steps.train import apply_decision

        with run_of(get_current_context()) as run:
            return apply_decision(run, decision)

    @task(outlets=[wiring.champion_ready(spec)])
    def wake_scoring(decision: dict) -> None:
        wiring.announce_champion(get_current_context(), spec, decision)

    @dag(**wiring.dag_options(spec, "train", __doc__, "rerun/now"), schedule=None, params=PARAMS)
    def train() -> None:
        snapshot = take_snapshot()
        fitted = fit_candidate.partial(snapshot=snapshot).expand(candidate=list(spec.training.candidates))
        decision = compare_and_decide(snapshot, fitted)
        draw_report(snapshot, decision)
        if spec.promotion.approval == "manual":
            decision = ask_a_person(decision)
        apply_decision(decision) >> wake_scoring(decision)

    train()


for pipeline in wiring.pipelines():
    build(pipeline)
