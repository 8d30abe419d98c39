"""Delete stored models and snapshots that ``training.keep`` allows to go; what ever served stays."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from include.registry.mlflow_registry import Version
    from include.spec.learning import Keep
    from include.steps.run import Run

log = logging.getLogger(__name__)


def prune(run: Run) -> dict[str, int]:
    """Delete what policy allows and record each deletion; again, nothing. Returns how many models and snapshots."""
    from include.registry.candidate_runs import continued_models
    from include.registry.mlflow_registry import delete_model, versions

    name, keep = run.pipeline.pipeline, run.pipeline.training.keep
    every = versions(name)
    protected = with_ancestors(every, protected_versions(run), continued_models(name))
    with run.engine.connect() as connection:
        pruned = set(
            connection.exec_driver_sql(
                "select kind || ' ' || name from ml.pruned where pipeline = %s", (name,)
            ).scalars()
        )
        made = connection.exec_driver_sql(
            "select snapshot_id, uri, created_at from ml.snapshot where pipeline = %s", (name,)
        ).all()
    cut_at = {each.number: datetime.fromisoformat(each.tags["cut_at"]) for each in every}
    at = {snapshot_id: created_at for snapshot_id, _, created_at in made}
    trained_at = {each.number: at.get(each.tags["snapshot_id"], cut_at[each.number]) for each in every}
    old = outdated(trained_at, protected, keep, run.run_after)
    # Trainings in which nothing changed made several versions of one model.
    used = {each.tags["model_id"] for each in every if each.number not in old}
    reason = f"older than {keep.days} days and not among the newest {keep.versions}: training.keep"
    unused = [each for each in every if each.number in old and each.tags["model_id"] not in used]
    models = [each for each in unused if f"model {each.number}" not in pruned]
    for version in models:
        delete_model(version)
        _record(run, "model", str(version.number), reason)
    needed = {each.tags["snapshot_id"] for each in every if each.number not in old}
    before = run.run_after - timedelta(days=keep.days)
    snapshots = [
        (snapshot_id, uri)
        for snapshot_id, uri, created_at in made
        if snapshot_id not in needed and created_at < before and f"snapshot {snapshot_id}" not in pruned
    ]
    for snapshot_id, uri in snapshots:
        run.lake.delete_frame(uri)
        _record(run, "snapshot", snapshot_id, f"of no version that stays; {reason}")
    log.info("%s: %d models and %d snapshots deleted", name, len(models), len(snapshots))
    return {"models": len(models), "snapshots": len(snapshots)}


def outdated(trained_at: Mapping[int, datetime], protected: Iterable[int], keep: Keep, now: datetime) -> set[int]:
    """Return the versions that may go: neither protected, nor among the newest, nor young. Pure.

    Examples
    --------
    >>> from include.spec.learning import Keep
    >>> at = {number: datetime(2020, 1, number) for number in range(1, 6)}
    >>> sorted(outdated(at, [1], Keep(versions=2, days=30), datetime(2021, 1, 1)))
    [2, 3]
    """
    newest = sorted(trained_at)[-keep.versions :]
    before = now - timedelta(days=keep.days)
    return {number for number, at in trained_at.items() if at < before} - {*newest, *protected}


def with_ancestors(every: Iterable[Version], protected: set[int], continued: Mapping[str, str]) -> set[int]:
    """Return protected versions and all whose state they go on from, also by way of models that are no version. Pure.

    Parameters
    ----------
    continued : mapping of str to str
        The model each online model goes on from, see `include.registry.candidate_runs.continued_models`.
    """
    models = {each.number: each.tags["model_id"] for each in every}
    family, waiting = set[str](), [models[number] for number in protected & models.keys()]
    while waiting:
        model = waiting.pop()
        family.add(model)
        waiting += [continued[model]] if continued.get(model, model) not in family else []
    return protected | {number for number, model in models.items() if model in family}


def protected_versions(run: Run) -> set[int]:
    """Return the versions that have an alias or were ever live."""
    from include.registry.mlflow_registry import CHALLENGER, CHAMPION, PREVIOUS, by_alias

    name = run.pipeline.pipeline
    aliases = [by_alias(name, alias) for alias in (CHAMPION, CHALLENGER, PREVIOUS)]
    with run.engine.connect() as connection:
        live = connection.exec_driver_sql(
            "select version from mart.live_version where pipeline = %s", (name,)
        ).scalars()
        return {*live, *(version.number for version in aliases if version)}


def _record(run: Run, kind: str, name: str, reason: str) -> None:
    with run.engine.begin() as connection:
        connection.exec_driver_sql(
            "insert into ml.pruned (pipeline, kind, name, reason, run_id) values (%s, %s, %s, %s, %s)"
            " on conflict do nothing",
            (run.pipeline.pipeline, kind, name, reason, run.ref.run_id),
        )
    log.info("%s: deleted %s %s: %s", run.pipeline.pipeline, kind, name, reason)
