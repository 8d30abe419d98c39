"""Columns that came although the contract does not name them: told in the metadata of the rows' schema."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

KEY = b"unnamed_columns"


def note(batch: pa.RecordBatch, names: Sequence[str]) -> pa.RecordBatch:
    """Return the same rows, with the columns that came beside those of the contract."""
    return batch.replace_schema_metadata({KEY: json.dumps(list(names))}) if names else batch


def noted(schema: pa.Schema) -> list[str]:
    """Return the columns that came beside those of the contract, in their order.

    Examples
    --------
    >>> import pyarrow as pa
    >>> batch = pa.RecordBatch.from_pydict({"co_mg_m3": ["2.6"]})
    >>> noted(note(batch, ["so2"]).schema), noted(batch.schema)
    (['so2'], [])
    """
    names: list[str] = json.loads((schema.metadata or {}).get(KEY, b"[]"))
    return names
