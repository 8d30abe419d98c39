"""What a request for predictions must look like: read in microseconds, and told in full where it is wrong. Pure."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from functools import cached_property
from operator import ge, le
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import numpy as np

from include.features.due import FIRST, LAST
from include.serving.model import ServedModel

if TYPE_CHECKING:
    from include.spec.inputs import InputRecord

MOST_ROWS = 10_000
MOST_FAULTS = 50  # that are told
LARGEST_INPUT = 3e38  # forests count in single precision
OTHER_FORMS = {"entity", "at", "lookups", "raw"}  # keys of requests without ready features
Entity = Annotated[str, msgspec.Meta(max_length=500, pattern=r"^[^\x00]*$")]
_decode_any = msgspec.json.Decoder(float_hook=float).decode  # also what no float can hold: its place is told
Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class BadRequest(Exception):
    """A request that cannot be answered, whoever answers it; sent again unchanged it brings the same.

    Attributes
    ----------
    status : int
        HTTP status, 400 to 499.
    faults : list of str
        What is wrong, one sentence a fault, each with its place.
    """

    def __init__(self, status: int, title: str, faults: list[str] | None = None) -> None:
        super().__init__(title)
        self.status, self.title, self.faults = status, title, faults or []


class OtherForm(Exception):
    """A request without ready features; see `include.serving.completing`."""

    def __init__(self, request: dict[str, Any]) -> None:
        super().__init__("the request has no ready features")
        self.request = request


class Rows(msgspec.Struct, frozen=True):
    """Rows of features to predict.

    Attributes
    ----------
    values : array, shape (n, f)
        In the order of the model's features; NaN where a value is missing.
    texts : list of bytes
        Each row as JSON, as it is kept.
    entities, times : list
        What each row is about, where the request says so; None elsewhere.
    warnings : list of list of str
        Of each row: features outside what the model was trained on, or outside the contract where that is only flagged.
    targets : list of datetime or None
        What each prediction will be about, UTC; empty where nobody has worked that out.
    """

    values: np.ndarray
    texts: list[bytes]
    entities: list[str | None]
    times: list[datetime | None]
    warnings: list[list[str]]
    targets: list[datetime | None] = []


def in_utc(place: str, at: datetime) -> datetime:
    """Return an instant in UTC.

    Raises
    ------
    BadRequest
        422 where it lies beyond the years that are kept.
    """
    if not FIRST <= at < LAST:
        faults = [f"{place} = {at.isoformat()}: expected a time from {FIRST.year} until {LAST.year}"]
        raise BadRequest(422, "a time that nothing can be about", faults)
    return at.astimezone(UTC)


def refuse_size(count: int) -> None:
    """Refuse a request with no row, or with too many: 413."""
    if not 1 <= count <= MOST_ROWS:
        raise BadRequest(413 if count else 422, f"there are {count:,} rows; send 1 to {MOST_ROWS:,} in one request")


class RowReader:
    """Reads the rows of features of one model."""

    def __init__(self, model: ServedModel, flags_range: bool = False) -> None:
        self.model, self.flags_range = model, flags_range
        about: list[Any] = [("entity", Entity | None, None), ("valid_at", Instant | None, None)]
        own = [(name, float | None) for name in model.features]
        self._count = len(own)
        row = msgspec.defstruct("Row", [*own, *about], forbid_unknown_fields=True, frozen=True, gc=False)
        body = msgspec.defstruct("Body", [("rows", list[row])], forbid_unknown_fields=True)  # type: ignore[valid-type]
        self._decode = msgspec.json.Decoder(body).decode
        self._encode = msgspec.json.Encoder().encode
        self._as_tuple = msgspec.structs.astuple
        self._least = np.maximum(np.fmax(model.low, model.seen_low), -LARGEST_INPUT)
        self._most = np.minimum(np.fmin(model.high, model.seen_high), LARGEST_INPUT)
        self._bounds: tuple[list[float], list[float]] = self._least.tolist(), self._most.tolist()

    @cached_property
    def record(self) -> type[InputRecord]:
        """What checks a raw row of the main source; without bounds where values outside them are only flagged."""
        from include.spec.inputs import input_model

        pipeline = self.model.pipeline
        source = pipeline.sources[pipeline.main]
        if self.flags_range:
            columns = {k: one.model_copy(update={"min": None, "max": None}) for k, one in source.columns.items()}
            source = source.model_copy(update={"columns": columns})
        return input_model(pipeline.model_copy(update={"sources": pipeline.sources | {pipeline.main: source}}))

    def read(self, body: bytes) -> Rows:
        """Return the rows of a request's body.

        Raises
        ------
        BadRequest
            400 where it is no JSON, 413 for too many rows, 422 naming each value that is wrong.
        OtherForm
            It has no rows of features.
        """
        try:
            rows = self._decode(body).rows  # type: ignore[attr-defined]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise self._refused(body) from None
        refuse_size(len(rows))
        tuples = [self._as_tuple(row) for row in rows]
        times = [row[-1] and in_utc(f"rows[{number}].valid_at", row[-1]) for number, row in enumerate(tuples)]
        values = np.array([row[: self._count] for row in tuples], dtype="float64")
        warnings = self.judge(values, refuses=not self.flags_range)
        texts = [self._encode(row) for row in rows]
        return Rows(values, texts, [row[-2] for row in tuples], times, warnings)

    def of_values(self, values: np.ndarray) -> Rows:
        """Return rows that came as numbers in the order of the features; raises as `read` does."""
        refuse_size(len(values))
        warnings = self.judge(values, refuses=not self.flags_range)
        rows = [[None if value != value else value for value in row] for row in values.tolist()]
        texts = [self._encode(dict(zip(self.model.features, row, strict=True))) for row in rows]
        return Rows(values, texts, [None for _ in rows], [None for _ in rows], warnings)

    def judge(self, values: np.ndarray, refuses: bool) -> list[list[str]]:
        """Return the warnings of each row.

        Raises
        ------
        BadRequest
            422 naming each value outside the contract, where these are refused, each that no model counts with, and
            each row without any value.
        """
        if self._is_usual(values):
            return [[] for _ in values]
        model, missing = self.model, np.isnan(values)
        if (empty := np.flatnonzero(missing.all(axis=1))).size:
            faults = [f"rows[{number}]: no feature has a value" for number in empty[:MOST_FAULTS]]
            raise BadRequest(422, "there is no prediction out of nothing", faults)
        if (places := np.argwhere(np.abs(values) > LARGEST_INPUT)).size:
            faults = [f"rows[{n}].{model.features[place]} = {values[n, place]:.15g}: too large" for n, place in places]
            raise BadRequest(422, "numbers that no model counts with", faults[:MOST_FAULTS])
        outside = (values < model.low) | (values > model.high)
        unseen = (values < model.seen_low) | (values > model.seen_high)
        if refuses and outside.any():
            faults = [self._range(values, *place) for place in np.argwhere(outside)[:MOST_FAULTS]]
            raise BadRequest(422, "values outside what the contract allows", faults)
        warnings: list[list[str]] = [[] for _ in values]
        lacking = missing & model.always_there
        for number, place in np.argwhere(outside | unseen | lacking):
            kind = "outside the contract" if outside[number, place] else "outside the training data"
            kind = "is missing, which it never was in the training data" if lacking[number, place] else kind
            warnings[number].append(f"{model.features[place]}: {kind}")
        return warnings

    def _is_usual(self, values: np.ndarray) -> bool:
        """Tell whether every value is there and within all bounds; one row is looked through faster without arrays."""
        if len(values) == 1:
            row = values[0].tolist()
            return all(map(le, self._bounds[0], row)) and all(map(ge, self._bounds[1], row))
        return bool(((values >= self._least) & (values <= self._most)).all())

    def _range(self, values: np.ndarray, number: int, place: int) -> str:
        low, high = self.model.low[place], self.model.high[place]
        name, value = self.model.features[place], values[number, place]
        bound = f"at least {low:.15g}" if value < low else f"at most {high:.15g}"
        return f"rows[{number}].{name} = {value:.15g}: expected {bound}"

    def _refused(self, body: bytes) -> BadRequest:
        """Say everything that is wrong with a body."""
        try:
            request = _decode_any(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return BadRequest(400, f"the body is no JSON that can be read: {error}")
        if isinstance(request, dict) and "rows" not in request and OTHER_FORMS & request.keys():
            raise OtherForm(request)
        if not isinstance(request, dict) or not isinstance(request.get("rows"), list):
            return BadRequest(422, 'expected an object with a list "rows", an object of features each')
        faults = [f"{key}: there is no such field" for key in request if key != "rows"]
        for number, row in enumerate(request["rows"]):
            faults += self._faults(f"rows[{number}]", row)
            if len(faults) >= MOST_FAULTS:
                break
        faults = faults or ["rows: cannot be read"]
        return BadRequest(422, "the request does not fit the model", faults[:MOST_FAULTS])

    def _faults(self, place: str, row: Any) -> list[str]:
        if not isinstance(row, dict):
            return [f"{place}: expected an object with a value for each feature"]
        known = {*self.model.features, "entity", "valid_at"}
        faults = [f"{place}.{key}: there is no such feature" for key in row if key not in known]
        for name in self.model.features:
            if name not in row:
                faults.append(f"{place}.{name}: is missing; where nobody knows it, send null")
            elif row[name] is not None and not _is_number(row[name]):
                faults.append(f"{place}.{name} = {row[name]!r:.60}: expected a number or null")
        try:
            msgspec.convert(row.get("entity"), Entity | None)
        except msgspec.ValidationError:
            faults.append(f"{place}.entity: expected a text of at most 500 letters")
        try:
            msgspec.convert(row.get("valid_at"), Instant | None)
        except msgspec.ValidationError:
            faults.append(f"{place}.valid_at: expected a time such as 2026-01-31T14:00:00Z")
        return faults


def _is_number(value: Any) -> bool:
    """Tell whether a value of a body is a number that a float can hold."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False
