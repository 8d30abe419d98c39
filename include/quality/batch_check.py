"""BatchCheck a source's rows against their contract, part by part: what may load, and what is quarantined."""

from __future__ import annotations

import re
from ast import literal_eval
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.quality.clusters import Clusters
from include.quality.contract import Rule
from include.quality.derive import truth
from include.quality.judging import judge_part
from include.quality.profile import Profile
from include.quality.quarantined import QUARANTINED, ROW_ID, Fault, overridden_rows, quarantined_rows
from include.quality.rules import rules
from include.quality.timing import Backwards, Newest, Order, Slots
from include.quality.typing import as_floats, cast, unreadable, why
from include.spec.model import AnySource
from include.spec.quality import ExpectedRows
from include.windows import Window

__all__ = ["QUARANTINED", "ROW_ID", "BatchCheck", "Part"]
EXAMPLES = 3
QUOTED = re.compile(r"""cannot be read: ('.*'|".*") as """)  # the text of a time


@dataclass(frozen=True)
class Part:
    """The outcome of one part; accepted and quarantined rows together are the received ones.

    Attributes
    ----------
    accepted : pyarrow.RecordBatch
        Rows that may load: `valid_at`, `available_at`, `payload`, `row_number`, then the columns, typed.
    quarantined : pyarrow.RecordBatch
        One row a quarantined row: `QUARANTINED`; `raw_row` is JSON text.
    """

    accepted: pa.RecordBatch
    quarantined: pa.RecordBatch


class BatchCheck:
    """The check of one source in one window. Pure; how rows are cut into parts never changes a verdict.

    What takes other rows or another table to see is looked for elsewhere and told with `quarantine`
    or `note`: rows that share a key or a value, references, neighbours in time.

    Parameters
    ----------
    source : AnySource
        Its contract.
    window : Window, optional
        The times the rows may be about; needed by what is asked of the batch's times.
    overridden : frozenset of str
        Rows that somebody has overridden, as `include.quality.quarantined.canonical` writes them.

    Attributes
    ----------
    received, quarantined : int
        Rows so far.
    quarantined_future : int
        Those of them that are about a time after the window.
    extra_columns : dict
        Columns that came although the contract does not name them, in their order.
    is_ordered : bool
        Whether time and key of the accepted rows have grown from each row to the next.
    spans : dict
        The smallest and largest `valid_at` and `available_at` among the accepted rows, UTC; empty without rows.
    clusters : Clusters
        What accepted and quarantined rows have in common; rows about a later time aside.
    profile : Profile
        Of all rows as they came, typed.
    examples : dict
        For each rule and column the first reasons given, at most three.
    """

    def __init__(
        self, source: AnySource, window: Window | None = None, overridden: frozenset[str] = frozenset()
    ) -> None:
        self.source, self.window = source, window
        self.received = self.quarantined = self.quarantined_future = 0
        self.extra_columns: dict[str, None] = {}
        self._columns, self._rules, self._overridden = source.stored, rules(source), overridden
        self.counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
        self.examples: dict[tuple[str, str], list[str]] = defaultdict(list)
        self.profile = Profile(self._columns)
        self.clusters = Clusters(source)
        self._order = Order(("valid_at", *source.key))
        self._backwards = Backwards()
        self.newest = Newest([name for name, column in self._columns.items() if column.fresh])
        checks = [check for check in source.checks if isinstance(check, ExpectedRows)]
        self.slots = {check.name: Slots(check, window, source.zone) for check in checks if check.every and window}
        self.spans: dict[str, tuple[datetime, datetime]] = {}

    @property
    def is_ordered(self) -> bool:
        """Whether no two accepted rows can share a key."""
        return self._order.holds

    @property
    def newest_at(self) -> dict[str, datetime]:
        """Newest `valid_at` of any accepted row, ``*``, and with a value of the columns that must be fresh, UTC."""
        return {**({"*": self.spans["valid_at"][1]} if self.spans else {}), **self.newest.at}

    @property
    def rules(self) -> list[Rule]:
        """Every rule of the contract."""
        return self._rules

    def take(self, raw: pa.RecordBatch) -> Part:
        """Type a part as `include.sources.parse` gives it, run the contract's rules on it and divide its rows."""
        typed = {name: cast(raw.column(name), column) for name, column in self._columns.items()}
        times = self._until_now(raw.column("valid_at"))
        self._watch(raw, as_floats(typed), times)
        faults = [*self._unreadable(raw, typed), *self._timed(raw, times)]
        texts = {name: raw.column(name) for name in self._columns}
        faults += self._judge("raw", texts, raw.num_rows, {fault[0] for fault in faults})
        faults += self._judge("core", typed, raw.num_rows, {fault[0] for fault in faults})
        faults = self._without_overridden(raw, typed, faults)
        places = [raw.column(name) for name in ("valid_at", "available_at", *ROW_ID)]
        names = ["valid_at", "available_at", *ROW_ID, *typed]
        accepted = pa.RecordBatch.from_arrays([*places, *typed.values()], names=names)
        if faults:
            self._explain(raw, accepted, faults)
            accepted = accepted.filter(_all_but(raw.num_rows, faults))
        self.clusters.accept(accepted)
        self._order.take(accepted)
        self._widen(accepted)
        self.received += raw.num_rows
        self.quarantined += raw.num_rows - accepted.num_rows
        return Part(accepted, quarantined_rows(raw, faults))

    def quarantine(self, raw: pa.RecordBatch, faults: list[Fault]) -> pa.RecordBatch:
        """Return rows that were accepted and turned out to break a rule together with others, as quarantined ones."""
        positions = sorted({position for position, *_ in faults})
        self.quarantined += len(positions)
        typed = {name: cast(raw.column(name), self._columns[name]) for name in self.source.key}
        rows = pa.RecordBatch.from_pydict({"valid_at": raw.column("valid_at"), **typed})
        self.clusters.move(rows.take(pa.array(positions, pa.int64())))
        return quarantined_rows(raw, faults)

    def note(self, rule: str, column: str, rows: int, reasons: list[str]) -> None:
        """Count what broke a rule that is looked for elsewhere."""
        self._count(rule, column, rows, len(reasons))
        self._remember(rule, column, reasons[:EXAMPLES])

    def _watch(self, raw: pa.RecordBatch, typed: dict[str, pa.Array], times: pa.Array) -> None:
        """Look at what is measured over the whole batch."""
        from include.sources.frame import noted

        self.extra_columns |= dict.fromkeys(noted(raw.schema))
        self.profile.take(raw, typed)
        self.newest.take(times, typed)
        for slots in self.slots.values():
            slots.take(times)

    def _widen(self, accepted: pa.RecordBatch) -> None:
        for name in ("valid_at", "available_at") if accepted.num_rows else ():
            bounds = pc.min_max(accepted.column(name)).as_py()
            first, last = self.spans.get(name, (bounds["min"], bounds["max"]))
            self.spans[name] = (min(first, bounds["min"]), max(last, bounds["max"]))

    def _unreadable(self, raw: pa.RecordBatch, typed: dict[str, pa.Array]) -> list[Fault]:
        """Find texts that cannot be read as their column's type."""
        faults: list[Fault] = []
        for name, values in typed.items():
            positions = _positions(unreadable(raw.column(name), values))
            texts = _picked(raw.column(name), positions)
            reasons = [f"{name} = {text!r} cannot be read{why(text, self._columns[name])}" for text in texts]
            faults += self._faults("type", name, raw.num_rows, positions, reasons)
        return faults

    def _until_now(self, times: pa.Array) -> pa.Array:
        """Return the rows' times, null where one lies in the future: it makes no value fresh, no other row late."""
        if self.window is None or not any(rule.rule == "future" for rule in self._rules):
            return times
        is_past = pc.less(times, pa.scalar(self.window.end, times.type)).fill_null(False)
        if pc.all(is_past, min_count=0).as_py():
            return times
        return pc.if_else(is_past, times, pa.scalar(None, times.type))

    def _timed(self, raw: pa.RecordBatch, until_now: pa.Array) -> list[Fault]:
        """Find rows without a time, with one that lies in the future, or with one that runs backwards."""
        times = raw.column("valid_at")
        untimed = _positions(times.is_null())
        faults = self._faults("time", "valid_at", raw.num_rows, untimed, self._unread(raw, untimed))
        if self.window and any(rule.rule == "future" for rule in self._rules):
            later = _positions(pc.and_(times.is_valid(), until_now.is_null()))
            reasons = [f"{at:%Y-%m-%d %H:%M} UTC lies after the fetch" for at in _picked(times, later)]
            faults += self._faults("future", "valid_at", raw.num_rows, later, reasons)
            self.quarantined_future += len(later)
        for check in self.source.checks:
            if check.kind == "ordered":
                back = self._backwards.take(until_now)
                reasons = [f"{at:%Y-%m-%d %H:%M} UTC comes after a later time" for at in _picked(times, back)]
                broken = self._faults(check.name, "*", raw.num_rows, back, reasons)
                faults += broken if check.severity == "stop" else []
        return faults

    def _unread(self, raw: pa.RecordBatch, untimed: list[int]) -> list[str]:
        """Return why rows have no time, as far as the source tells it."""
        from include.sources.frame import untimed as told

        reasons = told(raw)
        rows = _picked(raw.column("row_number"), untimed)
        return [f"the row's time cannot be read{': ' if row in reasons else ''}{reasons.get(row, '')}" for row in rows]

    def _explain(self, raw: pa.RecordBatch, rows: pa.RecordBatch, faults: list[Fault]) -> None:
        """Note what rows that are quarantined have in common, and how refused texts are written."""
        own = sorted({at for at, rule, *_ in faults if rule != "future"})
        self.clusters.quarantine(rows.take(pa.array(own, pa.int64())))
        for at, rule, column, reason in faults:
            if rule in ("type", "allowed"):
                self.clusters.explain(rule, column, raw.column(column)[at].as_py())
            elif rule == "time" and (quoted := QUOTED.search(reason)):
                self.clusters.explain(rule, column, literal_eval(quoted[1]))

    def _judge(self, stage: str, columns: dict[str, pa.Array], row_count: int, faulty: set[int]) -> list[Fault]:
        """Run a stage's rules that Great Expectations judges."""
        rules = [rule for rule in self._rules if rule.stage == stage and rule.expectation]
        for rule in rules:
            self._count(rule.rule, rule.column, row_count - (len(faulty) if rule.is_row_level else 0), 0)
        rows = pa.RecordBatch.from_pydict(
            as_floats(columns) | {rule.reads[0]: truth(rule, columns) for rule in rules if rule.derived}
        )
        faults: list[Fault] = []
        for rule, count, positions, reasons in judge_part(rows, rules, faulty, is_first=not self.received):
            self._count(rule.rule, rule.column, 0, count)
            self._remember(rule.rule, rule.column, reasons)
            if rule.quarantines:
                faults += [(at, rule.rule, rule.column, reason) for at, reason in zip(positions, reasons, strict=True)]
        return faults

    def _without_overridden(self, raw: pa.RecordBatch, typed: dict[str, pa.Array], faults: list[Fault]) -> list[Fault]:
        """Leave out rows that somebody has overridden, where they can be loaded at all."""
        if not self._overridden or not faults:
            return faults
        needed = [raw.column("valid_at"), *(typed[name] for name in self.source.key)]
        overridden = overridden_rows(raw, faults, self._overridden)
        overridden = {at for at in overridden if all(values[at].is_valid for values in needed)}
        return [fault for fault in faults if fault[0] not in overridden]

    def _faults(self, rule: str, column: str, rows: int, positions: list[int], reasons: list[str]) -> list[Fault]:
        self._count(rule, column, rows, len(positions))
        self._remember(rule, column, reasons)
        return [(at, rule, column, reason) for at, reason in zip(positions, reasons, strict=True)]

    def _count(self, rule: str, column: str, rows: int, unexpected: int) -> None:
        tally = self.counts[rule, column]
        tally[0] += rows
        tally[1] += unexpected

    def _remember(self, rule: str, column: str, reasons: list[str]) -> None:
        if reasons:
            kept = self.examples[rule, column]
            kept += reasons[: EXAMPLES - len(kept)]


def _picked(values: pa.Array, positions: list[int]) -> list[Any]:
    picked: list[Any] = values.take(positions).to_pylist() if positions else []  # an empty list has no type
    return picked


def _positions(mask: pa.Array) -> list[int]:
    return pc.indices_nonzero(mask).to_pylist() if pc.any(mask).as_py() else []


def _all_but(row_count: int, faults: list[Fault]) -> pa.Array:
    kept: np.ndarray = np.ones(row_count, dtype=bool)
    kept[[position for position, *_ in faults]] = False
    return pa.array(kept)
