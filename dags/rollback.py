"""
**Makes** another version of the registered model `<pipeline>` the champion, and writes the verdict rollback in
`ml.decision`, with the reason and who asked.

**Steps**: `roll_back` loads the version, which may be refused, before anything moves; then the decision is written
and the aliases `champion` and `previous` change places. `wake_scoring` has the rows scored again whose truth is not
known yet. What came back is pinned: nothing is promoted or rolled back by itself until
`ciclo unpin <pipeline> --reason "…"`.

**Params**: `reason`, kept with the decision; `to`, a version, by default the one before the champion; `by`, who asks:
`airflow dags trigger rollback_<pipeline> --conf '{"reason":"predicts nonsense since noon"}'`, or
`ciclo rollback <pipeline> --reason "…"`

**Rerun**: start a new run, which goes back to where it was. Clearing a failed run finishes it.

**It matters** when it fails: the champion that somebody wants to be rid of goes on serving.
"""

from airflow.sdk import Param, dag, get_current_context, task

from include.spec.model import Pipeline
from include.steps import wiring
from include.steps.run import open_run

PARAMS = {
    "reason": Param("", type="string", description="Why; kept with the decision and the pin."),
    "to": Param(None, type=["null", "integer"], minimum=1, description="Version that comes back; else the previous."),
    "by": Param("", type="string", description="Who asks; by default who triggered the run."),
}


def build(spec: Pipeline) -> None:
    """Register ``rollback_<pipeline>``."""

    @task
    def roll_back() -> dict:
        from include.steps.rollback import by_hand

        context = get_current_context()
        context["params"]["by"] = context["params"]["by"] or getattr(context["dag_run"], "triggering_user_name", None)
        with open_run(spec, context) as run:
            return by_hand(run)

    @task(outlets=[wiring.champion_ready(spec)])
    def wake_scoring(rollback: dict) -> None:
        wiring.announce_champion(get_current_context(), spec, rollback)

    @dag(**wiring.dag_options(spec, "rollback", __doc__, "rerun/now"), schedule=None, params=PARAMS)
    def rollback() -> None:
        wake_scoring(roll_back())

    rollback()


for pipeline in wiring.pipelines():
    build(pipeline)
