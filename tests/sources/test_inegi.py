"""INEGI's indicators API, against a local server that speaks its recorded answers."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from include.errors import ContractBroken, SourceUnavailable
from include.sources import Endpoint, fetch, parse, parse_all
from include.spec.model import InegiSource
from include.windows import Window

TOKEN = "7e5t-70ken/+"
SHOWN_IN_URL = "7e5t-70ken%2F%2B"
YEAR = Window.parse("2026-01-01", "2027-01-01")


def source_of(**indicators: str) -> InegiSource:
    column = {"unit": "index", "description": "an index"}
    return InegiSource.model_validate(
        {
            "kind": "inegi",
            "connection": "inegi_api",
            "title": "INEGI indicators",
            "published": {"months": 1, "day": 9, "time": "06:00", "timezone": "America/Mexico_City"},
            "columns": {name: {"from": id_, **column} for name, id_ in indicators.items()},
        }
    )


INPC = source_of(inpc_index="910392")


def read(content: bytes, source: InegiSource = INPC, window: Window = YEAR) -> pd.DataFrame:
    return parse("usdmxn", "inflation", source, content, window)


def observed(indicator: str, *rows: tuple[str, Any], frequency: str = "8") -> bytes:
    observations = [{"TIME_PERIOD": period, "OBS_VALUE": value} for period, value in rows]
    return json.dumps({"Series": [{"INDICADOR": indicator, "FREQ": frequency, "OBSERVATIONS": observations}]}).encode()


def test_months_come_oldest_first_with_the_day_they_were_published(wire: Callable[[str], bytes]) -> None:
    frame = read(wire("inegi/bie-bise_inpc_910392.json"), window=Window.parse("2025-01-01", "2027-01-01"))
    assert frame["valid_at"].dt.strftime("%Y-%m-%d").tolist() == ["2025-01-01", "2026-07-01", "2026-08-01"]
    assert frame["available_at"].tolist()[0] == pd.Timestamp("2025-02-09T12:00Z")
    assert frame["inpc_index"].tolist() == ["138.343", "145.16900000000001", "145.46199999999999"]


def test_zeros_at_the_end_are_trimmed_as_text_without_losing_a_digit() -> None:
    rows = [("2026/01", "109.21013588490848000000"), ("2026/02", "100.000"), ("2026/03", "1200"), ("2026/04", "0.50")]
    assert read(observed("910392", *rows))["inpc_index"].tolist() == ["109.21013588490848", "100", "1200", "0.5"]


def test_empty_and_null_values_are_missing(wire: Callable[[str], bytes]) -> None:
    frame = read(wire("inegi/bise_igae_6207136901.json"), source_of(igae="6207136901"))
    assert frame["igae"].tolist() == [None, "107.39083134651233", "109.21013588490848"]
    assert read(observed("910392", ("2026/01", None)))["inpc_index"].tolist() == [None]


def test_fortnights_start_on_the_first_and_the_sixteenth(wire: Callable[[str], bytes]) -> None:
    frame = read(wire("inegi/bie-bise_inpc_quincenal_910420.json"), source_of(inpc="910420"))
    assert frame["valid_at"].dt.strftime("%Y-%m-%d").tolist() == ["2026-08-01", "2026-08-16"]
    assert frame["inpc"].tolist() == ["145.393", "145.531"]


@pytest.mark.parametrize("period", ["2026/13", "2026", "2026/8", "august", "2026/08/02"])
def test_a_period_that_is_none_keeps_its_row_without_a_time(period: str) -> None:
    frame = read(observed("910392", (period, "1.5"), ("2026/01", "1")))
    assert frame["valid_at"].isna().tolist() == [False, True]
    assert frame["inpc_index"].tolist() == ["1", "1.5"]


def test_quarters_are_refused_instead_of_taken_for_months() -> None:
    with pytest.raises(ContractBroken, match="FREQ is '6'"):
        read(observed("910392", ("2026/04", "1"), frequency="6"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html></html>",
        b'["ErrorInfo:No autorizado","ErrorDetails:No autorizado","ErrorCode:110"]',
        b'{"Series": {}}',
        b'{"Series": [{"FREQ": "8"}]}',
        b'{"Series": [{"INDICADOR": "910392", "FREQ": "8", "OBSERVATIONS": "none"}]}',
        b'{"Series": [{"INDICADOR": "910392", "FREQ": "8", "OBSERVATIONS": [{"TIME_PERIOD": "2026/01"}]}]}',
        b'{"Series": [{"INDICADOR": "910392", "FREQ": "8", "OBSERVATIONS": [{"TIME_PERIOD": "", "OBS_VALUE": {}}]}]}',
    ],
)
def test_a_payload_of_another_shape_breaks_the_contract(content: bytes, says_what_to_do: Any) -> None:
    with pytest.raises(ContractBroken) as caught:
        read(content)
    says_what_to_do(caught.value, "usdmxn", "inflation", YEAR)


@pytest.mark.parametrize("content", [b'{"Series": []}', observed("910392")])
def test_an_answer_without_rows_is_no_error(server: Any, quick: Any, content: bytes) -> None:
    server.answers(content)
    [payload] = fetch("usdmxn", "inflation", INPC, Endpoint(server.url, TOKEN, limits=quick), YEAR)
    assert len(read(payload.content)) == 0


def test_each_indicator_is_asked_for_by_itself_and_joined_again(server: Any, quick: Any) -> None:
    source = source_of(inpc="910392", igae="6207136901")
    server.answers(observed("910392", ("2026/02", "2"), ("2026/01", "1")))
    server.answers(observed("6207136901", ("2026/02", "20")))
    payloads = fetch("usdmxn", "inflation", source, Endpoint(server.url, TOKEN, limits=quick), YEAR)
    base = "/app/api/indicadores/desarrolladores/jsonxml/INDICATOR"
    assert server.paths == [
        f"{base}/{id_}/es/00/false/BIE-BISE/2.0/{SHOWN_IN_URL}?type=json" for id_ in ("910392", "6207136901")
    ]
    frame = parse_all("usdmxn", "inflation", source, [payload.content for payload in payloads], YEAR)
    assert frame[["inpc", "igae"]].to_numpy().tolist() == [["1", None], ["2", "20"]]


def test_the_token_in_the_path_shows_in_no_payload_message_or_log(
    server: Any, quick: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.answers(b"busy", 503)
    server.answers(observed("910392", ("2026/01", "1")))
    [payload] = fetch("usdmxn", "inflation", INPC, Endpoint(server.url, TOKEN, limits=quick), YEAR)
    assert len(server.paths) == 2, "the first answer is retried on the spot"
    assert payload.request["url"].endswith("/BIE-BISE/2.0/***?type=json")
    server.close()
    with pytest.raises(SourceUnavailable) as caught:
        fetch("usdmxn", "inflation", INPC, Endpoint(server.url, TOKEN, limits=quick), YEAR)
    assert "/INDICATOR/" in caplog.text, "the HTTP library logs the URL, so the test sees what it must"
    shown = caplog.text + str(caught.value) + repr(caught.value.__context__ and caught.value.__cause__) + repr(payload)
    assert TOKEN not in shown
    assert SHOWN_IN_URL not in shown


def test_without_a_token_nothing_is_sent(says_what_to_do: Any) -> None:
    with pytest.raises(ContractBroken, match=r"Connection inegi_api \(INEGI_TOKEN in \.env\)") as caught:
        fetch("usdmxn", "inflation", INPC, Endpoint("http://127.0.0.1:9"), YEAR)
    says_what_to_do(caught.value, "usdmxn", "inflation", YEAR)


@pytest.mark.parametrize("status", [401, 200])
def test_a_refused_token_is_not_retried(server: Any, quick: Any, wire: Callable[[str], bytes], status: int) -> None:
    server.answers(wire("inegi/error_unauthorized_http401.json"), status)
    with pytest.raises(ContractBroken, match=r"No autorizado.*set the password of the Airflow Connection inegi_api"):
        fetch("usdmxn", "inflation", INPC, Endpoint(server.url, TOKEN, limits=quick), YEAR)
    assert len(server.paths) == 1


@pytest.mark.parametrize("status", [400, 200])
def test_an_unknown_indicator_is_named(server: Any, quick: Any, wire: Callable[[str], bytes], status: int) -> None:
    server.answers(wire("inegi/error_no_results_http400.json"), status)
    with pytest.raises(ContractBroken, match="no indicator 910392 in bank BIE-BISE, area 00"):
        fetch("usdmxn", "inflation", INPC, Endpoint(server.url, TOKEN, limits=quick), YEAR)


@pytest.mark.parametrize(
    ("status", "error"), [(400, ContractBroken), (429, SourceUnavailable), (200, SourceUnavailable)]
)
def test_an_unknown_error_list_means_what_its_status_says(
    server: Any, quick: Any, status: int, error: type[Exception]
) -> None:
    server.answers(b'["ErrorInfo:?", 7]', status)
    with pytest.raises(error):
        fetch("usdmxn", "inflation", INPC, Endpoint(server.url, TOKEN, limits=quick), YEAR)


def test_an_answer_about_another_indicator_breaks_the_contract(server: Any, quick: Any) -> None:
    server.answers(observed("910420", ("2026/01", "1")))
    with pytest.raises(ContractBroken, match="asked for indicator 910392 and answered 910420"):
        fetch("usdmxn", "inflation", INPC, Endpoint(server.url, TOKEN, limits=quick), YEAR)
