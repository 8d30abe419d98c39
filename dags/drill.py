"""
**Makes** sure, for every pipeline, of what has to work on the day it is needed; nothing moves:

- `roll_back` loads the version that an undo would bring back and compares its answers with those of its registration;
- `reproduce` trains the champion again from its snapshot, spec and seed and compares what both predict;
- `build_again` builds the features of the newest rows again and compares them with those the champion is asked with.

Outcome and time stand in `ml.drill`; `ciclo status` and `ciclo scorecard` show them.

**Params**: none.

**Rerun**: start a new run at any time.

**It matters** when a task fails: the undo would not work, a version cannot be explained, or what serves is not what was
trained. Its runbook is docs/runbooks/drill.md.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import CronTriggerTimetable, dag, get_current_context, task

from include.spec.load import load_named, load_runnable
from include.steps.run import Run, open_run


def _rehearse(pipeline: str, drill: Callable[[Run], dict[str, Any]]) -> dict[str, Any]:
    context = get_current_context()
    context["pipeline"] = pipeline
    with open_run(load_named(pipeline), context) as run:
        return drill(run)


@task(map_index_template="{{ pipeline }}")
def roll_back(pipeline: str) -> dict:
    """Load what an undo would bring back and compare its answers."""
    from include.steps import drill

    return _rehearse(pipeline, drill.roll_back)


@task(map_index_template="{{ pipeline }}")
def reproduce(pipeline: str) -> dict:
    """Train the champion again and compare what both predict."""
    from include.steps import drill

    return _rehearse(pipeline, drill.reproduce)


@task(map_index_template="{{ pipeline }}")
def build_again(pipeline: str) -> dict:
    """Build the newest features again and compare them with those that are kept."""
    from include.steps import drill

    return _rehearse(pipeline, drill.build_again)


@dag(
    dag_id="drill",
    description="Rehearse the undo, the reproduction and the features",
    doc_md=__doc__,
    tags={"impact/tier_2", "rerun/now"},
    schedule=CronTriggerTimetable("30 3 * * *", timezone="UTC"),
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    max_active_runs=1,
    is_paused_upon_creation=False,
    default_args={"owner": "platform", "retries": 0, "execution_timeout": timedelta(hours=6)},
)
def drill() -> None:
    """Register ``drill``."""
    names = list(load_runnable())
    roll_back.expand(pipeline=names)
    reproduce.expand(pipeline=names)
    build_again.expand(pipeline=names)


drill()
