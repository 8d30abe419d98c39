"""Tasks that need the heavy imports and do no work: what they take is overhead."""

from airflow.sdk import dag, task

TASKS = 20


@task
def import_and_return() -> None:
    """Import what a task that checks and trains needs; return at once."""
    import great_expectations
    import mlflow
    import pandas
    import sklearn.ensemble

    _ = (great_expectations, mlflow, pandas, sklearn.ensemble)


@dag(schedule=None, max_active_tasks=1, is_paused_upon_creation=False, tags={"benchmark"})
def overhead() -> None:
    """Run the tasks one after the other."""
    import_and_return.expand_kwargs([{}] * TASKS)


overhead()
