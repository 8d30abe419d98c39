"""Nothing that becomes known after a time changes what was computed for rows up to that time."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.features.build import build

START = pd.Timestamp("2020-01-01", tz="UTC")
RECIPES = [
    "kind: value, column: co",
    "kind: value, column: is_valid, delay: 1",
    "kind: lag, column: under, periods: [1, 3]",
    "kind: difference, column: co, periods: [2]",
    "kind: ratio, column: co, over: under",
    "kind: rolling, column: under, window: 3, stats: [mean, std, max]",
    "kind: one_hot, column: level, categories: [1, 2]",
    "kind: calendar, parts: [hour_of_day, day_of_month]",
    "kind: value, column: rates.tiie",
    "kind: difference, column: rates.target, periods: [1]",
    "kind: ratio, column: rates.tiie, over: rates.target, name: spread",
    "kind: rolling, column: rates.target, window: 2, stats: [sum]",
    "kind: ratio, column: prices.inpc, periods: 2, name: inflation",
    "kind: trailing, column: operations.net, days: 2, stat: sum",
    "kind: trailing, column: operations.is_won, days: 1, stat: mean, name: share",
]
NUMBER = st.one_of(st.none(), st.sampled_from([0.0, 1.0, 2.5, -3.0, 1e6]))
MONTHS = [f"2019-{month:02d}-01" for month in range(8, 13)] + ["2020-01-01"]
MANY = settings(max_examples=25, derandomize=True, deadline=None)


@st.composite
def sources(draw):
    """Draw rows of every source: two stations with gaps, rates, prices and operations around four days."""
    hours = draw(st.lists(st.tuples(st.integers(0, 95), st.sampled_from("ab")), min_size=4, max_size=25, unique=True))
    days = draw(st.lists(st.integers(-3, 4), min_size=1, max_size=6, unique=True))
    minutes = draw(st.lists(st.integers(-2000, 5800), max_size=12, unique=True))

    def column(count, values=NUMBER):
        return draw(st.lists(values, min_size=count, max_size=count))

    flags, levels = st.sampled_from([True, False, None]), st.sampled_from([1, 2, None])
    return {
        "reading": {
            "valid_at": [START + pd.Timedelta(hours=hour) for hour, _ in hours],
            "station": [station for _, station in hours],
            "co": column(len(hours)),
            "under": column(len(hours)),
            "level": column(len(hours), levels),
            "is_valid": column(len(hours), flags),
        },
        "rates": {
            "valid_at": [START + pd.Timedelta(days=day) for day in days],
            "tiie": column(len(days)),
            "target": column(len(days)),
        },
        "prices": {"valid_at": MONTHS, "inpc": column(len(MONTHS))},
        "operations": {
            "valid_at": [START + pd.Timedelta(minutes=minute) for minute in minutes],
            "net": column(len(minutes)),
            "is_won": column(len(minutes), flags),
        },
    }


REVISABLE = {"reading": ["co", "under"], "rates": ["tiie", "target"], "prices": ["inpc"], "operations": ["net"]}


def revise(data, tables):
    """Draw later versions of some rows, each available some hours after the one before."""
    for _ in range(data.draw(st.integers(0, 5), label="revisions")):
        name = data.draw(st.sampled_from([n for n in REVISABLE if len(tables[n])]))
        rows = tables[name]
        row = rows.iloc[[data.draw(st.integers(0, len(rows) - 1))]]
        place = [column for column in ("station", "operation", "valid_at") if column in rows]
        versions = rows.merge(row[place], on=place)
        newer = row.assign(
            available_at=versions["available_at"].max() + pd.Timedelta(hours=data.draw(st.integers(1, 60))),
            **{column: float(data.draw(st.integers(5, 9))) for column in REVISABLE[name]},
        )
        tables[name] = pd.concat([rows, newer], ignore_index=True)
    return tables


def spoil(data, tables, moment):
    """Delete or change each version that becomes available after a moment."""
    spoilt = {}
    for name, rows in tables.items():
        is_later = rows["available_at"] > moment
        is_kept = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)), label=f"kept {name}")
        changed = rows.assign(**{c: rows[c].mask(is_later, 77.0) for c in REVISABLE[name]})
        # Of a row that goes, every later version goes as well.
        gone = is_later & ~pd.Series(is_kept, rows.index, dtype=bool)
        spoilt[name] = changed[~gone]
    return spoilt


def assert_same_until(moment, frame, spoilt, spec):
    columns = ["entity", "valid_at", "available_at", *spec.feature_names()]
    early, spoilt_early = (f[f["available_at"] <= moment][columns].reset_index(drop=True) for f in (frame, spoilt))
    pd.testing.assert_frame_equal(spoilt_early, early, check_exact=True)


@MANY
@given(data=st.data())
def test_no_row_that_becomes_available_later_changes_an_earlier_feature(data, spec_of, tables_of):
    spec = spec_of(*RECIPES)
    tables = revise(data, tables_of(spec, **data.draw(sources())))
    frame = build(spec, tables)
    moment = data.draw(st.sampled_from(sorted(frame["available_at"])), label="moment")
    assert_same_until(moment, frame, build(spec, spoil(data, tables, moment)), spec)


@MANY
@given(data=st.data())
def test_one_row_built_when_it_arrives_has_the_features_it_has_in_the_whole_frame(data, spec_of, tables_of):
    """Serving builds from what is there now, training from everything there ever was."""
    spec = spec_of(*RECIPES)
    tables = revise(data, tables_of(spec, **data.draw(sources())))
    frame = build(spec, tables)
    row = frame.iloc[[data.draw(st.integers(0, len(frame) - 1), label="row")]]
    moment = row["available_at"].iloc[0]
    now = build(spec, {name: rows[rows["available_at"] <= moment] for name, rows in tables.items()})
    served = now[(now["valid_at"] == row["valid_at"].iloc[0]) & (now["entity"] == row["entity"].iloc[0])]
    names = spec.feature_names()
    pd.testing.assert_frame_equal(
        served[names].reset_index(drop=True), row[names].reset_index(drop=True), check_exact=True
    )


@MANY
@given(data=st.data())
def test_when_a_target_was_first_known_never_changes_and_is_not_before_its_row(data, spec_of, tables_of):
    spec = spec_of(*RECIPES, horizon=2)
    tables = revise(data, tables_of(spec, **data.draw(sources())))
    frame = build(spec, tables)
    known = frame[frame["target_known_at"].notna()]
    assert (known["target_known_at"] >= known["available_at"]).all()
    moment = frame["available_at"].max()
    before = build(spec, {name: rows[rows["available_at"] <= moment] for name, rows in tables.items()})
    was_known = before["target_known_at"].notna()
    assert (frame["target_known_at"][was_known] == before["target_known_at"][was_known]).all()


@pytest.mark.parametrize("recipe", ["kind: value, column: co", "kind: value, column: rates.tiie"])
def test_a_feature_that_looks_one_row_ahead_is_noticed(spec_of, tables_of, monkeypatch, recipe):
    """Feed the guard its fault."""
    import include.features.build as module

    honest = module._columns
    monkeypatch.setattr(module, "_columns", lambda *given: [column.shift(-1) for column in honest(*given)])
    spec = spec_of(recipe)
    days = [START + pd.Timedelta(days=day) for day in range(4)]
    data = {"reading": {"valid_at": days, "co": [1, 2, 3, 4]}, "rates": {"valid_at": days, "tiie": [1, 2, 3, 4]}}
    tables = tables_of(spec, **data)
    moment = tables["reading"]["available_at"][1]
    cut = {name: rows[rows["available_at"] <= moment] for name, rows in tables.items()}
    with pytest.raises(AssertionError):
        assert_same_until(moment, build(spec, tables), build(spec, cut), spec)
