"""Accuracy: how far a column agrees with a second source, or a second column, over a window of loaded rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, timedelta
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import cursor as PgCursor

from include.quality.contract import MIN_ROWS_FOR_SHARES, Result, result
from include.quality.rules import check_rule
from include.quality.score import Agreement
from include.spec.model import Pipeline
from include.spec.quality import Agrees
from include.warehouse.engine import one_value
from include.windows import Window

HAS_COLUMN = """
select exists (select from pg_attribute where attrelid = to_regclass(%s) and attname = %s and not attisdropped)
"""
HAS_TIMES_OF_DAY = """
select exists (
    select from core.{table} where valid_at >= %(start)s and valid_at < %(end)s
    and (valid_at at time zone %(zone)s)::time <> '00:00')
"""
ROWS = "select count({a}) from core.{table} where valid_at >= %(start)s and valid_at < %(end)s"
# As numeric: a difference of doubles that overflows is an error, which would take the whole load with it.
COLUMNS = """
select t.valid_at, t.{a}::numeric as a, t.{b}::numeric as b from core.{table} t
where t.valid_at >= %(start)s and t.valid_at < %(end)s and t.{a} is not null and t.{b} is not null
"""
SOURCES = """
select t.valid_at, t.{a}::numeric as a, o.{b}::numeric as b
from core.{table} t
join (select * from core.{other} where valid_at >= %(wide_start)s and valid_at < %(wide_end)s) o on {same}
where t.valid_at >= %(start)s and t.valid_at < %(end)s and t.{a} is not null and o.{b} is not null
"""
SAME_INSTANT = "o.valid_at = t.valid_at"
SAME_DATE = "(o.valid_at at time zone %(other_zone)s)::date = (t.valid_at at time zone %(zone)s)::date"
DISAGREE = "abs(a - b) > %(within_pct)s::numeric / 100 * abs(b)"
COUNT = f"""
select compared, disagreeing, 1 - disagreeing / nullif(compared, 0)::float8
from (select count(*) as compared, count(*) filter (where {DISAGREE}) as disagreeing from ({{pairs}}) pairs) counted
"""
FARTHEST = f"""
select valid_at, a::float8, b::float8 from ({{pairs}}) pairs where {DISAGREE}
order by abs(a - b) / nullif(abs(b), 0) desc nulls first, valid_at limit 3
"""
# Equal values share the mean of their ranks. Ranks, as one outlier may neither make nor hide a correlation.
RANKED = """
with pairs as materialized ({pairs}), ranked as (
    select valid_at, a, b,
        (rank() over (order by a) + (count(*) over (partition by a) - 1) / 2.0)::float8 as rank_a,
        (rank() over (order by b) + (count(*) over (partition by b) - 1) / 2.0)::float8 as rank_b
    from pairs)
"""
CORRELATE = RANKED + "select count(*), 0, corr(rank_a, rank_b) from ranked"
OUT_OF_LINE = RANKED + "select valid_at, a::float8, b::float8 from ranked order by abs(rank_a - rank_b) desc, 1 limit 3"


def measure(cursor: PgCursor, pipeline: Pipeline, source: str, check: Agrees, window: Window) -> Agreement:
    """Compare a column with its second source over the rows of a window that are in ``core`` now.

    Two columns of one source are compared row by row. Rows of two sources belong together where their
    `valid_at` is the same instant, or, where all rows of both are dates (midnight in the time zone their source
    is read in), where the date is the same; and where the key columns that both have are equal. Each pair
    counts, so what makes rows of one time different should be a key of both.

    Runs in the caller's transaction, after the merge of both sources; reads only. Nothing was compared if the
    second source has no table, no such column or no row in the window.

    Parameters
    ----------
    source : str
        Source the check stands at.
    window : Window
        Half-open, UTC; the rows of `source` whose `valid_at` lies in it are compared.

    Raises
    ------
    psycopg2.Error
        If the database is gone or refuses; a retry is safe.
    """
    other, _, other_column = check.with_.rpartition(".")
    other = other or source
    table, other_table = pipeline.table(source), pipeline.table(other)
    for name, column in ((table, check.column), (other_table, other_column)):
        if not one_value(cursor, HAS_COLUMN, (f'core."{name}"', column)):
            return Agreement(0, 0, None)
    names = {"table": table, "other": other_table, "a": check.column, "b": other_column}
    pieces: dict[str, sql.Composable] = {name: sql.Identifier(own) for name, own in names.items()}
    values = _values(pipeline, source, other, window) | {"within_pct": check.within_pct}
    row_count = one_value(cursor, sql.SQL(ROWS).format(**pieces), values)
    if source != other:
        pieces["same"] = _same(cursor, pipeline, source, other, values)
    pairs = sql.SQL(COLUMNS if source == other else SOURCES).format(**pieces)
    count, worst = (COUNT, FARTHEST) if check.correlation is None else (CORRELATE, OUT_OF_LINE)
    cursor.execute(sql.SQL(count).format(pairs=pairs), values)
    [(compared, disagreeing, score)] = cursor.fetchall()
    cursor.execute(sql.SQL(worst).format(pairs=pairs), values)
    examples = tuple(
        f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC: {check.column} {value:.6g}, {check.with_} {second:.6g}"
        for at, value, second in cursor.fetchall()
    )
    return Agreement(compared, disagreeing, score, examples, row_count)


def judge_agreement(check: Agrees, agreement: Agreement) -> Result:
    """Return the verdict on a comparison.

    What was not measured passes and says so; so does a correlation of fewer than twenty pairs. A share of
    fewer pairs is judged, but blocks nothing. Where a value of twenty pairs or more never changes, there is
    no correlation, and the check is broken. A broken correlation counts every pair as unexpected.

    Examples
    --------
    >>> from include.spec.quality import Agrees
    >>> check = Agrees.model_validate({"kind": "agrees", "name": "as_by_the_ecb", "column": "fix_mxn",
    ...     "with": "ecb.ecb_mxn", "within_pct": 2, "at_least": 0.8})
    >>> [judge_agreement(check, found).is_passed for found in (Agreement(20, 4, 0.8), Agreement(20, 5, 0.75))]
    [True, False]
    >>> judge_agreement(check, Agreement(0, 0, None, row_count=22)).observed
    'not measured: none of 22 rows has a counterpart in ecb.ecb_mxn'
    """
    few = agreement.compared < MIN_ROWS_FOR_SHARES
    if check.correlation is None:
        is_passed = agreement.score is None or agreement.score >= check.at_least
        unexpected = agreement.disagreeing
    else:
        is_passed = few or (agreement.score is not None and agreement.score >= check.correlation)
        unexpected = 0 if is_passed else agreement.compared
    observed = _observed(check, agreement, is_passed)
    rule = check_rule(check)
    return result(replace(rule, severity="warn") if few else rule, is_passed, agreement.compared, unexpected, observed)


def _observed(check: Agrees, agreement: Agreement, is_passed: bool) -> str:
    compared, row_count = agreement.compared, agreement.row_count
    if not compared:
        return f"not measured: none of {row_count} rows has a counterpart in {check.with_}"
    if check.correlation is None:
        observed = f"{agreement.disagreeing} of {compared} rows ({agreement.disagreeing / compared:.1%}) further apart"
    elif compared < MIN_ROWS_FOR_SHARES:
        observed = f"not measured: {compared} rows are too few for a correlation"
    elif agreement.score is None:
        observed = f"no correlation over {compared} rows: one of the two never changes"
    else:
        observed = f"{agreement.score:.3f} over {compared} rows"
    if row_count > compared:
        observed += f"; {row_count - compared} of {row_count} rows have no counterpart"
    return observed if is_passed else "; ".join((observed, *agreement.examples))


def _values(pipeline: Pipeline, source: str, other: str, window: Window) -> dict[str, Any]:
    """Return the statements' parameters; the other source's dates may begin in another zone, a day apart at most."""
    day = timedelta(days=1)
    return {
        "start": window.start,
        "end": window.end,
        "wide_start": window.start - day,
        "wide_end": window.end + day,
        "zone": pipeline.sources[source].zone.key,
        "other_zone": pipeline.sources[other].zone.key,
    }


def _same(cursor: PgCursor, pipeline: Pipeline, source: str, other: str, values: dict[str, Any]) -> sql.Composed:
    """Return the condition under which rows of both sources belong together."""
    has_times = any(
        one_value(cursor, sql.SQL(HAS_TIMES_OF_DAY).format(table=sql.Identifier(pipeline.table(name))), values | zone)
        for name, zone in ((source, {}), (other, {"zone": values["other_zone"]}))
    )
    both = [key for key in pipeline.sources[source].key if key in pipeline.sources[other].key]
    conditions: list[sql.Composable] = [sql.SQL(SAME_INSTANT if has_times else SAME_DATE)]
    conditions += [sql.SQL("o.{0} = t.{0}").format(sql.Identifier(key)) for key in both]
    return sql.SQL(" and ").join(conditions)
