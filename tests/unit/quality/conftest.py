"""A small source's contract, and rows as a parser hands them over."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from include.spec.model import CsvSource

INSTANT = pa.timestamp("us", "UTC")


@pytest.fixture(scope="session")
def contract() -> Callable[..., CsvSource]:
    """Build a source from its columns' facts; a column without facts is a number."""

    def build(key: tuple[str, ...] = (), max_rejected: float = 0.05, **columns: dict[str, Any]) -> CsvSource:
        facts = {name: {"from": name, "unit": "1", "description": "A value"} | own for name, own in columns.items()}
        return CsvSource.model_validate(
            {
                "kind": "csv_file",
                "connection": "somewhere",
                "title": "Some rows",
                "path": "/rows.csv",
                "time": {"columns": ["at"], "format": "%Y-%m-%d"},
                "key": key,
                "max_rejected": max_rejected,
                "columns": facts,
            }
        )

    return build


@pytest.fixture(scope="session")
def received() -> Callable[..., pa.RecordBatch]:
    """Build a batch as `include.sources.parse` does, one hour a row unless `valid_at` says otherwise."""

    def build(valid_at: list[str | None] | None = None, **texts: list[str | None]) -> pa.RecordBatch:
        count = len(next(iter(texts.values())))
        first = datetime(2025, 1, 1, tzinfo=UTC)
        hours = [first + timedelta(hours=hour) for hour in range(count)]
        given = hours if valid_at is None else [at and datetime.fromisoformat(at) for at in valid_at]
        times = pa.array(given, INSTANT)
        places = {"payload": pa.array([0] * count, pa.int32()), "row_number": pa.array(range(count), pa.int64())}
        columns = {name: pa.array(values, pa.string()) for name, values in texts.items()}
        return pa.RecordBatch.from_pydict({"valid_at": times, "available_at": times, **places, **columns})

    return build
