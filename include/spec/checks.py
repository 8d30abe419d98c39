"""What must hold between the parts of a pipeline, each breach with the field at fault."""

from __future__ import annotations

import re
from collections.abc import Iterator

from include.spec.candidates import VALUES_ONLY, Naive
from include.spec.faults import Fault, Path, closest, one_of
from include.spec.kinds import SqlSource
from include.spec.learning import LEAST_SHADOW_ROWS
from include.spec.parts import Parts
from include.spec.recipes import CALENDAR_PARTS, Lag, OneHot, Recipe, Trailing
from include.spec.source import NUMBERS, RESERVED, Column

# Postgres cuts names at 63 characters; histories, functions and indexes add their own endings.
LONGEST_TABLE = 48


def whole_pipeline(pipeline: Parts) -> Iterator[Fault]:
    """Yield what is wrong between sources, features, target, thresholds, candidates and replay."""
    mains = [name for name, source in pipeline.sources.items() if source.main]
    if len(mains) != 1:
        path = ("sources", mains[1], "main") if mains else ("sources",)
        named = ", ".join(mains) or "none"
        yield Fault(path, f"exactly one source needs `main: true`, found {named}; mark the one that has the target")
        return  # everything below needs to know the main source
    yield from _sources(pipeline)
    yield from _agreements(pipeline)
    yield from _events(pipeline)
    yield from _recipes(pipeline)
    yield from _names(pipeline)
    yield from _target(pipeline)
    yield from _predictions(pipeline)
    yield from _feature_references(pipeline)
    yield from _business(pipeline)
    yield from _rollout(pipeline)
    if pipeline.promotion.slice_max_loss_pct is not None and not pipeline.monitoring.slices:
        what = "compares the slices of `monitoring.slices`, of which there are none; list some, or remove it"
        yield Fault(("promotion", "slice_max_loss_pct"), what)
    if pipeline.predictions.due and pipeline.target.horizon and pipeline.target.calendar is None:
        yield Fault(("predictions", "due"), "nobody knows for which time; say when targets come: target.calendar")
    if pipeline.replay.first < pipeline.schedule.start:
        key = "history" if pipeline.replay.history else "start"
        what = f"begins {pipeline.replay.first}, before schedule.start {pipeline.schedule.start}; move one of them"
        yield Fault(("replay", key), what)


def _business(pipeline: Parts) -> Iterator[Fault]:
    """Yield what is wrong with the business outcome: it is the mean of a number or of a flag."""
    wanted, known = pipeline.monitoring.business, _readable(pipeline)
    if wanted is None:
        return
    path: Path = ("monitoring", "business", "column")
    column = known.get(wanted.column)
    if column is None:
        yield Fault(path, f"{wanted.column!r} is in no source; {one_of(wanted.column, known)}")
    elif column.type not in (*NUMBERS, "boolean"):
        yield Fault(path, f"{wanted.column!r} is {column.type}, which has no mean; choose a number or a boolean")


def _rollout(pipeline: Parts) -> Iterator[Fault]:
    """Yield what a rollout could not do: there is never a challenger in shadow, or nothing to disagree by."""
    rollout = pipeline.predictions.rollout
    if rollout.mode == "basic":
        return
    path: Path = ("predictions", "rollout")
    if not pipeline.shadow_rows:
        what = f"{rollout.mode} is for a challenger that waits in shadow, and none ever does here"
        yield Fault((*path, "mode"), f"{what}; give promotion.shadow_rows {LEAST_SHADOW_ROWS} or more, or write basic")
    if rollout.limits.disagreement is not None and pipeline.target.is_probability:
        what = "counts in widths of the champion's interval, and a probability has none; remove it"
        yield Fault((*path, "limits", "disagreement"), what)


def _sources(pipeline: Parts) -> Iterator[Fault]:
    for name, source in pipeline.sources.items():
        table = pipeline.table(name)
        if name == "history" or name.endswith("_history"):
            yield Fault(("sources", name), "has the name of a table of older versions; rename it")
        if len(table) > LONGEST_TABLE:
            what = f"its table core.{table} has a name of {len(table)} letters; shorten it to {LONGEST_TABLE} or fewer"
            yield Fault(("sources", name), what)
        for key, column in source.columns.items():
            path = ("sources", name, "columns", key, "personal")
            if column.personal != "no" and not isinstance(source, SqlSource):
                what = f"personal data is only handled in sources of kind sql, this one is {source.kind}"
                yield Fault(path, f"{what}; remove the column, or read it from a database")
            if key in source.key and column.personal == "drop":
                yield Fault(path, "a key column cannot be dropped; write personal: hash")


def _agreements(pipeline: Parts) -> Iterator[Fault]:
    """Yield what is wrong with the second sources that checks name."""
    for name, source in pipeline.sources.items():
        for i, check in enumerate(source.checks):
            if check.kind != "agrees":
                continue
            other, _, key = check.with_.rpartition(".")
            columns = pipeline.sources[other or name].columns if (other or name) in pipeline.sources else None
            path: Path = ("sources", name, "checks", i, "with")
            if columns is None:
                yield Fault(path, f"there is no source {other!r}; {one_of(other, pipeline.sources)}")
            elif key not in columns:
                yield Fault(path, f"{other or name!r} has no column {key!r}; {one_of(key, columns)}")
            elif columns[key].type not in NUMBERS:
                yield Fault(path, f"{check.with_!r} is {columns[key].type} and agreement is between numbers")
            elif (other or name, key) == (name, check.column):
                yield Fault(path, f"{key!r} always agrees with itself; name a second source or column")


def _events(pipeline: Parts) -> Iterator[Fault]:
    """Yield what is wrong between the events and the sources: news of a database that nobody reads."""
    notify = pipeline.events and pipeline.events.notify
    if not notify or pipeline.notified_source(notify):
        return
    read = sorted({s.connection for s in pipeline.sources.values() if isinstance(s, SqlSource)})
    hint = one_of(notify.connection, read) if read else "this pipeline has no source of kind sql; remove `notify`"
    what = f"no source of kind sql reads from {notify.connection!r}, its news would start nothing new"
    yield Fault(("events", "notify", "connection"), f"{what}; {hint}")


def _readable(pipeline: Parts) -> dict[str, Column]:
    """Return all columns as recipes name them: those of the main source alone, those of others with their source."""
    return {
        key if source.main else f"{name}.{key}": column
        for name, source in pipeline.sources.items()
        for key, column in source.columns.items()
    }


def _recipes(pipeline: Parts) -> Iterator[Fault]:
    known = _readable(pipeline)
    for i, recipe in enumerate(pipeline.features):
        for key, name in zip(("column", "over"), recipe.reads(), strict=False):
            if message := _unknown(pipeline, recipe, name, known) or _unfit(recipe, name, known[name]):
                yield Fault(("features", i, key), message)
            elif name == pipeline.target.column and pipeline.target.horizon == 0 and _sees_the_row(recipe):
                fix = "use kind: lag, or a target.horizon of 1 or more"
                yield Fault(("features", i, key), f"{name!r} is what is predicted for the same row; {fix}")
        if isinstance(recipe, OneHot):
            yield from _categories(i, recipe, known.get(recipe.column))


def _unknown(pipeline: Parts, recipe: Recipe, name: str, known: dict[str, Column]) -> str | None:
    source, _, column = name.rpartition(".")
    if source == pipeline.main and column in known:
        if isinstance(recipe, Trailing):
            return f"{source!r} is the main source and trailing is for the others; use kind: rolling"
        return f"{source!r} is the main source, whose columns are named alone; write {column!r}"
    if name in known:
        return None
    return f"no source has the column {name!r}; {one_of(name, known)}"


def _unfit(recipe: Recipe, name: str, column: Column) -> str | None:
    if column.personal != "no":
        return f"{name!r} is personal data; choose another column, models never see a person"
    if isinstance(recipe, OneHot):
        if column.type not in ("text", "integer"):
            return f"{name!r} is {column.type} and one_hot is for text and whole numbers; use kind: value"
    elif column.type == "text":
        fix = "use kind: one_hot if it names categories; if its values are numbers, it was misread"
        return f"{name!r} is text; {fix}: declare type: number, with `decimal` and `missing` as the file has them"
    elif column.type not in (*NUMBERS, "boolean"):
        return f"{name!r} is a {column.type}, which no recipe reads; use kind: calendar for parts of valid_at"
    return None


def _sees_the_row(recipe: Recipe) -> bool:
    """Tell whether a recipe reads the value of the row itself."""
    return not isinstance(recipe, Lag) and not getattr(recipe, "delay", 0)


def _categories(i: int, recipe: OneHot, column: Column | None) -> Iterator[Fault]:
    type_ = "integer" if recipe.column in CALENDAR_PARTS else column and column.type
    if type_ not in ("integer", "text"):
        return  # the column itself is the fault
    is_text = type_ == "text"
    for j, category in enumerate(recipe.categories):
        if isinstance(category, str) != is_text:
            fix = "put it in quotes" if is_text else "write it without quotes"
            what = "text" if is_text else "whole numbers"
            yield Fault(("features", i, "categories", j), f"{recipe.column!r} holds {what}, not {category!r}; {fix}")


def _names(pipeline: Parts) -> Iterator[Fault]:
    first: dict[str, int] = {}
    for i, recipe in enumerate(pipeline.features):
        for name in recipe.names():
            if name in first:
                other = "twice here" if first[name] == i else f"the name of features[{first[name]}] too"
                yield Fault(("features", i), f"{name!r} is {other}; {_rename(recipe)}")
            elif name in RESERVED or not re.fullmatch(r"[a-z]\w{0,62}", name):
                yield Fault(("features", i), f"{name!r} cannot be the name of a feature; {_rename(recipe)}")
            first.setdefault(name, i)


def _rename(recipe: Recipe) -> str:
    return "give it another `name`" if "name" in type(recipe).model_fields else "remove it, or rename its column"


def _target(pipeline: Parts) -> Iterator[Fault]:
    columns = pipeline.sources[pipeline.main].columns
    name = pipeline.target.column
    column = columns.get(name)
    path = ("target", "column")
    if column is None:
        yield Fault(path, f"{name!r} is not in the main source {pipeline.main!r}; {one_of(name, columns)}")
    elif column.type not in NUMBERS:
        yield Fault(path, f"{name!r} is {column.type} and a target is a number; choose a number")
    elif column.personal != "no":
        yield Fault(path, f"{name!r} is personal data; choose another column")


def _predictions(pipeline: Parts) -> Iterator[Fault]:
    """Yield what does not fit what is predicted, a value or a probability."""
    is_probability, metric = pipeline.target.is_probability, pipeline.promotion.metric
    own, other = (("brier", "log_loss"), "values") if is_probability else (("mae", "rmse"), "probabilities")
    if metric not in own:
        yield Fault(("promotion", "metric"), f"{metric} is an error of {other}; choose {' or '.join(own)}")
    limits = ("roc_auc", "brier", "log_loss") if is_probability else ("r2", "mae", "rmse")
    for name in pipeline.promotion.minimums.model_dump(exclude_none=True):
        if name not in limits:
            text = f"{name} is measured of {other}; choose {', '.join(limits[:-1])} or {limits[-1]}"
            yield Fault(("promotion", "minimums", name), text)
    for key, candidate in pipeline.training.candidates.items():
        path = ("training", "candidates", key)
        if is_probability and candidate.kind in VALUES_ONLY:
            yield Fault((*path, "kind"), f"{candidate.kind} predicts values and target.above asks for a probability")
        if isinstance(candidate, Naive):
            yield from (Fault((*path, *field), what) for field, what in _naive(pipeline, candidate))
        if not is_probability and getattr(candidate, "calibration", None):
            yield Fault((*path, "calibration"), "is for probabilities; remove it, or give target.above")


def _naive(pipeline: Parts, candidate: Naive) -> Iterator[tuple[Path, str]]:
    target, season = pipeline.target, candidate.season
    column = pipeline.sources[pipeline.main].columns.get(target.column)
    if candidate.majority and not target.is_probability:
        yield ("majority",), "is for probabilities; remove it, or give target.above"
    if season and target.is_probability:
        yield ("season",), "repeats a value and target.above asks for a probability; remove it"
    elif season and season <= target.horizon:
        yield ("season",), f"a value {season} rows before the target is not known yet; give more than target.horizon"
    elif season and column and column.type in NUMBERS and not pipeline.season_feature(season):
        lag = f"{{kind: lag, column: {target.column}, periods: [{season - target.horizon}]}}"
        yield ("season",), f"no feature is the target's column {season} rows before it; add {lag} to features"


def _feature_references(pipeline: Parts) -> Iterator[Fault]:
    names, known = pipeline.feature_names(), _readable(pipeline)
    meant = {name for recipe in pipeline.features for name in _meant(recipe, known)}
    references: dict[Path, str | None] = {("target", "anchor"): pipeline.target.anchor}
    references |= {("thresholds", "features", i): name for i, name in enumerate(pipeline.thresholds.features)}
    references |= {("monitoring", "slices", i): name for i, name in enumerate(pipeline.monitoring.slices)}
    references |= {("promotion", "protected", i): name for i, name in enumerate(pipeline.promotion.protected)}
    for i, test in enumerate(pipeline.behaviour):
        references["behaviour", i, "feature"] = getattr(test, "feature", None)
        references |= {("behaviour", i, "features", n): name for n, name in enumerate(getattr(test, "features", ()))}
    for key, candidate in pipeline.training.candidates.items():
        if isinstance(candidate, Naive):
            references["training", "candidates", key, "by"] = candidate.by
            references["training", "candidates", key, "repeat"] = candidate.repeat
        for i, name in enumerate(getattr(candidate, "one_hot", ())):
            references["training", "candidates", key, "one_hot", i] = name
    for path, name in references.items():
        if name is not None and name not in {*names, *meant}:
            yield Fault(path, f"{name!r} is not a feature; {one_of(name, names)}")


def _meant(recipe: Recipe, known: dict[str, Column]) -> Iterator[str]:
    """Yield the names a recipe's features would have with the column that was probably meant, or else with any."""
    for key, column in zip(("column", "over"), recipe.reads(), strict=False):
        if column not in known:
            guess = closest(column, known)
            for candidate in [guess] if guess else known:
                yield from recipe.model_copy(update={key: candidate}).names()
