"""Requests without ready features: by entity and instant, or with raw rows; what is missing comes from the warehouse.

Features that are looked up are those that the loop had built from what was known at the instant; those of raw rows
are built by the loop's own function from the rows and what the warehouse has around them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from include.serving.inputs import BadRequest, Entity, Instant, RowReader, Rows, in_utc
from include.serving.lookup import Completed, look_up
from include.serving.raw import build_features, raw_rows
from include.serving.warehouse import Warehouse

if TYPE_CHECKING:
    from include.serving.model import ServedModel
    from include.spec.model import Pipeline

MOST = 1_000  # rows in one request
TICKS = 60  # runs of the schedule that are looked at for the longest time between two


class Lookup(msgspec.Struct, forbid_unknown_fields=True):
    """One row of features to look up; now, where no instant is given."""

    entity: Entity = ""
    at: Instant | None = None


class Single(msgspec.Struct, forbid_unknown_fields=True):
    """A request by one entity, at one instant or several."""

    entity: Entity = ""
    at: Instant | list[Instant] | None = None


class Several(msgspec.Struct, forbid_unknown_fields=True):
    """A request by several entities and instants."""

    lookups: Annotated[list[Lookup], msgspec.Meta(min_length=1, max_length=MOST)]


class Raw(msgspec.Struct, forbid_unknown_fields=True):
    """A request with rows of the main source."""

    raw: Annotated[list[dict[str, Any]], msgspec.Meta(min_length=1, max_length=MOST)]


async def complete(warehouse: Warehouse, reader: RowReader, request: dict[str, Any]) -> Rows:
    """Return the rows of features that a request without ready ones asks for.

    Raises
    ------
    BadRequest
        404 where nothing was known then, 422 naming each value that is wrong.
    WarehouseDown
        The same may be sent again later.
    """
    model = reader.model
    if "raw" in request:
        frame = raw_rows(reader, _converted(request, Raw).raw)
        completed, targets = await warehouse.run(lambda link: _with_targets(build_features(link, model, frame), model))
    else:
        lookups = _lookups(request)
        completed, targets = await warehouse.run(lambda link: _with_targets(look_up(link, model, lookups), model))
    warnings = reader.judge(completed.values, refuses="raw" in request and not reader.flags_range)
    allowed = stale_after(model.pipeline)
    for place, (known_at, asked_at) in enumerate(zip(completed.known_at, completed.asked_at, strict=True)):
        if known_at is None:
            warnings[place] = [*warnings[place], "stale: it looks back, and nothing is known of the time before it"]
        elif asked_at - known_at > allowed:
            text = f"stale: its newest features were known {asked_at - known_at} before, at {known_at.isoformat()}"
            warnings[place] = [*warnings[place], text]
    about: tuple[list[str | None], list[datetime | None]] = [*completed.entities], [*completed.times]
    return Rows(completed.values, _texts(model, completed), *about, warnings, targets)


def _with_targets(completed: Completed, model: ServedModel) -> tuple[Completed, list[datetime | None]]:
    """Return rows, and the time that the prediction of each will be about; None where no calendar tells."""
    import pandas as pd

    from include.features.target_time import expected

    targets = expected(model.pipeline, pd.Series(completed.times, dtype="datetime64[us, UTC]"))
    return completed, [None if at is pd.NaT else at.to_pydatetime() for at in targets]


def _texts(model: ServedModel, completed: Completed) -> list[bytes]:
    """Return each row as JSON, as a request with ready features would have sent it."""
    rows = [[None if value != value else value for value in row] for row in completed.values.tolist()]
    return [
        msgspec.json.encode(dict(zip(model.features, row, strict=True)) | {"entity": entity, "valid_at": at})
        for row, entity, at in zip(rows, completed.entities, completed.times, strict=True)
    ]


@cache
def _longest_gap(cron: str, timezone: str) -> timedelta:
    from zoneinfo import ZoneInfo

    from croniter import croniter

    ticks = croniter(cron, datetime(2024, 1, 1, tzinfo=ZoneInfo(timezone)))
    moments = list(islice((ticks.get_next(datetime) for _ in range(TICKS)), TICKS))
    return max(later - earlier for earlier, later in pairwise(moments))


def stale_after(pipeline: Pipeline) -> timedelta:
    """Return how old features may be: as the spec says, else twice the longest time between two runs of the schedule.

    Examples
    --------
    >>> from include.spec.load import load_all
    >>> stale_after(load_all()["usdmxn"])  # runs on weekdays
    datetime.timedelta(days=6)
    """
    from include.spec.fields import span

    told = pipeline.predictions.stale_after
    return span(told) if told else 2 * _longest_gap(pipeline.schedule.cron, pipeline.schedule.timezone)


def _converted(request: dict[str, Any], form: Any) -> Any:
    try:
        return msgspec.convert(request, form)
    except msgspec.ValidationError as error:
        raise BadRequest(422, "the request does not fit the model", [str(error)]) from None


def _lookups(request: dict[str, Any]) -> list[tuple[str, datetime]]:
    """Return the entities and instants of a request."""
    now = datetime.now(UTC)
    if "lookups" in request:
        several = enumerate(_converted(request, Several).lookups)
        return [(one.entity, in_utc(f"lookups[{number}].at", one.at or now)) for number, one in several]
    single = _converted(request, Single)
    instants = single.at if isinstance(single.at, list) else [single.at or now]
    if not 1 <= len(instants) <= MOST:
        raise BadRequest(422, f"at: there are {len(instants):,} instants; send 1 to {MOST:,} in one request")
    return [(single.entity, in_utc("at", instant)) for instant in instants]
