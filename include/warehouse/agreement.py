"""Accuracy: how far a column agrees with a second source, or a second column, over a window of loaded rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from psycopg2 import sql

from include.quality.contract import MIN_ROWS_FOR_SHARES, Result
from include.quality.rules import said_of

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as PgCursor

    from include.spec.model import AnySource, Pipeline
    from include.spec.quality import Agrees
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
COUNT = "with pairs as ({pairs}) select count(*), count(*) filter (where {disagree}) from pairs"
FARTHEST = """
with pairs as ({pairs}) select valid_at, a::float8, b::float8 from pairs where {disagree}
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
CORRELATE = RANKED + "select count(*), corr(rank_a, rank_b) from ranked"
OUT_OF_LINE = RANKED + (
    "select valid_at, a::float8, b::float8 from ranked order by abs(rank_a - rank_b) desc, valid_at limit 3"
)


@dataclass(frozen=True)
class Agreement:
    """What a comparison found.

    Attributes
    ----------
    compared : int
        Pairs of values that were compared.
    disagreeing : int
        Pairs further apart than `within_pct`; 0 where correlation is asked, which no single pair breaks.
    score : float, optional
        The share of pairs within `within_pct`, or the coefficient of rank correlation; None where it cannot be
        told: nothing was compared, or one of the two never changes.
    examples : tuple of str
        At most three pairs that lie worst, with their time (UTC) and values.
    row_count : int
        Rows of the window that have a value of the column; those beyond `compared` have no counterpart.
    """

    compared: int
    disagreeing: int
    score: float | None
    examples: tuple[str, ...] = ()
    row_count: int = 0


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
    columns = ((source, check.column), (other, other_column))
    if not all(_has_column(cursor, pipeline, *column) for column in columns):
        return Agreement(0, 0, None)
    names = {
        "table": sql.Identifier(pipeline.table(source)),
        "other": sql.Identifier(pipeline.table(other)),
        "a": sql.Identifier(check.column),
        "b": sql.Identifier(other_column),
    }
    values = _values(pipeline, source, other, window) | {"within_pct": check.within_pct}
    cursor.execute(sql.SQL(ROWS).format(**names), values)
    [(row_count,)] = cursor.fetchall()
    if source == other:
        pairs = sql.SQL(COLUMNS).format(**names)
    else:
        same = _same(cursor, pipeline, source, other, values)
        pairs = sql.SQL(SOURCES).format(**names, same=same)
    compared, disagreeing, score = _compare(cursor, check, pairs, values)
    return Agreement(compared, disagreeing, score, _examples(cursor, check, pairs, values), row_count)


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
    return Result(
        check.name,
        check.column,
        "warn" if few else check.severity,
        is_passed,
        agreement.compared,
        unexpected,
        _observed(check, agreement, is_passed),
        said_of(check),
        stage="core",
        dimension="accuracy",
        note=check.note,
    )


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


def _has_column(cursor: PgCursor, pipeline: Pipeline, source: str, column: str) -> bool:
    cursor.execute(HAS_COLUMN, (f'core."{pipeline.table(source)}"', column))
    [(is_there,)] = cursor.fetchall()
    return bool(is_there)


def _values(pipeline: Pipeline, source: str, other: str, window: Window) -> dict[str, Any]:
    """Return the statements' parameters; the other source's dates may begin in another zone, a day apart at most."""
    day = timedelta(days=1)
    return {
        "start": window.start,
        "end": window.end,
        "wide_start": window.start - day,
        "wide_end": window.end + day,
        "zone": _zone(pipeline.sources[source]),
        "other_zone": _zone(pipeline.sources[other]),
    }


def _zone(source: AnySource) -> str:
    """Return the zone whose midnights a source's dates are; UTC for the kinds that declare none."""
    return str(getattr(getattr(source, "time", None), "timezone", "UTC"))


def _same(
    cursor: PgCursor, pipeline: Pipeline, source: str, other: str, values: dict[str, Any]
) -> sql.Composed | sql.SQL:
    """Return the condition under which rows of both sources belong together."""
    is_dates = _has_dates(cursor, pipeline, source, values | {"zone": values["zone"]})
    is_dates = is_dates and _has_dates(cursor, pipeline, other, values | {"zone": values["other_zone"]})
    both = [key for key in pipeline.sources[source].key if key in pipeline.sources[other].key]
    conditions: list[sql.Composable] = [sql.SQL(SAME_DATE if is_dates else SAME_INSTANT)]
    conditions += [sql.SQL("o.{0} = t.{0}").format(sql.Identifier(key)) for key in both]
    return sql.SQL(" and ").join(conditions)


def _has_dates(cursor: PgCursor, pipeline: Pipeline, source: str, values: dict[str, Any]) -> bool:
    """Tell whether all rows of a source's window begin a day."""
    cursor.execute(sql.SQL(HAS_TIMES_OF_DAY).format(table=sql.Identifier(pipeline.table(source))), values)
    [(has_times,)] = cursor.fetchall()
    return not has_times


def _compare(
    cursor: PgCursor, check: Agrees, pairs: sql.Composable, values: dict[str, Any]
) -> tuple[int, int, float | None]:
    """Return how many pairs were compared, how many disagree, and the score."""
    if check.correlation is not None:
        cursor.execute(sql.SQL(CORRELATE).format(pairs=pairs), values)
        [(compared, score)] = cursor.fetchall()
        return compared, 0, score
    cursor.execute(sql.SQL(COUNT).format(pairs=pairs, disagree=sql.SQL(DISAGREE)), values)
    [(compared, disagreeing)] = cursor.fetchall()
    return compared, disagreeing, 1 - disagreeing / compared if compared else None


def _examples(cursor: PgCursor, check: Agrees, pairs: sql.Composable, values: dict[str, Any]) -> tuple[str, ...]:
    statement = FARTHEST if check.correlation is None else OUT_OF_LINE
    cursor.execute(sql.SQL(statement).format(pairs=pairs, disagree=sql.SQL(DISAGREE)), values)
    return tuple(
        f"{_minute(at)} UTC: {check.column} {value:.6g}, {check.with_} {second:.6g}"
        for at, value, second in cursor.fetchall()
    )


def _minute(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"
