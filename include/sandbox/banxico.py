"""Banco de México's SIE REST service: tokens, metadata, history, newest value, limits.

Answers are compact JSON in UTF-8. Several series come back in another order than asked, a series without a value in the
range has no `datos`, and every refusal is HTTP 400 with an `error` node, except for unknown series: 404, as the bank's
own client expects. The texts of a bad token and of a passed limit are recorded; those of bad ids, dates and unknown
series follow other clients' notes. Ranges of ids (`SF1-SF5`), `incremento` and XML are not offered.
"""

import re
import time
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from include.sandbox.config import SandboxConfig
from include.sandbox.rate_limit import MEXICO_CITY, Kind, Limiter
from include.sandbox.sie_series import Series, injected, load_series

MAX_IDS = 20
MEDIA_TYPE = "application/json;charset=UTF-8"


def _error(message: str, detail: str) -> dict[str, Any]:
    return {"mensaje": message, "detalle": detail}


BAD_TOKEN = {"url": "https://www.banxico.org.mx/SieAPIRest/service/v1/token"} | _error(
    "Token inválido",
    "El token enviado no es válido, favor de verificar. Para obtener un token consultar la url adjunta.",
)
BAD_IDS = _error("Formato de series incorrecto.", "Formato de series debe ser SX####[-SX####][,SX####[-SX####]]")
TOO_MANY_IDS = _error("Límite de series superado.", f"Se pueden consultar como máximo {MAX_IDS} series.")
UNKNOWN_SERIES = _error("Serie no encontrada.", "Ninguna de las series enviadas existe.")
BAD_DATES = _error("Formato de fecha incorrecto.", "El formato de la fecha enviada es incorrecto. Debe ser yyyy-MM-dd.")
BAD_RANGE = _error("Rango de fechas incorrecto.", "La fecha inicial debe ser anterior o igual a la fecha final.")


class SieError(Exception):
    """A refusal: its `error` node, status and headers."""

    def __init__(self, error: dict[str, Any], status: int = 400, headers: dict[str, str] | None = None) -> None:
        super().__init__(error["mensaje"])
        self.error, self.status, self.headers = error, status, headers


def find_series(known: dict[str, Series], ids: str) -> list[Series]:
    """Return the known series of a comma-separated list of 1 to 20 ids, at least one, the last one asked first.

    Raises
    ------
    SieError
        The list is malformed or too long, or none of the ids is known.
    """
    distinct = list(dict.fromkeys(ids.split(",")))
    if not all(re.fullmatch(r"[A-Z]{2}\d+", id_) for id_ in distinct):
        raise SieError(BAD_IDS)
    if len(distinct) > MAX_IDS:
        raise SieError(TOO_MANY_IDS)
    series = [known[id_] for id_ in reversed(distinct) if id_ in known]
    if not series:
        raise SieError(UNKNOWN_SERIES, status=404)
    return series


def read_range(start: str, end: str) -> tuple[date, date]:
    """Return the two days of a range.

    Raises
    ------
    SieError
        One is not a `yyyy-MM-dd` day, or the range ends before it starts.
    """
    try:
        first, last = (datetime.strptime(text, "%Y-%m-%d").date() for text in (start, end))
    except ValueError as error:
        raise SieError(BAD_DATES) from error
    if first > last:
        raise SieError(BAD_RANGE)
    return first, last


def describe(series: Series, locale: str) -> dict[str, Any]:
    """Return a series' metadata; the locale `en` translates it and turns its dates to MM/dd/yyyy."""
    english = locale == "en"
    form = "%m/%d/%Y" if english else "%d/%m/%Y"
    return {
        "idSerie": series.id,
        "titulo": series.title_en if english else series.title,
        "fechaInicio": series.entries[0][0].strftime(form),
        "fechaFin": series.entries[-1][0].strftime(form),
        "periodicidad": "Daily" if english else "Diaria",
        "cifra": series.kind[1 if english else 0],
        "unidad": series.kind[3 if english else 2],
        "versionada": False,
    }


def with_data(series: Series, locale: str, data: list[dict[str, str]]) -> dict[str, Any]:
    """Return a series with its entries, or without `datos` where there are none."""
    head = {"idSerie": series.id, "titulo": series.title_en if locale == "en" else series.title}
    return head | {"datos": data} if data else head


def limit_error(until: float, now: float) -> SieError:
    """Return the refusal of a token that is let in again at `until` (seconds since the epoch)."""
    reset, wait = round(until), max(1, round(until - now))
    at = f"{datetime.fromtimestamp(reset, MEXICO_CITY):%Y-%m-%d %H:%M:%S} America/Mexico_City"
    detail = f"El límite de consultas ha sido superado. Podrá volver a consultar el servicio a las: {at}"
    headers = {"Bmx-timeReset": str(reset), "Bmx-secondsToReset": str(wait)}
    error = _error("Límite de consultas superado.", detail) | {"timeReset": reset, "secondsToReset": wait}
    return SieError(error, headers=headers)


def router(config: SandboxConfig) -> APIRouter:
    """Return the service's routes, answering the token of `config` only."""
    known, limiter = load_series(config.not_published), Limiter(config.limits)
    api = APIRouter(prefix="/SieAPIRest/service/v1/series/{ids}")

    def answer(request: Request, kind: Kind, build: Callable[[Series, str], dict[str, Any]]) -> JSONResponse:
        token = request.headers.get("Bmx-Token") or request.query_params.get("token") or ""
        if token != config.banxico_token:
            raise SieError(BAD_TOKEN)
        now = time.time()
        if refused_until := limiter.admit(token, kind, now):
            raise limit_error(refused_until, now)
        locale = request.query_params.get("locale", "es")
        known_series = find_series(known, request.path_params["ids"])
        wanted = [injected(series, request.state.injections) for series in known_series]
        return JSONResponse({"bmx": {"series": [build(series, locale) for series in wanted]}}, media_type=MEDIA_TYPE)

    @api.get("")
    async def metadata(request: Request) -> JSONResponse:
        return answer(request, "recent", describe)

    @api.get("/datos/oportuno")
    async def newest(request: Request) -> JSONResponse:
        return answer(request, "recent", lambda series, locale: with_data(series, locale, series.data()[-1:]))

    @api.get("/datos")
    async def history(request: Request) -> JSONResponse:
        return answer(request, "history", lambda series, locale: with_data(series, locale, series.data()))

    @api.get("/datos/{start}/{end}")
    async def between(request: Request, start: str, end: str) -> JSONResponse:
        def build(series: Series, locale: str) -> dict[str, Any]:
            return with_data(series, locale, series.data(*read_range(start, end)))

        return answer(request, "history", build)

    return api


async def refuse(request: Request, error: SieError) -> JSONResponse:
    """Turn a `SieError` into its answer; to be registered as the application's handler for it."""
    return JSONResponse({"error": error.error}, error.status, error.headers, MEDIA_TYPE)
