"""Who hears of a pipeline: by its pipeline.yaml, and once that cannot be read any more, by what it said last."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from pydantic import ValidationError

from include.spec.parts import Alerts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.engine import Connection

    from include.spec.model import Pipeline

REMEMBER = """
insert into ops.audience (pipeline, alerts) values (%s, %s)
on conflict (pipeline) do update set alerts = excluded.alerts where audience.alerts <> excluded.alerts
"""


class Audience(NamedTuple):
    """Who hears of a pipeline whose pipeline.yaml cannot be read, or never could."""

    pipeline: str
    alerts: Alerts


def audiences(connection: Connection, pipelines: Mapping[str, Pipeline]) -> dict[str, Audience]:
    """Return who hears of each pipeline that can be loaded, or could be once; idempotent."""
    for name, pipeline in pipelines.items():
        connection.exec_driver_sql(REMEMBER, (name, pipeline.alerts.model_dump_json()))
    every = {}
    for name, alerts in connection.exec_driver_sql("select pipeline, alerts::text from ops.audience order by pipeline"):
        with suppress(ValidationError):  # of an older version of this section, and nobody has mended the file since
            every[name] = Audience(name, Alerts.model_validate_json(alerts))
    return every


def audience(name: str, every: Mapping[str, Audience]) -> Audience:
    """Return who hears of something: of what never could be loaded all who hear of anything. Pure.

    Examples
    --------
    >>> chat = Alerts.model_validate({"to": [{"kind": "webhook", "connection": "ops_chat"}]})
    >>> [one.name for one in audience("new", {"a": Audience("a", chat), "b": Audience("b", chat)}).alerts.to]
    ['webhook ops_chat']
    """
    anybody = dict.fromkeys(destination for one in every.values() for destination in one.alerts.to)
    return every.get(name) or Audience(name, Alerts(to=tuple(anybody)))
