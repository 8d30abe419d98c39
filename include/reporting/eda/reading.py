"""What the EDA report asks the warehouse: aggregates over all rows, and a sample that memory can hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from include.quality.profiling.distribution import Distribution
from include.reporting.eda.figures import kind_of, step_for

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd
    from sqlalchemy.engine import Connection

    from include.reporting.eda.figures import Step
    from include.spec.model import Column, Pipeline

SAMPLE_ROWS = 50_000
DRAWN_OUTLIERS = 200
LABEL_LETTERS = 60


@dataclass
class Portrait:
    """One source as it stands in the warehouse.

    Attributes
    ----------
    sample : pandas.DataFrame
        At most about `SAMPLE_ROWS` rows: numbers and flags as float64, labels cut to 60 letters.
    bins : pandas.DataFrame, one row a step of time
        `at` (UTC), `rows`, and for each column `n_<column>`; for numbers and flags also `mean_`, `min_`, `max_`.
    exact : dict
        By column: `n`, `min`, `max`, `mean` over all rows, in the column's unit; `iqr` and `z` outliers counted.
    distributions : dict
        Of each number the values of the sample, where it has any.
    """

    source: str
    title: str
    table: str
    columns: dict[str, Column]
    kinds: dict[str, str]
    rows: int
    first: datetime
    last: datetime
    is_simulated: bool
    step: Step
    sample: pd.DataFrame
    bins: pd.DataFrame
    exact: dict[str, dict[str, Any]]
    distributions: dict[str, Distribution] = field(default_factory=dict)
    outliers: dict[str, list[tuple[datetime, float]]] = field(default_factory=dict)
    quarantined: list[tuple[datetime, int]] = field(default_factory=list)

    @property
    def is_sampled(self) -> bool:
        """Whether quantiles, shapes and correlations come from a part of the rows."""
        return len(self.sample) < self.rows

    @property
    def has_holes(self) -> bool:
        """Whether a value is missing somewhere, or a step of time has no row."""
        return any(each["n"] < self.rows for each in self.exact.values()) or not self.bins["rows"].all()

    def of_kind(self, *kinds: str) -> list[str]:
        """Return the columns of some kinds, in the spec's order."""
        return [name for name, kind in self.kinds.items() if kind in kinds]


def portraits(connection: Connection, spec: Pipeline) -> list[Portrait]:
    """Return a portrait of each source that has rows, the main one first."""
    order = sorted(spec.sources, key=lambda name: not spec.sources[name].main)
    return [drawn for source in order if (drawn := portrait(connection, spec, source))]


def portrait(connection: Connection, spec: Pipeline, source: str) -> Portrait | None:
    """Read one source; None where nothing is loaded."""
    table = f'core."{spec.table(source)}"'
    if connection.exec_driver_sql("select to_regclass(%s)", (table,)).scalar() is None:
        return None
    there = {row[0] for row in connection.exec_driver_sql(_COLUMNS, (table,))}
    facts = spec.sources[source]
    columns = {name: column for name, column in facts.columns.items() if name in there}
    kinds = {name: kind_of(name, column, facts.key) for name, column in columns.items()}
    rows, first, last, exact = _exact(connection, table, kinds)
    if not rows:
        return None
    step = step_for(last - first, rows)
    is_simulated = _is_simulated(connection, spec.pipeline, source)
    sample, bins = _sample(connection, table, kinds, rows), _bins(connection, table, kinds, step)
    about = (source, facts.title, spec.table(source), columns, kinds, rows, first, last, is_simulated)
    portrait_ = Portrait(*about, step, sample, bins, exact)
    for name in portrait_.of_kind("number"):
        if len(values := np.sort(sample[name].dropna().to_numpy())):
            ones = np.ones(len(values), np.int64)
            portrait_.distributions[name] = Distribution(values, ones, exact[name]["n"])
    _count_outliers(connection, table, portrait_)
    portrait_.quarantined = _quarantined(connection, spec.pipeline, source, step)
    return portrait_


_COLUMNS = "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped"


def _number(name: str, kind: str = "number") -> str:
    return f'"{name}"::int' if kind == "flag" else f'"{name}"::double precision'


def _aggregates(kinds: dict[str, str]) -> str:
    """Return the aggregates of each column: ``n_<column>``, of numbers and flags also ``mean_``, ``min_``, ``max_``."""
    selected = [f'count("{name}") as "n_{name}"' for name in kinds]
    for name, kind in kinds.items():
        if kind in ("number", "flag"):
            value = _number(name, kind)
            selected += [f'avg({value}) as "mean_{name}", min({value}) as "min_{name}", max({value}) as "max_{name}"']
    return ", ".join(selected)


def _exact(connection: Connection, table: str, kinds: dict[str, str]) -> tuple[int, datetime, datetime, dict[str, Any]]:
    query = f"select count(*) as rows, min(valid_at) as first, max(valid_at) as last, {_aggregates(kinds)} from {table}"
    row = connection.exec_driver_sql(query).mappings().one()
    figures = ("n", "mean", "min", "max")
    exact = {name: {key: row[f"{key}_{name}"] for key in figures if f"{key}_{name}" in row} for name in kinds}
    return row["rows"], row["first"], row["last"], exact


def _sample(connection: Connection, table: str, kinds: dict[str, str], rows: int) -> pd.DataFrame:
    """Return all rows of a small table, of a big one the same random part each time."""
    import pandas as pd

    numbers = {name: _number(name, kind) for name, kind in kinds.items() if kind in ("number", "flag")}
    shown = (name for name, kind in kinds.items() if kind != "masked")
    selected = [f'{numbers.get(name, f"""left("{name}"::text, {LABEL_LETTERS})""")} as "{name}"' for name in shown]
    part = f" tablesample bernoulli ({100 * SAMPLE_ROWS / rows:.6f}) repeatable (7)" if rows > SAMPLE_ROWS else ""
    result = connection.exec_driver_sql(f"select {', '.join(['valid_at', *selected])} from {table}{part}")
    frame = pd.DataFrame(result.fetchall(), columns=list(result.keys())).drop(columns="valid_at")
    return frame.astype(dict.fromkeys(numbers, "float64"))


def _bins(connection: Connection, table: str, kinds: dict[str, str], step: Step) -> pd.DataFrame:
    """Return one row for each step between the first row and the last, those without any row included."""
    import pandas as pd

    cut = step.sql.format(at="valid_at")
    result = connection.exec_driver_sql(
        f"with found as (select {cut} as at, count(*) as rows, {_aggregates(kinds)} from {table} group by 1)"
        f" select * from (select generate_series(min(at), max(at), interval '{step.interval}') as at from found) steps"
        " left join found using (at) order by 1"
    )
    frame = pd.DataFrame(result.fetchall(), columns=list(result.keys()))
    counts = ["rows", *(f"n_{name}" for name in kinds)]
    frame[counts] = frame[counts].fillna(0)
    return frame.astype({name: "float64" for name in frame.columns if name != "at"})


def _count_outliers(connection: Connection, table: str, portrait: Portrait) -> None:
    """Count the values outside the limits in all rows, and read the farthest of them."""
    for name, each in portrait.distributions.items():
        value = _number(name)
        outside = f"{value} < %s or {value} > %s"
        limits = each.outliers()
        fences, z = ((limits[rule]["low"], limits[rule]["high"]) for rule in ("outliers_iqr", "outliers_robust_z"))
        low, high = fences if z[0] is None else z
        iqr, drawn = connection.exec_driver_sql(
            f"select count(*) filter (where {outside}), count(*) filter (where {outside}) from {table}",
            (*fences, low, high),
        ).one()
        portrait.exact[name] |= {"iqr": int(iqr), "z": None if z[0] is None else int(drawn)}
        rows = connection.exec_driver_sql(
            f"select valid_at, {value} from {table} where {outside} order by abs({value} - %s) desc, valid_at limit %s",
            (low, high, each.quantile(0.5), DRAWN_OUTLIERS),
        )
        portrait.outliers[name] = [(at, float(number)) for at, number in rows]


def _quarantined(connection: Connection, pipeline: str, source: str, step: Step) -> list[tuple[datetime, int]]:
    cut = step.sql.format(at="coalesce(valid_at, window_start_at)")
    rows = connection.exec_driver_sql(
        f"select {cut}, sum(row_count) from ops.quarantine where pipeline = %s and source = %s and is_waiting"
        " group by 1 order by 1",
        (pipeline, source),
    )
    return [(at, int(count)) for at, count in rows]


def _is_simulated(connection: Connection, pipeline: str, source: str) -> bool:
    query = "select coalesce(bool_or(is_simulated), false) from raw.payload where pipeline = %s and source = %s"
    return bool(connection.exec_driver_sql(query, (pipeline, source)).scalar())


def failed_checks(connection: Connection, pipeline: str, most: int = 12) -> list[dict[str, Any]]:
    """Return the newest checks that did not hold."""
    rows = connection.exec_driver_sql(
        "select source, rule, column_name, severity, window_start_at, window_end_at, observed, expected, checked_at"
        " from ops.quality_result where pipeline = %s and not is_passed"
        " order by checked_at desc, quality_result_id desc limit %s",
        (pipeline, most),
    )
    return [dict(row) for row in rows.mappings()]


def quarantine_by_rule(connection: Connection, pipeline: str, most: int = 12) -> list[dict[str, Any]]:
    """Return how many quarantined rows wait for each rule, with one example."""
    rows = connection.exec_driver_sql(
        "select source, rule, column_name, sum(row_count)::bigint as count, min(left(reason, 160)) as example"
        " from ops.quarantine where pipeline = %s and is_waiting group by 1, 2, 3 order by 4 desc, 1, 2, 3 limit %s",
        (pipeline, most),
    )
    return [dict(row) for row in rows.mappings()]
