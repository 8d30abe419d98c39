"""
**Makes** the way back out of `ops.quarantine`: shows quarantined rows and blocked batches of `<pipeline>`, overrides
them for the person who asks, or loads their windows again from the lake.

**Steps**: `choose` takes one of four actions. `list_entries`, `show_entries` and `override_entries` write
to their log; `find_windows` starts one `ingest_<pipeline>` for each window, waits, and `tell_outcome` says
how many entries were released, how many still wait and why.

**Params**: `action`: list, show, retry or override; `ids`, `rule`, `source`, `status`, `start` and `end`
(UTC) narrow it; `reason` is needed to override, and kept on record with who asked:
`airflow dags trigger quarantine_<pipeline> --conf '{"action":"retry","start":"2025-01-01","end":"2025-02-01"}'`
`airflow dags trigger quarantine_<pipeline> --conf '{"action":"override","ids":[17],"reason":"a real peak"}'`

**Rerun**: start a new run at any time; what is loaded stays as it is. Mend the contract or the parser first,
or override what is right although it breaks a rule: otherwise a retry quarantines the same rows again.

**It matters** when a batch was blocked: until it is back, its window is neither loaded nor measured.
"""

from functools import partial

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import Param, dag, get_current_context, task

from include.spec.model import Pipeline
from include.steps import wiring
from include.steps.run import open_run

STEPS = {"list": "list_entries", "show": "show_entries", "retry": "find_windows", "override": "override_entries"}
STATUSES = [None, "waiting", "open", "overridden", "released", "superseded", "all"]
PARAMS = {
    "action": Param("list", enum=list(STEPS), description="What to do."),
    "ids": Param(None, type=["null", "array"], items={"type": "integer"}, description="Numbers of entries."),
    "rule": Param(None, type=["null", "string"], description="Only what broke this rule."),
    "source": Param(None, type=["null", "string"], description="Only what came from this source."),
    "status": Param(None, enum=STATUSES, description="To list: what stands so; without it what waits."),
    **wiring.WINDOW_PARAMS,
    "reason": Param("", type="string", description="To override: why the rows are right; kept on record."),
}


def build(spec: Pipeline) -> None:
    """Register ``quarantine_<pipeline>``."""
    run_of = partial(open_run, spec)

    @task.branch
    def choose() -> str:
        with run_of(get_current_context()) as run:
            return STEPS[run.params["action"]]

    @task
    def list_entries() -> None:
        from include.steps.quarantine import list_entries

        with run_of(get_current_context()) as run:
            list_entries(run)

    @task
    def show_entries() -> None:
        from include.steps.quarantine import show_entries

        with run_of(get_current_context()) as run:
            show_entries(run)

    @task
    def override_entries() -> None:
        from include.steps.quarantine import override_entries

        context = get_current_context()
        with run_of(context) as run:
            override_entries(run, context["dag_run"].triggering_user_name or f"run {run.ref.run_id}")

    @task
    def find_windows() -> list[dict]:
        from include.steps.quarantine import find_windows

        with run_of(get_current_context()) as run:
            return find_windows(run)

    @task
    def tell_outcome(confs: list[dict]) -> None:
        from include.steps.quarantine import tell_outcome

        context = get_current_context()
        ti, places = context["ti"], range(len(confs))
        run_ids = ti.xcom_pull(task_ids="load_again", key="trigger_run_id", map_indexes=list(places))
        states = [ti.get_dagrun_state(f"ingest_{spec.pipeline}", run_id) for run_id in run_ids]
        with run_of(context) as run:
            tell_outcome(run, list(confs), states)

    @dag(**wiring.dag_options(spec, "quarantine", __doc__, "rerun/now"), schedule=None, params=PARAMS)
    def quarantine() -> None:
        confs = find_windows()
        load_again = TriggerDagRunOperator.partial(
            task_id="load_again",
            trigger_dag_id=f"ingest_{spec.pipeline}",
            trigger_run_id="quarantine_{{ run_id }}_{{ ti.map_index }}_{{ ti.try_number }}",
            logical_date=None,
            wait_for_completion=True,
            deferrable=True,
            poke_interval=5,
            allowed_states=["success", "failed"],  # which of them it was is told in the end, for all windows
            failed_states=[],
        ).expand(conf=confs)
        choose() >> [list_entries(), show_entries(), override_entries(), confs]
        load_again >> tell_outcome(confs)

    quarantine()


for pipeline in wiring.pipelines():
    build(pipeline)
