"""What one record of input values must look like: the columns' own facts, as a model that serving validates with.

The batch check reads the same facts (``include.quality``), so that a value which may enter the warehouse may
also be asked a prediction for, and no other. What only a batch can show (completeness, uniqueness, freshness,
checks between rows) is not asked of a record, nor is the ``format`` of a value that does not come as text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, WrapValidator, create_model
from pydantic_core import PydanticCustomError

from include.spec.types import TYPES

if TYPE_CHECKING:
    from include.spec.model import Pipeline
    from include.spec.source import Column

NOUNS = {
    **{
        "number": "a number",
        "decimal": "a number",
        "integer": "a whole number",
        "text": "a text",
        "boolean": "true or false",
    },
    **{"timestamp": "a time like 2025-01-31T14:00:00Z", "date": "a day like 2025-01-31"},
}
UNSAID = ("1", "text", "code", "flag", "UTC")  # units that tell a person nothing beside the value
INTEGERS = range(-(2**63), 2**63)
FIRST_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
DIGITS_OF_A_FLOAT = 2.0**53  # beyond it a float has no digits left after the point


class InputRecord(BaseModel):
    """A record of input values; a field nobody knows is refused, and nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, validate_default=True)


def input_model(pipeline: Pipeline, source: str | None = None) -> type[InputRecord]:
    """Return the model of one record of a source's values, by default the main source's.

    Returns
    -------
    type of InputRecord
        A field a column, in the column's unit, named as in the warehouse; columns that never leave their source
        have none. Times without an offset are UTC. A value that may be missing may be left out or null. Its
        JSON Schema carries unit and description; its errors name the field, what is wrong and the unit.

    Examples
    --------
    >>> from include.spec.load import load_all
    >>> fix = input_model(load_all()["usdmxn"])
    >>> fix(fix_mxn=18.5).fix_mxn
    18.5
    >>> fix.model_json_schema()["properties"]["fix_mxn"]["unit"]
    'MXN/USD'
    """
    name = source or pipeline.main
    columns = pipeline.sources[name].stored
    model: type[InputRecord] = create_model(
        "".join(part.title() for part in f"{pipeline.pipeline}_{name}_input".split("_")),
        __base__=InputRecord,
        __doc__=pipeline.sources[name].title,
        **{key: _field(key, column) for key, column in columns.items()},
    )
    # Every field has a default, so that a missing value is told with its unit; to readers it is required.
    required: list[Any] = [key for key, column in columns.items() if column.required]
    if required:
        model.model_config["json_schema_extra"] = {"required": required}
        model.model_rebuild(force=True)
    return model


def faults(error: ValidationError) -> list[str]:
    """Return what is wrong with a record, one sentence a fault."""
    return [
        f"{detail['loc'][0]}: there is no such field" if detail["type"] == "extra_forbidden" else detail["msg"]
        for detail in error.errors(include_url=False, include_context=False)
    ]


def _field(name: str, column: Column) -> Any:
    facts = Field(None, description=column.description, json_schema_extra=_schema(column))
    return Annotated[TYPES[column.type].python | None, WrapValidator(_validator(name, column)), facts], None


def _schema(column: Column) -> dict[str, Any]:
    """Return the facts by the names JSON Schema has for them."""
    length: tuple[int | None, int | None] = column.length or (None, None)
    facts: dict[str, Any] = {"unit": column.unit, "minimum": column.min, "maximum": column.max}
    facts |= {"minLength": length[0], "maxLength": length[1], "decimals": column.decimals}
    facts["enum"] = [*column.allowed, *([] if column.required else [None])] if column.allowed else None
    facts["pattern"] = f"^(?:{column.format})$" if column.format and column.type == "text" else None
    return {key: value for key, value in facts.items() if value is not None}


def _validator(name: str, column: Column) -> Callable[[Any, Callable[[Any], Any]], Any]:
    in_unit = "" if column.unit in UNSAID else f" in {column.unit}"
    wanted = f"{NOUNS[column.type]}{in_unit}"

    def validate(value: Any, handler: Callable[[Any], Any]) -> Any:
        if value is None:
            if column.required:
                raise _fault("required", f"{name} is missing: expected {wanted}")
            return None
        try:
            typed = handler(_plain(value, column.type))
        except (ValidationError, ValueError, OverflowError):
            raise _fault("type", f"{name} = {value!r}: expected {wanted}") from None
        if column.type == "integer" and typed not in INTEGERS:
            raise _fault("type", f"{name} = {value!r}: expected {wanted}, of 64 bits")
        for rule, expected in _broken(typed, column):
            raise _fault(rule, f"{name} = {value!r}: expected {expected}")
        return typed

    return validate


def _plain(value: Any, kind: str) -> Any:
    """Return a value as its strict type takes it: texts become times, 5.0 the whole number it is."""
    if kind == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind not in ("timestamp", "date") or not isinstance(value, str):
        return value
    if FIRST_DAY.match(value) is None:
        raise ValueError(value)
    if kind == "date":
        return date.fromisoformat(value[:10])
    at = datetime.fromisoformat(value)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _broken(value: Any, column: Column) -> Iterator[tuple[str, str]]:
    """Yield each fact a typed value breaks, and what it asks."""
    unit = "" if column.unit in UNSAID else f" {column.unit}"
    if column.min is not None and value < column.min:
        yield "range", f"at least {column.min:.15g}{unit}"
    if column.max is not None and value > column.max:
        yield "range", f"at most {column.max:.15g}{unit}"
    if column.allowed and value not in column.allowed:
        yield "allowed", f"one of {', '.join(map(str, column.allowed))}{unit}"
    if column.length and not column.length[0] <= len(value) <= column.length[1]:
        yield "length", f"{column.length[0]} to {column.length[1]} letters"
    if column.format and isinstance(value, str) and not re.match(rf"(?:{column.format})\Z", value):
        yield "format", f"text like {column.format}"
    if column.decimals is not None and not _has_few_digits(value, column.decimals):
        yield "decimals", f"at most {column.decimals} digits after the point{' in' if unit else ''}{unit}"


def _has_few_digits(value: float, digits: int) -> bool:
    scaled = value * 10.0**digits
    return abs(scaled) > DIGITS_OF_A_FLOAT or round(scaled) / 10.0**digits == value


def _fault(rule: str, message: str) -> PydanticCustomError:
    return PydanticCustomError("input_value", "{said}", {"rule": rule, "said": message})
