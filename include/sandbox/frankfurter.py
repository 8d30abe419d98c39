"""Frankfurter's `GET /v2/rates` for the one pair that matters here, MXN per USD, by two of its providers.

`BANXICO` is the real FIX, `ECB` the cross of the European Central Bank's real euro reference rates, rounded as the
service rounds what it computes. Like the service, an unknown provider or a span without rates is an empty list, an
unknown currency 422 and any other path 404, both as `{"message"}`. A span must have its beginning: the service's other
forms (latest rates, one date) are not spoken here, nor is its blend of several providers, which is refused; without a
provider the FIX is served.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from include.sandbox import market_data
from include.sandbox.injection import Injection, of_field, sent

CURRENCIES = frozenset({"USD", "MXN"})


def answer(series: list[tuple[date, float]], start: date, end: date) -> list[dict[str, Any]]:
    """Return a provider's rates from `start` to `end`, both included, as the wire has them.

    Examples
    --------
    >>> answer([(date(2025, 1, 2), 20.5)], date(2025, 1, 1), date(2025, 1, 2))
    [{'date': '2025-01-02', 'base': 'USD', 'quote': 'MXN', 'rate': 20.5}]
    """
    chosen = market_data.between(series, start, end)
    return [{"date": day.isoformat(), "base": "USD", "quote": "MXN", "rate": rate} for day, rate in chosen]


def rounded(rate: float) -> float:
    """Round a computed rate of MXN per USD as the service does: the larger it is, the fewer decimals it has.

    Examples
    --------
    >>> rounded(18.682049), rounded(20.341549)
    (18.682, 20.342)
    >>> rounded(18.68254)
    18.6825
    """
    return round(rate, 3 if rate > 20 else 4)


def injected(
    series: list[tuple[date, float]], provider: str, injections: Iterable[Injection]
) -> list[tuple[date, float]]:
    """Return a provider's rates as injections change them; one that goes missing is left out, as on a holiday."""
    own = of_field(injections, provider)
    rates = ((day, sent(rate, datetime.combine(day, time(), UTC), own, 4)) for day, rate in series)
    return [(day, rate) for day, rate in rates if rate is not None]


def router() -> APIRouter:
    """Return the service's routes."""
    providers = {"BANXICO": market_data.fix(), "ECB": [(day, rounded(rate)) for day, rate in market_data.ecb_usd_mxn()]}
    api = APIRouter(prefix="/v2")

    @api.get("/rates")
    async def rates(request: Request) -> JSONResponse:
        params = request.query_params
        base, quotes = params.get("base", "EUR"), params.get("quotes", "MXN").split(",")
        if unknown := sorted({base, *quotes} - CURRENCIES):
            return JSONResponse({"message": f"invalid currency: {', '.join(unknown)}"}, 422)
        known = sorted({*params.get("providers", "BANXICO").upper().split(",")} & providers.keys())
        if len(known) > 1:
            return JSONResponse({"message": f"the sandbox blends no providers: ask for one of {', '.join(known)}"}, 422)
        has_rates = known and (base, quotes) == ("USD", ["MXN"])
        series = injected(providers[known[0]], known[0], request.state.injections) if has_rates else []
        try:
            start = date.fromisoformat(params.get("from", ""))
            end = date.fromisoformat(params["to"]) if params.get("to") else date.max
        except ValueError:
            return JSONResponse({"message": "invalid date"}, 422)
        return JSONResponse(answer(series, start, end))

    @api.get("/{path:path}")
    async def nothing(path: str) -> JSONResponse:
        return JSONResponse({"message": "not found"}, 404)

    return api
