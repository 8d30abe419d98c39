"""Quarantined rows: as they came, with every rule they broke, in words."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any
from unicodedata import normalize

import pyarrow as pa

from include.quality.contract import Rule
from include.quality.rules import NEVER_OVERRIDDEN
from include.spec.expression import names

Fault = tuple[int, str, str, str]  # position of a row, and rule, column and reason of what it broke
ROW_ID = ("payload", "row_number")
QUARANTINED = (*ROW_ID, "valid_at", "rule", "column_name", "reason", "raw_row")
HIDDEN = "***"


def quarantined_rows(raw: pa.RecordBatch, all_faults: list[Fault]) -> pa.RecordBatch:
    """Return one row for each quarantined row, as it came, with every reason; `QUARANTINED`."""
    faults: dict[int, list[Fault]] = defaultdict(list)
    for fault in all_faults:
        faults[fault[0]].append(fault)
    positions = sorted(faults)
    reasons = ["; ".join(reason for *_, reason in faults[position]) for position in positions]
    first = [faults[position][0] for position in positions]
    hidden = {at: {column for _, rule, column, _ in own if rule == "personal"} for at, own in faults.items()}
    texts = [[rule for _, rule, _, _ in first], [column for _, _, column, _ in first], reasons]
    columns = [raw.column(name).take(pa.array(positions, pa.int64())) for name in (*ROW_ID, "valid_at")]
    columns += [pa.array(values, pa.string()) for values in (*texts, _as_json(raw, positions, hidden))]
    return pa.RecordBatch.from_arrays(columns, names=list(QUARANTINED))


def overridden_rows(raw: pa.RecordBatch, faults: list[Fault], overridden: frozenset[str]) -> set[int]:
    """Return the positions of faulty rows that somebody has overridden."""
    broken = {at for at, rule, *_ in faults if rule in NEVER_OVERRIDDEN}
    positions = sorted({at for at, *_ in faults} - broken)
    texts = _as_json(raw, positions, {})
    return {at for at, text in zip(positions, texts, strict=True) if canonical(json.loads(text)) in overridden}


def canonical(row: Any) -> str:
    """Write a row so that the same values give the same text."""
    return json.dumps(row, sort_keys=True, ensure_ascii=False)


def said_values(rows: pa.RecordBatch, rule: Rule, broken: list[int]) -> list[str]:
    """Return for each row that breaks a rule its values and what is asked; personal data is not repeated."""
    if rule.rule in ("required", "personal") or not broken:
        return [f"expected {rule.expected}" if rule.rule == "required" else _said_personal(rule)] * len(broken)
    read = names(rule.derived[1]) if rule.derived[:1] == ("rule",) else rule.derived[1:2] or rule.columns
    values = rows.select([name for name in read if name in rows.column_names]).take(broken).to_pylist()
    told = [", ".join(f"{name} = {value!r}" for name, value in row.items()) for row in values]
    return [f"{what}: expected {rule.expected}{_in_form(rule, row)}" for what, row in zip(told, values, strict=True)]


def _in_form(rule: Rule, row: dict[str, Any]) -> str:
    """Say that a text is an allowed one in another Unicode form, which looks the same."""
    listed = {normalize("NFC", value) for value in rule.arguments.get("value_set", []) if isinstance(value, str)}
    texts = [value for value in row.values() if isinstance(value, str)]
    is_same = bool(texts) and all(normalize("NFC", text) in listed for text in texts)
    return (
        " (the same letters in another Unicode form: write them as the contract does, or list both)" if is_same else ""
    )


def _said_personal(rule: Rule) -> str:
    return f"{rule.column} holds personal data: mask or drop it at the source"


def _as_json(raw: pa.RecordBatch, positions: list[int], hidden: dict[int, set[str]]) -> list[str]:
    """Return rows as they came, each as a JSON object, without what must not be kept."""
    kept = [name for name in raw.schema.names if name not in ROW_ID]
    rows = raw.select(kept).take(positions).to_pylist() if positions else []
    for at, row in zip(positions, rows, strict=True):
        row.update(dict.fromkeys(hidden.get(at, ()), HIDDEN))
    return [json.dumps(row, ensure_ascii=False, default=str) for row in rows]
