"""The small types fields are made of: names, units, zones, cron lines, spans of time, shares."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from croniter import CroniterBadDateError, CroniterError, croniter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from include.spec.faults import Fault, Faulty, closest, one_of
from include.spec.measures import is_measure

NAME = r"^[a-z][a-z0-9_]{0,39}$"
UNITS = {
    "1", "MXN", "USD", "EUR", "MXN/USD", "%", "bps", "index", "mg/m3", "ug/m3", "g/m3", "ppb", "ppm", "degC",
    "kPa", "hPa", "sensor", "count", "code", "text", "flag", "UTC", "days", "hours", "s", "ms",
    "mm", "cm", "m", "km", "m/s", "km/h", "kg", "l", "m3", "W", "kWh",
}  # fmt: skip
CRON_FIELDS = {
    "minute": "0 to 59",
    "hour": "0 to 23",
    "day of month": "1 to 31",
    "month": "1 to 12",
    "day of week": "0 to 7, Sunday is both",
}
_SPAN = re.compile(r"^([0-9]{1,5})\s*(minute|hour|day|week)s?$")
_OFFSET = re.compile(r"^(?:UTC|GMT)?([+-])0?([0-9]{1,2})(?::?00)?$")
_OTHER_UNIT = re.compile(r"""^other\(["']?([^"'()]{1,40})["']?\)$""")


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        if offset := _OFFSET.match(name):
            away = f"Etc/GMT{'-' if offset[1] == '+' else '+'}{int(offset[2])}"
            raise ValueError(
                f"{name!r} is not an IANA time zone; a fixed offset is written {away!r}, its sign reversed"
            ) from None
        hint = one_of(name, sorted(available_timezones())) if name else ""
        fix = hint if hint.startswith("did") else "use one such as America/Mexico_City or UTC"
        raise ValueError(f"{name!r} is not an IANA time zone; {fix}") from None
    return name


def _known_unit(text: str) -> str:
    if other := _OTHER_UNIT.match(text):
        return other[1]
    if text in UNITS or is_measure(text):
        return text
    guess = closest(text, sorted(UNITS))
    hint = f"did you mean {guess!r}?" if guess else "write one such as mg/m3 or degC."
    raise ValueError(f"{text!r} is not a known unit; {hint} Any other is written like other('veh/h')")


def _cron(text: str) -> str:
    parts = text.split()
    if len(parts) != len(CRON_FIELDS):
        named = "minute, hour, day of month, month, day of week"
        raise ValueError(f"{text!r} is not a cron line of five fields ({named}); write one such as '30 18 * * 1-5'")
    for place, (part, (name, values)) in enumerate(zip(parts, CRON_FIELDS.items(), strict=True)):
        if not croniter.is_valid(" ".join(part if i == place else "*" for i in range(len(parts)))):
            raise ValueError(f"{text!r}: its {name} {part!r} is out of range; write {values}, or * for any")
    try:
        croniter(text).get_next()
    except (CroniterBadDateError, CroniterError):
        raise ValueError(f"{text!r} never comes round; choose a day that its months have") from None
    return text


def _span(text: str) -> str:
    if not span(text):
        raise ValueError(f"{text!r} is no time at all; write at least 1, or leave the key out")
    return text


def _connection(text: str) -> str:
    # The value is not shown: a person who writes a URL here may have put a password in it.
    if not re.match(NAME, text):
        raise ValueError(
            "not the plain name of a connection; write an id such as banxico_api, "
            "and keep host and password in the Airflow Connection of that id"
        )
    return text


def span(text: str) -> timedelta:
    """Turn ``"14 days"`` into a timedelta.

    Raises
    ------
    ValueError
        If it is not a whole number of minutes, hours, days or weeks. Retrying does not help.

    Examples
    --------
    >>> span("36 hours").days
    1
    """
    match = _SPAN.match(text)
    if match is None:
        like = f"'{text} days'" if text.isdecimal() else "'14 days', '1 hour' or '30 minutes'"
        raise ValueError(f"{text!r} is not a span of time; write it like {like}")
    return timedelta(**{match[2] + "s": int(match[1])})


Name = Annotated[str, Field(pattern=NAME, examples=["fix_mxn"])]
ConnectionId = Annotated[
    str, AfterValidator(_connection), Field(json_schema_extra={"pattern": NAME, "examples": ["banxico_api"]})
]
Zone = Annotated[
    str,
    AfterValidator(_known_zone),
    Field(json_schema_extra={"unit": "IANA time zone", "examples": ["UTC", "America/Mexico_City"]}),
]
Unit = Annotated[str, AfterValidator(_known_unit), Field(json_schema_extra={"examples": ["mg/m3"]})]
Cron = Annotated[
    str, AfterValidator(_cron), Field(json_schema_extra={"unit": "cron, 5 fields", "examples": ["30 18 * * 1-5"]})
]
_AMOUNT = {"unit": "minutes, hours, days or weeks", "pattern": _SPAN.pattern, "examples": ["14 days", "1 hour"]}
Span = Annotated[str, AfterValidator(_span), Field(json_schema_extra=_AMOUNT)]
Address = Annotated[str, Field(pattern=r"^[^@\s,]+@[^@\s,]+$", examples=["desk@example.org"])]
ClockTime = Annotated[
    str,
    Field(
        pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", examples=["12:00"], json_schema_extra={"unit": "HH:MM, local time"}
    ),
]
# The bounds leave room for calendar arithmetic, which ends at the year 9999.
Day = Annotated[date, Field(ge=date(1900, 1, 1), le=date(2200, 1, 1), json_schema_extra={"unit": "date"})]
Rows = Annotated[int, Field(json_schema_extra={"unit": "rows"})]
DecimalMark = Literal[".", ","]
ThousandsMark = Literal[".", ",", "'", " ", "\u00a0", "\u202f"]
Letters = Annotated[int, Field(ge=0, json_schema_extra={"unit": "letters"})]
Share = Annotated[float, Field(json_schema_extra={"unit": "share, 0 to 1"})]
Percent = Annotated[float, Field(json_schema_extra={"unit": "%"})]
Bound = Annotated[float | None, Field(json_schema_extra={"unit": "the column's"})]


class Strict(BaseModel):
    """Refuse unknown keys (a misspelt threshold must not be silently ignored) and fields that do not go together."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False)

    def _faults(self) -> Iterator[Fault]:
        """Yield what is wrong between the fields, when each is right by itself."""
        yield from ()

    @model_validator(mode="after")
    def _refuse_faults(self) -> Self:
        if faults := tuple(self._faults()):
            raise Faulty(faults)
        return self
