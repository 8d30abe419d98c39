"""Every answer is given away before it is judged, and one that was refused can be judged again without asking."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from include.errors import CicloError, ContractBroken, SourceUnavailable
from include.sources import Endpoint, Limits, Payload, fetch
from include.spec.load import load_all
from include.spec.model import AnySource, CsvSource, HttpJsonSource
from include.windows import Window

TOKEN = "b" * 64
JANUARY = Window.parse("2025-01-01", "2025-02-01")
COLUMN = {"unit": "1", "description": "a value"}
PAGES = {"kind": "page", "param": "page", "size_param": "limit", "size": 2}
SOURCES: dict[str, AnySource] = load_all()["usdmxn"].sources | {
    "file": CsvSource.model_validate(
        {
            "kind": "csv_file",
            "connection": "files",
            "title": "File",
            "path": "/a.csv",
            "time": {"columns": ["t"], "format": "%Y-%m-%d"},
        }
        | {"columns": {"value": {"from": "v", **COLUMN}}}
    )
}


def paged(**changed: Any) -> HttpJsonSource:
    spec = {"kind": "http_json", "connection": "api", "title": "API", "path": "/v1", "time": {"from": ["date"]}}
    return HttpJsonSource.model_validate(spec | {"columns": {"rate": {"from": "rate", **COLUMN}}} | changed)


def page(*days: int, key: str = "rows") -> bytes:
    return json.dumps({key: [{"date": f"2025-01-{day:02}", "rate": day} for day in days]}).encode()


def taken(answers: Iterator[Payload], kept: dict[str, Payload] | None = None) -> tuple[list[bytes], CicloError | None]:
    """Take answers until they end or are refused, and keep them."""
    bodies = []
    try:
        for payload in answers:
            bodies.append(payload.content)
            if kept is not None:
                kept[payload.request["url"]] = payload
    except CicloError as error:
        return bodies, error
    return bodies, None


@pytest.mark.parametrize(
    ("source", "status", "media_type", "body", "refusal"),
    [
        ("fix", 200, "text/html", b"<html>maintenance", SourceUnavailable),
        ("fix", 400, "application/json", b'{"error": {"mensaje": "Token", "detalle": "no"}}', ContractBroken),
        ("fix", 503, "application/json", b"{}", SourceUnavailable),
        ("inflation", 200, "application/json", b'["ErrorCode:100"]', ContractBroken),
        ("inflation", 200, "application/json", b'{"Series": 7}', ContractBroken),
        ("ecb", 200, "application/json", b'{"renamed": []}', ContractBroken),
        ("ecb", 200, "application/json", b'{"rates": [], "rates": []}', ContractBroken),
        ("ecb", 404, "application/json", b'{"message": "not found"}', ContractBroken),
        ("ecb", 200, "application/json", b"", SourceUnavailable),
        ("file", 200, "text/html", b"<!doctype html>", SourceUnavailable),
        ("file", 200, "application/pdf", b"%PDF", ContractBroken),
        ("file", 301, "text/plain", b"moved", ContractBroken),
    ],
)
def test_a_refused_answer_was_given_away_first(
    server: Any, quick: Limits, source: str, status: int, media_type: str, body: bytes, refusal: type[CicloError]
) -> None:
    server.answers(body, status=status, media_type=media_type)
    endpoint = Endpoint(server.url, TOKEN, limits=quick)
    bodies, error = taken(fetch("p", source, SOURCES[source], endpoint, JANUARY))
    assert bodies == [body]
    assert isinstance(error, refusal)


def test_the_pages_before_a_fault_are_given_away_and_so_is_the_one_at_fault(server: Any, quick: Limits) -> None:
    for body in (page(1, 2), page(3), page(1, 2)):
        server.answers(body)
    source = paged(rows="$.rows", pagination=PAGES)
    bodies, error = taken(fetch("p", "api", source, Endpoint(server.url, limits=quick), JANUARY))
    assert bodies == [page(1, 2), page(3), page(1, 2)]
    assert "has the same rows as a page before it" in str(error)


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("source", ["fix", "inflation", "ecb", "file"])
def test_an_answer_that_repeats_the_token_is_never_given_away(
    server: Any, quick: Limits, source: str, status: int
) -> None:
    server.answers(b'{"series": "' + TOKEN.encode() + b'"}', status=status)
    bodies, error = taken(fetch("p", source, SOURCES[source], Endpoint(server.url, TOKEN, limits=quick), JANUARY))
    assert bodies == []
    assert error is not None
    assert TOKEN not in str(error)


KEPT = [
    (paged(rows="$.rows"), [page(1, 2, key="data")], paged(rows="$.data"), 1),
    (
        paged(rows="$.rows", pagination=PAGES),
        [page(1, 2), page(3), page(1, 2)],
        paged(rows="$.rows", pagination=PAGES | {"until": "short"}),
        2,
    ),
    (paged(rows="$[0].rows"), [b"[{}]"], paged(rows="$"), 1),
]


@pytest.mark.parametrize(("source", "answers", "mended", "count"), KEPT)
def test_a_mended_spec_accepts_what_was_kept_and_nobody_is_asked(
    server: Any, quick: Limits, source: AnySource, answers: list[bytes], mended: AnySource, count: int
) -> None:
    for body in answers:
        server.answers(body)
    endpoint, kept = Endpoint(server.url, limits=quick), {}
    assert taken(fetch("p", "api", source, endpoint, JANUARY), kept)[1] is not None
    paths = list(server.paths)
    judging = replace(endpoint, kept=kept.get)
    assert taken(fetch("p", "api", source, judging, JANUARY))[1] is not None
    assert taken(fetch("p", "api", mended, judging, JANUARY)) == (answers[:count], None)
    assert server.paths == paths


def test_an_answer_to_another_question_is_not_taken(server: Any, quick: Limits) -> None:
    server.answers(page(1))
    endpoint = Endpoint(server.url, limits=quick)
    kept = {payload.request["url"]: payload for payload in fetch("p", "api", paged(rows="$.rows"), endpoint, JANUARY)}
    other = paged(rows="$.rows", params={"base": "USD"})
    with pytest.raises(ContractBroken, match=r"the lake holds no answer to .*base=USD; ask the source"):
        list(fetch("p", "api", other, replace(endpoint, kept=kept.get), JANUARY))


def test_a_file_that_was_kept_is_judged_again_without_reading_it(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"t,v\n2025-01-01,1\n")
    endpoint = Endpoint(f"file://{tmp_path}")
    kept = {one.request["url"]: one for one in fetch("p", "file", SOURCES["file"], endpoint, JANUARY)}
    (tmp_path / "a.csv").unlink()
    assert taken(fetch("p", "file", SOURCES["file"], replace(endpoint, kept=kept.get), JANUARY))[1] is None


def test_an_extract_of_a_database_is_never_asked_for_again_to_judge_it() -> None:
    judging = Endpoint("postgresql://127.0.0.1:1/none", kept=lambda url: None)
    with pytest.raises(ContractBroken, match="an extract that was cut short stays so"):
        fetch("p", "operations", SOURCES["operations"], judging, JANUARY)
