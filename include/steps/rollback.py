"""The undo: the version before the champion, or any other, comes back; by a person, or by itself on probation."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from include.errors import ConfigError, ContractBroken, NothingToDo
from include.promotion import ledger
from include.steps.run import Run, loaded_window

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from include.promotion.rollback import Pin
    from include.registry.mlflow_registry import Version
    from include.training.forecaster import Forecaster

log = logging.getLogger(__name__)


def by_hand(run: Run) -> dict[str, Any]:
    """Roll back as a person asked for by the run's params `to`, `reason` and `by`, and pin what comes back."""
    from include.promotion.rollback import Pin

    reason, by = " ".join(str(run.params.get("reason") or "").split()), str(run.params.get("by") or "somebody")
    if not reason:
        raise ConfigError(f"{run.ref.dag_id}: give a reason: it is kept with the decision and the pin")
    to = run.params.get("to")
    return roll_back(run, int(to) if to is not None else None, reason, by, Pin(by, reason))


def roll_back(
    run: Run, to: int | None, reason: str, by: str, pin: Pin | None = None, figures: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Make another version the champion, and return the decision; the champion so far becomes `previous`.

    The version is loaded before anything moves. A run that is cleared comes to the same decision and goes on where it
    stopped, so that only another run goes back again.

    Parameters
    ----------
    to : int or None
        Version that comes back; None for `previous`.
    pin : Pin or None
        What stops automatic promotion and rollback from now on.

    Raises
    ------
    ConfigError
        If there is no such version, or it is live already.
    ContractBroken
        If it cannot be loaded, or pipeline.yaml does not make its features any more.
    """
    from include.steps.champion import make_live

    name, window = run.pipeline.pipeline, loaded_window(run)
    with ledger.alone(run.engine, name):
        with run.engine.begin() as connection:
            decision_id, target = _standing(connection, run) or _decided(connection, run, to, reason, by, pin, figures)
            newest = ledger.live(connection, name)
            if newest is None or newest.decision_id != decision_id:
                raise NothingToDo(f"{name}: a later decision than {decision_id} has made another version live")
        # The decision is kept before the alias moves: killed in between, this run finds it and goes on.
        with run.engine.begin() as connection:
            make_live(connection, target, decision_id)
    return {"decision_id": decision_id, "version": target.number, **window.to_dict()}


def _standing(connection: Connection, run: Run) -> tuple[int, Version] | None:
    """Return what this run has decided before, and its version; None where it has not, or that is void."""
    from include.registry.mlflow_registry import by_number

    before = connection.exec_driver_sql(
        "select decision_id, model_version from ml.decision d where dag_id = %s and run_id = %s"
        " and verdict = 'rollback' and not exists (select from ml.decision v where v.voids = d.decision_id)"
        " order by decision_id desc limit 1",
        (run.ref.dag_id, run.ref.run_id),
    ).first()
    return (int(before[0]), by_number(run.pipeline.pipeline, before[1])) if before else None


def _decided(
    connection: Connection,
    run: Run,
    to: int | None,
    reason: str,
    by: str,
    pin: Pin | None,
    figures: dict[str, Any] | None,
) -> tuple[int, Version]:
    """Choose the version that comes back, rehearse it, and write the decision."""
    from include.alerts.record import raise_alert
    from include.registry.mlflow_registry import CHAMPION, by_alias
    from include.steps.champion import settle

    name = run.pipeline.pipeline
    settle(connection, run)
    champion = by_alias(name, CHAMPION)
    target = _target(name, champion, to)
    told = _rehearsed(run, target)
    number = champion.number if champion else None
    reasons = [reason, f"version {target.number} comes back for version {number}, by {by}", told]
    evidence = {"from": number, "to": target.number, "by": by, "figures": figures}
    evidence |= {"pin": pin.to_dict()} if pin else {}
    place = (connection, name, loaded_window(run), "rollback", reasons, evidence, target.number, run.ref)
    decision_id = ledger.append(*place)
    raise_alert(connection, run.pipeline, "rollback", "; ".join(reasons), run.ref)
    for line in reasons:
        log.info("%s: %s", name, line)
    return decision_id, target


def _target(name: str, champion: Version | None, to: int | None) -> Version:
    from include.registry.mlflow_registry import PREVIOUS, by_alias, by_number

    target = by_alias(name, PREVIOUS) if to is None else by_number(name, to)
    if target is None:
        raise ConfigError(f"{name} has no version before its champion: name one with --to")
    if champion is not None and target.number == champion.number:
        raise ConfigError(f"{name}: version {target.number} is the champion already")
    return target


def _rehearsed(run: Run, version: Version) -> str:
    """Load a version, ask whether it can score the features there are and answers as ever; say what was seen."""
    from include.registry.mlflow_registry import load
    from include.steps.inputs import pipeline_of

    model = load(version)
    if missing := sorted(set(model.features_) - set(pipeline_of(run, version).feature_names())):
        raise ContractBroken(
            f"{version.pipeline}: version {version.number} needs {', '.join(missing)}, which pipeline.yaml no longer"
            " makes: put them back, or choose another version with --to"
        )
    return compare_answers(version, model)[1]


def compare_answers(version: Version, model: Forecaster) -> tuple[str, str]:
    """Compare a model's answers with those that were kept when its version was registered: (status, what was seen)."""
    from include.registry import golden

    kept, named = golden.read(version), f"version {version.number}"
    if kept is None:
        return "unknown", f"{named} is from before answers were kept: nothing to compare with"
    outcome = golden.compare(model, kept)
    if not outcome["differing"]:
        return "identical", f"{named} answers {outcome['rows']} rows as when it was registered"
    return "different", f"{named} answers otherwise than when it was registered: up to {outcome['largest']:.3g}"
