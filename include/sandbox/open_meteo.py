"""Open-Meteo's `GET /v1/air-quality`: hourly values of one place, column by column. All SIMULATED.

Nothing here was measured or modelled by anybody: each hour is a fixed function of place and
time, so that the same request gives the same bytes for good. Shape and units are those of the
recorded answer. Like the service, a bad request is 400 with `{"error": true, "reason": …}`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from include.sandbox.injection import Injection, of_field, sent
from include.sandbox.standing import SIMULATED

FIRST_DAY = date(2013, 1, 1)
DAYS_AHEAD = 4
# Mean over the year, share of the daily and of the seasonal swing, in μg/m³.
POLLUTANTS = {
    "pm10": (24.0, 0.25, 0.2),
    "pm2_5": (15.0, 0.25, 0.3),
    "carbon_monoxide": (230.0, 0.3, 0.25),
    "nitrogen_dioxide": (22.0, 0.4, 0.2),
    "sulphur_dioxide": (4.0, 0.2, 0.3),
    "ozone": (60.0, -0.35, -0.3),
}


class BadRequestError(Exception):
    """What the service refuses, in its words."""


def simulate(pollutant: str, latitude: float, longitude: float, hour: datetime) -> float:
    """Return the simulated value of one hour (UTC) at a place (degrees) in μg/m³, to a tenth as the service does."""
    mean, daily, seasonal = POLLUTANTS[pollutant]
    sun = hour.hour + longitude / 15
    rush = (math.cos(2 * math.pi * (sun - 8) / 12) + math.cos(2 * math.pi * (sun - 20) / 24)) / 2
    winter = math.cos(2 * math.pi * (hour.timetuple().tm_yday - 15) / 365.25) * (1 if latitude >= 0 else -1)
    seed = hashlib.sha256(f"{pollutant} {latitude:.2f} {longitude:.2f} {hour:%Y%m%d%H}".encode()).digest()
    chance = int.from_bytes(seed[:4], "big") / 2**32 - 0.5
    return round(mean * (1 + daily * rush + seasonal * winter + 0.3 * chance), 1)


def answer(params: Mapping[str, str], today: date, injections: Iterable[Injection] = ()) -> dict[str, Any]:
    """Return the service's answer; it knows days up to four after `today`.

    Parameters
    ----------
    params : mapping of str to str
        `latitude`, `longitude`, `hourly` (names, comma separated), `start_date`, `end_date`
        (both included) and perhaps `timezone`.

    Raises
    ------
    BadRequestError
        A parameter is missing or makes no sense.
    """
    latitude, longitude = _degrees(params, "latitude", 90), _degrees(params, "longitude", 180)
    names = [name for name in params.get("hourly", "").split(",") if name]
    if unknown := next((name for name in names if name not in POLLUTANTS), None):
        raise BadRequestError(f"Data corrupted at path ''. Cannot initialize from invalid String value {unknown}.")
    zone, name = _zone(params.get("timezone", "GMT"))
    first, last = _days(params, today)
    midnight = datetime.combine(first, datetime.min.time(), zone)
    offset = midnight.utcoffset() or timedelta()
    hours = [midnight.astimezone(UTC) + timedelta(hours=n) for n in range(24 * ((last - first).days + 1))]
    values = {}
    for column in names:
        own = of_field(injections, column)
        values[column] = [sent(simulate(column, latitude, longitude, hour), hour, own, 1) for hour in hours]
    return {
        "latitude": latitude,
        "longitude": longitude,
        "generationtime_ms": 0.5,
        "utc_offset_seconds": int(offset.total_seconds()),
        "timezone": name,
        "timezone_abbreviation": midnight.tzname(),
        "hourly_units": {"time": "iso8601", **dict.fromkeys(names, "μg/m³")},
        "hourly": {"time": [f"{hour + offset:%Y-%m-%dT%H:%M}" for hour in hours], **values},
    }


def router() -> APIRouter:
    """Return the service's route."""
    api = APIRouter()

    @api.get("/v1/air-quality")
    async def air_quality(request: Request) -> JSONResponse:
        try:
            body, status = answer(request.query_params, datetime.now(UTC).date(), request.state.injections), 200
        except BadRequestError as refused:
            body, status = {"error": True, "reason": str(refused)}, 400
        return JSONResponse(body, status, SIMULATED, "application/json; charset=utf-8")

    return api


def _degrees(params: Mapping[str, str], name: str, limit: int) -> float:
    try:
        degrees = float(params[name])
    except KeyError:
        raise BadRequestError(f"Parameter '{name}' is required.") from None
    except ValueError:
        raise BadRequestError(f"Parameter '{name}' must be a number.") from None
    if not -limit <= degrees <= limit:
        raise BadRequestError(f"{name.capitalize()} must be in range of -{limit} to {limit}°. Given: {degrees}.")
    return degrees


def _zone(name: str) -> tuple[ZoneInfo, str]:
    try:
        return ZoneInfo("UTC" if name in ("GMT", "UTC") else name), name
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadRequestError("Invalid timezone") from None


def _days(params: Mapping[str, str], today: date) -> tuple[date, date]:
    try:
        first, last = date.fromisoformat(params["start_date"]), date.fromisoformat(params["end_date"])
    except (KeyError, ValueError):
        raise BadRequestError("Invalid date format. Make sure to use 'YYYY-MM-DD'") from None
    newest = today + timedelta(days=DAYS_AHEAD)
    for name, day in (("start_date", first), ("end_date", last)):
        if not FIRST_DAY <= day <= newest:
            raise BadRequestError(f"Parameter '{name}' is out of allowed range from {FIRST_DAY} to {newest}")
    if last < first:
        raise BadRequestError("End-date must be larger or equals than start-date")
    return first, last
