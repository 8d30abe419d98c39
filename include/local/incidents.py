"""What supervisord's log tells of components that ended without being asked to."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

_INCIDENT = re.compile(r"^(?P<at>\S+ \S+),\d+ \w+ (?P<what>exited|gave up): (?P<name>\S+) (?:\((?P<how>.*)\))?")


@dataclass(frozen=True)
class Incident:
    """One unplanned end of a component: when (UTC), and how in supervisord's words."""

    name: str
    at: datetime
    how: str


def parse_incidents(lines: list[str]) -> list[Incident]:
    """Return the unplanned ends that supervisord's log lines (local time) tell of.

    Examples
    --------
    >>> line = "2026-11-23 02:20:00,123 WARN exited: mlflow (exit status 1; not expected)"
    >>> [(i.name, i.how) for i in parse_incidents([line])]
    [('mlflow', 'exit status 1')]
    """
    found = [match for line in lines if (match := _INCIDENT.match(line))]
    return [
        Incident(
            match["name"],
            datetime.strptime(match["at"], "%Y-%m-%d %H:%M:%S").astimezone(UTC),
            (match["how"] or match["what"]).partition(";")[0],
        )
        for match in found
    ]
