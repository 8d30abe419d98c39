"""Every row that came is counted: accepted, quarantined, or outside the window; one without a time once."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from include.quality.data_docs.pages import facts_of
from include.settings import settings
from include.steps.examine import examine
from include.warehouse.payloads import index_payload
from include.windows import Window

JANUARY, FEBRUARY = Window.parse("2025-01-01", "2025-02-01"), Window.parse("2025-02-01", "2025-03-01")
COUNTS = "select received_count, inserted_count + unchanged_count, quarantined_count, outside_count from {}"


def file_of(*times: str) -> str:
    rows = [f"{at},{number}.0,1,a,true,2025-01-01,2025-01-01" for number, at in enumerate(times)]
    return "\n".join(["at,level,pulses,note,open,read,sealed", *rows]) + "\n"


def loaded(warehouse, fetched, content: str, window: Window = JANUARY, run_id: str = "first"):
    """Examine a file for a window and load what may."""
    run, brought = fetched(content, run_id=run_id)
    [payload] = brought.payloads
    manifest = {"sha256": payload["sha256"], "uri": payload["uri"], "media_type": "text/csv", "byte_count": 0,
                "status": 200, "request": {}, "headers": {}, "is_simulated": False,
                "fetched_at": "2025-03-01T00:00Z"}  # fmt: skip
    with warehouse.engine.begin() as connection:
        number = index_payload(connection, "readings", "meter", window, manifest)
    batch = examine(run, brought._replace(window=window, payloads=[payload | {"payload_id": number}]))
    warehouse.load(replace(batch, covers=(window.start, window.end)), run_id=run_id, window=window)
    return batch


@pytest.mark.parametrize(
    ("times", "counts"),
    [
        ([f"2025-{month:02d}-03T00:00:00" for month in range(1, 13)], (12, 1, 0, 11)),
        ([f"2025-01-{day:02d}T00:00:00" for day in range(1, 32)], (31, 31, 0, 0)),
        ([*(f"2025-01-{day:02d}T00:00:00" for day in range(1, 31)), "31 Jan", "2025-02-01T00:00:00"], (32, 30, 1, 1)),
        (["2024-12-31T23:59:59", "2025-02-01T00:00:00"], (2, 0, 0, 2)),
    ],
)
def test_what_came_is_what_was_accepted_quarantined_and_left_out(warehouse, fetched, caplog, times, counts) -> None:
    caplog.set_level(logging.INFO)
    batch = loaded(warehouse, fetched, file_of(*times))
    assert (batch.received, batch.row_count, batch.quarantined_count, batch.outside_count) == counts
    assert batch.received == batch.row_count + batch.quarantined_count + batch.outside_count
    assert warehouse.sql(COUNTS.format("ops.lineage")) == [counts]
    for table in ("ops.run", "mart.load"):
        assert warehouse.sql(COUNTS.format(table)) == ([counts] if counts[1] else []), "an empty window is no load"
    if counts[3]:
        assert f"{counts[3]} rows lie outside the window" in caplog.text
    page = settings().var / "docs" / "quality" / "readings" / "meter" / "2025-01-01T000000Z__2025-02-01T000000Z.html"
    assert facts_of(page.read_text())["outside_count"] == counts[3]
    assert (">Empty: no row of this window came<" in page.read_text()) == (not counts[1])


def test_a_row_without_a_time_belongs_to_the_first_window_of_its_payload(warehouse, fetched) -> None:
    days = [f"2025-{month:02d}-{day:02d}T00:00:00" for month in (1, 2) for day in range(1, 29)]
    content = file_of(*days, "soon")
    assert loaded(warehouse, fetched, content).quarantined_count == 1
    second = loaded(warehouse, fetched, content, FEBRUARY, "second")
    assert (second.received, second.row_count, second.quarantined_count, second.outside_count) == (57, 28, 0, 29)
    again = loaded(warehouse, fetched, content, run_id="again")
    assert (again.received, again.row_count, again.quarantined_count, again.outside_count) == (57, 28, 1, 28)
    assert warehouse.one("select count(*) from ops.quarantine where is_waiting") == 1
    longer = loaded(warehouse, fetched, content + file_of("2025-02-28T01:00:00").splitlines()[1], run_id="longer")
    assert longer.quarantined_count == 1, "other bytes are another payload"


def test_a_cluster_is_told_in_the_log_on_the_page_and_by_an_alert(warehouse, fetched, caplog) -> None:
    hours = [f"2025-01-{day:02d}T{hour:02d}:00:00" for day in range(1, 11) for hour in range(1, 25)]
    batch = loaded(warehouse, fetched, file_of(*hours))
    assert (batch.row_count, batch.quarantined_count) == (230, 10)
    told = "all 10 rows whose time has the hour 24, such as '2025-01-01T24:00:00'"
    assert told in caplog.text
    [message] = [message for (message,) in warehouse.sql("select message from ops.alert")]
    assert told in message
    page = settings().var / "docs" / "quality" / "readings" / "meter" / "2025-01-01T000000Z__2025-02-01T000000Z.html"
    assert "whose time has the hour 24" in page.read_text()
    [result] = warehouse.sql("select severity, is_passed from ops.quality_result where rule = 'clustered'")
    assert result == ("warn", False)
