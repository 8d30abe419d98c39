"""Manifests: all but secrets, put together as fetches, found by their names."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from include.errors import ContractBroken
from include.lake.manifest import complete_fetches, file_name, manifest
from include.lake.store import Lake
from include.sources.payload import Payload
from include.windows import Window

FETCHED_AT = datetime(2025, 2, 3, 4, 5, 6, 789, tzinfo=UTC)
JANUARY = Window.parse("2025-01-01", "2025-02-01")
FEBRUARY = Window.parse("2025-02-01", "2025-03-01")
YEAR = Window.parse("2025-01-01", "2026-01-01")
Keep = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def keep(payload_of: Callable[..., Payload]) -> Keep:
    """Give a function that keeps a fetch, `days` after the first, with the manifests of its first `told` parts."""

    def put(
        lake: Lake, contents: list[bytes], window: Window, fetch_id: str, days: int = 0, told: int | None = None
    ) -> list[dict[str, Any]]:
        payloads = [
            payload_of(content, FETCHED_AT + timedelta(days=days, seconds=n)) for n, content in enumerate(contents)
        ]
        manifests = [
            manifest(payload, lake.put(payload), "p", "s", window, fetch_id, part, len(payloads))
            for part, payload in enumerate(payloads)
        ]
        for record in manifests[:told]:
            lake.put_manifest(record)
        return manifests

    return put


def test_the_manifest_tells_all_but_secrets_and_lies_beside_the_payload(
    uri: str, payload_of: Callable[..., Payload]
) -> None:
    lake, payload = Lake(uri), payload_of(b"x")
    told = manifest(payload, lake.put(payload), "usdmxn", "fix", JANUARY, "b1f2", 2, 7, rows=1)
    assert json.loads(json.dumps(told)) == told
    assert told["window"] == JANUARY.to_dict()
    assert (told["fetch_id"], told["part"], told["part_count"], told["rows"]) == ("b1f2", 2, 7, 1)
    assert (told["byte_count"], told["status"], told["headers"]["etag"]) == (1, 200, '"ñ"')
    assert told["fetched_at"] == "2025-02-03T04:05:06.000789+00:00"
    assert told["is_simulated"] is True
    written = lake.put_manifest(told)
    stamps = "20250101T000000.000000Z__20250201T000000.000000Z__20250203T040506.000789Z__"
    assert f"manifests/usdmxn/fix/{stamps}" in written
    assert lake.put_manifest(told) == written
    assert lake.manifests("usdmxn", "fix") == [told]
    assert lake.manifests("usdmxn", "rates") == []


def test_the_lake_alone_gives_every_fetch_back_with_its_payloads_in_order(uri: str, keep: Keep) -> None:
    lake = Lake(uri)
    pages = [b"page %d" % number for number in range(12)]
    keep(lake, [b"c"], FEBRUARY, "third", days=2)
    keep(lake, pages, JANUARY, "first")
    keep(lake, [b"b"], JANUARY, "second", days=1)
    fetches = Lake(uri).fetches("p", "s", YEAR)
    assert [(fetch.fetch_id, fetch.window) for fetch in fetches] == [
        ("first", JANUARY),
        ("second", JANUARY),
        ("third", FEBRUARY),
    ]
    assert [Lake(uri).open(told["uri"]).read() for told in fetches[0].payloads] == pages
    assert fetches[0].fetched_at == FETCHED_AT + timedelta(seconds=11)
    assert Lake(uri).fetches("p", "other", YEAR) == []


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        ("2025-01-31", "2025-02-02", ["january", "february"]),
        ("2025-02-01", "2025-02-02", ["february"]),
        ("2024-12-01", "2025-01-01", []),
        ("2025-03-01", "2025-04-01", []),
        ("2025-01-10", "2025-01-11", ["january"]),
    ],
)
def test_only_windows_that_share_an_instant_are_given(start: str, end: str, found: list[str], keep: Keep) -> None:
    lake = Lake(f"memory://{start}{end}")
    keep(lake, [b"j"], JANUARY, "january")
    keep(lake, [b"f"], FEBRUARY, "february", days=1)
    assert [fetch.fetch_id for fetch in lake.fetches("p", "s", Window.parse(start, end))] == found


def test_a_fetch_that_did_not_come_to_its_end_is_left_out_and_logged(
    uri: str, keep: Keep, caplog: pytest.LogCaptureFixture
) -> None:
    lake = Lake(uri)
    keep(lake, [b"1", b"2", b"3"], JANUARY, "killed", told=2)
    keep(lake, [b"1", b"2", b"3"], JANUARY, "whole", days=1)
    with caplog.at_level(logging.WARNING):
        assert [fetch.fetch_id for fetch in lake.fetches("p", "s", JANUARY)] == ["whole"]
    assert "p s 2025-01-01..2025-02-01: fetch killed is left out, 2 of its 3 payloads are there" in caplog.text


def test_the_same_bytes_again_for_the_same_window_are_left_out_but_not_a_return_to_older_ones(keep: Keep) -> None:
    lake = Lake("memory://again")
    for day, (content, window) in enumerate(
        [(b"a", JANUARY), (b"a", JANUARY), (b"a", FEBRUARY), (b"b", JANUARY), (b"a", JANUARY), (b"a", FEBRUARY)]
    ):
        keep(lake, [content], window, f"day {day}", days=day)
    assert [fetch.fetch_id for fetch in lake.fetches("p", "s", YEAR)] == ["day 0", "day 2", "day 3", "day 4"]


def test_a_first_part_alone_is_incomplete_and_so_is_a_last_one(keep: Keep) -> None:
    manifests = keep(Lake("memory://parts"), [b"1", b"2"], JANUARY, "fetch")
    for part in manifests:
        complete, incomplete = complete_fetches([part])
        assert (complete, len(incomplete)) == ([], 1)
    complete, incomplete = complete_fetches(reversed(manifests))
    assert (len(complete), incomplete) == (1, [])


def test_of_ten_thousand_manifests_only_those_asked_for_are_read(tmp_path: Path, keep: Keep) -> None:
    lake = Lake(f"file://{tmp_path}")
    [told] = keep(lake, [b"x"], JANUARY, "january")
    hours = Window.parse("2020-01-01", "2025-01-01").start
    for number in range(10_000):
        start = hours + timedelta(hours=number)
        other = {**told, "asked_window": Window(start, start + timedelta(hours=1)).to_dict(), "fetch_id": str(number)}
        (tmp_path / file_name(other)).write_bytes(b"never to be read")
    assert [fetch.fetch_id for fetch in lake.fetches("p", "s", YEAR)] == ["january"]


def test_a_damaged_manifest_is_said(uri: str, keep: Keep, store: Callable[[str], Any]) -> None:
    lake = Lake(uri)
    keep(lake, [b"x"], JANUARY, "january")
    filesystem, root = store(uri)
    [path] = filesystem.find(f"{root}/manifests")
    filesystem.pipe_file(path, filesystem.cat_file(path)[:-9])
    with pytest.raises(ContractBroken, match="is damaged: delete it, then fetch its window again"):
        lake.fetches("p", "s", JANUARY)
