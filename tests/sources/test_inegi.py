"""INEGI's indicators API, against a local server that speaks its recorded answers."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.errors import ContractBroken, SourceUnavailable
from include.sources import Endpoint, fetch, parse
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


@pytest.fixture
def read(rows_of: Any) -> Callable[..., pd.DataFrame]:
    """Parse payloads of one window into a frame."""

    def parsed(contents: bytes | list[bytes], source: InegiSource = INPC, window: Window = YEAR) -> pd.DataFrame:
        contents = contents if isinstance(contents, list) else [contents]
        return rows_of("usdmxn", "inflation", source, contents, window)

    return parsed


def observed(indicator: str, *rows: tuple[str, Any], frequency: Any = "8") -> bytes:
    observations = [{"TIME_PERIOD": period, "OBS_VALUE": value} for period, value in rows]
    return json.dumps({"Series": [{"INDICADOR": indicator, "FREQ": frequency, "OBSERVATIONS": observations}]}).encode()


def test_months_come_oldest_first_with_the_day_they_were_published(
    read: Callable[..., pd.DataFrame], wire: Callable[[str], bytes]
) -> None:
    frame = read(wire("inegi/bie-bise_inpc_910392.json"), window=Window.parse("2025-01-01", "2027-01-01"))
    assert frame["valid_at"].dt.strftime("%Y-%m-%d").tolist() == ["2025-01-01", "2026-07-01", "2026-08-01"]
    assert frame["available_at"].tolist()[0] == pd.Timestamp("2025-02-09T12:00Z")
    assert frame["inpc_index"].tolist() == ["138.343", "145.16900000000001", "145.46199999999999"]


def test_zeros_at_the_end_are_trimmed_as_text_without_losing_a_digit(read: Callable[..., pd.DataFrame]) -> None:
    rows = [("2026/01", "109.21013588490848000000"), ("2026/02", "100.000"), ("2026/03", "1200"), ("2026/04", "0.50")]
    assert read(observed("910392", *rows))["inpc_index"].tolist() == ["109.21013588490848", "100", "1200", "0.5"]


def test_empty_and_null_values_are_missing(read: Callable[..., pd.DataFrame], wire: Callable[[str], bytes]) -> None:
    frame = read(wire("inegi/bise_igae_6207136901.json"), source_of(igae="6207136901"))
    assert frame["igae"].tolist() == [None, "107.39083134651233", "109.21013588490848"]
    assert read(observed("910392", ("2026/01", None)))["inpc_index"].tolist() == [None]


def test_fortnights_start_on_the_first_and_the_sixteenth(
    read: Callable[..., pd.DataFrame], wire: Callable[[str], bytes]
) -> None:
    frame = read(wire("inegi/bie-bise_inpc_quincenal_910420.json"), source_of(inpc="910420"))
    assert frame["valid_at"].dt.strftime("%Y-%m-%d").tolist() == ["2026-08-01", "2026-08-16"]
    assert frame["inpc"].tolist() == ["145.393", "145.531"]


@pytest.mark.parametrize("period", ["2026/13", "2026", "2026/8", "august", "2026/08/02"])
def test_a_period_that_is_none_keeps_its_row_without_a_time(read: Callable[..., pd.DataFrame], period: str) -> None:
    frame = read(observed("910392", (period, "1.5"), ("2026/01", "1")))
    assert frame["valid_at"].isna().tolist() == [False, True]
    assert frame["inpc_index"].tolist() == ["1", "1.5"]


@pytest.mark.parametrize(
    ("frequency", "period", "start"),
    [
        ("3", "2026", "2026-01-01"),
        ("4", "2026/02", "2026-07-01"),
        ("5", "2026/03", "2026-09-01"),
        ("6", "2026/01", "2026-01-01"),
        ("6", "2026/04", "2026-10-01"),
        ("7", "2026/06", "2026-11-01"),
        ("8", "2026/04", "2026-04-01"),
        ("15", "2026/04/02", "2026-04-16"),
    ],
)
def test_a_period_starts_where_its_frequency_says(
    read: Callable[..., pd.DataFrame], frequency: str, period: str, start: str
) -> None:
    frame = read(observed("910392", (period, "1"), frequency=frequency))
    assert frame["valid_at"].dt.strftime("%Y-%m-%d").tolist() == [start]


@pytest.mark.parametrize(
    ("frequency", "period"), [("4", "2026/03"), ("5", "2026/04"), ("6", "2026/10"), ("7", "2026/11")]
)
def test_quarters_counted_by_their_month_are_refused_instead_of_misread(
    read: Callable[..., pd.DataFrame], frequency: str, period: str
) -> None:
    with pytest.raises(ContractBroken, match=f"a period of FREQ {frequency} is {period}, and a year has"):
        read(observed("910392", ("2026/01", "1"), (period, "2"), frequency=frequency))


@pytest.mark.parametrize("frequency", ["1", "9", "12", "", None, ["8"]])
def test_a_frequency_nobody_could_date_is_refused(read: Callable[..., pd.DataFrame], frequency: Any) -> None:
    with pytest.raises(ContractBroken, match=r"FREQ is .*, known are 3 \(annual\)"):
        read(observed("910392", ("2026/04", "1"), frequency=frequency))


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
def test_a_payload_of_another_shape_breaks_the_contract(
    read: Callable[..., pd.DataFrame], content: bytes, says_what_to_do: Any
) -> None:
    with pytest.raises(ContractBroken) as caught:
        read(content)
    says_what_to_do(caught.value, "usdmxn", "inflation", YEAR)


@pytest.mark.parametrize("content", [b'{"Series": []}', observed("910392")])
def test_an_answer_without_rows_is_no_error(
    read: Callable[..., pd.DataFrame], server: Any, quick: Any, content: bytes
) -> None:
    server.answers(content)
    [payload] = fetch("usdmxn", "inflation", INPC, Endpoint(server.url, TOKEN, limits=quick), YEAR)
    assert len(read(payload.content)) == 0


def test_each_indicator_is_asked_for_by_itself_and_joined_again(
    read: Callable[..., pd.DataFrame], server: Any, quick: Any
) -> None:
    source = source_of(inpc="910392", igae="6207136901")
    server.answers(observed("910392", ("2026/02", "2"), ("2026/01", "1")))
    server.answers(observed("6207136901", ("2026/02", "20")))
    payloads = list(fetch("usdmxn", "inflation", source, Endpoint(server.url, TOKEN, limits=quick), YEAR))
    base = "/app/api/indicadores/desarrolladores/jsonxml/INDICATOR"
    assert server.paths == [
        f"{base}/{id_}/es/00/false/BIE-BISE/2.0/{SHOWN_IN_URL}?type=json" for id_ in ("910392", "6207136901")
    ]
    frame = read([payload.content for payload in payloads], source, YEAR)
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
        list(fetch("usdmxn", "inflation", INPC, Endpoint(server.url, TOKEN, limits=quick), YEAR))
    assert "/INDICATOR/" in caplog.text, "the HTTP library logs the URL, so the test sees what it must"
    shown = caplog.text + str(caught.value) + repr(caught.value.__context__ and caught.value.__cause__) + repr(payload)
    assert TOKEN not in shown
    assert SHOWN_IN_URL not in shown


def test_without_a_token_nothing_is_sent(says_what_to_do: Any) -> None:
    with pytest.raises(ContractBroken, match=r"Connection inegi_api \(INEGI_TOKEN in \.env\)") as caught:
        list(fetch("usdmxn", "inflation", INPC, Endpoint("http://127.0.0.1:9"), YEAR))
    says_what_to_do(caught.value, "usdmxn", "inflation", YEAR)


@pytest.mark.parametrize("status", [401, 200])
def test_a_refused_token_is_not_retried(server: Any, quick: Any, wire: Callable[[str], bytes], status: int) -> None:
    server.answers(wire("inegi/error_unauthorized_http401.json"), status)
    with pytest.raises(ContractBroken, match=r"No autorizado.*set the password of the Airflow Connection inegi_api"):
        list(fetch("usdmxn", "inflation", INPC, Endpoint(server.url, TOKEN, limits=quick), YEAR))
    assert len(server.paths) == 1


@pytest.mark.parametrize("status", [400, 200])
def test_an_unknown_indicator_is_named(server: Any, quick: Any, wire: Callable[[str], bytes], status: int) -> None:
    server.answers(wire("inegi/error_no_results_http400.json"), status)
    with pytest.raises(ContractBroken, match="no indicator 910392 in bank BIE-BISE, area 00"):
        list(fetch("usdmxn", "inflation", INPC, Endpoint(server.url, TOKEN, limits=quick), YEAR))


@pytest.mark.parametrize(
    ("status", "error"), [(400, ContractBroken), (429, SourceUnavailable), (200, SourceUnavailable)]
)
def test_an_unknown_error_list_means_what_its_status_says(
    server: Any, quick: Any, status: int, error: type[Exception]
) -> None:
    server.answers(b'["ErrorInfo:?", 7]', status)
    with pytest.raises(error):
        list(fetch("usdmxn", "inflation", INPC, Endpoint(server.url, TOKEN, limits=quick), YEAR))


def test_an_answer_about_another_indicator_breaks_the_contract(server: Any, quick: Any) -> None:
    server.answers(observed("910420", ("2026/01", "1")))
    with pytest.raises(ContractBroken, match="asked for indicator 910392 and answered 910420"):
        list(fetch("usdmxn", "inflation", INPC, Endpoint(server.url, TOKEN, limits=quick), YEAR))


@pytest.mark.parametrize(
    ("sample", "indicator", "values"),
    [
        (
            "bie-bise_inpc_910392",
            "910392",
            ["133.55500000000001", "138.343", "145.16900000000001", "145.46199999999999"],
        ),
        ("bie-bise_inpc_quincenal_910420", "910420", ["133.34", "145.393", "145.531"]),
        ("bise_igae_6207136901", "6207136901", [None, "107.39083134651233", "109.21013588490848"]),
    ],
)
def test_every_recorded_answer_gives_its_values(
    read: Callable[..., pd.DataFrame],
    wire: Callable[[str], bytes],
    sample: str,
    indicator: str,
    values: list[str | None],
) -> None:
    frame = read(wire(f"inegi/{sample}.json"), source_of(value=indicator), Window.parse("2020-01-01", "2027-01-01"))
    assert frame["value"].tolist() == values
    assert frame["valid_at"].is_monotonic_increasing


@pytest.mark.parametrize("sample", ["error_no_results_http400", "error_unauthorized_http401"])
def test_every_recorded_error_is_no_data(
    read: Callable[..., pd.DataFrame], wire: Callable[[str], bytes], sample: str, says_what_to_do: Any
) -> None:
    with pytest.raises(ContractBroken, match="`Series` is not a list") as caught:
        read(wire(f"inegi/{sample}.json"))
    says_what_to_do(caught.value, "usdmxn", "inflation", YEAR)


def test_a_busy_service_hands_on_the_pause_it_asks_for(server: Any, quick: Any) -> None:
    server.answers(b'["ErrorInfo:busy"]', 429, Retry_After="90")
    with pytest.raises(SourceUnavailable) as caught:
        list(fetch("usdmxn", "inflation", INPC, Endpoint(server.url, TOKEN, limits=quick), YEAR))
    assert caught.value.retry_after == timedelta(seconds=90)


def test_an_area_cannot_lead_to_another_path(server: Any, quick: Any) -> None:
    server.answers(observed("910392"))
    source = INPC.model_copy(update={"area": "../../07"})
    list(fetch("usdmxn", "inflation", source, Endpoint(server.url, TOKEN, limits=quick), YEAR))
    assert "/es/..%2F..%2F07/false/" in server.paths[0]


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


SAMPLES = [path.read_bytes() for path in sorted((Path(__file__).parent / "wire" / "inegi").glob("*.json"))]


@settings(max_examples=300, deadline=None)
@given(content=st.binary(max_size=400) | mutations(SAMPLES))
def test_any_bytes_give_rows_or_say_why(content: bytes) -> None:
    source = source_of(inpc="910392", fortnightly="910420", igae="6207136901")
    try:
        batches = list(parse("usdmxn", "inflation", source, [lambda: io.BytesIO(content)], YEAR))
    except ContractBroken as error:
        why = str(error)
    else:
        why = None
    if why is not None:
        assert why.startswith("pipeline usdmxn, source inflation, window 2026-01-01..2027-01-01: ")
        assert "airflow dags trigger ingest_usdmxn" in why
        assert "\n" not in why
        return
    for batch in batches:
        assert batch.schema.names[4:] == ["inpc", "fortnightly", "igae"]
        batch.validate(full=True)
