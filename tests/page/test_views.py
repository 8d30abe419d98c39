"""What is shown, out of what was read."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest

from include.alerts.runbooks import runbook
from include.health.findings import WORDS
from include.health.looking import Looked
from include.page.board import Board
from include.page.links import Links
from include.page.render import frame, markdown
from include.page.views import cards, charts, timeline
from include.page.views.reasons import predecessors, why_live
from include.spec.parts import Event as AlertKind
from tests.page.story import SCRIPT, evidence

ROOT = Path(__file__).resolve().parents[2]
LINKS = Links("", "http://mlflow")
AT = datetime(2025, 3, 1, 9, tzinfo=UTC)
RUNBOOKS = {path.stem for path in (ROOT / "docs/runbooks").glob("*.md")}


def promoted(number: int, version: int, **more: Any) -> dict[str, Any]:
    facts = evidence("forest", version - 1 if version > 1 else None, **more)
    place = {"decision_id": number, "version": version, "decided_at": AT + timedelta(days=number), "from_at": AT}
    return place | {"verdict": "promote", "reasons": ["forest: errs least"], "evidence": facts}


def sentences(*decisions: dict[str, Any], since: int = 0, probation: int | None = 3, pin: str = "") -> str:
    return " ".join(one.text for one in why_live(decisions, since, probation, pin))


def test_a_first_version_was_compared_with_nobody_and_is_on_no_probation() -> None:
    told = sentences(promoted(1, 1))
    assert "Version 1 (forest) is live since 2025-03-02 09:00" in told
    assert "There was no champion to compare it with." in told
    assert "No person was asked: the rules alone decided." in told
    assert "there was no version before it" in told


def test_a_second_version_is_told_with_its_numbers_whom_it_beat_and_who_approved() -> None:
    approval = {"answer": "approved", "by": "ada", "at": "2025-03-02T08:00:00+00:00"}
    told = sentences(promoted(2, 2, approval=approval), promoted(1, 1), since=1, pin="pinned by ana until then: audit")
    assert (
        "It was compared with version 1: mae 12.3 % smaller than the champion's on the same 120 held-out rows." in told
    )
    assert "On 120 held-out rows: mae 0.21 (naive 0.5), r2 0.9 (naive 0.1)." in told
    assert "It was approved by ada at 2025-03-02 08:00." in told
    assert "It is on probation, 1 of 3 windows: version 1 predicts beside it" in told
    assert "It is pinned by ana until then: audit." in told


@pytest.mark.parametrize(
    ("probation", "expected"),
    [(1, "Its probation of 1 windows is over."), (0, "It has no probation."), (None, "is unknown")],
)
def test_the_end_of_a_probation_is_told(probation: int | None, expected: str) -> None:
    assert expected in sentences(promoted(2, 2), promoted(1, 1), since=1, probation=probation)


def test_without_any_promotion_nothing_is_live() -> None:
    assert sentences() == "Nothing is live: no version was promoted yet."
    assert predecessors([]) == []


def test_who_was_before_is_told_until_when() -> None:
    [one] = predecessors([promoted(2, 2), promoted(1, 1)])
    assert one == ("Version 1 was promoted 2025-03-02 09:00 and was live until 2025-03-03 09:00.", 1)


def happened(**more: Any) -> dict[str, Any]:
    place = {"kind": "decision", "at": AT, "dag_id": "train_tide", "run_id": "r", "decision_id": 7, "version": 2}
    place |= {"window_start_at": AT, "window_end_at": AT + timedelta(days=1), "verdict": "promote", "text": "better"}
    return place | {"row_count": 24, "quarantined_count": 0, "is_void": False} | more


def test_every_verdict_there_is_has_a_look_and_leads_to_the_ledger() -> None:
    for verdict in ("hold", "retrain", "investigate", "promote", "reject", "rollback"):
        one = timeline.event(happened(verdict=verdict), "tide", LINKS)
        assert one.evidence[0] == ("/ciclo/decision/7", "ledger entry")
        assert 'href="/ciclo/decision/7" tabindex="-1"' in timeline.draw([one])


def test_a_promotion_leads_to_its_report_its_card_and_its_model() -> None:
    labels = {label: href for href, label in timeline.event(happened(), "tide", LINKS).evidence}
    assert labels["evaluation report"] == "/ciclo/docs/training/run?dag_id=train_tide&run_id=r"
    assert labels["model card"] == "/ciclo/model/tide/2"
    assert labels["MLflow"] == "http://mlflow/#/models/tide/versions/2"
    assert labels["what the run did"] == "/ciclo/run?dag_id=train_tide&run_id=r"


def test_a_look_of_the_monitor_leads_to_its_drift_report() -> None:
    one = timeline.event(happened(dag_id="monitor_tide", verdict="hold", version=1), "tide", LINKS)
    assert (one.lane, one.title) == ("monitor", "hold")
    assert ("/ciclo/docs/monitoring/run?dag_id=monitor_tide&run_id=r", "drift report") in one.evidence


def test_a_void_decision_is_said_to_be_void() -> None:
    assert "it never took effect" in timeline.event(happened(is_void=True), "tide", LINKS).title


def test_points_lie_side_by_side_and_texts_of_others_are_escaped() -> None:
    rows = [happened(kind="load", at=AT + timedelta(days=9 * day)) for day in (2, 1, 0)]
    rows.append(happened(kind="alert", verdict="failure", text=SCRIPT))
    drawn = timeline.draw([timeline.event(row, "tide", LINKS) for row in rows])
    assert SCRIPT not in drawn
    assert drawn.count("translate(") == 4
    assert len({part.split(" ")[0] for part in drawn.split("translate(")[1:]}) == 4


def test_alerts_and_findings_lead_to_runbooks_that_exist() -> None:
    assert {runbook(kind) for kind in get_args(AlertKind)} <= RUNBOOKS
    assert {cards.runbook(word) for word in WORDS if word != "fine"} <= RUNBOOKS


def window(day: int, **more: Any) -> dict[str, Any]:
    at = AT + timedelta(days=day)
    place = {"window_start_at": at, "window_end_at": at + timedelta(days=1), "status": "ok", "row_count": 24}
    return place | {"value": 0.5, "promised": 0.2, "threshold": 1.0, "statistic": "mae"} | more


def test_a_chart_without_values_says_why_there_is_none() -> None:
    for chart in (charts.error_chart([], "m"), charts.truth_chart([], "m"), charts.drift_chart([])):
        assert (chart.svg, bool(chart.caption)) == ("", True)
    assert charts.score_chart([], "meter").caption == "No batch was measured yet."


def test_what_is_unknown_is_a_mark_and_no_bridge() -> None:
    rows = [window(0), window(1, value=None, status="unknown"), window(2, status="breach"), window(3)]
    drawn = charts.error_chart(rows, "m").svg
    assert ">?<" in drawn
    assert drawn.count("<circle") == 3
    assert 'fill="var(--bad)"><title>2025-03-04: 0.5' in drawn


def test_a_chart_has_the_same_as_a_table_newest_first() -> None:
    table = charts.error_chart([window(0), window(1)], "m").table
    assert [row["window_end_at"].day for row in table] == [3, 2]


def test_low_scores_are_marked_by_shape_too_and_counted() -> None:
    scores = [
        {"dimension": one, "score": score, "threshold": 80.0, "basis": "counted"}
        for one, score in (("a", 79.9), ("b", 80.0))
    ]
    chart = charts.score_chart([window(0) | score for score in scores], "meter")
    assert chart.svg.count("▲") == 1
    assert "1 of 2 are below their threshold" in chart.caption


@pytest.mark.parametrize(
    "text",
    [
        "[x](javascript:alert(1))",
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "![x](http://a.b/c.png)",
        '[x](http://a.b "><script>alert(1)</script>")',
        "[x](data:text/html;base64,AAAA)",
        "`<b onclick=x>`",
    ],
)
def test_nothing_in_markdown_runs_or_is_loaded(text: str) -> None:
    html = str(markdown(text))
    assert "<script" not in html
    assert "<img" not in html
    assert "<b" not in html
    assert 'href="javascript' not in html
    assert 'href="data' not in html


def test_markdown_keeps_tables_and_drops_links_to_what_is_not_served() -> None:
    html = markdown("| a |\n|---|\n| [b](c.md) and [d](e.py) |", lambda href: "/x" if href == "c.md" else None)
    assert '<td><a href="/x">b</a> and d</td>' in html


def test_a_report_gets_the_navigation_once_and_keeps_the_rest() -> None:
    framed = frame("<html><body class='a'><h1>x</h1><pre><body></pre></body></html>", LINKS)
    assert framed.count('aria-label="Ciclo"') == 1
    assert framed.startswith("<html><body class='a'><nav")
    assert framed.endswith("<h1>x</h1><pre><body></pre></body></html>")


LOOKED = Looked({}, {}, {}, [])


def test_nobody_waits_for_a_slow_reading_and_many_who_look_cause_one() -> None:
    go, readings = threading.Event(), []

    def read() -> Looked:
        readings.append(1)
        go.wait(30)
        return LOOKED

    board = Board(read)
    assert [board.look(patience=0.01)[::2] for _ in range(5)] == [(None, True)] * 5
    go.set()
    assert board.look(patience=30)[::2] == (LOOKED, False)
    assert board.look(patience=30).as_of is not None
    assert len(readings) == 1


def test_a_reading_that_fails_is_told_beside_the_last_that_did_not() -> None:
    answers = iter([LOOKED, OSError("the disk is gone")])

    def read() -> Looked:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    board = Board(read)
    first = board.look(patience=30)
    board._stale_at = 0.0
    second = board.look(patience=30)
    assert (second.looked, second.as_of) == (LOOKED, first.as_of)
    assert second.problem == "OSError: the disk is gone"
