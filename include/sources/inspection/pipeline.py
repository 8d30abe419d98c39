"""A whole ``pipeline.yaml`` for a file: what its columns suggest, with a comment at each guess."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd

from include.errors import ConfigError
from include.sources.inspection.draft import comment_of, list_of, names_of, yaml_of
from include.sources.inspection.findings import Inspected, header_of
from include.sources.inspection.leaks import alike, leaks
from include.spec.faults import one_of

MOST_CATEGORIES, WATCHED, LONGEST_FEATURE = 12, 5, 63
LEAST_FILLED = 0.5  # share of rows in which a feature has a value
HISTORY, HOLDOUT = 0.6, 0.2  # shares: of the file that is loaded at once, of that history that nobody fits on
DAYS, MOST_WINDOWS = {"year": 366, "month": 31, "week": 7, "day": 1}, 12  # a first look is over in minutes
# From so many days on: the windows that are replayed, and when the pipeline runs.
STEPS = ((3650, "year", "0 6 1 1 *"), (200, "month", "0 6 1 * *"), (50, "week", "0 6 * * 1"), (0, "day", "0 6 * * *"))


@dataclass(frozen=True)
class Plan:
    """What a pipeline over the file would do."""

    inspected: Inspected
    target: str  # its name in the draft
    leaks: dict[str, str]  # columns that give the target away, with how
    alike: dict[str, float]  # features that may, with their correlation

    @property
    def data(self) -> pd.DataFrame:
        """The rows, in the order of their times."""
        return self.inspected.data.sort_index()


def plan_of(inspected: Inspected, target: str) -> Plan:
    """Return the plan for predicting a column, given by its header or by its name in the draft.

    Raises
    ------
    ConfigError
        There is no such column, it holds no numbers, or the file has no time. A retry brings the same.
    """
    names = names_of(inspected)
    by_header = {header_of(inspected, place): name for place, name in names.items()}
    name = by_header.get(target, target)
    if name not in names.values():
        raise ConfigError(f"{inspected.file} has no column {target!r}; {one_of(target, [*by_header, *names.values()])}")
    numbers = inspected.data.select_dtypes("number")
    if name not in numbers:
        what = f"{target!r} holds {_type(inspected, name)}, and what is predicted is a number"
        raise ConfigError(f"{inspected.file}: {what}; choose one of {', '.join(map(str, numbers))}")
    if inspected.clock is None or inspected.data.empty:
        raise ConfigError(f"{inspected.file}: no column holds its time; write the pipeline by hand from its draft")
    told = leaks(numbers, name)
    return Plan(inspected, name, told, {other: r for other, r in alike(numbers, name).items() if other not in told})


def warnings_of(plan: Plan) -> list[str]:
    """Return a line for each column that gives the target away, or may."""
    told = [f"LEAK: {name} {how}: it is no feature" for name, how in plan.leaks.items()]
    return told + [
        f"LEAK? {name} goes with {plan.target} in almost every row (correlation {value:.3f}): CONFIRM that it is known"
        f" before {plan.target} is, or take it out of `features`"
        for name, value in plan.alike.items()
    ]


def pipeline_of(plan: Plan, name: str) -> str:
    """Return the file: complete, and such that the spec takes it if `name` is a plain one."""
    return "\n".join([*_head(plan, name), *_sources(plan), *_features(plan), *_learning(plan), *_replay(plan)]) + "\n"


def _head(plan: Plan, name: str) -> Iterator[str]:
    first, end = _stretch(plan)
    _, cron = _step(plan)
    yield "# yaml-language-server: $schema=../../../docs/pipeline.schema.json"
    yield f"# Drafted from {comment_of(plan.inspected.file)}: answer every comment, then delete it."
    yield f"pipeline: {name}"
    yield f"title: {plan.target} of {name}    # say what is predicted"
    kind = "the other columns of its row" if _estimates(plan) else "its last values"
    yield f"description: Predicts {plan.target} from {kind}. Drafted, nobody has read it yet.    # and when it matters"
    yield "owner: data-team    # who answers for it?"
    yield "impact: tier_3"
    yield ""
    yield "schedule:"
    yield f'  cron: "{cron}"    # when does a new file come?'
    yield "  timezone: UTC    # CONFIRM"
    yield f"  start: {first}"
    yield f"  end: {end}    # the file ends before it; delete this line if it goes on"
    yield ""


def _sources(plan: Plan) -> list[str]:
    return [*yaml_of(plan.inspected).splitlines()[1:], ""]


def _features(plan: Plan) -> Iterator[str]:
    yield "features:"
    if not _estimates(plan):
        yield f"  - {{kind: value, column: {plan.target}}}"
        yield f"  - {{kind: difference, column: {plan.target}, periods: [1, 2]}}"
        yield f"  - {{kind: rolling, column: {plan.target}, window: 5, stats: [mean, std]}}"
    yield from (f"  - {{kind: value, column: {name}}}" for name in _values(plan))
    for name, categories in _categories(plan).items():
        yield f"  - {{kind: one_hot, column: {name}, categories: {list_of(categories)}}}"
    if parts := _calendar(plan):
        yield f"  - {{kind: calendar, parts: [{', '.join(parts)}]}}"
    yield from (f"  # {name} {how}" for name, how in plan.leaks.items())
    if _estimates(plan):
        yield f"  # - {{kind: lag, column: {plan.target}, periods: [1]}}    # if the value before is known in time"
    yield ""


def _learning(plan: Plan) -> Iterator[str]:
    days, rows = _history(plan)
    if _estimates(plan):
        yield f"target: {{column: {plan.target}, horizon: 0, interval: 0.9}}    # horizon 1 predicts the next row"
    else:
        yield f"target: {{column: {plan.target}, horizon: 1, anchor: {plan.target}, interval: 0.9}}"
    hour = ", by: hour_of_day" if "hour_of_day" in _calendar(plan) else ""
    yield ""
    yield "training:"
    yield f"  min_rows: {max(20, rows // 3)}"
    yield "  seed: 7"
    yield f"  split: {{holdout: {max(1, round(days * HOLDOUT))} days}}"
    yield "  candidates:"
    yield f"    naive: {{kind: naive{hour}}}"
    yield "    linear: {kind: linear, alpha: 1.0}"
    yield "    random_forest: {kind: random_forest, trees: 100, min_samples_leaf: 3, max_features: 0.5}"
    yield ""
    yield "thresholds:    # CONFIRM: when is it time to train again?"
    yield "  r2_min: 0.5"
    if watched := _watched(plan) if _estimates(plan) else [plan.target]:
        yield "  mean_shift_pct: 25"
        yield f"  features: [{', '.join(watched)}]"
    yield "  min_rows: 5"
    yield ""
    yield "promotion: {metric: mae, confidence: 0.95, min_gain_pct: 0}"
    yield ""


def _replay(plan: Plan) -> Iterator[str]:
    first, end = _stretch(plan)
    middle = first + timedelta(days=_history(plan)[0])
    history = f"history: [{first}, {middle}], " if middle > first else ""
    yield f"replay: {{{history}start: {middle}, end: {end}, step: {_step(plan)[0]}}}"


def _type(inspected: Inspected, name: str) -> str:
    names = names_of(inspected)
    return next(facts.type for facts in inspected.facts if names[facts.place] == name)


def _stretch(plan: Plan) -> tuple[date, date]:
    """Return the first day of the rows, and the day after the last."""
    return plan.data.index[0].date(), plan.data.index[-1].date() + timedelta(days=1)


def _step(plan: Plan) -> tuple[str, str]:
    first, end = _stretch(plan)
    return next((step, cron) for days, step, cron in STEPS if (end - first).days >= days)


def _history(plan: Plan) -> tuple[int, int]:
    """Return how many days are loaded at once, before the windows that are replayed, and how many rows they have."""
    first, end = _stretch(plan)
    whole, step = (end - first).days, DAYS[_step(plan)[0]]
    days = max(1, round(whole * HISTORY), whole - MOST_WINDOWS * step) if whole > 1 else 0
    return days, int((plan.data.index < pd.Timestamp(first, tz="UTC") + pd.Timedelta(days=days)).sum())


def _estimates(plan: Plan) -> bool:
    """Tell whether the row itself is estimated: from other columns, where there are any."""
    return bool(_values(plan) or _categories(plan))


def _values(plan: Plan) -> list[str]:
    """Return the numbers and flags that may be features: filled, no leak, no mere count of the rows."""
    names, data = names_of(plan.inspected), plan.data
    known = {names[facts.place] for facts in plan.inspected.facts if facts.type in ("number", "integer", "boolean")}
    key = names.get(-1 if plan.inspected.key is None else plan.inspected.key)
    likely = [name for name in data if name in known - {plan.target, key} - plan.leaks.keys()]
    varied = [name for name in likely if data[name].nunique() > 1 and not _counts_rows(data[name])]
    return [name for name in varied if data[name].notna().mean() >= LEAST_FILLED]


def _watched(plan: Plan) -> list[str]:
    """Return the features that vary most, in their order: of codes and flags a mean says little."""
    values = _values(plan)
    most = sorted(values, key=lambda name: -plan.data[name].nunique())[:WATCHED]
    return [name for name in values if name in most]


def _counts_rows(column: pd.Series) -> bool:
    return column.dtype == float and bool((column.diff().iloc[1:] == 1).all())


def _categories(plan: Plan) -> dict[str, list[str]]:
    names = names_of(plan.inspected)
    texts = [names[facts.place] for facts in plan.inspected.facts if facts.type == "text"]
    seen = {name: sorted(plan.data[name].dropna().unique()) for name in texts}
    few = {name: values for name, values in seen.items() if 2 <= len(values) <= MOST_CATEGORIES}
    return {name: values for name, values in few.items() if _have_names(name, values)}


def _have_names(column: str, categories: list[str]) -> bool:
    """Tell whether each category gives a feature a name of its own that a table can have."""
    names = {re.sub(r"\W+", "_", f"{column}_is_{category}".lower()) for category in categories}
    return len(names) == len(categories) and max(map(len, names)) <= LONGEST_FEATURE


def _calendar(plan: Plan) -> list[str]:
    """Return the parts of the time that vary and come round within the history."""
    first, end = _stretch(plan)
    step_days = plan.data.index.unique().to_series().diff().dt.total_seconds().median() / 86_400
    days = (end - first).days * HISTORY
    is_part = {
        "hour_of_day": step_days < 1 and days >= 2,
        "day_of_week": step_days <= 1 and days >= 14,
        "month_of_year": days >= 366,
    }
    return [part for part, is_so in is_part.items() if is_so]
