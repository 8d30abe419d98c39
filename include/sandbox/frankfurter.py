"""Frankfurter's `GET /v2/rates` for the one rate that matters here: Banxico's FIX, MXN per USD.

The rates are the real FIX. Like the service, an unknown provider or a span without rates is an
empty list, an unknown currency 422 and any other path 404, both as `{"message"}`. A span must
have its beginning: the service's other forms (latest rates, one date) are not spoken here.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from datetime import date
from typing import Any

from fastapi import APIRouter, Request, Response

from include.sandbox import market_data

CURRENCIES = frozenset({"USD", "MXN"})


def answer(fix: list[tuple[date, float]], start: date, end: date) -> list[dict[str, Any]]:
    """Return the FIX from `start` to `end`, both included, as the wire has it.

    Examples
    --------
    >>> answer([(date(2025, 1, 2), 20.5)], date(2025, 1, 1), date(2025, 1, 2))
    [{'date': '2025-01-02', 'base': 'USD', 'quote': 'MXN', 'rate': 20.5}]
    """
    days = [day for day, _ in fix]
    chosen = fix[bisect_left(days, start) : bisect_right(days, end)]
    return [{"date": day.isoformat(), "base": "USD", "quote": "MXN", "rate": rate} for day, rate in chosen]


def router() -> APIRouter:
    """Return the service's routes."""
    fix = market_data.fix()
    api = APIRouter(prefix="/v2")

    @api.get("/rates")
    async def rates(request: Request) -> Response:
        asked = request.query_params
        base, quotes = asked.get("base", "EUR"), asked.get("quotes", "MXN").split(",")
        unknown = sorted({base, *quotes} - CURRENCIES)
        if unknown:
            return _json({"message": f"invalid currency: {', '.join(unknown)}"}, 422)
        try:
            start = date.fromisoformat(asked.get("from", ""))
            end = date.fromisoformat(asked.get("to") or fix[-1][0].isoformat())
        except ValueError:
            return _json({"message": "invalid date"}, 422)
        is_fix = (base, quotes) == ("USD", ["MXN"]) and "BANXICO" in asked.get("providers", "BANXICO").split(",")
        return _json(answer(fix, start, end) if is_fix else [])

    @api.get("/{path:path}")
    async def nothing(path: str) -> Response:
        return _json({"message": "not found"}, 404)

    return api


def _json(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body, separators=(",", ":")), status, media_type="application/json")
