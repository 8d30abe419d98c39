"""What a score is, what it is made of, and how shares become scores. Pure: ``dimensions`` has the formulas."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any

from include.quality.contract import Result
from include.spec.model import AnySource

BATCH = "*"


@dataclass(frozen=True)
class Agreement:
    """What a check of kind ``agrees`` found when it compared a column with a second source.

    Attributes
    ----------
    compared : int
        Pairs of values that were compared.
    disagreeing : int
        Pairs further apart than `within_pct`; 0 where correlation is asked, which no single pair breaks.
    score : float, optional
        Share of pairs that agree, 0 to 1, or coefficient of rank correlation, -1 to 1; None where it cannot be
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


@dataclass(frozen=True)
class BatchFacts:
    """What is known of a batch beside its results and its profile; None where nobody counted.

    Attributes
    ----------
    received : int
        Rows that came, quarantined ones included.
    late : int, optional
        Rows that are new or changed although they were due in an earlier window; none before a load has told.
    traced : int, optional
        Rows from payloads whose bytes were read and found to be those of their SHA-256.
    covers : tuple of datetime, optional
        The times the batch's rows may be about, UTC, the second excluded; publication delay is taken off.
    newest_at : mapping of str to datetime
        Newest `valid_at` with a value of a column, UTC; ``*``: of any row that can be read.
    agreements : mapping of str to Agreement
        By the name of their check.
    """

    received: int
    late: int | None = None
    traced: int | None = None
    covers: tuple[datetime, datetime] | None = None
    newest_at: Mapping[str, datetime] = field(default_factory=dict)
    agreements: Mapping[str, Agreement] = field(default_factory=dict)


@dataclass(frozen=True)
class Score:
    """How good a batch, or one column of it, is in one dimension.

    Attributes
    ----------
    column : str
        ``*`` for the batch as a whole; ``valid_at`` for the rows' times.
    score : float
        0 to 100, to 4 decimals; never rounded up to 100.
    measured_count : int
        Values, rows or pairs it was measured on, at least 1.
    basis : str
        The counts it was made of, in words.
    """

    dimension: str
    column: str
    score: float
    measured_count: int
    basis: str


@dataclass(frozen=True)
class Measured:
    """A batch's contract and all that was counted of it."""

    source: AnySource
    results: Sequence[Result]
    profile: Mapping[str, Mapping[str, Any]]
    facts: BatchFacts

    def of(self, *kinds: str) -> list[Result]:
        """Return the results of built-in rules or of kinds of checks that looked at something."""
        kind_of = {check.name: check.kind for check in self.source.checks}
        return [r for r in self.results if r.row_count > 0 and kind_of.get(r.rule, r.rule) in kinds]

    def texts(self, column: str) -> int:
        """Return how many cells of a column held something; of what has no profile, how many rows there are."""
        facts = self.profile.get(column)
        return self.facts.received if facts is None else facts["rows"] - facts["null_count"]

    def values(self, column: str) -> int:
        """Return how many of them could be read."""
        return self.texts(column) - self.profile.get(column, {}).get("unreadable_count", 0)


def score(dimension: str, column: str, share: float, count: int, basis: str) -> Score:
    """Return a share as a score; what is not quite 1 does not become 100."""
    rounded = round(100 * min(max(share, 0.0), 1.0), 4)
    return Score(dimension, column, 99.9999 if rounded == 100 and share < 1 else rounded, count, basis)


def with_mean(dimension: str, columns: Sequence[Score]) -> Iterator[Score]:
    """Yield columns' scores, then the batch's, their plain mean; what is about several columns counts as one more."""
    if not columns:
        return
    yield from (one for one in columns if one.column != BATCH)
    worst = min(columns, key=lambda one: one.score)
    share = sum(one.score for one in columns) / len(columns) / 100
    count = sum(one.measured_count for one in columns)
    basis = f"mean of {len(columns)}, least {worst.column}: {worst.basis}" if len(columns) > 1 else worst.basis
    yield score(dimension, BATCH, share, count, basis)


def row_by_row(dimension: str, results: Sequence[Result]) -> Iterator[Score]:
    """Yield the share of rows that keep all of some rules: at least 1 less the shares that break each of them."""
    groups = [(column, rules) for column, rules in by_column(results) if column != BATCH]
    for column, rules in [*groups, *([(BATCH, results)] if results else [])]:
        rows = max(r.row_count for r in rules)
        broken = sum(share_of(r.unexpected_count, r.row_count) for r in rules)
        yield score(dimension, column, 1 - broken, rows, f"{listed(rules)} of {rows} rows")


def by_column(results: Iterable[Result]) -> list[tuple[str, list[Result]]]:
    """Return results by their column, in the order of the columns' names."""
    ordered = sorted(results, key=lambda r: r.column)
    return [(column, list(rules)) for column, rules in groupby(ordered, key=lambda r: r.column)]


def listed(results: Iterable[Result]) -> str:
    """Return which rules were broken and how often; rules that were kept are not worth a word beside them."""
    all_of_them = list(results)
    broken = [r for r in all_of_them if r.unexpected_count] or all_of_them[:1]
    return ", ".join(f"{r.rule} {r.unexpected_count}" for r in broken)


def share_of(part: float, whole: float) -> float:
    """Return a part as a share of the whole, 1 at most."""
    return min(part / whole, 1.0)
