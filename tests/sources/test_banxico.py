"""Banxico's SIE, against a local server that speaks its recorded answers."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.errors import ContractBroken, SourceUnavailable
from include.sources import Endpoint, fetch, parse
from include.spec.model import BanxicoSource
from include.steps.retries import RETRIES
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


@pytest.fixture
def read(rows_of: Any) -> Callable[..., pd.DataFrame]:
    """Parse payloads of one window into a frame."""

    def parsed(contents: bytes | list[bytes], source: BanxicoSource = FIX, window: Window = ALL_TIME) -> pd.DataFrame:
        contents = contents if isinstance(contents, list) else [contents]
        return rows_of("usdmxn", "fix", source, contents, window)

    return parsed


def test_eight_years_of_the_real_fix_come_with_the_hour_they_were_published(
    read: Callable[..., pd.DataFrame], wire: Callable[[str], bytes]
) -> None:
    frame = read(wire("banxico/SF43718_2018-2025_raw.json"), window=Window.parse("2018-01-01", "2026-01-01"))
    assert list(frame.columns) == ["valid_at", "available_at", "fix_mxn"]
    assert len(frame) > 1900
    assert frame["valid_at"].is_monotonic_increasing
    assert frame["fix_mxn"].notna().all()
    by_day = frame.set_index(frame["valid_at"].dt.strftime("%Y-%m-%d"))
    assert by_day.loc["2018-01-02", "fix_mxn"] == "19.4899"
    assert by_day.loc["2018-01-02", "available_at"] == pd.Timestamp("2018-01-02T18:00Z")
    assert by_day.loc["2018-07-02", "available_at"] == pd.Timestamp("2018-07-02T17:00Z")


def test_thousands_commas_go_and_not_available_is_missing(
    read: Callable[..., pd.DataFrame], wire: Callable[[str], bytes]
) -> None:
    frame = read(wire("banxico/missing_NE_thousands.json"))
    assert frame["fix_mxn"].tolist() == ["18.4512", None, "1018.3907"]
    money = source_of(m1="SF311408", m2="SF311418")
    frame = read(wire("banxico/oportuno_thousands_en.json"), money)
    assert frame[["m1", "m2"]].to_numpy().tolist() == [["6105266291.65", "11150071721.09"]]


def test_a_comma_that_separates_no_thousands_stays_as_it_came(read: Callable[..., pd.DataFrame]) -> None:
    frame = read(answer(("SF43718", [("02/01/2025", "17,35"), ("03/01/2025", "1,23,456")])))
    assert frame["fix_mxn"].tolist() == ["17,35", "1,23,456"]


def test_series_are_matched_by_id_although_they_come_in_another_order(
    read: Callable[..., pd.DataFrame], wire: Callable[[str], bytes]
) -> None:
    source = source_of(gbp="SF46407", jpy="SF46406", fix="SF43718")
    frame = read(wire("banxico/multi5_2026-03_range_raw.json"), source)
    assert list(frame.columns) == ["valid_at", "available_at", "gbp", "jpy", "fix"]
    assert frame.iloc[0, 2:].tolist() == ["23.2652", "0.1105", "17.3485"]
    assert len(frame) == 10


def test_series_of_one_source_are_joined_on_their_date_and_lose_no_row(read: Callable[..., pd.DataFrame]) -> None:
    source = source_of(tiie="SF43783", target="SF61745")
    content = answer(("SF61745", [("01/01/2025", "10"), ("02/01/2025", "10")]), ("SF43783", [("02/01/2025", "10.2")]))
    frame = read(content, source)
    assert frame[["tiie", "target"]].to_numpy().tolist() == [[None, "10"], ["10.2", "10"]]


def test_two_values_of_one_series_on_one_date_stay_two_rows(read: Callable[..., pd.DataFrame]) -> None:
    frame = read(answer(("SF43718", [("02/01/2025", "20.1"), ("02/01/2025", "20.2")])))
    assert frame["fix_mxn"].tolist() == ["20.1", "20.2"]
    assert frame["valid_at"].nunique() == 1


def test_a_row_with_an_unreadable_date_is_kept_without_a_time(read: Callable[..., pd.DataFrame]) -> None:
    source = source_of(tiie="SF43783", target="SF61745")
    content = answer(("SF43783", [("31/02/2025", "1"), ("02/01/2025", "2")]), ("SF61745", [("soon", "3")]))
    frame = read(content, source, JANUARY)
    assert frame["valid_at"].isna().tolist() == [False, True, True]
    assert frame[["tiie", "target"]].to_numpy().tolist() == [["2", None], ["1", None], [None, "3"]]
    assert frame["available_at"].isna().tolist() == [False, True, True]


def test_rows_outside_the_half_open_window_are_left_out(read: Callable[..., pd.DataFrame]) -> None:
    days = ["31/12/2024", "01/01/2025", "31/01/2025", "01/02/2025"]
    frame = read(answer(("SF43718", [(day, "20") for day in days])), window=JANUARY)
    assert frame["valid_at"].dt.strftime("%Y-%m-%d").tolist() == ["2025-01-01", "2025-01-31"]


@pytest.mark.parametrize("rows", [None, []])
def test_a_series_without_data_gives_no_rows_in_the_usual_shape(
    read: Callable[..., pd.DataFrame], rows: list[Any] | None
) -> None:
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
def test_a_payload_of_another_shape_breaks_the_contract(
    read: Callable[..., pd.DataFrame], content: bytes, says_what_to_do: Any
) -> None:
    with pytest.raises(ContractBroken) as caught:
        read(content)
    says_what_to_do(caught.value, "usdmxn", "fix", ALL_TIME)


def test_a_number_instead_of_text_keeps_its_digits(read: Callable[..., pd.DataFrame]) -> None:
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


def test_more_than_twenty_series_are_asked_in_batches_and_joined_again(
    read: Callable[..., pd.DataFrame], server: Any, quick: Any
) -> None:
    source = source_of(**{f"c{n}": f"SF{n}" for n in range(45)})
    for batch in (range(20), range(20, 40), range(40, 45)):
        server.answers(answer(*((f"SF{n}", [("02/01/2025", str(n))]) for n in reversed(batch))))
    payloads = list(fetch("usdmxn", "many", source, Endpoint(server.url, TOKEN, limits=quick), JANUARY))
    assert [path.count("SF") for path in server.paths] == [20, 20, 5]
    frame = read([payload.content for payload in payloads], source, JANUARY)
    assert len(frame) == 1
    assert frame.iloc[0, 2:].tolist() == [str(n) for n in range(45)]


def test_a_window_without_a_midnight_asks_for_nothing(read: Callable[..., pd.DataFrame]) -> None:
    noon = Window.parse("2025-01-01T06:00:00", "2025-01-01T18:00:00")
    assert list(fetch("usdmxn", "fix", FIX, Endpoint("http://127.0.0.1:9", TOKEN), noon)) == []
    assert len(read([], FIX, noon)) == 0


@pytest.mark.parametrize("token", [None, "", "línea", "two\nlines"])
def test_an_unusable_token_is_said_before_anything_is_sent(token: str | None, says_what_to_do: Any) -> None:
    with pytest.raises(ContractBroken, match=r"Connection banxico_api \(BANXICO_TOKEN in \.env\)") as caught:
        list(fetch("usdmxn", "fix", FIX, Endpoint("http://127.0.0.1:9", token), JANUARY))
    says_what_to_do(caught.value, "usdmxn", "fix", JANUARY)


@pytest.mark.parametrize("status", [400, 200])
def test_a_refused_token_is_not_retried_and_says_where_to_set_it(
    server: Any, quick: Any, wire: Callable[[str], bytes], status: int, says_what_to_do: Any
) -> None:
    server.answers(wire("banxico/error_bad_token_http400.json"), status)
    with pytest.raises(
        ContractBroken, match=r"Token inválido.*set the password of the Airflow Connection banxico_api"
    ) as caught:
        list(fetch("usdmxn", "fix", FIX, Endpoint(server.url, TOKEN, limits=quick), JANUARY))
    assert len(server.paths) == 1
    says_what_to_do(caught.value, "usdmxn", "fix", JANUARY)


@pytest.mark.parametrize("status", [400, 200, 429])
def test_a_passed_limit_can_pass_and_says_when(
    server: Any, quick: Any, wire: Callable[[str], bytes], status: int, says_what_to_do: Any
) -> None:
    server.answers(wire("banxico/error_rate_limit_http400_SHAPE.json"), status)
    with pytest.raises(SourceUnavailable, match="answers again in 120 seconds") as caught:
        list(fetch("usdmxn", "fix", FIX, Endpoint(server.url, TOKEN, limits=quick), JANUARY))
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
        list(fetch("usdmxn", "fix", FIX, Endpoint(server.url, TOKEN, limits=quick), JANUARY))


def test_a_token_that_comes_back_in_an_error_is_not_shown(server: Any, quick: Any) -> None:
    server.answers(json.dumps({"error": {"mensaje": f"no access for {TOKEN}"}}).encode(), 400)
    with pytest.raises(ContractBroken) as caught:
        list(fetch("usdmxn", "fix", FIX, Endpoint(server.url, TOKEN, limits=quick), JANUARY))
    assert TOKEN not in str(caught.value)
    assert "***" in str(caught.value)


SF61745_ALONE = answer(("SF61745", [("02/01/2025", "10")]))
RATES = source_of(tiie="SF43783", target="SF61745")


def test_a_series_left_out_because_it_has_no_value_in_the_range_is_no_fault(server: Any, quick: Any) -> None:
    server.answers(SF61745_ALONE)
    server.answers(b'{"bmx": {"series": [{"idSerie": "SF43783", "titulo": "TIIE", "fechaInicio": "23/03/1995"}]}}')
    [payload] = fetch("usdmxn", "rates", RATES, Endpoint(server.url, TOKEN, limits=quick), JANUARY)
    assert payload.content == SF61745_ALONE
    assert server.paths[1:] == ["/SieAPIRest/service/v1/series/SF43783"]


@pytest.mark.parametrize(
    ("status", "metadata"),
    [(404, b'{"error": {"mensaje": "Serie no encontrada."}}'), (200, b'{"bmx": {"series": [{"idSerie": "SF1"}]}}')],
)
def test_a_series_left_out_because_it_does_not_exist_breaks_the_contract(
    server: Any, quick: Any, status: int, metadata: bytes, says_what_to_do: Any
) -> None:
    server.answers(SF61745_ALONE)
    server.answers(metadata, status)
    with pytest.raises(ContractBroken, match=r"SF43783.*pipeline\.yaml") as caught:
        list(fetch("usdmxn", "rates", RATES, Endpoint(server.url, TOKEN, limits=quick), JANUARY))
    says_what_to_do(caught.value, "usdmxn", "rates", JANUARY)


@pytest.mark.parametrize("content", [answer(), answer(("SF43718", None)), answer(("SF43718", []))])
def test_a_holiday_without_rows_is_no_error(
    read: Callable[..., pd.DataFrame], server: Any, quick: Any, content: bytes
) -> None:
    server.answers(content)
    holiday = Window.parse("2025-01-01", "2025-01-02")
    [payload] = fetch("usdmxn", "fix", FIX, Endpoint(server.url, TOKEN, limits=quick), holiday)
    assert len(read(payload.content, window=holiday)) == 0


def test_a_changed_format_is_refused_before_it_reaches_the_lake(server: Any, quick: Any) -> None:
    server.answers(b'{"bmx": {"series": [{"id": "SF43718"}]}}')
    with pytest.raises(ContractBroken, match="Banxico changed its format: a series has no `idSerie`"):
        list(fetch("usdmxn", "fix", FIX, Endpoint(server.url, TOKEN, limits=quick), JANUARY))


def test_truncated_json_can_pass(server: Any, quick: Any) -> None:
    server.answers(answer(("SF43718", [("02/01/2025", "20")]))[:40])
    with pytest.raises(SourceUnavailable, match="not JSON"):
        list(fetch("usdmxn", "fix", FIX, Endpoint(server.url, TOKEN, limits=quick), JANUARY))


@pytest.mark.parametrize(
    ("sample", "columns", "last"),
    [
        ("SF43718_2018-2025_raw", {"fix": "SF43718"}, ["18.9160"]),
        ("SF43718_date_range", {"fix": "SF43718"}, ["20.0777"]),
        ("SF43718_latest", {"fix": "SF43718"}, ["20.0777"]),
        ("SF60653_date_range", {"settled": "SF60653"}, ["20.0465"]),
        ("SF60653_latest", {"settled": "SF60653"}, ["20.0777"]),
        ("SF61745_tasa_objetivo_2025-06_to_2025-08_cut", {"target": "SF61745"}, ["8.0000"]),
        ("SP68257_UDI_2025-06_to_2025-08_cut", {"udi": "SP68257"}, ["8.526136"]),
        ("missing_NE_thousands", {"fix": "SF43718"}, ["1018.3907"]),
        ("multi5_2026-03_range_raw", {"euro": "SF46410", "fix": "SF43718"}, ["20.5536", "17.9218"]),
        ("oportuno_thousands_en", {"m2": "SF311418"}, ["11150071721.09"]),
    ],
)
def test_every_recorded_answer_gives_its_values(
    read: Callable[..., pd.DataFrame],
    wire: Callable[[str], bytes],
    sample: str,
    columns: dict[str, str],
    last: list[str],
) -> None:
    frame = read(wire(f"banxico/{sample}.json"), source_of(**columns))
    assert frame["valid_at"].notna().all()
    assert frame["valid_at"].is_unique
    assert frame[[*columns]].iloc[-1].tolist() == last


@pytest.mark.parametrize(
    ("sample", "what"),
    [
        ("metadata_SHAPE", "the metadata of SF43718, not its data"),
        ("metadata_en_real", "the metadata of SF311418, not its data"),
        ("incrementos_PorcAnual", "SF311418 holds PorcAnual where levels were asked for"),
        ("error_bad_token_http400", "there is no `bmx` node"),
        ("error_rate_limit_http400_SHAPE", "there is no `bmx` node"),
    ],
)
def test_every_recorded_answer_that_is_no_data_is_refused(
    read: Callable[..., pd.DataFrame], wire: Callable[[str], bytes], sample: str, what: str, says_what_to_do: Any
) -> None:
    with pytest.raises(ContractBroken, match=what) as caught:
        read(wire(f"banxico/{sample}.json"), source_of(money="SF311418"))
    says_what_to_do(caught.value, "usdmxn", "fix", ALL_TIME)


def test_an_increment_is_asked_for_by_name_and_then_read(
    read: Callable[..., pd.DataFrame], server: Any, quick: Any, wire: Callable[[str], bytes]
) -> None:
    source = source_of(m2_annual_pct="SF311418").model_copy(update={"increment": "PorcAnual"})
    server.answers(wire("banxico/incrementos_PorcAnual.json"))
    window = Window.parse("2001-12-01", "2002-02-01")
    [payload] = fetch("usdmxn", "money", source, Endpoint(server.url, TOKEN, limits=quick), window)
    assert server.paths == ["/SieAPIRest/service/v1/series/SF311418/datos/2001-12-01/2002-01-31?incremento=PorcAnual"]
    assert read(payload.content, source, window)["m2_annual_pct"].tolist() == ["12.89", "13.99"]


def test_levels_in_place_of_increments_are_refused(read: Callable[..., pd.DataFrame]) -> None:
    source = FIX.model_copy(update={"increment": "PorcAnual"})
    with pytest.raises(ContractBroken, match="SF43718 holds levels where PorcAnual were asked for"):
        read(answer(("SF43718", [("02/01/2025", "20")])), source)


@pytest.mark.parametrize("days", [["01/31/2025"], ["01/02/2025", "01/31/2025"]])
def test_dates_with_the_month_first_are_refused_instead_of_misread(
    read: Callable[..., pd.DataFrame], days: list[str]
) -> None:
    with pytest.raises(ContractBroken, match="its dates put the month first"):
        read(answer(("SF43718", [(day, "20") for day in days])))


def test_dates_that_fit_what_was_asked_only_with_the_month_first_are_refused(server: Any, quick: Any) -> None:
    server.answers(answer(("SF43718", [(f"01/{day:02}/2025", "20") for day in range(2, 11)])))
    with pytest.raises(ContractBroken, match="its dates put the month first"):
        list(fetch("usdmxn", "fix", FIX, Endpoint(server.url, TOKEN, limits=quick), JANUARY))


def test_a_long_range_is_asked_for_ten_years_at_a_time_and_never_beyond_today(
    read: Callable[..., pd.DataFrame], server: Any, quick: Any
) -> None:
    window = Window.parse("1991-11-12", "2999-01-01")
    for day in ("12/11/1991", "12/11/2001", "12/11/2011", "12/11/2021"):
        server.answers(answer(("SF43718", [(day, day[-4:])])))
    payloads = list(fetch("usdmxn", "fix", FIX, Endpoint(server.url, TOKEN, limits=quick), window))
    asked = [tuple(date.fromisoformat(day) for day in path.split("/")[-2:]) for path in server.paths]
    assert [first.year for first, _ in asked] == [1991, 2001, 2011, 2021]
    assert [last for _, last in asked[:-1]] == [first - timedelta(days=1) for first, _ in asked[1:]]
    assert abs(asked[-1][1] - datetime.now(UTC).date()) <= timedelta(days=1)
    frame = read([payload.content for payload in payloads], window=window)
    assert frame["fix_mxn"].tolist() == ["1991", "2001", "2011", "2021"]


def test_a_window_that_has_not_begun_asks_for_nothing() -> None:
    assert (
        list(
            fetch("usdmxn", "fix", FIX, Endpoint("http://127.0.0.1:9", TOKEN), Window.parse("2998-01-01", "2999-01-01"))
        )
        == []
    )


@pytest.mark.parametrize(
    ("node", "least"),
    [
        ({"secondsToReset": 7}, 7),
        ({"secondsToReset": "7", "timeReset": 1}, 7),
        ({"timeReset": 4102444800}, 2_000_000),
        ({"timeReset": 1}, 0),
        ({"mensaje": "Límite de consultas superado."}, None),
        ({"secondsToReset": "soon"}, None),
    ],
)
def test_the_pause_a_limit_asks_for_is_handed_on(
    server: Any, quick: Any, node: dict[str, Any], least: int | None
) -> None:
    server.answers(json.dumps({"error": node}).encode(), 400)
    with pytest.raises(SourceUnavailable) as caught:
        list(fetch("usdmxn", "fix", FIX, Endpoint(server.url, TOKEN, limits=quick), JANUARY))
    pause = caught.value.retry_after
    assert pause is None if least is None else pause >= timedelta(seconds=least)


def test_after_seven_seconds_to_reset_the_task_waits_at_least_that_long(server: Any, quick: Any) -> None:
    server.answers(
        json.dumps({"error": {"mensaje": "Límite de consultas superado.", "secondsToReset": 7}}).encode(), 400
    )
    with pytest.raises(SourceUnavailable) as caught:
        list(fetch("usdmxn", "fix", FIX, Endpoint(server.url, TOKEN, limits=quick), JANUARY))
    assert RETRIES.evaluate(caught.value, 1, 3).retry_delay >= timedelta(seconds=7)


@st.composite
def mutations(draw: st.DrawFn, samples: list[bytes]) -> bytes:
    """Change a recorded answer in a few places."""
    content = bytearray(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(1, 4))):
        at, length = draw(st.integers(0, len(content))), draw(st.integers(0, 8))
        content[at : at + length] = draw(
            st.binary(max_size=6) | st.sampled_from([b'"', b"}", b"null", b"9" * 30, b"\\n"])
        )
    return bytes(content)


SAMPLES = [
    path.read_bytes()
    for path in sorted((Path(__file__).parent / "wire" / "banxico").glob("*.json"))
    if path.stat().st_size < 10_000
]


@settings(max_examples=300, deadline=None)
@given(content=st.binary(max_size=400) | mutations(SAMPLES))
def test_any_bytes_give_rows_or_say_why(content: bytes) -> None:
    source = source_of(fix="SF43718", euro="SF46410")
    try:
        batches = list(parse("usdmxn", "fix", source, [lambda: io.BytesIO(content)], ALL_TIME))
    except ContractBroken as error:
        why = str(error)
    else:
        why = None
    if why is not None:
        assert why.startswith("pipeline usdmxn, source fix, window 1990-01-01..2030-01-01: ")
        assert "airflow dags trigger ingest_usdmxn" in why
        assert "\n" not in why
        return
    for batch in batches:
        assert batch.schema.names == ["valid_at", "available_at", "payload", "row_number", "fix", "euro"]
        batch.validate(full=True)
