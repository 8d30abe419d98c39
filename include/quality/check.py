"""Check a source's rows against their contract, batch by batch: what may load, what is set aside, whether to stop."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.quality.contract import Result, expectations, judge, rejected_result
from include.quality.great_expectations_adapter import validate
from include.quality.order import Order
from include.quality.screen import is_open
from include.quality.typing import cast, unreadable

if TYPE_CHECKING:
    from datetime import datetime

    import numpy as np
    import pyarrow as pa

    from include.quality.contract import Rule
    from include.spec.model import AnySource

Found = tuple[int, str, str, str]  # position of a row, and rule, column and reason of what it broke
PLACE = ("payload", "row_number")
REJECTED = (*PLACE, "rule", "column_name", "reason", "raw_row")
WHOLE_ROW = {"repeated": "every row once", "time": "every time readable", "type": "every value readable"}


@dataclass(frozen=True)
class Part:
    """The outcome of one batch; accepted and rejected rows together are the received ones.

    Attributes
    ----------
    accepted : pyarrow.RecordBatch
        Rows that may load: `valid_at`, `available_at`, `payload`, `row_number`, then the columns, typed.
    rejected : pyarrow.RecordBatch
        One row a rejected row: `REJECTED`; `raw_row` is JSON text.
    """

    accepted: pa.RecordBatch
    rejected: pa.RecordBatch


class Check:
    """The check of one source in one window. Pure; how rows are cut into batches never changes a verdict.

    Rows that share a key can lie in different batches, so they are not looked for here: where
    `is_ordered` says that keys only ever grew there are none, otherwise ``include/warehouse/repeats`` finds them.

    Attributes
    ----------
    received, rejected : int
        Rows so far.
    is_ordered : bool
        Whether time and key of the accepted rows have grown from each row to the next.
    spans : dict
        The smallest and largest `valid_at` and `available_at` among the accepted rows, UTC; empty without rows.
    """

    def __init__(self, source: AnySource) -> None:
        self.source = source
        self.received = self.rejected = 0
        self._columns = {name: column for name, column in source.columns.items() if column.personal != "drop"}
        self._rules = expectations(source)
        self._counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
        self._order = Order(("valid_at", *source.key))
        self.spans: dict[str, tuple[datetime, datetime]] = {}

    @property
    def is_ordered(self) -> bool:
        """Whether no two accepted rows can share a key."""
        return self._order.holds

    def take(self, raw: pa.RecordBatch) -> Part:
        """Type a batch as `include.sources.parse` gives it, run the contract's rules on it and divide its rows."""
        import pyarrow as pa

        typed = {name: cast(raw.column(name), column) for name, column in self._columns.items()}
        found = [*self._unreadable(raw, typed), *self._untimed(raw)]
        found += self._broken(typed, raw.num_rows, {position for position, *_ in found})
        places = [raw.column(name) for name in ("valid_at", "available_at", *PLACE)]
        names = ["valid_at", "available_at", *PLACE, *typed]
        accepted = pa.RecordBatch.from_arrays([*places, *typed.values()], names=names)
        if found:
            accepted = accepted.filter(_all_but(raw.num_rows, found))
        self._order.take(accepted)
        self._widen(accepted)
        self.received += raw.num_rows
        self.rejected += raw.num_rows - accepted.num_rows
        return Part(accepted, _rejected(raw, found))

    def _widen(self, accepted: pa.RecordBatch) -> None:
        import pyarrow.compute as pc

        for name in ("valid_at", "available_at") if accepted.num_rows else ():
            bounds = pc.min_max(accepted.column(name)).as_py()
            first, last = self.spans.get(name, (bounds["min"], bounds["max"]))
            self.spans[name] = (min(first, bounds["min"]), max(last, bounds["max"]))

    def set_aside(self, raw: pa.RecordBatch, rule: str, positions: list[int]) -> pa.RecordBatch:
        """Return rows that were accepted and turned out to share their key with others, as rejected ones."""
        column = "valid_at" if rule == "unique" and not self.source.key else "*"
        reason = "the very same row came before" if rule == "repeated" else f"expected {self._unique_rule()}"
        self._count(rule, column, 0, len(positions))
        self.rejected += len(positions)
        return _rejected(raw, [(position, rule, column, reason) for position in positions])

    def results(self) -> list[Result]:
        """Return what every check found in all the rows so far."""
        unique = "*" if self.source.key else "valid_at"
        keys = [*(("type", name) for name in self._columns), ("time", "valid_at"), ("repeated", "*")]
        found = [self._whole(rule, column, WHOLE_ROW[rule]) for rule, column in keys]
        found += [judge(rule, *self._counts[rule.rule, rule.column]) for rule in self._rules if rule.is_row_level]
        found.append(self._whole("unique", unique, self._unique_rule()))
        found += [judge(rule, *self._counts[rule.rule, rule.column]) for rule in self._rules if not rule.is_row_level]
        return [*found, rejected_result(self.received, self.rejected, self.source)]

    def _unreadable(self, raw: pa.RecordBatch, typed: dict[str, pa.Array]) -> list[Found]:
        """Find texts that cannot be read as their column's type."""
        found: list[Found] = []
        for name, values in typed.items():
            positions = _positions(unreadable(raw.column(name), values))
            texts = raw.column(name).take(positions).to_pylist() if positions else []
            found += [
                (at, "type", name, f"{name} = {text!r} cannot be read")
                for at, text in zip(positions, texts, strict=True)
            ]
            self._count("type", name, raw.num_rows, len(positions))
        return found

    def _untimed(self, raw: pa.RecordBatch) -> list[Found]:
        """Find rows without a time."""
        positions = _positions(raw.column("valid_at").is_null())
        self._count("time", "valid_at", raw.num_rows, len(positions))
        return [(position, "time", "valid_at", "the row's time cannot be read") for position in positions]

    def _broken(self, typed: dict[str, pa.Array], row_count: int, faulty: set[int]) -> list[Found]:
        """Run the contract's rules; those about single rows look only at the rows without another fault.

        Shares are judged on what came: among the few rows that many rejections leave they would say nothing.
        """
        import pyarrow as pa

        rows = pa.Table.from_pydict(typed)
        rules = self._asked(typed)
        for rule in self._rules:
            self._count(rule.rule, rule.column, row_count - (len(faulty) if rule.is_row_level else 0), 0)
        if not faulty:
            return self._validate(rows, None, rules)
        positions = [position for position in range(row_count) if position not in faulty]
        single = [rule for rule in rules if rule.is_row_level]
        self._validate(rows, None, [rule for rule in rules if not rule.is_row_level])
        return self._validate(rows.take(pa.array(positions, pa.int64())), positions, single)

    def _asked(self, typed: dict[str, pa.Array]) -> list[Rule]:
        """Return the rules to run on a batch: all on the first, later those its statistics leave open.

        Great Expectations costs the same for few rows as for many; a stream has hundreds of batches.
        """
        if not self.received:
            return self._rules
        return [rule for rule in self._rules if is_open(rule, typed[rule.column])]

    def _validate(self, rows: pa.Table, positions: list[int] | None, rules: list) -> list[Found]:
        found: list[Found] = []
        for rule, (count, broken) in zip(rules, validate(rows, rules), strict=True):
            self._count(rule.rule, rule.column, 0, count)
            values = rows.column(rule.column).take(broken).to_pylist() if rule.rule == "range" and broken else []
            for place, at in enumerate(broken):
                what = f"{rule.column} = {values[place]}: " if values else ""
                position = at if positions is None else positions[at]
                found.append((position, rule.rule, rule.column, f"{what}expected {rule.expected}"))
        return found

    def _count(self, rule: str, column: str, rows: int, unexpected: int) -> None:
        tally = self._counts[rule, column]
        tally[0] += rows
        tally[1] += unexpected

    def _whole(self, rule: str, column: str, expected: str) -> Result:
        rows, count = self.received, self._counts[rule, column][1]
        return Result(rule, column, "stop", not count, rows, count, f"{count} of {rows} rows break it", expected)

    def _unique_rule(self) -> str:
        return f"one row for each {', '.join((*self.source.key, 'valid_at'))}"


def as_json(raw: pa.RecordBatch, positions: list[int]) -> list[str]:
    """Return rows as they came, each as a JSON object."""
    kept = [name for name in raw.schema.names if name not in PLACE]
    rows = raw.select(kept).take(positions).to_pylist()
    return [json.dumps(row, ensure_ascii=False, default=str) for row in rows]


def _positions(mask: pa.Array) -> list[int]:
    import pyarrow.compute as pc

    return pc.indices_nonzero(mask).to_pylist() if pc.any(mask).as_py() else []


def _all_but(row_count: int, found: list[Found]) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    kept: np.ndarray = np.ones(row_count, dtype=bool)
    kept[[position for position, *_ in found]] = False
    return pa.array(kept)


def _rejected(raw: pa.RecordBatch, found: list[Found]) -> pa.RecordBatch:
    """Return one row for each rejected row, as it came, with every reason."""
    import pyarrow as pa

    faults: dict[int, list[Found]] = defaultdict(list)
    for fault in found:
        faults[fault[0]].append(fault)
    positions = sorted(faults)
    reasons = ["; ".join(reason for *_, reason in faults[position]) for position in positions]
    first = [faults[position][0] for position in positions]
    texts = [[rule for _, rule, _, _ in first], [column for _, _, column, _ in first], reasons]
    columns = [raw.column(name).take(pa.array(positions, pa.int64())) for name in PLACE]
    columns += [pa.array(values, pa.string()) for values in (*texts, as_json(raw, positions) if positions else [])]
    return pa.RecordBatch.from_arrays(columns, names=list(REJECTED))
