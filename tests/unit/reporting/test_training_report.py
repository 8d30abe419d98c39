"""The page of a training: the verdict with every rule, what the model showed, and nothing from elsewhere."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import numpy as np
import pytest

from include.decisions import Verdict
from include.reporting.training_report import VERDICTS, Evaluation, TrainingReport, page
from include.training.behaviour import Outcome
from include.windows import Window

HOURS = 600
ESTIMATE = {"version 2, linear": (0.4, 0.3, 0.5), "champion, version 1": (0.6, 0.5, 0.7)}
SLICE = {"label": "day_of_week=6", "rows": 48, "challenger": 0.5, "champion": 0.4, "gain_pct": -25.0}
EVALUATION = Evaluation(
    half_width=1.0,
    metrics={"mae": ESTIMATE, "r2": ESTIMATE},
    curve=[(100, 0.9), (200, 0.6), (400, 0.5)],
    weights={"co_sensor": 0.7, "<b>": 0.3},
    contributions={"co_sensor": 1.25, "<b>": 0.5},
    unexplained="",
    times=[datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=n) for n in range(HOURS)],
    residuals=np.random.default_rng(0).normal(size=HOURS),
    calibration=[(0.5, 0.45), (0.9, 0.8)],
    behaviour=[Outcome("direction co_sensor", "failed", 0.4, "in 40% of 48 rows")],
    slices=[SLICE | {"needed": None, "turns": True}, SLICE | {"needed": 60, "turns": False}],
    groups=[{"label": "sex=1", "rows": 20, "error": 0.4, "bias": 0.1}],
    swaps=[{"name": "sex", "apart": {"error": 0.25, "bias": 0.5}, "mean": 0.125, "moved_share": 0.02}],
    latency_ms=14.25,
    size_bytes=204800,
    stability=0.123,
)
RULES = [
    {"rule": "no leak", "status": "passed", "text": "no leak: co_sensor"},
    {"rule": "answers", "status": "unknown", "text": "it did not answer"},
]
REPORT = TrainingReport(
    *("air_quality", "Carbon monoxide", "mg/m³", Window.parse("2026-01-01", "2026-02-01"), 2, "linear"),
    *(Verdict("hold", ["linear errs least", "it did not answer"]), (5000, HOURS), EVALUATION, True, RULES),
)


def test_the_page_needs_nothing_but_itself_and_its_drawings_are_well_formed():
    text = page(REPORT)
    assert not re.search(r"https?:|<script|<link|<img|<iframe|@import|url\(|\bon\w+=", text)
    drawings = [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]  # noqa: S314
    assert len(drawings) == 3
    assert all(drawing.attrib["aria-label"] for drawing in drawings)
    assert text == page(REPORT)


@pytest.mark.parametrize("verdict", VERDICTS)
def test_the_verdict_is_one_sentence_with_the_reason_that_decided(verdict):
    text = page(replace(REPORT, verdict=Verdict(verdict, ["linear errs least", "it did not answer"])))
    reason = "linear errs least" if verdict == "promote" else "it did not answer"
    assert f"<b>{VERDICTS[verdict]}:</b> {reason}</p>" in text


def test_every_figure_is_told_and_what_is_wrong_is_marked():
    text = page(REPORT)
    for told in (
        "SIMULATED",
        "? unknown",
        "14.25 ms",
        "200 KiB",
        "12.3 %",
        '0.4 <span class="unit">(0.3 to 0.5)</span>',
        "▲ turns",
        "? unknown: 60 rows are needed",
        "-25 %",
        "▲ failed",
        "day_of_week=6",
        "&lt;b&gt;",
        "groups lie apart by at most 0.25 (error), 0.5 (error, signed); swapped, predictions move by 0.125 mg/m³ on",
        "farthest off is 80% where 90% is promised",
    ):
        assert told in text, told


def test_of_events_each_group_is_told_what_share_of_it_is_warned_and_what_nobody_knows():
    group = {"label": "sex=1", "rows": 9, "error": 0.2, "bias": 0.1, "warned": 0.3, "false_warnings": 0.375}
    groups = [group | {"hits": float("nan")}]
    text = page(replace(REPORT, unit="probability", evaluation=replace(EVALUATION, groups=groups)))
    assert '<th scope="col" class="n">Others warned of</th>' in text
    assert '<td class="n">0.3</td><td class="n">?</td><td class="n">0.375</td></tr>' in text


def test_without_the_model_the_rules_are_told_and_that_nothing_else_is_known():
    text = page(replace(REPORT, evaluation=None))
    assert "Unknown: the registered model cannot be loaded." in text
    assert "it did not answer" in text
    assert "<svg" not in text


def test_what_is_not_known_is_a_question_mark_and_what_cannot_be_drawn_is_told():
    bare = replace(EVALUATION, curve=[], calibration=[], latency_ms=None, size_bytes=None)
    bare = replace(bare, contributions={}, unexplained="it is no sum")
    text = page(replace(REPORT, evaluation=replace(bare, stability=None, groups=[], swaps=[], slices=[], behaviour=[])))
    assert "<dd>? ms</dd>" in text
    assert "<dd>no champion</dd>" in text
    assert "Too few rows for a curve." in text
    assert "Too few held-out rows to tell." in text
    assert "There are no exact contributions: it is no sum." in text
    assert 'id="fairness"' not in text
