"""The probation of a new champion: the version before is scored beside it, and comes back if that was better."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from include.promotion import ledger
from include.windows import Window

if TYPE_CHECKING:
    from include.registry.mlflow_registry import Version
    from include.steps.run import Run

# Rows that both have predicted before either could know the truth.
BOTH = """
select t.target as actual, c.predicted as champion, p.predicted as previous, extract(epoch from valid_at) as at
from ml.prediction p
join ml.prediction c using (pipeline, entity, valid_at)
join feature.target t using (pipeline, entity, valid_at)
where p.pipeline = %(pipeline)s and p.kind = 'shadow' and p.request_id is null and p.model_version = %(previous)s
    and p.is_honest
    and c.kind = 'batch' and c.model_version = %(champion)s and c.is_honest and t.first_known_at <= %(now)s
order by p.valid_at, p.entity
"""
log = logging.getLogger(__name__)


def shadow_of(run: Run, champion: Version, window: Window, looks: int = 0) -> Version | None:
    """Return the version that is scored beside a champion in a window; None where it is not on probation there.

    A champion that a rollback brought back is on none: it was tried before.

    Parameters
    ----------
    looks : int
        Windows after the probation that count, too: the truth of its last rows comes later.
    """
    from include.registry.mlflow_registry import PREVIOUS, by_alias

    name, windows = run.pipeline.pipeline, run.pipeline.promotion.probation
    with run.engine.connect() as connection:
        newest = ledger.live(connection, name)
        if not windows or newest is None or (newest.verdict, newest.version) != ("promote", champion.number):
            return None
        # Windows that came while a person was still asked have not been predicted by it as the champion.
        since = connection.exec_driver_sql(
            "select count(distinct window_end_at) from ops.run where pipeline = %(name)s"
            " and window_end_at > %(from_at)s and window_end_at <= %(end)s"
            " and loaded_at > (select decided_at from ml.decision where decision_id = %(id)s)",
            {"name": name, "from_at": newest.from_at, "end": window.end, "id": newest.decision_id},
        ).scalar_one()
    return by_alias(name, PREVIOUS) if window.end > newest.from_at and since <= windows + looks else None


def end_probation(run: Run, measured: dict[str, str]) -> dict[str, Any] | None:
    """Bring the previous version back where the champion's live loss is proven worse; None where it stays.

    Parameters
    ----------
    measured : dict
        `start` and `end` of the newest window whose error was measured.

    Returns
    -------
    dict or None
        The decision to roll back.
    """
    import numpy as np

    from include.promotion.rollback import proven_worse
    from include.registry.mlflow_registry import CHAMPION, by_alias
    from include.steps.rollback import roll_back

    name, champion = run.pipeline.pipeline, by_alias(run.pipeline.pipeline, CHAMPION)
    previous = shadow_of(run, champion, Window.from_dict(measured), looks=1) if champion else None
    if champion is None or previous is None:
        return None
    with run.engine.connect() as connection:
        place = {"pipeline": name, "champion": champion.number, "previous": previous.number, "now": run.run_after}
        rows = connection.exec_driver_sql(BOTH, place).all()
        pin = ledger.standing_pin(connection, name, datetime.now(UTC))
    actual, ours, before, at = np.asarray([tuple(row) for row in rows], dtype="float64").reshape(-1, 4).T
    worse = proven_worse(actual, ours, before, run.pipeline.promotion, at)
    if worse is None:
        log.info("%s: version %d is on probation, not proven worse on %d rows", name, champion.number, len(rows))
        return None
    if pin is not None:
        log.warning("%s: %s; nothing moves, the champion is %s", name, worse[0], pin)
        return None
    return roll_back(run, previous.number, worse[0], "probation", figures=worse[1])
