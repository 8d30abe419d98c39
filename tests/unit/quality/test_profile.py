"""What a profile says of known rows, and that parts of them merge to the same."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from include.quality.profile import FIGURES, ColumnProfile, Profile
from include.quality.typing import cast
from include.spec.source import Column

MOMENTS = ("mean", "standard_deviation", "skewness")
Texts = list[str | None]


def column(type_: str = "number", **facts: Any) -> Column:
    return Column.model_validate({"from": "x", "unit": "1", "description": "A value", "type": type_, **facts})


def batch(texts: Texts, first: int = 0) -> pa.RecordBatch:
    """Return one column `x` as it came, and where each row came from."""
    places = pa.array(range(first, first + len(texts)), pa.int64())
    return pa.RecordBatch.from_pydict({"x": pa.array(texts, pa.string()), "row_number": places})


def profile(texts: Texts | pa.RecordBatch, facts: Column) -> Profile:
    rows = batch(texts) if isinstance(texts, list) else texts
    found = Profile({"x": facts})
    found.take(rows, {"x": cast(rows.column("x"), facts)})
    return found


def facts_of(texts: Texts, type_: str = "number", **facts: Any) -> dict[str, Any]:
    return profile(texts, column(type_, **facts)).facts()["x"]


def test_every_figure_is_named_and_ready_for_json() -> None:
    for type_, texts in {
        "number": ["1.5", None, "N/E", "2"],
        "integer": ["9007199254740993", None, "N/E", "2"],
        "text": ["MéXICO", None, "", "a"],
        "boolean": ["true", None, "maybe", "f"],
        "timestamp": ["2025-01-01T12:00:00Z", None, "soon", "1970-01-01"],
        "date": ["2025-01-01", None, "soon", "1900-01-01"],
    }.items():
        found = facts_of(texts, type_)
        assert tuple(found) == FIGURES
        assert json.loads(json.dumps(found, allow_nan=False)) == found
        assert (found["rows"], found["null_count"], found["null_share"]) == (4, 1, 0.25)
        assert found["unreadable_count"] == (type_ != "text")
        assert found["type_conformity"] == pytest.approx(1 if type_ == "text" else 2 / 3)


def test_numbers_have_the_figures_of_numpy_and_scipy() -> None:
    values = np.round(np.random.default_rng(1).gamma(2, 3, 5000), 2)
    found = facts_of([f"{value:.2f}" for value in values])
    assert found["mean"] == pytest.approx(values.mean())
    assert found["standard_deviation"] == pytest.approx(values.std(ddof=1))
    assert found["skewness"] == pytest.approx(scipy.stats.skew(values))
    assert (found["min"], found["max"], found["decimals_max"]) == (values.min(), values.max(), 2)
    for share, value in found["quantiles"].items():
        assert value == pytest.approx(np.quantile(values, float(share)))
    counts, edges = np.histogram(values, bins=20)
    assert found["histogram"]["counts"] == counts.tolist()
    assert found["histogram"]["edges"] == pytest.approx(edges.tolist())
    assert found["quantile_rank_error"] == 0
    assert found["distinct"] == found["distinct_lower"] == found["distinct_upper"] == len(np.unique(values))


def test_more_distinct_values_than_are_counted_are_estimated_within_their_bounds() -> None:
    values = np.random.default_rng(2).normal(10, 3, 60_000).round(6)
    found = facts_of([str(value) for value in values])
    assert found["distinct_lower"] <= len(np.unique(values)) <= found["distinct_upper"]
    assert found["distinct_lower"] < found["distinct"] <= found["distinct_upper"] <= 60_000
    error = found["quantile_rank_error"]
    assert 0 < error < 0.02
    for share, value in found["quantiles"].items():
        assert abs((values <= value).mean() - float(share)) <= error
    assert sum(found["histogram"]["counts"]) == 60_000
    normal = 2 * scipy.stats.norm.sf(2.698)  # beyond the fences of a normal distribution
    assert found["outliers_iqr"]["share"] == pytest.approx(normal, abs=error)
    assert found["rare"] == []


def test_one_value_among_very_many_is_told_to_be_frequent() -> None:
    random = np.random.default_rng(3)
    values = np.where(random.random(50_000) < 0.1, -200.0, random.random(50_000).round(9))
    found = facts_of([str(value) for value in values])
    assert [item["value"] for item in found["frequent"]] == [-200.0]
    assert found["frequent"][0]["count"] == pytest.approx(5000, rel=0.1)


def test_outliers_lie_beyond_the_fences_or_have_a_large_robust_z() -> None:
    found = facts_of([str(value) for value in (*range(1, 101), 151, -1000)])
    assert found["outliers_iqr"]["count"] == 1
    assert found["outliers_robust_z"]["count"] == 1
    assert found["outliers_iqr"]["low"] < 1
    assert found["outliers_iqr"]["high"] > 151


def test_frequent_and_rare_values_come_with_their_counts() -> None:
    found = facts_of(["a"] * 300 + ["b"] * 200 + ["typo"], "text")
    assert found["frequent"] == [
        {"value": "a", "count": 300},
        {"value": "b", "count": 200},
        {"value": "typo", "count": 1},
    ]
    assert found["rare"] == [{"value": "typo", "count": 1}]


@pytest.mark.parametrize(
    ("type_", "texts", "count"),
    [
        ("number", ["0", "-0.0", "-999", "1"], 3),
        ("integer", ["0", "9999", "12"], 2),
        ("text", ["", " N/A ", "Nava", None], 2),
        ("boolean", ["false", "true", "no"], 2),
        ("date", ["1970-01-01", "1900-01-01", "2025-01-01"], 2),
        ("timestamp", ["1970-01-01T00:00:00Z", "1970-01-01T00:00:01Z", "9999-12-31"], 2),
    ],
)
def test_default_values_are_counted(type_: str, texts: Texts, count: int) -> None:
    found = facts_of(texts, type_)
    assert found["default_count"] == count
    assert found["default_share"] == count / sum(text is not None for text in texts)


def test_format_conformity_is_of_whole_texts_by_the_rules_of_the_contract() -> None:
    column_ = column("text").model_copy(update={"format": r"[A-Z]{3}"})
    found = profile(["MXN", "MXN", "USDX", "usd", None], column_).facts()["x"]
    assert found["format_conformity"] == 0.5
    assert facts_of(["MXN"], "text")["format_conformity"] is None


@pytest.mark.parametrize("texts", [[], [None, None]])
@pytest.mark.parametrize("type_", ["number", "integer", "text", "boolean", "timestamp", "date"])
def test_without_values_there_are_only_counts(texts: Texts, type_: str) -> None:
    found = facts_of(texts, type_)
    assert (found["rows"], found["null_count"], found["distinct"], found["default_count"]) == (
        len(texts),
        len(texts),
        0,
        0,
    )
    assert all(found[name] is None for name in ("min", "max", "mean", "quantiles", "histogram", "frequent"))


@pytest.mark.parametrize("count", [1, 7])
def test_a_constant_does_not_vary(count: int) -> None:
    found = facts_of(["0.1"] * count)
    assert found["mean"] == found["median"] == found["min"] == found["max"] == 0.1
    assert found["standard_deviation"] == (0 if count > 1 else None)
    assert found["skewness"] is None
    assert found["histogram"] == {"edges": [0.1, 0.1], "counts": [count]}
    assert found["outliers_iqr"]["count"] == 0
    assert found["outliers_robust_z"]["count"] is None


def test_huge_numbers_leave_no_infinity() -> None:
    found = facts_of(["1.7e308", "-1.7e308", "1.7e308", "3", "0.5"])
    json.dumps(found, allow_nan=False)
    assert found["mean"] == pytest.approx(1.7e308 / 5)
    assert found["standard_deviation"] is not None
    assert found["decimals_max"] == 1


def test_whole_numbers_beyond_floats_keep_their_digits() -> None:
    big = 2**62
    found = facts_of([str(big + step) for step in (1, 2, 3, 3)], "integer")
    assert (found["min"], found["max"], found["median"]) == (big + 1, big + 3, pytest.approx(big + 2))
    assert found["frequent"][0] == {"value": big + 3, "count": 2}
    assert found["distinct"] == 3
    assert found["standard_deviation"] == pytest.approx(np.std([1, 2, 3, 3], ddof=1))
    ends = facts_of([str(-(2**63)), str(2**63 - 1), "0"], "integer")
    assert (ends["min"], ends["max"]) == (-(2**63), 2**63 - 1)


def test_a_spread_that_is_small_against_the_mean_keeps_its_digits() -> None:
    values = [f"{10**9 + step / 8}" for step in range(9)]
    halves = profile(values[:4], column()).merge(profile(batch(values[4:], 4), column())).facts()["x"]
    assert halves["standard_deviation"] == pytest.approx(np.std(np.arange(9) / 8, ddof=1), rel=1e-7)


def test_mojibake_and_letters_postgres_cannot_hold_are_texts_like_others() -> None:
    found = facts_of(["MÃ©xico", "México", "a\0b", "\ufffd", "🌎" * 300], "text")
    assert found["distinct"] == 5
    assert "\0" not in json.dumps(found, ensure_ascii=False)
    assert (found["length_min"], found["length_max"]) == (1, 300)
    assert max(len(item["value"]) for item in found["frequent"]) == 100


def test_values_of_personal_data_are_not_shown() -> None:
    found = facts_of(["5f4d", "5f4d"], "text", personal="hash")
    assert (found["distinct"], found["length_max"]) == (1, 4)
    assert found["min"] is found["max"] is found["frequent"] is found["rare"] is None
    assert "x" not in Profile({"x": column("text", personal="drop")}).columns


def test_times_and_days_are_shown_in_utc() -> None:
    times = facts_of(["2025-01-01T00:00:00-06:00", "2025-01-02T00:00:00Z"], "timestamp")
    assert (times["min"], times["max"]) == ("2025-01-01T06:00:00+00:00", "2025-01-02T00:00:00+00:00")
    assert times["mean"] is None
    assert facts_of(["0001-01-01", "9999-12-31"], "date")["max"] == "9999-12-31"


def test_profiles_of_other_columns_or_types_do_not_merge() -> None:
    one, two = profile(["1"], column()), profile(["1"], column("text"))
    with pytest.raises(ValueError, match="does not merge"):
        one.merge(two)
    with pytest.raises(ValueError, match="only one of the profiles has x"):
        one.merge(Profile({}))


def test_bytes_that_hold_no_profile_are_refused() -> None:
    kept = profile(["1", "2"], column()).columns["x"].to_bytes()
    for damaged in (b"", b"nothing", kept[:-30]):
        with pytest.raises(ValueError, match="hold no profile"):
            ColumnProfile.from_bytes(damaged)


def agree(one: dict[str, Any], two: dict[str, Any], scale: float = 1.0) -> None:
    """Compare facts: moments to float rounding, everything else exactly."""
    for name in FIGURES:
        if name in MOMENTS and one[name] is not None and two[name] is not None:
            assert one[name] == pytest.approx(two[name], rel=1e-6, abs=1e-6 * scale), name
        else:
            assert one[name] == two[name], name


TEXTS: dict[str, Callable[[], st.SearchStrategy]] = {
    "number": lambda: st.one_of(
        st.sampled_from(["0", "-0.0", "N/E", "-200", "1e3"]), st.decimals(-1000, 1000, places=2).map(str)
    ),
    "integer": lambda: st.integers(-(2**40), 2**40).map(str) | st.sampled_from(["0", "x"]),
    "text": lambda: st.text(max_size=4) | st.sampled_from(["a", "b", "MÃ©xico", "N/A"]),
    "boolean": lambda: st.sampled_from(["true", "f", "maybe"]),
    "timestamp": lambda: st.datetimes().map(lambda at: at.isoformat()) | st.just("soon"),
    "date": lambda: st.dates().map(str) | st.just("soon"),
}


@pytest.mark.parametrize("type_", TEXTS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_parts_in_any_order_merge_to_the_profile_of_the_whole(type_: str, data: st.DataObject) -> None:
    texts = data.draw(st.lists(st.none() | TEXTS[type_](), max_size=40))
    order = data.draw(st.permutations(range(len(texts))))
    cuts = data.draw(st.lists(st.integers(0, len(texts)), max_size=3).map(sorted))
    rows, facts = batch(texts), column(type_)
    mixed = rows.take(pa.array(order, pa.int64()))
    merged = Profile({"x": facts})
    for low, high in zip([0, *cuts], [*cuts, len(texts)], strict=True):
        part = profile(mixed.slice(low, high - low), facts)
        kept = ColumnProfile.from_bytes(part.columns["x"].to_bytes())
        assert kept.facts() == part.facts()["x"]
        part.columns["x"] = kept
        merged = merged.merge(part)
    agree(merged.facts()["x"], profile(rows, facts).facts()["x"], scale=1e6 if type_ == "integer" else 1)


@pytest.mark.parametrize("distinct", [50, 4096, 4097, 30_000])
def test_many_rows_in_any_order_and_parts_have_one_profile(distinct: int) -> None:
    random = np.random.default_rng(distinct)
    values = np.concatenate([np.arange(distinct), random.integers(0, distinct, 40_000)]) / 100
    rows, facts = batch([f"{value:.2f}" for value in values]), column()
    whole = profile(rows, facts)
    mixed = rows.take(pa.array(random.permutation(len(values))))
    third = len(values) // 3
    streamed = Profile({"x": facts})
    for first in range(0, len(values), 1000):
        part = mixed.slice(first, 1000)
        streamed.take(part, {"x": cast(part.column("x"), facts)})
    merged = profile(mixed.slice(0, third), facts).merge(profile(mixed.slice(third), facts))
    for other in (streamed, merged):
        agree(other.facts()["x"], whole.facts()["x"])
        assert other.columns["x"].values.state()[1].keys() == whole.columns["x"].values.state()[1].keys()
    assert (whole.columns["x"].values.tally is None) == (distinct > 4096)


def test_frequent_texts_among_many_are_found_within_the_bounds_of_the_sketch() -> None:
    random = np.random.default_rng(5)
    texts = [f"id {n}" for n in range(20_000)] + ["Ñuñoa"] * 3000 + ["Tlalpan"] * 2000
    rows = batch([texts[at] for at in random.permutation(len(texts))])
    whole = profile(rows, column("text")).facts()["x"]
    half = len(texts) // 2
    merged = profile(rows.slice(0, half), column("text")).merge(profile(rows.slice(half), column("text")))
    for found in (whole, merged.facts()["x"]):
        (first, second, *_) = found["frequent"]
        assert (first["value"], second["value"]) == ("Ñuñoa", "Tlalpan")
        assert first["count"] == pytest.approx(3000, abs=0.0018 * len(texts))
        assert found["distinct_lower"] <= 20_002 <= found["distinct_upper"]
    assert merged.facts()["x"]["distinct"] == whole["distinct"]


def test_rows_without_a_place_of_their_own_are_profiled_too() -> None:
    values = [f"{value}" for value in np.random.default_rng(6).random(20_000)]
    rows = pa.RecordBatch.from_pydict({"x": pa.array(values)})
    found = profile(rows, column()).facts()["x"]
    assert found["median"] == pytest.approx(0.5, abs=0.05)
