"""Move the alias of the champion, one at a time, and keep the ledger true to it."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from include.promotion import ledger
from include.windows import Window

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from include.promotion.decide import Check
    from include.registry.mlflow_registry import Version
    from include.steps.run import Run

LIVE_BY = "live_by"  # the tag that names the decisions which made a version live
log = logging.getLogger(__name__)


def pin_checks(run: Run) -> list[Check]:
    """Return what the gate sees of a pin: nothing where nobody has pinned the champion."""
    from include.promotion.rollback import holds

    with run.engine.connect() as connection:
        pin = ledger.standing_pin(connection, run.pipeline.pipeline, datetime.now(UTC))
    return [holds(pin)] if pin else []


def make_live(connection: Connection, version: Version, decision_id: int) -> None:
    """Point `champion` to a version and note at it which decision did; done again, it finishes.

    Those who follow the alias are told once the transaction of `connection` ends.
    """
    from include.registry.artifacts import describe
    from include.registry.mlflow_registry import promote

    promote(version)
    if not was_made_live(version, decision_id):
        describe(version, {LIVE_BY: f"{version.tags.get(LIVE_BY, '')} {decision_id}".strip()})
    connection.exec_driver_sql("select pg_notify(%s, %s)", (ledger.MOVED, version.pipeline))


def was_made_live(version: Version, decision_id: int) -> bool:
    """Tell whether a decision has moved the alias to a version, now or long ago."""
    return str(decision_id) in version.tags.get(LIVE_BY, "").split()


def keep_challenger(connection: Connection, name: str) -> None:
    """Give the alias `challenger` back to who waits in shadow, where a newer one came and has not taken its place."""
    from include.promotion.shadow import waiting
    from include.registry.mlflow_registry import CHALLENGER, by_alias, by_number, challenge

    challenger, newest = waiting(connection, name), by_alias(name, CHALLENGER)
    if challenger and (newest is None or newest.number != challenger.version):
        challenge(by_number(name, challenger.version))


def settle(connection: Connection, run: Run, besides: int = 0) -> None:
    """Void decisions that made no version live, because their run was killed before it moved the alias.

    Call it while nobody else moves the champion (`ledger.moving`); `besides` is the caller's own decision.
    """
    from include.registry.mlflow_registry import CHAMPION, by_alias, versions

    name = run.pipeline.pipeline
    champion, known = by_alias(name, CHAMPION), {each.number: each for each in versions(name)}
    while (newest := ledger.live(connection, name, besides)) is not None:
        # A version that the registry does not know went with its pipeline: ciclo remove.
        version = known.get(newest.version)
        is_standing = champion is not None and champion.number == newest.version
        if is_standing or version is None or was_made_live(version, newest.decision_id):
            return
        stays = f"version {champion.number} stays" if champion else "there is no champion"
        void(connection, run, newest.decision_id, version, f"its run ended before the alias moved: {stays}")


def void(connection: Connection, run: Run, decision_id: int, version: Version, reason: str) -> None:
    """Write that a decision to make a version live never took effect, and why; not where it did, nor twice."""
    if was_made_live(version, decision_id) or ledger.is_voided(connection, decision_id):
        return
    row = connection.exec_driver_sql(
        "select window_start_at, window_end_at, verdict from ml.decision where decision_id = %s", (decision_id,)
    ).one()
    reasons = [f"decision {decision_id} to {row.verdict} version {version.number} is void: {reason}"]
    name, window = version.pipeline, Window(row.window_start_at, row.window_end_at)
    ledger.append(connection, name, window, "hold", reasons, {}, version.number, run.ref, decision_id)
    log.warning("%s: %s", version.pipeline, reasons[0])


def why_void(connection: Connection, run: Run, decision_id: int, version: Version) -> str | None:
    """Say why a promotion that was decided may not be applied any more; None where it may, or is.

    Its comparison holds only against the champion it was made with, and only while nobody has pinned that.
    """
    from include.registry.mlflow_registry import CHALLENGER, CHAMPION, by_alias

    name = run.pipeline.pipeline
    champion, challenger = by_alias(name, CHAMPION), by_alias(name, CHALLENGER)
    standing = champion.number if champion else None
    against = connection.exec_driver_sql(
        "select (evidence->'champion'->>'version')::integer from ml.decision where decision_id = %s", (decision_id,)
    ).scalar()
    if ledger.is_voided(connection, decision_id):
        return f"decision {decision_id} is void: another run has come since"
    if standing == version.number:
        return None
    if standing != against:
        return f"another champion came, version {standing}; it was compared with version {against}"
    if challenger is None or challenger.number != version.number:
        return f"version {version.number} is not the challenger any more, a newer one came"
    pin = ledger.standing_pin(connection, name, datetime.now(UTC))
    return f"the champion was {pin}" if pin else None
