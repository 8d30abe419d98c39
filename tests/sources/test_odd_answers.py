"""What real APIs answer beside the textbook: ends of lists, empty windows, shapes, numbers and refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from pydantic import ValidationError

from include.errors import ContractBroken, SourceUnavailable
from include.sources import Endpoint, Limits, fetch
from include.spec.model import HttpJsonSource
from include.windows import Window

YEAR = Window.parse("2024-01-01", "2025-01-01")
COLUMN = {"unit": "1", "description": "a value"}
RATE = {"rate": {"from": "rate", **COLUMN}}
PAGES = {"kind": "page", "size_param": "limit", "size": 2}
OFFSETS = PAGES | {"kind": "offset", "param": "offset"}
CURSOR = {"kind": "cursor", "param": "after", "next": "$.next"}


def source_of(**changed: Any) -> HttpJsonSource:
    spec: dict[str, Any] = {
        "kind": "http_json",
        "connection": "rates_api",
        "title": "Rates",
        "path": "/v1/rates",
        "rows": "$.results",
        "time": {"from": ["date"]},
        "columns": RATE,
    }
    return HttpJsonSource.model_validate(spec | changed)


def row(day: int) -> dict[str, Any]:
    return {"date": f"2024-01-{day:02}", "rate": day + 0.5}


def page(*days: int, **more: Any) -> dict[str, Any]:
    return {"results": [row(day) for day in days], **more}


@pytest.fixture
def read(server: Any, quick: Limits, rows_of: Any) -> Callable[..., pd.DataFrame]:
    """Let a server give these answers and read them as a window's rows, through fetch and parse."""

    def fetched(*documents: Any, **changed: Any) -> pd.DataFrame:
        server.plan.clear()
        for document in documents:
            server.answers(document if isinstance(document, bytes) else json.dumps(document).encode())
        source = source_of(**changed)
        contents: list[bytes] = []
        for payload in fetch("api", "rates", source, Endpoint(server.url, limits=quick), YEAR):
            if payload is None:
                contents.pop()
            else:
                contents.append(payload.content)
        return rows_of("api", "rates", source, contents, YEAR)

    return fetched


# Ends of lists


@pytest.mark.parametrize(
    ("more", "expected"), [({}, 3), ({"more": "$.has_more"}, 2)], ids=["an empty page", "a flag that says so"]
)
def test_a_cursor_that_never_is_null_ends(server: Any, read: Any, more: dict[str, str], expected: int) -> None:
    pages = page(1, 2, next="c2", has_more=True), page(3, next="c3", has_more=False), page(next="c3", has_more=False)
    assert read(*pages, pagination=CURSOR | more)["rate"].tolist() == ["1.5", "2.5", "3.5"]
    assert len(server.paths) == expected


@pytest.mark.parametrize(
    ("paging", "answers"),
    [
        (CURSOR | {"total": "$.found"}, [page(1, 2, next="b", found=3), page(3, next="c", found=3)]),
        (CURSOR | {"more": "$.more"}, [page(1, 2, next="b", more="true"), page(3, next="c", more="False")]),
        ({"kind": "link", "next": "$.next", "more": "$.more"}, [page(1, 2, next="?p=2", more=1), page(3, more=0)]),
        (PAGES | {"more": "$.meta.more"}, [page(1, 2, meta={"more": True}), page(3, meta={"more": False})]),
        ({"kind": "link", "next": "$.next"}, [page(1, 2, 3, next="?p=2"), page(next="?p=2")]),
    ],
)
def test_pages_end_where_the_answer_says_so(read: Any, paging: dict[str, Any], answers: list[Any]) -> None:
    assert read(*answers, pagination=paging)["rate"].tolist() == ["1.5", "2.5", "3.5"]


def test_a_cursor_that_comes_again_with_rows_is_still_a_circle(read: Any) -> None:
    with pytest.raises(ContractBroken, match="page 2 leads back"):
        read(page(1, next="b"), page(2, next="b"), pagination=CURSOR)


def test_more_that_is_neither_true_nor_false_is_refused(read: Any) -> None:
    with pytest.raises(ContractBroken, match=r"'\$\.more' is neither true nor false on page 1"):
        read(page(1, next="b", more="perhaps"), pagination=CURSOR | {"more": "$.more"})


@pytest.mark.parametrize(
    "totals",
    [({"found": 3}, {}), ({"found": None}, {"found": 3}), ({"found": ">1000"}, {"found": ">1000"}), ({}, {}),
     ({"found": -1}, {"found": 3})],
)  # fmt: skip
def test_a_total_counts_where_it_is_a_number_and_one_that_never_is_shows(
    read: Any, totals: tuple[dict[str, Any], ...], caplog: pytest.LogCaptureFixture
) -> None:
    answers = page(1, 2, meta=totals[0]), page(3, meta=totals[1]), page(meta=totals[1])
    found = read(*answers, pagination=PAGES | {"total": "$.meta.found"})
    assert found["rate"].tolist() == ["1.5", "2.5", "3.5"]
    is_known = any(total.get("found") == 3 for total in totals)
    assert ("whether all rows came is unknown" in caplog.text) is not is_known


def test_a_total_on_the_first_page_alone_has_to_come_true(read: Any) -> None:
    with pytest.raises(SourceUnavailable, match="the pages held 3 of 4 rows"):
        read(page(1, 2, found=4), page(3), page(), pagination=PAGES | {"total": "$.found"})


@pytest.mark.parametrize("paging", [PAGES, OFFSETS, PAGES | {"until": "short"}, PAGES | {"until": "repeated"}])
def test_the_last_page_again_is_the_end(read: Any, paging: dict[str, Any]) -> None:
    answers = page(1, 2), page(3, 4), page(3, 4)
    assert read(*answers, pagination=paging)["rate"].tolist() == ["1.5", "2.5", "3.5", "4.5"]


def test_the_only_page_again_is_the_end_where_that_is_declared(read: Any) -> None:
    assert len(read(page(1, 2), page(1, 2), pagination=PAGES | {"until": "repeated"})) == 2


def test_the_first_page_again_may_be_a_server_that_ignores_the_parameter(read: Any) -> None:
    with pytest.raises(ContractBroken, match=r"ignores the parameter 'page'.*`until: repeated`"):
        read(page(1, 2), page(1, 2), pagination=PAGES)


# Windows without rows


@pytest.mark.parametrize(
    ("document", "empty"),
    [
        ({"results": None}, "null_rows"),
        ({"status": "ok", "count": 0}, "absent_rows"),
        ({"message": "no data for these days"}, "absent_rows"),
        ([], "absent_rows"),
    ],
)
def test_an_empty_window_is_declared(read: Any, document: Any, empty: str) -> None:
    with pytest.raises(ContractBroken, match=rf"empty: \[{empty}\]"):
        read(document)
    assert read(document, empty=[empty]).empty


@pytest.mark.parametrize("document", [{"error": "bad key"}, {"errors": [{"detail": "down"}]}, b"3"])
def test_an_error_is_no_empty_window(read: Any, document: Any) -> None:
    with pytest.raises(ContractBroken, match="leads to no places"):
        read(document, empty=["absent_rows"])


def test_columns_may_be_null_or_absent_too(read: Any) -> None:
    time = {"from": ["time"]}
    for document in ({"hourly": None}, {"latitude": 1}):
        changed = {"rows": "$.hourly", "orientation": "columns", "time": time, "empty": ["null_rows", "absent_rows"]}
        assert read(document, **changed).empty


@pytest.mark.parametrize(
    ("status", "body", "empty"), [(204, b"", []), (404, b'{"message": "no data"}', ["status_404"])]
)
def test_a_status_may_mean_no_rows(server: Any, quick: Limits, status: int, body: bytes, empty: list[str]) -> None:
    server.answers(body, status=status)
    source = source_of(empty=empty, pagination=PAGES)
    payload, no_rows = fetch("api", "rates", source, Endpoint(server.url, limits=quick), YEAR)
    assert (payload.status, payload.content) == (status, body)
    assert no_rows is None


def test_a_404_that_is_not_declared_is_refused(server: Any, quick: Limits) -> None:
    server.answers(b'{"message": "no data"}', status=404)
    with pytest.raises(ContractBroken, match="404 and says: no data"):
        list(fetch("api", "rates", source_of(), Endpoint(server.url, limits=quick), YEAR))


# What the body is


@pytest.mark.parametrize(
    "media_type", ["text/html; charset=utf-8", "application/octet-stream", "application/xhtml+xml"]
)
def test_json_is_known_by_its_body(server: Any, quick: Limits, media_type: str) -> None:
    body = b'\xef\xbb\xbf {"results": [{"date": "2024-01-01", "rate": 1.5}]}'
    server.answers(body, media_type=media_type)
    [payload] = fetch("api", "rates", source_of(), Endpoint(server.url, limits=quick), YEAR)
    assert payload.content == body


@pytest.mark.parametrize("body", [b"<p>back soon", b"\n<!-- proxy --><html>", b"<!DOCTYPE html>"])
def test_a_page_is_still_a_page(server: Any, quick: Limits, body: bytes) -> None:
    server.answers(body, media_type="text/html")
    with pytest.raises(SourceUnavailable, match="a web page"):
        list(fetch("api", "rates", source_of(), Endpoint(server.url, limits=quick), YEAR))


def test_nan_is_a_missing_value_and_infinity_stays_for_the_contract(read: Any) -> None:
    values = b"1.5, NaN, -Infinity, Infinity".split(b", ")
    objects = b",".join(b'{"date":"2024-01-0%d","rate":%s}' % pair for pair in enumerate(values, start=1))
    assert read(b'{"results":[%s]}' % objects)["rate"].tolist() == ["1.5", None, "-Infinity", "Infinity"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"results": [], "results": [1]}', "the name 'results' occurs twice"),
        (b'{"date": "2024-01-01"}\n{"date": "2024-01-02"}\n', "a second document begins on line 2"),
        (b"[1]\n\n[2]", "a second document begins on line 3"),
        (b'{"results": [{"date": "\\u0000"}]}', "a NUL character"),
    ],
)
def test_json_of_which_no_row_can_be_made_is_not_retried(read: Any, body: bytes, said: str) -> None:
    with pytest.raises(ContractBroken, match="answered JSON of which no rows can be made") as caught:
        read(body)
    assert said in str(caught.value)


# Where the rows are


def test_one_row_without_a_list_is_one_row(read: Any) -> None:
    assert read({"results": row(1)})["rate"].tolist() == ["1.5"]
    with pytest.raises(ContractBroken, match="is a mapping and not a list"):
        read({"results": {"total": 0}})


STATIONS = {
    "net": "MX",
    "stations": [
        {"id": "A", "readings": [row(1), row(2)]},
        {"id": "B", "readings": []},
        {"id": "C", "at": {"city": "León"}, "readings": [row(1)]},
    ],
}


@pytest.mark.parametrize(
    ("from_", "expected"),
    [
        ("^.id", ["A", "A", "C"]),
        ("^#", ["0", "0", "2"]),
        ("^.at.city", [None, None, "León"]),
        ("^^.net", ["MX", "MX", "MX"]),
        ("$.rate", ["1.5", "2.5", "1.5"]),
    ],
)
def test_rows_inside_parents_come_with_what_tells_them_apart(read: Any, from_: str, expected: list[Any]) -> None:
    columns = {"station": {"from": "^['id']", "type": "text", **COLUMN}, "other": {"from": from_, **COLUMN}}
    found = read(STATIONS, rows="$.stations[*].readings", columns=columns)
    assert found["other"].tolist() == expected
    assert found["station"].tolist() == ["A", "A", "C"]


def test_parents_may_be_named_by_their_keys(read: Any) -> None:
    document = {"stations": {"A": {"readings": [row(1)]}, "B": {"readings": [row(1), row(2)]}}}
    columns = RATE | {"station": {"from": "^#", "type": "text", **COLUMN}}
    assert read(document, rows="$.stations.*.readings", columns=columns)["station"].tolist() == ["A", "B", "B"]


def test_several_lists_that_nothing_tells_apart_are_refused_with_the_way_out(read: Any) -> None:
    with pytest.raises(ContractBroken, match=r"leads to 3 places in the answer; tell their rows apart.*from: \^\.id"):
        read(STATIONS, rows="$.stations[*].readings")


def test_a_time_may_stand_at_the_parent(read: Any) -> None:
    document = {"days": [{"day": "2024-01-01", "rates": [{"rate": 1}]}, {"day": "2024-01-02", "rates": [{"rate": 2}]}]}
    found = read(document, rows="$.days[*].rates", time={"from": ["^.day"]})
    assert found["valid_at"].dt.day.tolist() == [1, 2]


@pytest.mark.parametrize("place", ["^#", "^.latitude"])
def test_columns_of_several_places_come_with_their_place(read: Any, place: str) -> None:
    hours = [{"latitude": n, "hourly": {"time": ["2024-01-01T00:00"], "pm10": [n + 5]}} for n in range(2)]
    columns = {"place": {"from": place, "type": "integer", **COLUMN}, "pm10": {"from": "pm10", **COLUMN}}
    changed = {"rows": "$[*].hourly", "orientation": "columns", "time": {"from": ["time"]}, "columns": columns}
    assert read(hours, **changed)[["place", "pm10"]].values.tolist() == [["0", "5"], ["1", "6"]]


@pytest.mark.parametrize("from_", ["^.a[*]", "^..id", "^[", "^."])
def test_a_path_to_a_parent_leads_to_one_value(from_: str) -> None:
    with pytest.raises(ValidationError, match=r"JSONPath|several values"):
        source_of(columns={"station": {"from": from_, **COLUMN}})


def test_a_key_that_begins_with_a_caret_is_a_key(read: Any) -> None:
    index = {"date": "2024-01-01", "^GSPC": 7}
    assert read({"results": [index]}, columns={"index": {"from": "^GSPC", **COLUMN}})["index"].tolist() == ["7"]


# Numbers


@pytest.mark.parametrize(
    ("marks", "sent", "expected"),
    [
        ({"thousands": ","}, ["1,018.39", "17,5", 1018.39], ["1018.39", "17,5", "1018.39"]),
        ({"decimal": ","}, ["17,5", 17.5, None], ["17.5", "17.5", None]),
        ({"decimal": ",", "thousands": "."}, ["1.018,39", 1.018, "N/E"], ["1018.39", "1.018", "N/E"]),
        ({"thousands": " "}, ["1 018", "x", ""], ["1018", "x", None]),
    ],
)
def test_numbers_sent_as_text_are_read_as_declared(
    read: Any, marks: dict[str, str], sent: list[Any], expected: list[Any]
) -> None:
    document = {"results": [row(day) | {"rate": value} for day, value in enumerate(sent, start=1)]}
    assert read(document, **marks)["rate"].tolist() == expected


# Refusals


@pytest.mark.parametrize(
    ("status", "body", "headers", "pause"),
    [
        (403, b'{"message": "API rate limit exceeded"}', {"Retry_After": "60"}, 60),
        (403, b"", {"Retry_After": "60"}, 60),
        (403, b'{"message": "secondary limit"}', {"X_RateLimit_Remaining": "0"}, None),
        (429, b'{"message": "slower"}', {"Retry_After": "7"}, 7),
    ],
)
def test_a_refusal_that_names_a_pause_passes(
    server: Any, quick: Limits, status: int, body: bytes, headers: dict[str, str], pause: int | None
) -> None:
    server.answers(body, status=status, **headers)
    with pytest.raises(SourceUnavailable, match=f"answered {status}") as caught:
        list(fetch("api", "rates", source_of(), Endpoint(server.url, limits=quick), YEAR))
    assert caught.value.retry_after == (pause and timedelta(seconds=pause))
    assert "password" not in str(caught.value)


def test_a_refusal_without_a_pause_is_about_the_token(server: Any, quick: Limits) -> None:
    server.answers(b'{"message": "forbidden"}', status=403, X_RateLimit_Remaining="59")
    with pytest.raises(ContractBroken, match="set the password"):
        list(fetch("api", "rates", source_of(), Endpoint(server.url, limits=quick), YEAR))
