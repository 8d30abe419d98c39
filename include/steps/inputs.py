"""What a version reads: the set of features it was trained on, and whether that is still what pipeline.yaml says."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from include.monitoring.reference import Reference
    from include.registry.mlflow_registry import Version
    from include.spec.model import Pipeline
    from include.steps.run import Run


def pipeline_of(run: Run, version: Version) -> Pipeline:
    """Return the run's pipeline with the features and target a version was trained on, where they are still built."""
    from include.features.sets import sets
    from include.warehouse.engine import transaction

    wanted = version.tags.get("feature_set")
    with transaction(run.engine) as connection, connection.cursor() as cursor:
        for one in sets(cursor, run.pipeline):
            if one.set_id == wanted and one.is_filled and one.is_readable:
                return one.pipeline
    return run.pipeline


def kept_reference(run: Run, version: Version) -> Reference | None:
    """Return what a version learnt from, of an older one from its artifact; None where nobody kept it."""
    from include.monitoring.record import read_reference
    from include.monitoring.reference import Reference
    from include.registry.artifacts import REFERENCE, load_file

    with run.engine.connect() as connection:
        content = read_reference(connection, run.pipeline.pipeline, version.number)
    content = content or load_file(version, REFERENCE)
    return Reference.from_bytes(content) if content else None


def changed_inputs(run: Run, version: Version) -> str | None:
    """Say that features or target in pipeline.yaml are not those a version was trained on; None where they are."""
    from include.features.sets import set_id

    trained_on = version.tags.get("feature_set")
    if trained_on is None or trained_on == set_id(run.pipeline):
        return None
    return (
        f"the inputs changed: features or target in pipeline.yaml are not those version {version.number} was trained on"
    )


def corrected_inputs(run: Run) -> str | None:
    """Say that rows were corrected since a training was last asked for; None while others are to be read again."""
    from include.features.reach import reaches
    from include.warehouse.loaded_windows import windows_to_read_again

    with run.engine.connect() as connection:
        if windows_to_read_again(connection, run.pipeline):
            return None
        count = connection.exec_driver_sql(
            "select coalesce(sum(corrected_count + withdrawn_count), 0)::bigint from ops.lineage"
            " where pipeline = %(name)s and source = any(%(sources)s) and loaded_at > greatest("
            "(select max(created_at) from ml.snapshot where pipeline = %(name)s),"
            " (select max(decided_at) from ml.decision where pipeline = %(name)s and verdict = 'retrain'))",
            {
                "name": run.pipeline.pipeline,
                "sources": list({run.pipeline.main, *(r.source for r in reaches(run.pipeline))}),
            },
        ).scalar_one()
    return f"the inputs changed: {count} rows that we had misread were corrected" if count else None


def retire_sets(run: Run) -> list[str]:
    """Drop the sets of features that neither pipeline.yaml nor a version with an alias needs; return their ids."""
    from include.features.sets import retire
    from include.registry.mlflow_registry import CHALLENGER, CHAMPION, PREVIOUS, by_alias

    versions = [by_alias(run.pipeline.pipeline, alias) for alias in (CHAMPION, CHALLENGER, PREVIOUS)]
    needed = [version.tags["feature_set"] for version in versions if version and "feature_set" in version.tags]
    return retire(run.engine, run.pipeline, needed)
