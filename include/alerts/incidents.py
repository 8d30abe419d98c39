"""What is told of a pipeline's health: once when it turns bad, again when it turns worse, and when it is over. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal, NamedTuple

COOLDOWN = timedelta(minutes=30)  # what comes back within it is the same incident, and told once it lasts as long
STEADY = timedelta(minutes=4)  # so long has it to be healthy until it is over: two looks of the DAG alert
REPEATS = timedelta(hours=24)  # what lasts is told again
GRADES = ("healthy", "warning", "unknown", "degraded")  # worst last
SEVERITIES = {"warning": "warning", "unknown": "warning", "degraded": "critical"}
# The alerts that tasks raise at once, by the aspect whose incident they are about: it is not told twice.
KINDS = {
    "run": ("failure", "approval"),
    "freshness": ("overdue", "quality", "failure"),
    "quality": ("quality",),
    "drift": ("investigate", "retrain"),
    "serving": ("serving", "skew"),
}
Act = Literal["open", "reopen", "tell", "note", "recover", "nothing"]


class Incident(NamedTuple):
    """An aspect of a pipeline that is, or was lately, not healthy.

    Attributes
    ----------
    told : str or None
        Worst grade that people were told, or None where nobody was: it was silenced, or `alerts.on` leaves it out.
    told_at, healthy_since, closed_at, reopened_at : datetime or None
        When they were told last; since when it has been healthy again; when it was over; when it came back, UTC.
    """

    told: str | None
    told_at: datetime | None
    healthy_since: datetime | None
    closed_at: datetime | None
    reopened_at: datetime | None = None


def react(incident: Incident | None, grade: str, now: datetime) -> Act:
    """Return what to do about an aspect that is of this grade now.

    Parameters
    ----------
    incident : Incident or None
        The newest of that aspect.

    Returns
    -------
    str
        ``open`` an incident and tell people, ``reopen`` the newest, ``tell`` people of it (again), ``note`` its grade,
        ``recover``: it is over; or ``nothing``.

    Examples
    --------
    >>> from datetime import UTC
    >>> now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    >>> react(None, "degraded", now), react(None, "healthy", now)
    ('open', 'nothing')
    >>> react(Incident("warning", now, None, None), "degraded", now)
    'tell'
    """
    if incident is None or (incident.closed_at and incident.closed_at < now - COOLDOWN):
        return "nothing" if grade == "healthy" else "open"
    if grade == "healthy":
        if incident.closed_at or incident.healthy_since is None:
            return "nothing" if incident.closed_at else "note"
        return "recover" if incident.healthy_since <= now - STEADY else "nothing"
    if incident.closed_at:
        return "reopen"
    is_worse = incident.told is None or GRADES.index(grade) > GRADES.index(incident.told)
    is_old = incident.told_at is None or incident.told_at <= now - REPEATS
    return "tell" if is_worse or is_old or _is_back(incident, now) else "note"


def _is_back(incident: Incident, now: datetime) -> bool:
    """Tell whether what people may think is over has come back, and lasts."""
    back_at, told_at = incident.reopened_at, incident.told_at
    return back_at is not None and told_at is not None and told_at < back_at <= now - COOLDOWN
