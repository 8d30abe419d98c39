"""A small source's contract, and rows as a parser hands them over."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from include.spec.model import CsvSource

INSTANT = "datetime64[us, UTC]"


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
def received() -> Callable[..., pd.DataFrame]:
    """Build a frame as `include.sources.parse` does, one hour a row unless `valid_at` says otherwise."""

    def build(valid_at: list[str] | None = None, **texts: list[str | None]) -> pd.DataFrame:
        count = len(next(iter(texts.values())))
        hours = pd.Series(pd.date_range("2025-01-01", periods=count, freq="h", tz="UTC"))
        times = (hours if valid_at is None else pd.to_datetime(pd.Series(valid_at), utc=True)).astype(INSTANT)
        columns = {name: pd.Series(values, dtype=object) for name, values in texts.items()}
        return pd.DataFrame(
            {"valid_at": times, "available_at": times, **columns, "payload_id": 1, "row_number": range(count)}
        )

    return build
