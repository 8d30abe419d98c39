"""Any REST API from YAML alone, against a local server that behaves as told."""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from include.errors import ContractBroken, SourceUnavailable
from include.sources import Endpoint, Limits, Payload, fetch, http_json, parse
from include.sources.frame import noted
from include.sources.payload import Extract
from include.spec.model import HttpJsonSource
from include.windows import Window

TOKEN = "se/cret+t0ken"
JANUARY = Window.parse("2025-01-01", "2025-02-01")
AROUND = ("api", "rates", JANUARY)
COLUMN = {"unit": "1", "description": "a value"}
PAGES = {"kind": "page", "size_param": "limit", "size": 2}
CURSOR = {"kind": "cursor", "param": "after", "next": "$.next"}


def source_of(**changed: Any) -> HttpJsonSource:
    spec: dict[str, Any] = {
        "kind": "http_json",
        "connection": "rates_api",
        "title": "Rates",
        "path": "/v1/rates",
        "time": {"from": ["date"]},
        "columns": {"rate": {"from": "rate", **COLUMN}},
    }
    return HttpJsonSource.model_validate(spec | changed)


def rows(*days: int) -> list[dict[str, Any]]:
    return [{"date": f"2025-01-{day:02}", "rate": day + 0.5} for day in days]


def page(*days: int, **more: Any) -> bytes:
    return json.dumps({"results": rows(*days), **more}).encode()


def ask(server: Any, quick: Limits, source: HttpJsonSource, token: str | None = None, path: str = "") -> list[Payload]:
    return list(fetch("api", "rates", source, Endpoint(server.url + path, token, limits=quick), JANUARY))


def queries(server: Any) -> list[dict[str, str]]:
    return [dict(parse_qsl(urlsplit(path).query)) for path in server.paths]


# What is asked


def test_path_and_params_hold_the_windows_bounds(server: Any, quick: Limits) -> None:
    server.answers(b"[]")
    params = {"from": "{start}", "to": "{end_inclusive}", "before": "{end}", "base": "USD MXN"}
    ask(server, quick, source_of(path="/rates/{start}..{end}", params=params))
    assert server.paths == [
        "/rates/2025-01-01..2025-02-01?from=2025-01-01&to=2025-01-31&before=2025-02-01&base=USD%20MXN"
    ]


@pytest.mark.parametrize(
    ("date_format", "timezone", "bounds"),
    [
        ("%d/%m/%Y", "UTC", ("01/01/2025", "01/02/2025", "31/01/2025")),
        ("%Y-%m", "UTC", ("2025-01", "2025-02", "2025-01")),
        ("%Y-%m-%dT%H:%M:%S", "UTC", ("2025-01-01T00:00:00", "2025-02-01T00:00:00", "2025-01-31T23:59:59")),
        ("%Y-%m-%d %H:%M", "America/Mexico_City", ("2024-12-31 18:00", "2025-01-31 18:00", "2025-01-31 17:59")),
        ("%Y-%m-%d", "America/Mexico_City", ("2024-12-31", "2025-02-01", "2025-01-31")),
        ("unix_seconds", "UTC", ("1735689600", "1738368000", "1738367999")),
        ("unix_milliseconds", "UTC", ("1735689600000", "1738368000000", "1738367999999")),
    ],
)
def test_bounds_that_the_format_cannot_show_make_the_span_longer(
    server: Any, quick: Limits, date_format: str, timezone: str, bounds: tuple[str, str, str]
) -> None:
    server.answers(b"[]")
    params = {"start": "{start}", "end": "{end}", "last": "{end_inclusive}"}
    ask(server, quick, source_of(params=params, date_format=date_format, time={"from": ["date"], "timezone": timezone}))
    assert tuple(queries(server)[0].values()) == bounds


def test_the_path_of_the_connections_url_comes_before_the_sources_own(server: Any, quick: Limits) -> None:
    server.answers(b"[]")
    ask(server, quick, source_of(), path="/api/")
    assert server.paths == ["/api/v1/rates"]


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        ({"kind": "header", "name": "X-API-Key"}, ("X-API-Key", TOKEN)),
        ({"kind": "bearer"}, ("Authorization", f"Bearer {TOKEN}")),
    ],
)
def test_the_token_travels_in_a_header(
    server: Any, quick: Limits, auth: dict[str, str], header: tuple[str, str]
) -> None:
    server.answers(b"[]")
    (payload,) = ask(server, quick, source_of(auth=auth), TOKEN)
    assert server.headers[0][header[0]] == header[1]
    assert TOKEN not in str(payload.request) + str(payload.headers) + server.paths[0]


def test_the_token_travels_in_the_query_and_stays_out_of_everything_kept(server: Any, quick: Limits) -> None:
    server.answers(b"[]")
    (payload,) = ask(server, quick, source_of(auth={"kind": "query", "name": "api_key"}), TOKEN)
    assert queries(server) == [{"api_key": TOKEN}]
    assert payload.request["url"].endswith("/v1/rates?api_key=***")


@pytest.mark.parametrize("status", [401, 404, 500])
def test_no_message_and_no_log_line_shows_the_token(
    server: Any, quick: Limits, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    server.answers(json.dumps({"message": f"who is {TOKEN}?\nsecond line"}).encode(), status=status)
    source = source_of(auth={"kind": "query", "name": "api_key"})
    with caplog.at_level(logging.DEBUG), pytest.raises((ContractBroken, SourceUnavailable)) as caught:
        ask(server, quick, source, TOKEN)
    assert "who is ***? second line" in str(caught.value)
    assert TOKEN not in caplog.text + str(caught.value)
    assert "%2Fcret" not in caplog.text + str(caught.value)


@pytest.mark.parametrize("token", [None, "", "with\nnewline", "ñandú", " spaced"])
def test_a_token_that_cannot_travel_is_refused_before_anything_is_asked(
    server: Any, quick: Limits, token: str | None
) -> None:
    with pytest.raises(ContractBroken, match="no usable token; set the password of the Airflow Connection rates_api"):
        ask(server, quick, source_of(auth={"kind": "bearer"}), token)
    assert server.paths == []


def test_an_answer_that_repeats_the_token_is_not_kept(server: Any, quick: Limits) -> None:
    server.answers(json.dumps({"results": [], "next": "http://x/?api_key=se%2Fcret%2Bt0ken"}).encode())
    source = source_of(rows="$.results", auth={"kind": "query", "name": "api_key"})
    with pytest.raises(ContractBroken, match="repeats the token in its answer"):
        ask(server, quick, source, TOKEN)


def test_the_rate_limit_is_kept_between_pages(server: Any, quick: Limits) -> None:
    for days in ((1, 2), (3, 4), ()):
        server.answers(page(*days))
    source = source_of(rows="$.results", pagination=PAGES, rate_limit={"requests": 1200, "per": "1 minute"})
    began = time.monotonic()
    assert len(ask(server, quick, source)) == 3
    assert time.monotonic() - began >= 2 * 60 / 1200


# Pages


def test_pages_are_numbered_until_one_has_no_rows(server: Any, quick: Limits) -> None:
    for days in ((1, 2), (3,), (4, 5), ()):
        server.answers(page(*days))
    payloads = ask(server, quick, source_of(rows="$.results", params={"base": "USD"}, pagination=PAGES))
    assert [query["page"] for query in queries(server)] == ["1", "2", "3", "4"]
    assert {(query["base"], query["limit"]) for query in queries(server)} == {("USD", "2")}
    assert len(payloads) == 4


def test_a_short_page_is_the_last_where_that_is_declared(server: Any, quick: Limits) -> None:
    server.answers(page(1, 2))
    server.answers(page(3))
    ask(server, quick, source_of(rows="$.results", pagination=PAGES | {"until": "short", "start": 0}))
    assert [query["page"] for query in queries(server)] == ["0", "1"]


def test_a_total_ends_the_pages_without_a_further_request(server: Any, quick: Limits) -> None:
    server.answers(page(1, 2, found=3))
    server.answers(page(3, found=3))
    ask(server, quick, source_of(rows="$.results", pagination=PAGES | {"total": "$.found"}))
    assert len(server.paths) == 2


def test_an_offset_counts_the_rows_that_came_even_if_the_server_caps_its_pages(server: Any, quick: Limits) -> None:
    for days in ((1, 2, 3), (4,), ()):
        server.answers(page(*days))
    paging = {"kind": "offset", "size_param": "limit", "size": 100}
    ask(server, quick, source_of(rows="$.results", pagination=paging))
    assert [query["offset"] for query in queries(server)] == ["0", "3", "4"]


@pytest.mark.parametrize("end", [{}, {"next": None}, {"next": ""}])
def test_cursors_are_followed_until_there_is_none(server: Any, quick: Limits, end: dict[str, Any]) -> None:
    server.answers(page(1, next="a/b c"))
    server.answers(page(2, next=77))
    server.answers(page(3, **end))
    ask(server, quick, source_of(rows="$.results", params={"base": "USD"}, pagination=CURSOR))
    assert queries(server) == [{"base": "USD"}, {"base": "USD", "after": "a/b c"}, {"base": "USD", "after": "77"}]


def test_the_link_header_is_followed_with_the_token_set_anew(server: Any, quick: Limits) -> None:
    first, last = (
        f"<{server.url}/v1/rates>; rel=first",
        f'<{server.url}/v1/rates?api_key=se%2Fcret%2Bt0ken&p=2>; rel="next"',
    )
    server.answers(json.dumps(rows(1)).encode(), Link=f"{first}, {last}")
    server.answers(json.dumps(rows(2)).encode(), Link=first)
    source = source_of(auth={"kind": "query", "name": "api_key"}, pagination={"kind": "link"})
    payloads = ask(server, quick, source, TOKEN)
    assert queries(server)[1] == {"p": "2", "api_key": TOKEN}
    assert TOKEN not in str([payload.headers for payload in payloads])
    assert "se%2F" not in str([payload.headers for payload in payloads])


def test_a_link_in_the_answer_may_be_relative(server: Any, quick: Limits) -> None:
    server.answers(page(1, next="?cursor=x"))
    server.answers(page(2, next="/v1/more"))
    server.answers(page(3))
    ask(server, quick, source_of(rows="$.results", pagination={"kind": "link", "next": "$.next"}))
    assert server.paths == ["/v1/rates", "/v1/rates?cursor=x", "/v1/more"]


@pytest.mark.parametrize(
    "link",
    ["http://evil.example/v1?p=2", "//evil.example/v1", "ftp://{host}/v1", "http://{host}@evil.example/", "http://["],
)
def test_a_link_to_another_host_never_gets_the_token(
    server: Any, quick: Limits, link: str, says_what_to_do: Callable[..., None]
) -> None:
    server.answers(page(1, next=link.replace("{host}", server.host)))
    source = source_of(rows="$.results", auth={"kind": "bearer"}, pagination={"kind": "link", "next": "$.next"})
    with pytest.raises(ContractBroken, match="page 1 leads to another host, which is not followed") as caught:
        ask(server, quick, source, TOKEN)
    says_what_to_do(caught.value, *AROUND)
    assert len(server.paths) == 1


def test_another_port_of_the_same_machine_is_another_host(server: Any, other_server: Any, quick: Limits) -> None:
    server.answers(json.dumps(rows(1)).encode(), Link=f'<{other_server.url}/v1>; rel="next"')
    with pytest.raises(ContractBroken, match="another host"):
        ask(server, quick, source_of(auth={"kind": "bearer"}, pagination={"kind": "link"}), TOKEN)
    assert other_server.paths == []


def test_a_redirect_is_not_followed_with_a_token(server: Any, other_server: Any, quick: Limits) -> None:
    server.answers(b"", status=302, Location=other_server.url)
    with pytest.raises(ContractBroken, match="302"):
        ask(server, quick, source_of(auth={"kind": "header", "name": "X-Key"}), TOKEN)
    assert other_server.paths == []


def test_each_page_is_handed_over_before_the_next_is_asked_for(server: Any, quick: Limits) -> None:
    for days in ((1,), (2,), ()):
        server.answers(page(*days))
    pages = fetch(
        "api", "rates", source_of(rows="$.results", pagination=PAGES), Endpoint(server.url, limits=quick), JANUARY
    )
    for count, _ in enumerate(islice(pages, 2), start=1):
        assert len(server.paths) == count


def broken(server: Any, quick: Limits, error: type[Exception], **changed: Any) -> Any:
    with pytest.raises(error) as caught:
        ask(server, quick, source_of(rows="$.results", **changed))
    return caught.value


def test_a_server_that_ignores_the_page_is_noticed(
    server: Any, quick: Limits, says_what_to_do: Callable[..., None]
) -> None:
    server.answers(page(1, 2, took_ms=3))
    server.answers(page(1, 2, took_ms=4))
    error = broken(server, quick, ContractBroken, pagination=PAGES)
    assert "page 2 has the same rows as a page before it: the server ignores the parameter 'page'" in str(error)
    says_what_to_do(error, *AROUND)


def test_pages_that_begin_anew_are_noticed(server: Any, quick: Limits) -> None:
    for days in ((1, 2), (3, 4), (1, 2)):
        server.answers(page(*days))
    assert "page 3 has the same rows" in str(broken(server, quick, ContractBroken, pagination=PAGES))


def test_cursors_that_lead_in_a_circle_are_noticed(
    server: Any, quick: Limits, says_what_to_do: Callable[..., None]
) -> None:
    for day, cursor in enumerate("abab", start=1):
        server.answers(page(day, next=cursor))
    error = broken(server, quick, ContractBroken, pagination=CURSOR)
    assert "page 3 leads back to a page that was read before" in str(error)
    says_what_to_do(error, *AROUND)


def test_a_link_to_the_page_itself_is_noticed(server: Any, quick: Limits) -> None:
    server.answers(page(1, next="/v1/rates"))
    error = broken(server, quick, ContractBroken, pagination={"kind": "link", "next": "$.next"})
    assert "page 1 leads back" in str(error)


def test_a_link_to_the_page_itself_is_noticed_though_it_carries_a_token(server: Any, quick: Limits) -> None:
    server.answers(json.dumps(rows(1)).encode(), Link="</v1/rates?api_key=other>; rel=next")
    source = source_of(auth={"kind": "query", "name": "api_key"}, pagination={"kind": "link"})
    with pytest.raises(ContractBroken, match="page 1 leads back"):
        ask(server, quick, source, TOKEN)


def test_more_pages_than_allowed_are_refused(server: Any, quick: Limits, says_what_to_do: Callable[..., None]) -> None:
    for day in range(1, 6):
        server.answers(page(day))
    error = broken(server, quick, ContractBroken, pagination={"kind": "page", "max_pages": 3})
    assert "there are more than 3 pages; choose a shorter window" in str(error)
    says_what_to_do(error, *AROUND)
    assert len(server.paths) == 3


def test_a_total_that_changes_between_pages_can_pass(
    server: Any, quick: Limits, says_what_to_do: Callable[..., None]
) -> None:
    server.answers(page(1, 2, found=4))
    server.answers(page(3, 4, found=5))
    error = broken(server, quick, SourceUnavailable, pagination=PAGES | {"total": "$.found"})
    assert "the list changed while it was read: it had 4 rows, on page 2 5" in str(error)
    says_what_to_do(error, *AROUND)


@pytest.mark.parametrize("last", [(), (3, 4)])
def test_a_total_that_does_not_come_true_can_pass(server: Any, quick: Limits, last: tuple[int, ...]) -> None:
    server.answers(page(1, 2, found=3))
    server.answers(page(*last, found=3))
    error = broken(server, quick, SourceUnavailable, pagination=PAGES | {"total": "$.found"})
    assert f"the pages held {2 + len(last)} of 3 rows" in str(error)


@pytest.mark.parametrize("found", [[3], {"rows": 3}, True])
def test_a_total_that_is_no_number_is_refused(server: Any, quick: Limits, found: Any) -> None:
    server.answers(page(1, found=found))
    error = broken(server, quick, ContractBroken, pagination=PAGES | {"total": "$.found"})
    assert "'$.found' is no number of rows" in str(error)


@pytest.mark.parametrize("cursor", [["a"], {"a": 1}, True])
def test_a_cursor_that_is_no_text_is_refused(server: Any, quick: Limits, cursor: Any) -> None:
    server.answers(page(1, next=cursor))
    error = broken(server, quick, ContractBroken, pagination=CURSOR)
    assert "'$.next' is neither text nor null on page 1" in str(error)


# Answers that are none


@pytest.mark.parametrize(
    ("status", "body", "error", "said"),
    [
        (404, {"message": "not found"}, ContractBroken, "404 and says: not found"),
        (422, {"message": "invalid currency: XYZ"}, ContractBroken, "422 and says: invalid currency: XYZ"),
        (400, {"error": True, "reason": "Invalid timezone"}, ContractBroken, "400 and says: Invalid timezone"),
        (400, {"errors": [{"code": 7, "detail": "no such day"}]}, ContractBroken, "says: no such day"),
        (403, {"error": {"message": "forbidden"}}, ContractBroken, "set the password of the Airflow Connection"),
        (503, {"message": "down for a minute"}, SourceUnavailable, "503 and says: down for a minute"),
        (429, {"detail": "slower"}, SourceUnavailable, "429 and says: slower"),
        (408, {"title": "too slow"}, SourceUnavailable, "408 and says: too slow"),
        (500, ["it", "broke"], SourceUnavailable, "500 and says: it; broke"),
        (404, {"nothing": "known"}, ContractBroken, "answered 404 to"),
        (502, None, SourceUnavailable, "answered 502"),
        (200, {"message": "no data for you"}, ContractBroken, "'$.results' leads to no places in the answer; it says"),
    ],
)
def test_an_error_document_is_told_with_what_it_means_for_a_retry(
    server: Any,
    quick: Limits,
    status: int,
    body: Any,
    error: type[Exception],
    said: str,
    says_what_to_do: Callable[..., None],
) -> None:
    server.answers(json.dumps(body).encode(), status=status)
    caught = broken(server, quick, error)
    assert said in str(caught)
    says_what_to_do(caught, *AROUND)


def test_the_pause_a_server_asks_for_reaches_the_retry(server: Any, quick: Limits) -> None:
    server.answers(b'{"message": "slower"}', status=429, Retry_After="90")
    assert broken(server, quick, SourceUnavailable).retry_after == timedelta(seconds=90)


@pytest.mark.parametrize(
    ("body", "media_type", "said"),
    [
        (b"<!DOCTYPE html><p>maintenance", "text/html", "a web page"),
        (b"<html>maintenance", "application/json", "a web page"),
        (b'{"results": [', "application/json", "not JSON"),
        (b"\xff\xfe", "application/json", "not UTF-8"),
        (b"", "application/json", "empty body"),
    ],
)
def test_what_is_not_json_can_pass(
    server: Any, quick: Limits, body: bytes, media_type: str, said: str, says_what_to_do: Callable[..., None]
) -> None:
    server.answers(body, media_type=media_type)
    error = broken(server, quick, SourceUnavailable)
    assert said in str(error)
    says_what_to_do(error, *AROUND)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"rows": []}', "'$.results' leads to no places in the answer, only 'rows'"),
        (b'{"results": null}', "'$.results' is null and not a list"),
        (b'{"results": {"a": 1}}', "'$.results' is a mapping and not a list"),
        (b'{"results": "none"}', "'$.results' is a plain value and not a list"),
        (b"[]", "'$.results' leads to no places"),
        (b"3", "'$.results' leads to no places"),
    ],
)
def test_rows_that_are_not_where_they_should_be_are_named(
    server: Any, quick: Limits, body: bytes, said: str, says_what_to_do: Callable[..., None]
) -> None:
    server.answers(body)
    error = broken(server, quick, ContractBroken)
    assert said in str(error)
    says_what_to_do(error, *AROUND)


def test_a_path_to_several_lists_is_refused(server: Any, quick: Limits) -> None:
    server.answers(b'{"a": {"rows": []}, "b": {"rows": []}}')
    with pytest.raises(ContractBroken, match=r"leads to 2 places"):
        ask(server, quick, source_of(rows="$.*.rows"))


def test_a_page_too_large_for_memory_is_refused(server: Any, quick: Limits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_json, "LARGEST_PAGE", 100)
    server.answers(page(*range(1, 9)))
    assert "more than 100 bytes" in str(broken(server, quick, ContractBroken))
    with pytest.raises(ContractBroken, match="more than 100 bytes"):
        list(parse("api", "rates", source_of(rows="$.results"), [opener(page(*range(1, 9)))], JANUARY))


@pytest.mark.parametrize("url", ["http://[", "example.org", "", "http://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ContractBroken, match="is not a URL"):
        list(fetch("api", "rates", source_of(), Endpoint(url), JANUARY))


# Rows


def opener(content: bytes) -> Callable[[], Any]:
    return lambda: io.BytesIO(content)


@pytest.fixture
def read(rows_of: Callable[..., pd.DataFrame]) -> Callable[..., pd.DataFrame]:
    def parse_all(source: HttpJsonSource, *documents: Any, window: Window = JANUARY) -> pd.DataFrame:
        contents = [d if isinstance(d, bytes) else json.dumps(d).encode() for d in documents]
        return rows_of("api", "rates", source, contents, window)

    return parse_all


def test_values_keep_their_text(read: Callable[..., pd.DataFrame]) -> None:
    values = ["17.3400", "1e5", "-0", "12345678901234567890.123", '" N/E "', "true", "false", "null", '"é"']
    objects = ",".join(f'{{"date": "2025-01-02", "rate": {value}}}' for value in values)
    found = read(source_of(), f"[{objects}]".encode())["rate"].tolist()
    expected = ["17.3400", "1e5", "-0", "12345678901234567890.123", " N/E ", "true", "false", None, "é"]
    assert found == expected


def test_fields_lie_deeper_or_have_odd_names(read: Callable[..., pd.DataFrame]) -> None:
    columns = {
        "deep": {"from": "$.quote.bid[1]", **COLUMN},
        "last": {"from": "$.quote.bid[-1]", **COLUMN},
        "odd": {"from": "PM2.5 (ug/m3)", **COLUMN},
        "dollar": {"from": "$['$x']", **COLUMN},
    }
    row = {"at": {"utc": "2025-01-02"}, "quote": {"bid": [1, 2, 3]}, "PM2.5 (ug/m3)": 4, "$x": 5}
    found = read(source_of(time={"from": ["$.at.utc"]}, columns=columns), [row])
    assert found.iloc[0, 2:].tolist() == ["2", "3", "4", "5"]


def test_rows_may_be_lists(read: Callable[..., pd.DataFrame]) -> None:
    source = source_of(
        time={"from": ["$[0]"], "format": "unix_milliseconds"}, columns={"close": {"from": "$[4]", **COLUMN}}
    )
    found = read(source, [[1735776000000, "1", "2", "3", "4.5"]])
    assert found.values.tolist() == [[pd.Timestamp("2025-01-02", tz="UTC")] * 2 + ["4.5"]]


def test_what_some_rows_lack_is_missing(read: Callable[..., pd.DataFrame]) -> None:
    columns = {"rate": {"from": "$.quote.rate", **COLUMN}}
    documents = [[{"date": "2025-01-02", "quote": {"rate": 1}}, {"date": "2025-01-03", "quote": None}], rows(4)]
    assert read(source_of(columns=columns), *documents)["rate"].tolist() == ["1", None, None]


def test_a_column_that_no_row_has_is_refused_with_the_keys_there_are(read: Callable[..., pd.DataFrame]) -> None:
    with pytest.raises(ContractBroken, match=r"no row has 'rat'; the first has 'date', 'rate'; correct `from`"):
        read(source_of(columns={"rate": {"from": "rat", **COLUMN}}), rows(1, 2))


@pytest.mark.parametrize("lenient", [{"completeness": 0, "note": "seldom sent"}, {"severity": "warn"}])
def test_a_column_that_may_be_empty_may_be_in_no_row(
    read: Callable[..., pd.DataFrame], lenient: dict[str, Any]
) -> None:
    columns = {"rate": {"from": "rate", **COLUMN}, "note": {"from": "note", **COLUMN, **lenient}}
    assert read(source_of(columns=columns), rows(1))["note"].tolist() == [None]


def test_a_time_that_no_row_has_is_refused_with_the_keys_there_are(read: Callable[..., pd.DataFrame]) -> None:
    with pytest.raises(ContractBroken, match=r"no row has the time 'day', only 'date', 'rate'"):
        read(source_of(time={"from": ["day"]}), rows(1))


@pytest.mark.parametrize(("value", "kind"), [({"a": 1}, "a mapping"), ([1], "a list"), ([], "a list")])
def test_a_nested_value_in_a_column_is_refused_with_its_place(
    read: Callable[..., pd.DataFrame], value: Any, kind: str, says_what_to_do: Callable[..., None]
) -> None:
    with pytest.raises(ContractBroken) as caught:
        read(source_of(rows="$.results"), page(1), {"results": [*rows(2), {"date": "2025-01-03", "rate": value}]})
    assert f"page 2 is not what pipeline.yaml says: 'rate' of row 1 at '$.results' is {kind}" in str(caught.value)
    says_what_to_do(caught.value, *AROUND)


@pytest.mark.parametrize("row", [None, 1, "x", True])
def test_a_row_that_is_none_is_refused(read: Callable[..., pd.DataFrame], row: Any) -> None:
    with pytest.raises(ContractBroken, match=r"row 1 at '\$' is (null|a plain value|a boolean) and not a mapping"):
        read(source_of(), [*rows(1), row])


@pytest.mark.parametrize(
    ("rule", "written", "expected"),
    [
        ({"from": ["d"]}, {"d": "2025-01-02T03:04:05.678901Z"}, "2025-01-02T03:04:05.678901Z"),
        ({"from": ["d"]}, {"d": "2025-01-02T03:04:05-06:00"}, "2025-01-02T09:04:05Z"),
        ({"from": ["d"]}, {"d": "2025-01-02"}, "2025-01-02T00:00Z"),
        ({"from": ["d"], "timezone": "America/Mexico_City"}, {"d": "2025-01-02T03:00"}, "2025-01-02T09:00Z"),
        ({"from": ["d", "h"], "format": "%d/%m/%Y %H.%M"}, {"d": "02/01/2025", "h": "18.30"}, "2025-01-02T18:30Z"),
        ({"from": ["d"], "format": "%Y-%m"}, {"d": "2025-01"}, "2025-01-01T00:00Z"),
        ({"from": ["d"], "format": "unix_seconds"}, {"d": 1735776000.5}, "2025-01-02T00:00:00.5Z"),
        ({"from": ["d"], "format": "unix_milliseconds"}, {"d": "1735776000500"}, "2025-01-02T00:00:00.5Z"),
    ],
)
def test_times_are_read_as_declared(
    read: Callable[..., pd.DataFrame], rule: dict[str, Any], written: dict[str, Any], expected: str
) -> None:
    assert read(source_of(time=rule), [written | {"rate": 1}])["valid_at"].tolist() == [pd.Timestamp(expected)]


@pytest.mark.parametrize(
    ("rule", "written"),
    [
        ({}, "someday"),
        ({}, None),
        ({}, ""),
        ({}, "9999-12-31T23:59:59-23:00"),
        ({"timezone": "America/New_York"}, "2025-11-02T01:30"),  # twice on that night
        ({"timezone": "America/New_York"}, "2025-03-09T02:30"),  # never on that night
        ({"format": "%d/%m/%Y"}, "2025-01-02"),
        ({"format": "unix_seconds"}, "nan"),
        ({"format": "unix_seconds"}, "1e400"),
        ({"format": "unix_seconds"}, 999999999999999999),
    ],
)
def test_a_time_that_cannot_be_read_keeps_its_row(
    read: Callable[..., pd.DataFrame], rule: dict[str, Any], written: Any
) -> None:
    found = read(source_of(time={"from": ["date"], **rule}), [{"date": written, "rate": 7}])
    assert (found["valid_at"].isna().tolist(), found["rate"].tolist()) == ([True], ["7"])


def test_rows_outside_the_window_are_left_out(read: Callable[..., pd.DataFrame]) -> None:
    found = read(source_of(), rows(1, 2, 3, 4), window=Window.parse("2025-01-02", "2025-01-04"))
    assert found["rate"].tolist() == ["2.5", "3.5"]


def test_rows_know_their_page_and_their_place_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_json, "ROWS_PER_BATCH", 2)
    openers = [opener(page(1, 2, 3)), opener(page()), opener(page(4))]
    batches = list(parse("api", "rates", source_of(rows="$.results"), openers, JANUARY))
    assert [(batch["payload"].to_pylist(), batch["row_number"].to_pylist()) for batch in batches] == [
        ([0, 0], [0, 1]),
        ([0], [2]),
        ([2], [0]),
    ]


def test_a_page_is_read_only_when_its_turn_comes() -> None:
    def never() -> Any:
        raise AssertionError("the second page was opened too early")

    batches = parse("api", "rates", source_of(rows="$.results"), [opener(page(1)), never], JANUARY)
    assert next(batches).num_rows == 1


# Column by column


def hourly(**changed: Any) -> HttpJsonSource:
    columns = {"pm10": {"from": "pm10", **COLUMN}, "co": {"from": "carbon_monoxide", **COLUMN}}
    time = {"from": ["time"], "timezone": "Europe/Bucharest"}
    return source_of(**{"rows": "$.hourly", "orientation": "columns", "time": time, "columns": columns, **changed})


def test_open_meteos_recorded_answer_parses(read: Callable[..., pd.DataFrame], wire: Callable[[str], bytes]) -> None:
    found = read(
        hourly(), wire("other/open_meteo_air_quality_short.json"), window=Window.parse("2023-04-01", "2023-05-01")
    )
    assert found["valid_at"].tolist() == list(pd.date_range("2023-04-24T21:00Z", periods=5, freq="h"))
    assert found["pm10"].tolist() == ["18.7", "17.8", "17.2", "16.7", "17.1"]
    assert found["co"].tolist() == ["171.0", "165.0", "162.0", "163.0", "168.0"]


def test_openaqs_recorded_answer_parses(read: Callable[..., pd.DataFrame], wire: Callable[[str], bytes]) -> None:
    columns = {
        "pm25": {"from": "value", **COLUMN},
        "sd": {"from": "$.summary.sd", **COLUMN},
        "latitude": {"from": "$.coordinates.latitude", **COLUMN, "severity": "warn"},
    }
    source = source_of(rows="$.results", time={"from": ["$.period.datetimeTo.utc"]}, columns=columns)
    found = read(source, wire("other/openaq_v3_measurements.json"), window=Window.parse("2023-10-01", "2023-11-01"))
    assert found["valid_at"].tolist() == [pd.Timestamp("2023-10-16T13:00Z"), pd.Timestamp("2023-10-16T14:00Z")]
    assert found[["pm25", "sd", "latitude"]].values.tolist() == [["6", None, None], ["7.5", None, None]]


@pytest.mark.parametrize(
    ("lists", "said"),
    [
        ({"pm10": [1]}, "there is no 'carbon_monoxide' at '$.hourly', only 'time', 'pm10'"),
        ({"pm10": [1], "carbon_monoxide": 3}, "'carbon_monoxide' at '$.hourly' is a plain value and not a list"),
        ({"pm10": [], "carbon_monoxide": [3]}, "not equally long: 'time' has 1, 'pm10' has 0"),
        ({"pm10": [[1]], "carbon_monoxide": [3]}, "'pm10' of row 0 at '$.hourly' is a list"),
    ],
)
def test_columns_that_do_not_fit_together_are_refused(
    read: Callable[..., pd.DataFrame], lists: dict[str, Any], said: str, says_what_to_do: Callable[..., None]
) -> None:
    with pytest.raises(ContractBroken) as caught:
        read(hourly(), {"hourly": {"time": ["2025-01-01T00:00"], **lists}})
    assert said in str(caught.value)
    says_what_to_do(caught.value, *AROUND)


def test_rows_in_the_place_of_columns_are_refused(read: Callable[..., pd.DataFrame]) -> None:
    with pytest.raises(ContractBroken, match="is a list and not a mapping of lists"):
        read(hourly(), {"hourly": rows(1)})


# Whatever bytes come

SOURCES = {
    "rows": source_of(rows="$.results"),
    "anywhere": source_of(rows="$..results", time={"from": ["$.d.utc", "date"], "format": "%Y-%m-%d %H"}),
    "lists": source_of(time={"from": ["$[0]"], "format": "unix_seconds"}, columns={"v": {"from": "$[1]", **COLUMN}}),
    "columns": hourly(),
}
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("2025-01-02")
KEYS = st.sampled_from(["results", "hourly", "date", "time", "rate", "pm10", "carbon_monoxide", "d", "utc", "message"])
DOCUMENTS = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


def gives_rows_or_says_why(name: str, content: bytes) -> None:
    try:
        for batch in parse("api", "rates", SOURCES[name], [opener(content)], JANUARY):
            assert batch.schema.names == ["valid_at", "available_at", "payload", "row_number", *SOURCES[name].columns]
    except ContractBroken as error:
        why = str(error)
        assert why.startswith("pipeline api, source rates, window 2025-01-01..2025-02-01: ")
        assert "airflow dags trigger ingest_api" in why
        assert "\n" not in why


@pytest.mark.parametrize("name", SOURCES)
@settings(max_examples=150, deadline=None)
@given(content=st.binary(max_size=200) | DOCUMENTS.map(lambda document: json.dumps(document).encode()))
@example(content=b"")
@example(content=b"[" * 5000)
@example(content=b'{"a":' * 200 + b"1" + b"}" * 200)
@example(content=b'{"results": [{"date": "\\u0000"}]}')
@example(content=b'{"results": [{"date": "2025-01-01", "rate": ' + b"9" * 5000 + b"}]}")
def test_any_bytes_give_rows_or_say_why(name: str, content: bytes) -> None:
    gives_rows_or_says_why(name, content)


# One server for all examples will do: each plans its own answer.
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=100) | DOCUMENTS.map(lambda document: json.dumps(document).encode()))
def test_any_bytes_from_a_server_give_pages_or_say_why(server: Any, content: bytes) -> None:
    server.plan.clear()
    server.answers(content)
    source = source_of(rows="$.results", pagination=CURSOR | {"total": "$.rate", "max_pages": 3})
    why = ""
    try:
        kept = [payload.content for payload in fetch("api", "rates", source, Endpoint(server.url), JANUARY)]
    except (ContractBroken, SourceUnavailable) as error:
        why = str(error)
    assert why.startswith("pipeline api, source rates, window 2025-01-01..2025-02-01: ") if why else kept == [content]


@pytest.mark.parametrize(
    ("changed", "others"),
    [
        ({}, []),
        ({"ignore": []}, ["base", "quote"]),
        ({"ignore": ["base"]}, ["quote"]),
        ({"ignore": ["base", "quote"]}, []),
        ({"ignore": ["base"], "columns": {"rate": {"from": "$.quote.rate", **COLUMN}}}, ["rate"]),
    ],
)
def test_where_keys_are_ignored_any_other_is_noted(changed: dict[str, Any], others: list[str]) -> None:
    row = {"date": "2025-01-02", "rate": 1.5, "base": "USD", "quote": "MXN"}
    if "columns" in changed:
        row["quote"] = {"rate": 2.5}
    opened = io.BytesIO(json.dumps([row]).encode())
    batches = list(http_json.parse(Extract(*AROUND), source_of(**changed), [lambda: opened]))
    assert [name for batch in batches for name in noted(batch.schema)] == others


def test_a_key_that_is_read_cannot_be_ignored() -> None:
    with pytest.raises(ValueError, match="'rate' is read, by a column or as the time"):
        source_of(ignore=["rate"])
