"""Answers that were refused: kept, never met by a reader of fetches, accepted later, aged out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from include.lake.manifest import manifest
from include.lake.store import Lake
from include.sources.payload import Payload
from include.windows import Window

JANUARY = Window.parse("2025-01-01", "2025-02-01")
CAME_AT = datetime(2025, 2, 3, tzinfo=UTC)
FilesBelow = Callable[[str], list[str]]


def test_a_refused_answer_is_kept_with_its_reason_and_never_met_among_the_fetches(
    uri: str, payload_of: Callable[..., Payload]
) -> None:
    lake = Lake(uri)
    good, bad = answer(lake, payload_of(b"good", CAME_AT), "good"), answer(lake, payload_of(b"<html>", CAME_AT), "bad")
    lake.accept([good])
    lake.put_answer(bad, refusal="a web page in place of data")
    assert [fetch.fetch_id for fetch in lake.fetches("p", "s", JANUARY)] == ["good"]
    [refused] = lake.refused("p", "s", JANUARY)
    assert [told["refusal"] for told in refused.payloads] == ["a web page in place of data"]
    assert lake.open(refused.payloads[0]["uri"]).read() == b"<html>"
    assert lake.refused("p", "s", Window.parse("2025-02-01", "2025-03-01")) == []


def test_an_answer_that_nobody_came_to_judge_is_kept_without_a_reason(
    uri: str, payload_of: Callable[..., Payload]
) -> None:
    lake = Lake(uri)
    answer(lake, payload_of(b"x", CAME_AT), "killed")
    [killed] = lake.refused("p", "s", JANUARY)
    assert (killed.fetch_id, killed.payloads[0]["refusal"]) == ("killed", None)
    assert lake.fetches("p", "s", JANUARY) == []


def test_those_accepted_later_are_one_whole_fetch_in_the_order_given(
    uri: str, payload_of: Callable[..., Payload]
) -> None:
    lake = Lake(uri)
    pages = [payload_of(b"%d" % part, CAME_AT + timedelta(seconds=part)) for part in range(3)]
    told = [answer(lake, payload, "paged", part) for part, payload in enumerate(pages)]
    for record in told:
        lake.put_answer(record, refusal="page 3 has the same rows as a page before it")
    lake.accept(told[:2])  # today's spec stops after a short page
    lake.accept(told[:2])
    [fetch] = lake.fetches("p", "s", JANUARY)
    assert [lake.open(part["uri"]).read() for part in fetch.payloads] == [b"0", b"1"]
    assert "refusal" not in fetch.payloads[0]
    assert [part["part"] for refused in lake.refused("p", "s", JANUARY) for part in refused.payloads] == [2]


def test_old_refused_answers_are_deleted_and_bytes_that_another_answer_has_stay(
    uri: str, payload_of: Callable[..., Payload], files_below: FilesBelow
) -> None:
    lake = Lake(uri)
    lake.accept([answer(lake, payload_of(b"both", CAME_AT), "accepted")])
    answer(lake, payload_of(b"both", CAME_AT), "refused as well")
    answer(lake, payload_of(b"alone", CAME_AT), "old")
    answer(lake, payload_of(b"young", CAME_AT + timedelta(days=9)), "young")
    assert lake.clean(older_than=CAME_AT) == 0
    assert lake.clean(older_than=CAME_AT + timedelta(days=1)) == 2
    assert [fetch.fetch_id for fetch in lake.refused("p", "s", JANUARY)] == ["young"]
    [accepted] = lake.fetches("p", "s", JANUARY)
    assert lake.open(accepted.payloads[0]["uri"]).read() == b"both"
    assert len([path for path in files_below(uri) if path.startswith("payloads/")]) == 2


def answer(lake: Lake, payload: Payload, fetch_id: str, part: int = 0) -> dict[str, Any]:
    """Keep an answer that is not judged yet and return its manifest."""
    told = manifest(payload, lake.put(payload), "p", "s", JANUARY, fetch_id, part, 0)
    lake.put_answer(told)
    return told
