"""The page of a monitored window: it says what was decided and why, shows what moved, and needs nothing else."""

import math
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.monitoring.measure import Measure, moved_features
from include.reporting.window_chart import density, number, quantile, ticks
from include.reporting.window_report import VERDICTS, WindowReport, page
from include.windows import Window

STARTS = [datetime(2004, month, 1, tzinfo=UTC) for month in range(6, 11)]
WINDOW = Window(STARTS[-1], datetime(2004, 11, 1, tzinfo=UTC))
SHIFT = Measure("joint", "co_sensor", "shift", 0.9, "breach", "moved by 0.9 sd", 0.0, 0.3, rows=500)
CALM = Measure("joint", "no2_sensor", "shift", 0.1, "ok", "", 0.0, 0.3, rows=500)
SINGLE, STILL = (replace(one, kind="covariate", statistic="mean_shift_sd") for one in (SHIFT, CALM))
UNKNOWN = Measure("error", "loss", "r2", None, "unknown", "the target is constant", rows=500)
ERRORS = [(at, 0.4 + n / 20, 0.35, 0.7, 0.4, 1 + n // 3) for n, at in enumerate(STARTS)]
MEANS = {name: [(at, 1000.0 + n) for n, at in enumerate(STARTS)] for name in ("co_sensor", "no2_sensor")}
SHAPES = {name: ([-math.inf, 900.0, 1000.0, 1100.0, math.inf], [10, 40, 40, 10], [1, 4, 40, 55]) for name in MEANS}
REPORT = WindowReport(
    *("air_quality", "Carbon monoxide", "mg/m³", WINDOW, "retrain", ["harm: 340 : 1", "what moved: co_sensor"]),
    *("340 : 1 that it errs more than promised", "a refit is 11 % better", "co_sensor moved"),
    *([CALM, UNKNOWN, SHIFT], ERRORS, MEANS, SHAPES, [(STARTS[2], "retrain"), (STARTS[3], "investigate")]),
)


def drawings(text: str) -> list[ElementTree.Element]:
    """Return the page's drawings; each is read as XML, so one that is not well-formed fails."""
    return [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]  # noqa: S314 - ours


def error_chart(text: str) -> ElementTree.Element:
    [chart] = [each for each in drawings(text) if "Error in mg/m³" in each.attrib["aria-label"]]
    return chart


def card(text: str, name: str) -> str:
    [one] = re.findall(rf'<figure class="card moved">\s*<figcaption><code>{name}</code>.*?</figure>', text, re.DOTALL)
    return one


def dashed(drawing: ElementTree.Element) -> list[ElementTree.Element]:
    return [line for line in drawing.iter("polyline") if line.attrib.get("stroke-dasharray") == "5 4"]


def test_the_page_needs_nothing_but_itself() -> None:
    text = page(REPORT)
    assert not re.search(r"https?:|<script|<link|<img|<iframe|@import|url\(|\bon\w+=", text)
    assert text == page(REPORT)


@pytest.mark.parametrize("verdict", VERDICTS)
def test_the_decision_is_one_sentence_with_its_colour_and_the_other_reasons_follow(verdict: str) -> None:
    text = page(replace(REPORT, verdict=verdict))
    assert f'<div class="verdict {verdict}">' in text
    assert f"<b>{VERDICTS[verdict]}:</b> harm: 340 : 1</p>" in text
    assert "<li>what moved: co_sensor</li>" in text
    assert f".{verdict}{{border-color:" in text


def test_harm_worth_and_cause_have_a_line_each_and_what_is_not_known_says_so() -> None:
    text = page(REPORT)
    assert re.findall(r"<dt><span>(\w+)</span>.*?<dd>(.*?)</dd>", text) == [
        ("Harm", "340 : 1 that it errs more than promised"),
        ("Worth", "a refit is 11 % better"),
        ("Cause", "co_sensor moved"),
    ]
    assert page(replace(REPORT, harm="", worth="", cause="", measures=[UNKNOWN])).count("<dd>Unknown.</dd>") == 3


def test_without_a_cause_the_features_that_moved_are_named() -> None:
    assert "<dd>co_sensor moved.</dd>" in page(replace(REPORT, cause=""))
    assert "<dd>Nothing: every feature lies" in page(replace(REPORT, cause="", measures=[CALM]))


def test_a_p_value_is_of_all_features_together_and_moves_none() -> None:
    p_value = replace(SHIFT, kind="joint", subject="features", statistic="p_value", value=0.001)
    assert moved_features([p_value]) == []


def test_simulated_stands_in_the_title_where_data_are_and_nowhere_else() -> None:
    text = page(replace(REPORT, is_simulated=True))
    assert re.search(r"<title>air_quality 2004-10-01\.\.2004-11-01: retrain · SIMULATED</title>", text)
    assert '<span class="badge">SIMULATED</span>' in text
    assert "SIMULATED" not in page(REPORT)


def test_what_moved_comes_first_with_its_reason_and_two_pictures_and_the_rest_is_folded() -> None:
    text = page(REPORT)
    shown, _, folded = text.partition("<details>")
    moved, calm = card(shown, "co_sensor"), card(folded, "no2_sensor")
    assert "moved by 0.9 sd" in moved
    assert [len(drawings(each)) for each in (moved, calm)] == [2, 2]
    assert "1 that did not" in folded


def test_features_that_moved_farther_come_first_and_slices_and_errors_are_no_features() -> None:
    nearer = replace(SHIFT, subject="nox_sensor", value=-0.5)
    sliced = replace(SHIFT, subject="o3_sensor", slice="day_of_week=1")
    error = replace(UNKNOWN, subject="loss", status="breach")
    assert moved_features([nearer, SHIFT, CALM, sliced, error]) == ["co_sensor", "nox_sensor"]


def test_a_single_figure_beyond_its_limit_moves_no_feature_and_is_named_all_the_same() -> None:
    assert moved_features([SINGLE, CALM]) == []
    told = "Nothing moved more than chance moves it; single figures of co_sensor are outside their limit."
    assert f"<dd>{told}</dd>" in page(replace(REPORT, cause="", measures=[SINGLE, CALM]))


def test_a_target_or_predictions_that_moved_are_named_after_the_features() -> None:
    apart = [replace(SINGLE, kind=kind, subject=kind, statistic="psi") for kind in ("prediction", "target")]
    per_cent = replace(SINGLE, kind="target", statistic="mean_shift_pct")
    assert moved_features([*apart, SHIFT]) == ["co_sensor", "target", "prediction"]
    assert moved_features([per_cent]) == []


def test_a_feature_that_moved_without_a_picture_says_that_there_is_none() -> None:
    text = page(replace(REPORT, distributions={}, feature_by_window={}))
    assert "There is no picture of it" in card(text, "co_sensor")


def test_nothing_that_moved_and_nothing_that_was_measured_are_two_sentences() -> None:
    assert ">Nothing: every feature lies where" in page(replace(REPORT, measures=[CALM]))
    assert "Unknown: no feature could be measured." in page(replace(REPORT, measures=[replace(CALM, status="unknown")]))
    text = page(WindowReport("p", "Title", "m", WINDOW, "investigate", ["the window is empty"]))
    assert "Unknown: no feature could be measured." in text
    assert "Unknown: no prediction of any window has met its truth yet." in text
    assert "Nothing was measured in this window." in text


def test_every_figure_is_in_the_table_the_worst_first() -> None:
    nearer = replace(SHIFT, subject="nox_sensor", value=-0.5)
    late = replace(SHIFT, kind="error", subject="loss", statistic="mae", value=0.31)
    text = page(replace(REPORT, measures=[CALM, UNKNOWN, nearer, SHIFT, late]))
    rows = re.findall(r'<tr class="(\w+)">.*?<code>(\w+)</code>', text)
    assert rows == [
        *[("breach", "loss"), ("breach", "co_sensor"), ("breach", "nox_sensor")],
        *[("unknown", "loss"), ("ok", "no2_sensor")],
    ]
    assert "3 outside their limit · 1 unknown · 1 fine" in text
    assert "the target is constant" in text


def test_figures_of_slices_stand_in_the_table_of_their_slices_only() -> None:
    told = "predictions are 0.2 too low on average"
    whole = Measure("bias", "prediction", "bias", -0.2, "breach", told, 0.0, 0.1, rows=700)
    text = page(replace(REPORT, measures=[CALM, whole, replace(whole, slice="hour=8")]))
    sliced, _, rest = text.partition('<section id="error">')
    assert (sliced.count(told), rest.count(told)) == (1, 1)
    assert re.search(rf"hour=8</th>.*?</tr>\s*<tr.*error, signed: {told}", sliced)
    assert '1 outside their limit · 0 unknown · 1 fine · <a href="#slices">those of slices</a>' in rest


def test_the_bias_of_predictions_is_no_reason_for_the_picture_of_where_they_lie() -> None:
    moved = replace(SHIFT, kind="prediction", subject="prediction")
    biased = Measure("bias", "prediction", "bias", -0.2, "breach", "predictions are too low", 0.0, 0.1)
    shown = card(page(replace(REPORT, measures=[moved, biased])), "prediction")
    assert ("moved by 0.9 sd" in shown, "too low" in shown) == (True, False)


def test_the_dashed_lines_are_the_means_that_the_text_tells_and_the_legend_names_them() -> None:
    mean = Measure("covariate", "co_sensor", "mean", 1039.0, "ok", "", 973.0, rows=500)
    text = page(replace(REPORT, measures=[SHIFT, mean, replace(mean, slice="hour=8", value=1.0)]))
    shape, time = drawings(card(text, "co_sensor"))
    assert "mean of the training data 973, of this window 1039." in shape.attrib["aria-label"]
    assert "at last 1004, in the training data 973." in time.attrib["aria-label"]
    before, now = (float(line.attrib["points"].split(",")[0]) for line in dashed(shape))
    label = {each.text: float(each.attrib["x"]) for each in shape.iter("text")}
    unit = (label["1000"] - label["900"]) / 100
    assert (before, now) == pytest.approx([label["900"] + unit * (value - 900) for value in (973, 1039)], abs=0.2)
    assert len(dashed(time)) == 1
    legend = re.findall(r'<i class="(?:trained|now) mean"></i>(.*?)</li>', text)
    assert legend == ["mean of the training data", "mean of this window"]


def test_a_mean_that_nobody_measured_is_unknown_and_not_drawn() -> None:
    shape, time = drawings(card(page(REPORT), "co_sensor"))
    assert "mean of the training data unknown, of this window unknown." in shape.attrib["aria-label"]
    assert (dashed(shape), dashed(time)) == ([], [])


def test_why_has_a_row_of_its_own_with_the_width_of_the_table() -> None:
    text = page(REPORT)
    [told] = re.findall(r'<tr class="told breach"><td></td><td colspan="(\d+)"><ul><li>moved by 0.9 sd</li>', text)
    assert int(told) + 1 == re.findall(r"<thead>.*?</thead>", text)[-1].count("<th ")


def test_slices_have_a_table_each_with_what_is_beyond_its_limit_and_why() -> None:
    label, apart = "hour=8", Measure("bias", "hour", "between_slices", 0.31, "breach", "far apart", 0.0, 0.1)
    far = replace(SINGLE, slice=label, value=1.25)
    share = Measure("covariate", "rows", "row_share", 0.5, "ok", "", 0.4, 0.2, label)
    few = Measure("covariate", "features", "mean_shift_sd", None, "unknown", "3 rows are few", slice="hour=10")
    text = page(replace(REPORT, measures=[few, share, far, replace(STILL, slice=label), apart]))
    [table] = re.findall(r'<section id="slices">(.*?)</section>', text, re.DOTALL)
    assert "<details open><summary><code>hour</code>: 1 outside their limit; biases lie 0.31 apart, 0.1 may" in table
    assert re.findall(r'<th scope="col"[^>]*>(.*?)</th>', table) == [
        *("Slice", "share of rows", "co_sensor", "no2_sensor")
    ]
    lines = re.findall(r'<th scope="row" class="nowrap">(.*?)</th>(.*?)</tr>', table)
    assert [line[0] for line in lines] == ["hour=8", "hour=10"]
    assert re.findall(r"<td[^>]*>(.*?)</td>", lines[0][1]) == ["0.5", "▲ 1.25", "0.1"]
    assert re.findall(r'<tr class="told"><td colspan="(.*?)"><ul><li>(.*?)</li>', table) == [
        *[("4", "co_sensor: moved by 0.9 sd"), ("4", "features: 3 rows are few")]
    ]
    assert '<section id="slices">' not in page(REPORT)


def test_what_moved_in_single_slices_only_is_said_and_not_that_nothing_moved() -> None:
    many = [replace(SINGLE, slice=f"hour={hour}") for hour in range(7)]
    text = page(replace(REPORT, cause="", measures=many))
    assert "Nothing: every feature" not in text
    assert text.count("In single slices moved co_sensor at hour=0, ") == 2
    assert "co_sensor at hour=4 and 2 more." in text
    assert "at hour=3: moved by 0.9 sd" in text
    assert "<dd>co_sensor moved.</dd>" in page(replace(REPORT, cause="", measures=[SHIFT, *many]))


def test_whatever_a_source_named_is_text_and_no_markup() -> None:
    wild = "<script>alert('x')</script>"
    measures = [replace(SHIFT, subject=wild, reason=wild, slice="")]
    shapes = {wild: SHAPES["co_sensor"]}
    means = {wild: MEANS["co_sensor"]}
    words = dict.fromkeys(("title", "unit", "harm", "worth", "cause"), wild) | {"reasons": [wild, wild]}
    text = page(replace(REPORT, measures=measures, distributions=shapes, feature_by_window=means, **words))
    assert "<script" not in text
    assert len(drawings(text)) == 3


def test_the_error_is_drawn_with_its_interval_promise_versions_and_decisions() -> None:
    chart = error_chart(page(REPORT))
    titles = [each.text for each in chart.iter("title")]
    assert [text for text in titles if text.startswith("2004-10-01")] == [
        "2004-10-01: 0.6 mg/m³, version 2, promised 0.4"
    ]
    assert "2004-08-01: training asked for" in titles
    assert "2004-09-01: a person was asked" in titles
    assert [each.text for each in chart.iter("text") if (each.text or "").startswith("v")] == ["v1", "v2"]


def test_a_window_whose_error_is_unknown_is_marked_and_no_line_bridges_it() -> None:
    gap = [point if n != 2 else (point[0], None, None, None, 0.4, 1) for n, point in enumerate(ERRORS)]
    [chart] = [
        each for each in drawings(page(replace(REPORT, error_by_window=gap))) if "Error" in each.attrib["aria-label"]
    ]
    assert [each.text for each in chart.iter("text")].count("?") == 1
    lines = [each for each in chart.iter("polyline") if each.attrib.get("stroke-width") == "1.8"]
    assert [len(each.attrib["points"].split()) for each in lines] == [2, 2]
    assert "in 1 it is unknown" in chart.attrib["aria-label"]


def test_undefined_numbers_are_unknown_and_no_drawing_holds_them() -> None:
    wrong = [(at, math.nan, math.inf, None, math.nan, 1) for at, *_ in ERRORS[:2]]
    text = page(replace(REPORT, error_by_window=[*wrong, *ERRORS[2:]], measures=[replace(SHIFT, value=math.nan)]))
    assert not re.search(r"\b(nan|inf)\b", text.partition("</style>")[2])


numbers = st.floats(-1e9, 1e9, allow_nan=False, allow_subnormal=False)


def test_a_bin_of_almost_no_width_has_a_density() -> None:
    least = 2.2250738585072014e-308
    assert all(math.isfinite(high) for *_, high in density([least, least, 2 * least], [1, 1]))


@given(
    st.lists(numbers, min_size=2, max_size=12),
    st.lists(st.one_of(st.none(), numbers), min_size=1, max_size=9),
    st.booleans(),
    st.data(),
)
def test_whatever_the_figures_are_all_of_it_lies_inside_the_drawing(
    edges: list[float], means: list[float | None], is_open: bool, data: st.DataObject
) -> None:
    edges = sorted(edges)
    if is_open:
        edges = [-math.inf, *edges, math.inf]
    counts = st.lists(st.integers(0, 1000), min_size=len(edges) - 1, max_size=len(edges) - 1)
    windows = [(WINDOW.start - timedelta(days=30 * n), value) for n, value in enumerate(means)][::-1]
    report = replace(
        REPORT,
        distributions={"co_sensor": (edges, data.draw(counts), data.draw(counts))},
        feature_by_window={"co_sensor": windows},
        error_by_window=[(at, value, value, value, value, 1) for at, value in windows],
    )
    for drawing in drawings(page(report)):
        _, _, width, height = (float(text) for text in drawing.attrib["viewBox"].split())
        for line in drawing.iter("polyline"):
            for place in line.attrib["points"].split():
                x, y = (float(text) for text in place.split(","))
                assert (0 <= x <= width, 0 <= y <= height) == (True, True)
        assert all(float(each.attrib[side]) >= 0 for each in drawing.iter("rect") for side in ("width", "height"))


@given(st.lists(st.integers(0, 1000), min_size=3, max_size=3).filter(any))
def test_an_outline_has_an_area_of_one(counts: list[int]) -> None:
    bins = density([0.0, 1.0, 1.0, 5.0], counts)
    assert math.fsum((right - left) * height for left, right, height in bins) == pytest.approx(1)


def test_of_no_rows_there_is_no_quantile() -> None:
    assert quantile([0.0, 1.0], [0], 0.5) is None
    assert density([-math.inf, math.inf], [3]) == [(0.0, 1.0, 1.0)]


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3, 1e6), (0.1234, 0.1235), (-1e-9, 1e-9), (1e8, 1e8 + 1)])
def test_ticks_are_round_lie_inside_and_are_few(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 2 <= len(found) <= 6
    assert all(low - 1e-9 * abs(high) <= tick <= high + 1e-9 * abs(high) for tick in found)


@pytest.mark.parametrize(("value", "text"), [(12345.6, "12,346"), (0.00012, "0.00012"), (-0.0, "0"), (1e12, "1e+12")])
def test_numbers_are_short(value: float, text: str) -> None:
    assert number(value) == text


def test_what_moved_is_ordered_by_what_matters_and_told_with_its_weight() -> None:
    nearer, size = replace(SHIFT, subject="nox_sensor", value=0.5), replace(SINGLE, subject="nox_sensor", value=0.5)
    target = replace(SINGLE, kind="target", subject="target", value=0.6)
    weights = {"nox_sensor": 0.7, "co_sensor": 0.05}
    measures = [SHIFT, SINGLE, nearer, size, target]
    for importance, order in ((weights, "target, nox_sensor, co_sensor"), ({}, "co_sensor, target, nox_sensor")):
        text = page(replace(REPORT, cause="", measures=measures, importance=importance))
        assert f"<dd>{order} moved.</dd>" in text
    text = page(replace(REPORT, measures=[SHIFT, nearer], importance=weights))
    assert "weight 5%</span>" in card(text, "co_sensor")
    assert "weight" not in card(page(REPORT), "co_sensor"), "where none is known none is told"
