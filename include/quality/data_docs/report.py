"""What the page of a batch says. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from include.quality.contract import Result, Rule, breaches
from include.windows import Window

if TYPE_CHECKING:
    import pyarrow as pa

Verdict = Literal["blocked", "empty", "warned", "passed"]
SHOWN = 3  # examples of a rule
LOOKED_AT = 50_000  # quarantined rows, when examples are looked for
NAMED = 4  # broken rules in an index
LONGEST = 120  # letters of an example


@dataclass(frozen=True)
class Report:
    """The check of one batch, over all its parts.

    Attributes
    ----------
    window : Window
        The window of the batch, UTC.
    results : list of Result
        Every verdict, Great Expectations' and others.
    rules : list of Rule
        The contract's rules; a result without one is shown all the same.
    examples : dict
        For a rule and a column up to `SHOWN` values that broke it: see `examples`.
    checked_at : datetime
        UTC.
    outside_count : int
        Rows that came with those of the window and lie outside it.
    """

    pipeline: str
    source: str
    window: Window
    results: list[Result]
    rules: list[Rule]
    examples: dict[tuple[str, str], list[str]]
    dag_id: str
    run_id: str
    checked_at: datetime
    is_simulated: bool = False
    title: str = ""
    outside_count: int = 0

    @property
    def breaches(self) -> list[Result]:
        """What blocks the batch."""
        return breaches(self.results)

    @property
    def broken(self) -> list[Result]:
        """Everything that did not hold, what blocks the batch first."""
        breaches = self.breaches
        return [*breaches, *(r for r in self.results if not r.is_passed and r not in breaches)]

    @property
    def judged(self) -> list[Result]:
        """What could be judged: there were rows or values to look at."""
        return [r for r in self.results if r.is_judged]

    @property
    def verdict(self) -> Verdict:
        """Whether the batch is blocked, has no rows, may load with something to look at, or may load."""
        if self.breaches:
            return "blocked"
        if not self.row_count:
            return "empty"
        return "warned" if self.broken or self.quarantined_count else "passed"

    @property
    def row_count(self) -> int:
        """Rows of the window."""
        return next((r.row_count for r in self.results if r.rule == "rejected"), 0)

    @property
    def quarantined_count(self) -> int:
        """Rows quarantined."""
        return next((r.unexpected_count for r in self.results if r.rule == "rejected"), 0)

    def facts(self) -> dict[str, Any]:
        """Return what an index shows of the page, ready for JSON."""
        return {
            **self.window.to_dict(),
            "verdict": self.verdict,
            "row_count": self.row_count,
            "quarantined_count": self.quarantined_count,
            "outside_count": self.outside_count,
            "broken": [f"{r.rule} of {r.column}" if r.column != "*" else r.rule for r in self.broken[:NAMED]],
            "broken_count": len(self.broken),
            "run_id": self.run_id,
            "checked_at": self.checked_at.isoformat(),
            "is_simulated": self.is_simulated,
        }


def examples(quarantined: Iterable[pa.RecordBatch], masked: Iterable[str] = ()) -> dict[tuple[str, str], list[str]]:
    """Return a few values for each rule that quarantined rows.

    Parameters
    ----------
    quarantined : iterable of pyarrow.RecordBatch
        Rows with `row_number`, `rule`, `column_name`, `reason` and `raw_row`; read as far as
        `LOOKED_AT` rows, so that a batch of which all is quarantined costs no more.
    masked : iterable of str
        Columns whose values no page may show: personal data.

    Returns
    -------
    dict of (rule, column) to list of str
        The value as it came, or for whole rows the reason, with the row's place in its payload, from 0.
    """
    hidden = set(masked)
    reasons: dict[tuple[str, str], list[str]] = {}
    names = ("row_number", "rule", "column_name", "reason", "raw_row")
    rows = (row for batch in quarantined for row in batch.select(names).slice(0, LOOKED_AT).to_pylist())
    for row in islice(rows, LOOKED_AT):
        shown = reasons.setdefault((row["rule"], row["column_name"]), [])
        if len(shown) < SHOWN:
            shown.append(f"{_value(row, hidden)} (row {row['row_number']})")
    return reasons


def _value(row: dict[str, Any], hidden: set[str]) -> str:
    raw, column = json.loads(row["raw_row"]), row["column_name"]
    if column in hidden or (column not in raw and hidden):
        return "not shown, personal data"
    text = repr(raw[column]) if column in raw else str(row["reason"])
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
