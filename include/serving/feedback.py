"""What came of answers, told later: the truth, and the outcome for the business."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from psycopg2.extras import Json, execute_values

from include.serving.inputs import MOST_FAULTS, BadRequest
from include.serving.locating import Place
from include.serving.model import LARGEST
from include.spec.fields import NAME

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection

    from include.serving.catalog import Catalog

MOST = 1_000  # items in one request
ENDS = r"(?!\n)"  # Python's $ also matches before a last line break; its \Z is unknown to readers of JSON Schema
Number = Annotated[float, msgspec.Meta(ge=-LARGEST, le=LARGEST)]
OutcomeName = Annotated[str, msgspec.Meta(pattern=rf"{NAME}{ENDS}")]
# What was told of other things stays; the same again is no version.
TELL = """
insert into ml.feedback (request_id, row_number, version, pipeline, actual, outcome, given_by)
select n.request_id, n.row_number, coalesce(before.version, 0) + 1, n.pipeline, coalesce(n.actual, before.actual),
    case when n.outcome is null then before.outcome else coalesce(before.outcome, '{}') || n.outcome end, n.given_by
from (values %s) n (request_id, row_number, pipeline, actual, outcome, given_by)
left join lateral (
    select * from ml.feedback f where (f.request_id, f.row_number) = (n.request_id, n.row_number)
    order by f.version desc limit 1
) before on true
where (coalesce(n.actual, before.actual), case when n.outcome is null then before.outcome
        else coalesce(before.outcome, '{}') || n.outcome end) is distinct from (before.actual, before.outcome)
returning 1
"""
LOCK = "select pg_advisory_xact_lock(hashtext('feedback:' || id)) from unnest(%s::text[]) id order by id"


class Item(msgspec.Struct, forbid_unknown_fields=True):
    """What came of one answer."""

    request_id: Annotated[str, msgspec.Meta(pattern=rf"^[A-Za-z0-9_-]{{1,64}}${ENDS}")]
    row_number: Annotated[int, msgspec.Meta(ge=0, lt=10_000)] = 0
    actual: Number | None = None
    outcome: Annotated[dict[OutcomeName, bool | Number], msgspec.Meta(min_length=1, max_length=20)] | None = None


class Items(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request with feedback."""

    items: Annotated[list[Item], msgspec.Meta(min_length=1, max_length=MOST)]


class Told(msgspec.Struct):
    """The body of its answer: items, those that told something new, and requests whose answers are on their way."""

    received: int
    recorded: int
    waiting: list[str]


_decode = msgspec.json.Decoder(Items).decode


def read(body: bytes) -> list[Item]:
    """Return the items of a request's body.

    Raises
    ------
    BadRequest
        400 where it is no JSON, 422 with the place of what is wrong.
    """
    try:
        items = _decode(body).items
    except msgspec.ValidationError as error:
        raise BadRequest(422, "the feedback cannot be read", [str(error)]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(400, f"the body is no JSON that can be read: {error}") from None
    faults = [f"items[{n}]: give actual, outcome or both" for n, i in enumerate(items) if i.actual is i.outcome is None]
    places = [(item.request_id, item.row_number) for item in items]
    faults += [f"items[{n}]: is there twice" for n, place in enumerate(places) if places.index(place) < n]
    if faults:
        raise BadRequest(422, "the feedback cannot be read", faults[:MOST_FAULTS])
    return items


def check(items: list[Item], pipelines: dict[Place, str], catalog: Catalog) -> None:
    """Refuse a truth that the target cannot be.

    Raises
    ------
    BadRequest
        422 naming each.
    """
    faults = []
    for number, item in enumerate(items):
        model = catalog.models.get(pipelines[item.request_id, item.row_number])
        if model is None or item.actual is None:
            continue
        pipeline = model.pipeline
        column = pipeline.sources[pipeline.main].columns[pipeline.target.column]
        place = f"items[{number}].actual = {item.actual:.15g}"
        if pipeline.target.is_probability:
            if item.actual not in (0.0, 1.0):
                faults.append(f"{place}: it has come, 1, or it has not, 0")
        elif (column.min is not None and item.actual < column.min) or (
            column.max is not None and item.actual > column.max
        ):
            faults.append(f"{place}: the contract allows {column.min} to {column.max}")
    if faults:
        raise BadRequest(422, "a truth that the target cannot be", faults[:MOST_FAULTS])


def tell(connection: PgConnection, items: list[Item], pipelines: dict[Place, str], subject: str) -> int:
    """Keep feedback and return how many items told something new; the same again changes nothing."""
    rows = [
        (item.request_id, item.row_number, pipelines[item.request_id, item.row_number], item.actual,
         Json(item.outcome, dumps=_dumps) if item.outcome is not None else None, subject)
        for item in items
    ]  # fmt: skip
    template = "(%s, %s, %s, %s::float8, %s::jsonb, %s)"
    with connection.cursor() as cursor:
        cursor.execute(LOCK, (sorted({item.request_id for item in items}),))
        return len(execute_values(cursor, TELL, rows, template, page_size=MOST, fetch=True))


def _dumps(outcome: dict[str, Any]) -> str:
    return msgspec.json.encode(outcome).decode()
