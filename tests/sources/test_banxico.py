"""Banxico's SIE, against a local server that speaks its recorded answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from include.errors import ContractBroken, SourceUnavailable
from include.sources import Endpoint, fetch, parse, parse_all
from include.spec.model import BanxicoSource
from include.windows import Window

TOKEN = "t0ken/" + "x" * 58
JANUARY = Window.parse("2025-01-01", "2025-02-01")
ALL_TIME = Window.parse("1990-01-01", "2030-01-01")


def source_of(**series: str) -> BanxicoSource:
    column = {"unit": "MXN/USD", "description": "a series"}
    return BanxicoSource.model_validate(
        {
            "kind": "banxico",
            "connection": "banxico_api",
            "title": "Banco de México",
            "published": {"time": "12:00", "timezone": "America/Mexico_City"},
            "missing": ["N/E"],
            "columns": {name: {"from": id_, **column} for name, id_ in series.items()},
        }
    )


def answer(*series: tuple[str, list[tuple[str, Any]] | None]) -> bytes:
    """Write an answer in SIE's form; None instead of rows leaves `datos` out."""
    listed = [
        {"idSerie": id_, "titulo": "…"}
        | ({} if rows is None else {"datos": [{"fecha": day, "dato": value} for day, value in rows]})
        for id_, rows in series
    ]
    return json.dumps({"bmx": {"series": listed}}).encode()


FIX = source_of(fix_mxn="SF43718")


def read(content: bytes, source: BanxicoSource = FIX, window: Window = ALL_TIME) -> pd.DataFrame:
    return parse("usdmxn", "fix", source, content, window)


def test_eight_years_of_the_real_fix_come_with_the_hour_they_were_published(wire: Callable[[str], bytes]) -> None:
    frame = read(wire("banxico/SF43718_2018-2025_raw.json"), window=Window.parse("2018-01-01", "2026-01-01"))
    assert list(frame.columns) == ["valid_at", "available_at", "fix_mxn"]
    assert len(frame) > 1900
    assert frame["valid_at"].is_monotonic_increasing
    assert frame["fix_mxn"].notna().all()
    by_day = frame.set_index(frame["valid_at"].dt.strftime("%Y-%m-%d"))
    assert by_day.loc["2018-01-02", "fix_mxn"] == "19.4899"
    assert by_day.loc["2018-01-02", "available_at"] == pd.Timestamp("2018-01-02T18:00Z")
    assert by_day.loc["2018-07-02", "available_at"] == pd.Timestamp("2018-07-02T17:00Z")


def test_thousands_commas_go_and_not_available_is_missing(wire: Callable[[str], bytes]) -> None:
    frame = read(wire("banxico/missing_NE_thousands.json"))
    assert frame["fix_mxn"].tolist() == ["18.4512", None, "1018.3907"]
    money = source_of(m1="SF311408", m2="SF311418")
    frame = read(wire("banxico/oportuno_thousands_en.json"), money)
    assert frame[["m1", "m2"]].to_numpy().tolist() == [["6105266291.65", "11150071721.09"]]


def test_a_comma_that_separates_no_thousands_stays_as_it_came() -> None:
    frame = read(answer(("SF43718", [("02/01/2025", "17,35"), ("03/01/2025", "1,23,456")])))
    assert frame["fix_mxn"].tolist() == ["17,35", "1,23,456"]


def test_series_are_matched_by_id_although_they_come_in_another_order(wire: Callable[[str], bytes]) -> None:
    source = source_of(gbp="SF46407", jpy="SF46406", fix="SF43718")
    frame = read(wire("banxico/multi5_2026-03_range_raw.json"), source)
    assert list(frame.columns) == ["valid_at", "available_at", "gbp", "jpy", "fix"]
    assert frame.iloc[0, 2:].tolist() == ["23.2652", "0.1105", "17.3485"]
    assert len(frame) == 10


def test_series_of_one_source_are_joined_on_their_date_and_lose_no_row() -> None:
    source = source_of(tiie="SF43783", target="SF61745")
    content = answer(("SF61745", [("01/01/2025", "10"), ("02/01/2025", "10")]), ("SF43783", [("02/01/2025", "10.2")]))
    frame = read(content, source)
    assert frame[["tiie", "target"]].to_numpy().tolist() == [[None, "10"], ["10.2", "10"]]


def test_two_values_of_one_series_on_one_date_stay_two_rows() -> None:
    frame = read(answer(("SF43718", [("02/01/2025", "20.1"), ("02/01/2025", "20.2")])))
    assert frame["fix_mxn"].tolist() == ["20.1", "20.2"]
    assert frame["valid_at"].nunique() == 1


def test_a_row_with_an_unreadable_date_is_kept_without_a_time() -> None:
    source = source_of(tiie="SF43783", target="SF61745")
    content = answer(("SF43783", [("31/02/2025", "1"), ("02/01/2025", "2")]), ("SF61745", [("soon", "3")]))
    frame = read(content, source, JANUARY)
    assert frame["valid_at"].isna().tolist() == [False, True, True]
    assert frame[["tiie", "target"]].to_numpy().tolist() == [["2", None], ["1", None], [None, "3"]]
    assert frame["available_at"].isna().tolist() == [False, True, True]


def test_rows_outside_the_half_open_window_are_left_out() -> None:
    days = ["31/12/2024", "01/01/2025", "31/01/2025", "01/02/2025"]
    frame = read(answer(("SF43718", [(day, "20") for day in days])), window=JANUARY)
    assert frame["valid_at"].dt.strftime("%Y-%m-%d").tolist() == ["2025-01-01", "2025-01-31"]


@pytest.mark.parametrize("rows", [None, []])
def test_a_series_without_data_gives_no_rows_in_the_usual_shape(rows: list[Any] | None) -> None:
    frame = read(answer(("SF43718", rows)))
    assert len(frame) == 0
    assert frame.dtypes.astype(str).tolist() == ["datetime64[us, UTC]", "datetime64[us, UTC]", "object"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>Mantenimiento</html>",
        b'{"bmx": {"series": [{"idSerie": "SF43718", "datos": [{"fecha": "02/01/20',
        b'{"bmx": {"series": [{"idSerie": "SF43718", "datos": [{"fecha": "02/01/2025", "dato": NaN}]}]}}',
        b'{"bmx": {"series": [{"idSerie": "SF43718", "datos": [{"fecha": "02/01/2025"}]}]}}',
        b'{"bmx": {"series": [{"idSerie": "SF43718", "datos": [{"fecha": "02/01/2025", "dato": ["1"]}]}]}}',
        b'{"bmx": {"series": [{"idSerie": "SF43718", "datos": "none"}]}}',
        b'{"bmx": {"series": [{"datos": []}]}}',
        b'{"bmx": {"series": {}}}',
        b'{"error": {"mensaje": "x"}}',
        b'{"bmx": {"series": [{"idSerie": "SF43718", "datos": [{"fecha": "02/01/2025", "dato": "\\u0000"}]}]}}',
        b'{"bmx": {"series": [{"idSerie": "SF43718", "datos": [{"fecha": "02/01/2025", "dato": "\\ud800"}]}]}}',
        b"[" * 100_000,
        b"\xff\xfe{",
    ],
)
def test_a_payload_of_another_shape_breaks_the_contract(content: bytes, says_what_to_do: Any) -> None:
    with pytest.raises(ContractBroken) as caught:
        read(content)
    says_what_to_do(caught.value, "usdmxn", "fix", ALL_TIME)


def test_a_number_instead_of_text_keeps_its_digits() -> None:
    assert read(answer(("SF43718", [("02/01/2025", 20)])))["fix_mxn"].tolist() == ["20"]
    content = (
        b'{"bmx":{"series":[{"idSerie":"SF43718","datos":[{"fecha":"02/01/2025","dato":20.10000000000000000001}]}]}}'
    )
    assert read(content)["fix_mxn"].tolist() == ["20.10000000000000000001"]


def test_the_request_names_ids_both_inclusive_dates_and_carries_the_token_in_a_header_only(
    server: Any, quick: Any, wire: Callable[[str], bytes]
) -> None:
    server.answers(
        wire("banxico/SF43718_date_range.json"), media_type="application/json;charset=UTF-8", X_Data_Origin="SIMULATED"
    )
    [payload] = fetch("usdmxn", "fix", FIX, Endpoint(server.url + "/", TOKEN, limits=quick), JANUARY)
    assert server.paths == ["/SieAPIRest/service/v1/series/SF43718/datos/2025-01-01/2025-01-31"]
    assert server.headers[0]["Bmx-Token"] == TOKEN
    assert payload.content == wire("banxico/SF43718_date_range.json")
    assert payload.request == {"method": "GET", "url": server.url + server.paths[0]}
    assert payload.media_type == "application/json"
    assert payload.is_simulated
    assert payload.fetched_at.utcoffset().total_seconds() == 0
    assert TOKEN not in repr(payload)


def test_more_than_twenty_series_are_asked_in_batches_and_joined_again(server: Any, quick: Any) -> None:
    source = source_of(**{f"c{n}": f"SF{n}" for n in range(45)})
    for batch in (range(20), range(20, 40), range(40, 45)):
        server.answers(answer(*((f"SF{n}", [("02/01/2025", str(n))]) for n in reversed(batch))))
    payloads = fetch("usdmxn", "many", source, Endpoint(server.url, TOKEN, limits=quick), JANUARY)
    assert [path.count("SF") for path in server.paths] == [20, 20, 5]
    frame = parse_all("usdmxn", "many", source, [payload.content for payload in payloads], JANUARY)
    assert len(frame) == 1
    assert frame.iloc[0, 2:].tolist() == [str(n) for n in range(45)]


def test_a_window_without_a_midnight_asks_for_nothing() -> None:
    noon = Window.parse("2025-01-01T06:00:00", "2025-01-01T18:00:00")
    assert fetch("usdmxn", "fix", FIX, Endpoint("http://127.0.0.1:9", TOKEN), noon) == []
    assert len(parse_all("usdmxn", "fix", FIX, [], noon)) == 0


@pytest.mark.parametrize("token", [None, "", "línea", "two\nlines"])
def test_an_unusable_token_is_said_before_anything_is_sent(token: str | None, says_what_to_do: Any) -> None:
    with pytest.raises(ContractBroken, match=r"Connection banxico_api \(BANXICO_TOKEN in \.env\)") as caught:
        fetch("usdmxn", "fix", FIX, Endpoint("http://127.0.0.1:9", token), JANUARY)
    says_what_to_do(caught.value, "usdmxn", "fix", JANUARY)


@pytest.mark.parametrize("status", [400, 200])
def test_a_refused_token_is_not_retried_and_says_where_to_set_it(
    server: Any, quick: Any, wire: Callable[[str], bytes], status: int, says_what_to_do: Any
) -> None:
    server.answers(wire("banxico/error_bad_token_http400.json"), status)
    with pytest.raises(
        ContractBroken, match=r"Token inválido.*set the password of the Airflow Connection banxico_api"
    ) as caught:
        fetch("usdmxn", "fix", FIX, Endpoint(server.url, TOKEN, limits=quick), JANUARY)
    assert len(server.paths) == 1
    says_what_to_do(caught.value, "usdmxn", "fix", JANUARY)


@pytest.mark.parametrize("status", [400, 200, 429])
def test_a_passed_limit_can_pass_and_says_when(
    server: Any, quick: Any, wire: Callable[[str], bytes], status: int, says_what_to_do: Any
) -> None:
    server.answers(wire("banxico/error_rate_limit_http400_SHAPE.json"), status)
    with pytest.raises(SourceUnavailable, match="in 120 seconds \\(secondsToReset\\)") as caught:
        fetch("usdmxn", "fix", FIX, Endpoint(server.url, TOKEN, limits=quick), JANUARY)
    says_what_to_do(caught.value, "usdmxn", "fix", JANUARY)


@pytest.mark.parametrize(
    ("status", "node", "error"),
    [
        (404, {"mensaje": "Serie no encontrada."}, ContractBroken),
        (400, {"mensaje": "Límite de series superado."}, ContractBroken),
        (400, "something else", ContractBroken),
        (200, {"mensaje": "Error interno"}, SourceUnavailable),
        (500, {"mensaje": "Error interno"}, SourceUnavailable),
    ],
)
def test_other_error_nodes_mean_what_their_status_says(
    server: Any, quick: Any, status: int, node: Any, error: type[Exception]
) -> None:
    server.answers(json.dumps({"error": node}).encode(), status)
    with pytest.raises(error):
        fetch("usdmxn", "fix", FIX, Endpoint(server.url, TOKEN, limits=quick), JANUARY)


def test_a_token_that_comes_back_in_an_error_is_not_shown(server: Any, quick: Any) -> None:
    server.answers(json.dumps({"error": {"mensaje": f"no access for {TOKEN}"}}).encode(), 400)
    with pytest.raises(ContractBroken) as caught:
        fetch("usdmxn", "fix", FIX, Endpoint(server.url, TOKEN, limits=quick), JANUARY)
    assert TOKEN not in str(caught.value)
    assert "***" in str(caught.value)


def test_an_answer_that_leaves_a_series_out_breaks_the_contract(server: Any, quick: Any) -> None:
    server.answers(answer(("SF61745", [])))
    source = source_of(tiie="SF43783", target="SF61745")
    with pytest.raises(ContractBroken, match="leaves out the series SF43783"):
        fetch("usdmxn", "rates", source, Endpoint(server.url, TOKEN, limits=quick), JANUARY)


@pytest.mark.parametrize("content", [answer(), answer(("SF43718", None))])
def test_an_answer_without_rows_is_no_error(server: Any, quick: Any, content: bytes) -> None:
    server.answers(content)
    [payload] = fetch("usdmxn", "fix", FIX, Endpoint(server.url, TOKEN, limits=quick), JANUARY)
    assert len(read(payload.content)) == 0


def test_a_changed_format_is_refused_before_it_reaches_the_lake(server: Any, quick: Any) -> None:
    server.answers(b'{"bmx": {"series": [{"id": "SF43718"}]}}')
    with pytest.raises(ContractBroken, match="Banxico changed its format: a series has no `idSerie`"):
        fetch("usdmxn", "fix", FIX, Endpoint(server.url, TOKEN, limits=quick), JANUARY)


def test_truncated_json_can_pass(server: Any, quick: Any) -> None:
    server.answers(answer(("SF43718", [("02/01/2025", "20")]))[:40])
    with pytest.raises(SourceUnavailable, match="not JSON"):
        fetch("usdmxn", "fix", FIX, Endpoint(server.url, TOKEN, limits=quick), JANUARY)
