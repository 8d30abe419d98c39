"""Data Docs: what a page says, that it needs nothing from outside, and that its files are never half there."""

import errno
import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from include.errors import ConfigError
from include.quality import verdicts
from include.quality.batch_check import BatchCheck
from include.quality.contract import Result, Rule, judge, quarantined_result
from include.quality.data_docs.files import pages_of_run, sweep, write
from include.quality.data_docs.pages import batch_page, facts_of
from include.quality.data_docs.report import Report, examples
from include.quality.rules import rules
from include.windows import Window

JANUARY, FEBRUARY = Window.parse("2025-01-01", "2025-02-01"), Window.parse("2025-02-01", "2025-03-01")
SCRIPT = "<script>alert(1)</script>"
RANGE = Rule(
    *("range", "co_mg_m3", "stop", "0 to 50 mg/m3", True),
    expectation="expect_column_values_to_be_between",
    arguments={"column": "co_mg_m3", "min_value": 0, "max_value": 50},
)
SHARE = Rule(
    *("completeness", "co_mg_m3", "stop", "at least 80% of rows have a value", False, "core", "completeness"),
    note="The sensor is down at night",
    expectation="expect_column_values_to_not_be_null",
    arguments={"column": "co_mg_m3", "mostly": 0.8},
)
PAIR = Rule(
    *("ordered_bounds", "*", "warn", "high >= low & more", True, "core", "consistency"),
    expectation="expect_column_pair_values_a_to_be_greater_than_b",
    arguments={"column_A": "high", "column_B": "low"},
)
MASKED = Rule(
    *("format", "code", "stop", r"text like ^\$[A-Z]{3}$", True, "raw"),
    expectation="expect_column_values_to_be_in_set",
    arguments={"column": "_derived", "value_set": [True]},
    derived=("format", "code"),
)
EXTERNAL = re.compile(
    r"""(?:src|href|action)\s*=\s*["']?(?:[a-z]+:)?//|@import|url\(|<script|<link|<img|\son\w+=""", re.I
)


@pytest.fixture
def report(contract):
    """Build a report; what is not said holds."""

    def build(out_of_range=0, missing=0, **facts):
        source = contract(co_mg_m3={})
        results = [
            Result("type", "co_mg_m3", "stop", True, 100, 0, "0 of 100 rows break it", "every value readable", "raw"),
            judge(RANGE, 100, out_of_range),
            judge(PAIR, 100, 0),
            judge(MASKED, 100, 0),
            judge(SHARE, 100, missing),
            quarantined_result(100, out_of_range, source),
        ]
        told = {"window": JANUARY, "run_id": "manual__1", "examples": {}, **facts}
        rules = [RANGE, PAIR, MASKED, SHARE]
        now = datetime(2025, 3, 1, tzinfo=UTC)
        return Report("air", "station", results=results, rules=rules, dag_id="ingest_air", checked_at=now, **told)

    return build


def test_a_blocked_batch_says_what_blocked_it_with_examples_and_the_way_back(report):
    values = ["'-200' (row 7)", "'-201' (row 8)", "'-202' (row 9)"]
    page = batch_page(report(out_of_range=40, examples={("range", "co_mg_m3"): values}))
    assert "Blocked: nothing of this batch was loaded" in page
    assert re.search(r"<b>blocked by</b> rejected:\s+40 of 100 rows quarantined \(40.0%\); expected at most 5%", page)
    assert "<b>range</b>: 0 to 50 mg/m3" in page
    assert "40 unexpected values found. 40% of 100 total rows." in page
    assert all(value.replace("'", "&#x27;") in page for value in values)
    assert "ciclo quarantine list air\nciclo quarantine retry air --start 2025-01-01 --end 2025-02-01<" in page


def test_a_batch_with_nothing_broken_says_so_and_names_no_quarantine(report):
    page = batch_page(report())
    assert "May load: every rule holds" in page
    assert "6 of 6" in page
    assert "ciclo quarantine" not in page


def test_a_batch_that_loads_without_some_rows_is_neither_clean_nor_blocked(report):
    found = report(out_of_range=2)
    assert found.verdict == "warned"
    assert "May load, without the 2 quarantined rows" in batch_page(found)


@pytest.mark.parametrize(("means", "verdict"), [("fine", "empty"), ("warn", "empty"), ("stop", "blocked")])
def test_a_window_without_rows_is_called_empty_and_has_no_tick(contract, tmp_path, means, verdict):
    source = contract(co_mg_m3={}).model_copy(update={"empty_window": means})
    results = verdicts.results(BatchCheck(source))
    told = {"window": JANUARY, "run_id": "manual__1", "examples": {}, "dag_id": "ingest_air", "rules": rules(source)}
    found = Report("air", "station", results=results, checked_at=datetime(2025, 3, 1, tzinfo=UTC), **told)
    assert found.verdict == verdict
    write(tmp_path, found)
    pages = [path.read_text() for path in tmp_path.rglob("*.html")]
    assert len(pages) == 4
    for page in pages:
        assert "may load" not in page.lower()
        assert not re.search("✔|fa-check", page.partition("<body>")[2])
    page = next(page for page in pages if "Not judged" in page)
    assert ("Empty: no row of this window came" in page) == (verdict == "empty")
    assert re.search(r"There was nothing to look at for\s+type of co_mg_m3,", page)
    assert f"<b>0 of {int(means != 'fine')}</b>rules hold" in page


def test_what_could_not_be_judged_is_no_rule_that_holds(report):
    found = report()
    unknown = Result("level", "co_mg_m3", "stop", True, 0, 0, "not judged: 0 values have no mean", "mean 1 to 2")
    page = batch_page(replace(found, results=[*found.results, unknown]))
    assert "6 of 6" in page
    assert re.search(r"There was nothing to look at for\s+level of co_mg_m3\.", page)


def test_rows_outside_the_window_are_received_and_told_apart(report):
    page = batch_page(report(out_of_range=2, outside_count=1_000))
    for count, what in (("1,100", "rows received"), ("98", "accepted"), ("2", "quarantined"), ("1,000", "outside")):
        assert f"<b>{count}</b>{what}" in page


def test_every_rule_is_shown_whoever_judged_it(report):
    found = report(missing=30)
    page = batch_page(found)
    for result in found.results:
        assert f"<b>{result.rule}</b>: " in page
    assert r"text like ^\$[A-Z]{3}$" in page
    assert "high &gt;= low &amp; more" in page
    assert "70% not null" in page
    assert '<span class="note">The sensor is down at night</span>' in page
    assert page.count('<span class="tag">completeness</span>') == 1
    assert "exception" not in page.lower()


@pytest.mark.parametrize("place", ["examples", "run_id", "title"])
def test_what_a_source_or_a_person_wrote_is_never_markup(report, place):
    wrote = {"examples": {("range", "co_mg_m3"): [SCRIPT]}}.get(place, SCRIPT)
    page = batch_page(report(out_of_range=40, **{place: wrote}))
    assert "&lt;script&gt;" in page
    assert "<script" not in page


def test_what_was_observed_is_never_markup(report):
    found = report()
    seen = replace(found.results[0], observed=SCRIPT, expected=SCRIPT, note=SCRIPT, is_passed=False)
    assert "<script" not in batch_page(replace(found, results=[seen, *found.results[1:]]))


def test_a_page_and_its_indexes_need_nothing_from_outside(report, tmp_path):
    page = write(tmp_path, report(out_of_range=40))
    for path in (page, tmp_path / "air" / "index.html", tmp_path / "index.html"):
        assert not EXTERNAL.search(path.read_text()), path


@pytest.mark.parametrize(
    "asks", ['<link href="x.css">', '<a href="https://x.org">', "<div onclick=f()>", "@import 'x'"]
)
def test_the_search_for_outside_things_finds_one(asks):
    assert EXTERNAL.search(f"<html>{asks}</html>")


def test_simulated_data_are_called_so(report):
    assert "SIMULATED" in batch_page(report(is_simulated=True))
    assert "SIMULATED" not in batch_page(report())


def test_links_between_the_pages_lead_to_files(report, tmp_path):
    for window in (JANUARY, FEBRUARY):
        write(tmp_path, report(window=window))
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) == 2 * 2 + 2
    for page in pages:
        for link in re.findall(r'href="([^"#]+)"', page.read_text()):
            assert (page.parent / link).resolve() in pages, (page, link)


def test_a_later_run_of_the_window_leaves_the_page_of_the_earlier_one(report, tmp_path):
    first = write(tmp_path, report(out_of_range=40, run_id="first"))
    write(tmp_path, report(run_id="second"))
    newest = tmp_path / "air" / "station" / "2025-01-01T000000Z__2025-02-01T000000Z.html"
    assert facts_of(first.read_text())["verdict"] == "blocked"
    assert facts_of(newest.read_text())["verdict"] == "passed"
    assert pages_of_run(newest.parent, "ingest_air", "first") == [first]
    assert "blocked" not in re.findall(r'<td class="(\w+)">', (tmp_path / "index.html").read_text())


def test_a_foreign_file_beside_the_pages_stops_no_check(report, tmp_path):
    page = write(tmp_path, report())
    (page.parent / "saved__by_hand.html").write_text("<p>mine</p>")
    write(tmp_path, report(window=FEBRUARY))
    assert "by_hand" not in (tmp_path / "air" / "index.html").read_text()


def test_a_run_that_checked_several_windows_has_a_page_for_each(report, tmp_path):
    pages = [write(tmp_path, report(window=window)) for window in (FEBRUARY, JANUARY)]
    assert pages_of_run(tmp_path / "air" / "station", "ingest_air", "manual__1") == pages[::-1]


def test_tasks_that_write_at_once_all_stand_in_the_index(report, tmp_path):
    batches = [report(window=Window.parse(f"20{year}-01-01", f"20{year}-02-01")) for year in range(10, 34)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda found: write(tmp_path, found), batches))
    index = (tmp_path / "air" / "index.html").read_text()
    assert all(f"20{year}-01-01 –" in index for year in range(10, 34))


def test_a_write_that_fails_leaves_the_old_page_and_no_half_one(report, tmp_path, monkeypatch):
    page = write(tmp_path, report())
    before = page.read_text()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path, report(out_of_range=40))
    assert page.read_text() == before
    assert all(path.suffix == ".html" for path in page.parent.iterdir())


@pytest.mark.parametrize(("where", "name"), [(Path, "mkdir"), (Path, "write_text"), (os, "replace")])
def test_a_disk_that_is_mounted_read_only_does_not_pass(report, tmp_path, monkeypatch, where, name):
    def read_only(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(where, name, read_only)
    with pytest.raises(ConfigError, match=rf"{tmp_path} cannot be written.*mount a volume there"):
        write(tmp_path, report())


def test_a_sweep_deletes_old_pages_but_the_newest_window_of_each_source(report, tmp_path):
    old = [write(tmp_path, report(window=window)) for window in (JANUARY, FEBRUARY)]
    folder = old[0].parent
    for path in folder.iterdir():
        os.utime(path, (0, 0))
    fresh = write(tmp_path, report(window=Window.parse("2024-12-01", "2025-01-01")))
    assert sweep(tmp_path, datetime(2025, 1, 1, tzinfo=UTC)) == 3
    kept = {path.name for path in folder.iterdir()}
    assert kept == {
        fresh.name,
        "2024-12-01T000000Z__2025-01-01T000000Z.html",
        "2025-02-01T000000Z__2025-03-01T000000Z.html",
    }
    assert "2025-01-01 – 2025-02-01" not in (tmp_path / "air" / "index.html").read_text()


def test_there_is_nothing_to_sweep_before_the_first_page(tmp_path):
    assert sweep(tmp_path / "none", datetime(2025, 1, 1, tzinfo=UTC)) == 0


def quarantined(*rows):
    names = ("row_number", "rule", "column_name", "reason", "raw_row")
    return pa.RecordBatch.from_pylist([dict(zip(names, row, strict=True)) for row in rows])


def test_examples_are_the_first_three_values_of_each_rule():
    rows = [(at, "range", "co", "too low", f'{{"co": "-{at}", "x": "1"}}') for at in range(5)]
    found = examples([quarantined(*rows[:2]), quarantined(*rows[2:], (9, "repeated", "*", "came before", "{}"))])
    assert found == {
        ("range", "co"): ["'-0' (row 0)", "'-1' (row 1)", "'-2' (row 2)"],
        ("repeated", "*"): ["came before (row 9)"],
    }


def test_personal_data_are_no_example():
    rows = [(0, "length", "name", "name = Ana", '{"name": "Ana"}'), (1, "pair", "*", "Ana > 1", '{"name": "Ana"}')]
    assert "Ana" not in str(examples([quarantined(*rows)], masked=["name"]))


def test_an_example_is_cut_where_a_source_sends_a_novel():
    found = examples([quarantined((0, "type", "co", "unreadable", f'{{"co": "{"x" * 10_000}"}}'))])
    assert len(found["type", "co"][0]) < 150
