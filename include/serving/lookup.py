"""Features as the loop had built them from what was known at an instant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from psycopg2 import errors, sql

from include.serving.inputs import MOST_FAULTS, BadRequest

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection

    from include.serving.model import ServedModel

# No value is available before the time it is about: the second bound changes no answer, and ends the scan early.
NEWEST = """
select f.valid_at, f.available_at, {features}
from unnest(%s::text[], %s::timestamptz[]) with ordinality wanted (entity, instant, place)
left join lateral (
    select * from feature.{table} f
    where f.entity = wanted.entity and f.available_at <= wanted.instant and f.valid_at <= wanted.instant
    order by f.valid_at desc limit 1
) f on true
order by wanted.place
"""


@dataclass(frozen=True)
class Completed:
    """Features that were looked up or built for a request, and what each row is about.

    Attributes
    ----------
    values : array, shape (n, f)
        In the order of the model's features.
    entities, times : list
        What each row is about.
    known_at : list of datetime or None
        When the newest of what it was made from, before the row itself, could be known, UTC; None where it looks back
        and nothing is there.
    asked_at : list of datetime
        For when each was asked, UTC.
    """

    values: np.ndarray
    entities: list[str]
    times: list[datetime]
    known_at: list[datetime | None]
    asked_at: list[datetime]


def look_up(connection: PgConnection, model: ServedModel, lookups: Sequence[tuple[str, datetime]]) -> Completed:
    """Return the newest features that were known at each instant, of the set of features a version was trained on."""
    from include.features.sets import table_name

    names = sql.SQL(", ").join(sql.SQL("f.{}").format(sql.Identifier(name)) for name in model.features)
    query = sql.SQL(NEWEST).format(features=names, table=sql.Identifier(table_name(model.pipeline)))
    entities, instants = map(list, zip(*lookups, strict=True))
    with connection.cursor() as cursor:
        try:
            cursor.execute(query, (entities, instants))
        except errors.UndefinedTable:
            raise BadRequest(404, f"no features of version {model.version} are built") from None
        rows = cursor.fetchall()
    if unknown := [place for place, row in enumerate(rows) if row[0] is None]:
        faults = [f"{entities[n]!r} at {instants[n].isoformat()}: nothing was known" for n in unknown[:MOST_FAULTS]]
        raise BadRequest(404, "there are no features of that entity at that time", faults)
    values = np.array([row[2:] for row in rows], dtype="float64")
    return Completed(values, entities, [row[0] for row in rows], [row[1] for row in rows], instants)
