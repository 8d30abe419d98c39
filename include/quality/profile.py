"""The profile of a batch: what its columns look like, streamed in parts, and merged where parts are profiled apart.

The profile of two halves, merged, is that of the whole. Counts, ends, decimals, distinct values, quantiles,
histograms and outliers are then exactly equal and no order of rows or parts changes them; mean, standard
deviation and skewness are equal to float rounding; frequent texts among more than 4096 distinct ones lie within
the bounds of their sketch. Up to 4096 distinct or 8192 values of a column everything is exact; beyond,
`distinct_lower`, `distinct_upper` and `quantile_rank_error` say how far the estimates reach.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.quality.profiling.numbers import Numbers
from include.quality.profiling.sample import row_numbers
from include.quality.profiling.texts import Texts
from include.spec.source import Column

ROWS = 131_072  # looked at together: what is made of them on the way stays small
FIGURES = (
    *("rows", "null_count", "null_share", "unreadable_count", "type_conformity", "format_conformity"),
    *("distinct", "distinct_lower", "distinct_upper", "distinct_share", "default_count", "default_share"),
    *("min", "max", "mean", "standard_deviation", "skewness", "median", "quantiles", "quantile_rank_error"),
    *("histogram", "outliers_iqr", "outliers_robust_z", "decimals_max"),
    *("length_min", "length_max", "length_mean", "frequent", "rare"),
)
VALUES_SHOWN = ("min", "max", "frequent", "rare")
HEAD = "state"  # of a profile as bytes: beside it lie named arrays
COUNTS = ("rows", "null_count", "unreadable_count", "format_count")


class ColumnProfile:
    """The profile of one column.

    Parameters
    ----------
    type_ : str
        number, integer, text, boolean, timestamp or date.
    format_ : str, optional
        Regular expression that the whole text of a cell, as it came, should match.
    is_hidden : bool
        Whether no value itself may be shown: a hash of personal data still tells people apart.
    """

    def __init__(self, type_: str, format_: str | None = None, is_hidden: bool = False) -> None:
        self.type, self.format, self.is_hidden = type_, format_, is_hidden
        self.rows = self.null_count = self.unreadable_count = self.format_count = 0
        self.values: Numbers | Texts = Texts() if type_ == "text" else Numbers(type_)

    def take(self, raw: pa.Array, typed: pa.Array, numbers: np.ndarray) -> None:
        """Look at the next cells: as they came, typed, and the numbers of their rows (`row_numbers`), shapes (n,)."""
        self.rows += len(raw)
        self.null_count += raw.null_count
        self.unreadable_count += typed.null_count - raw.null_count
        if self.format is not None:
            self.format_count += _matching(raw, self.format)
        self.values.take(typed, numbers)

    def merged(self, other: ColumnProfile) -> ColumnProfile:
        """Return the profile of the rows of both.

        Raises
        ------
        ValueError
            If they are not of one type and format: the rows have to be profiled anew.
        """
        mine, its = ((one.type, one.format, one.is_hidden) for one in (self, other))
        if mine != its or not isinstance(other.values, type(self.values)):
            raise ValueError(f"a profile of {mine} does not merge with one of {its}; profile those rows anew")
        both = ColumnProfile(*mine)
        for name in COUNTS:
            setattr(both, name, getattr(self, name) + getattr(other, name))
        both.values = self.values.merged(other.values)  # type: ignore[arg-type]
        return both

    def facts(self) -> dict[str, Any]:
        """Return the figures by name, ready for JSON; None where one does not apply or there are no values.

        ``null_share`` is of the rows. ``type_conformity`` and ``format_conformity`` are the shares of the texts that
        came and could be read, and that match the format. All other shares are of the values: texts that could be
        read. ``distinct`` lies between ``distinct_lower`` and ``distinct_upper`` with 95 % confidence, the rank of a
        quantile within ``quantile_rank_error`` with 99 %. ``default_share``: see ``profiling/defaults``.
        ``standard_deviation`` is the sample's (n - 1), ``skewness`` is g1. ``rare`` are the least frequent of the
        values that at most 1 % have. Limits of outliers: ``profiling/distribution``.
        """
        texts, values = self.rows - self.null_count, self.values.count
        distinct = self._distinct()
        facts = {
            **{name: getattr(self, name) for name in ("rows", "null_count", "unreadable_count")},
            "null_share": _share(self.null_count, self.rows),
            "type_conformity": _share(texts - self.unreadable_count, texts),
            "format_conformity": _share(self.format_count, texts) if self.format is not None else None,
            **dict(zip(("distinct", "distinct_lower", "distinct_upper"), distinct, strict=True)),
            "distinct_share": _share(distinct[0], values),
            "default_count": self.values.default_count,
            "default_share": _share(self.values.default_count, values),
            **self.values.facts(),
        }
        hidden = VALUES_SHOWN if self.is_hidden else ()
        return {name: None if name in hidden else facts.get(name) for name in FIGURES}

    def _distinct(self) -> tuple[int, int, int]:
        if self.values.distinct is not None:
            estimate, low, high = (min(value, self.values.count) for value in self.values.distinct.estimate())
            return round(estimate), math.floor(low), math.ceil(high)
        tally = self.values.tally
        count = 0 if tally is None else len(tally if isinstance(tally, dict) else tally.values)
        return count, count, count

    def to_bytes(self) -> bytes:
        """Return everything that merging needs later; 1 to 170 kB."""
        state, arrays = self.values.state()
        own = {name: getattr(self, name) for name in ("type", "format", "is_hidden", *COUNTS)}
        return pack({"column": own, "values": state}, arrays)

    @classmethod
    def from_bytes(cls, data: bytes) -> ColumnProfile:
        """Return what `to_bytes` gave.

        Raises
        ------
        ValueError
            If these are no such bytes; a retry does not help.
        """
        head, arrays = unpack(data)
        own, state = head["column"], head["values"]
        profile = cls(own["type"], own["format"], own["is_hidden"])
        for name in COUNTS:
            setattr(profile, name, own[name])
        is_text = profile.type == "text"
        profile.values = Texts.restored(state, arrays) if is_text else Numbers.restored(profile.type, state, arrays)
        return profile


class Profile:
    """The profile of a batch's columns.

    Parameters
    ----------
    columns : Mapping of str to Column
        By name; those of personal data that is dropped are left out.

    Attributes
    ----------
    columns : dict of str to ColumnProfile
        In the order given.
    rows : int
        Rows so far.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from include.spec.source import Column
    >>> facts = {"from": "T", "unit": "degC", "description": "Air temperature"}
    >>> profile = Profile({"air_degc": Column.model_validate(facts)})
    >>> raw = pa.RecordBatch.from_pydict({"air_degc": ["13.6", None, "N/E", "14.1"]})
    >>> profile.take(raw, {"air_degc": pa.array([13.6, None, None, 14.1])})
    >>> {name: profile.facts()["air_degc"][name] for name in ("null_share", "unreadable_count", "decimals_max")}
    {'null_share': 0.25, 'unreadable_count': 1, 'decimals_max': 1}
    """

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self.columns = {
            name: ColumnProfile(column.computed_type, getattr(column, "format", None), column.personal == "hash")
            for name, column in columns.items()
            if column.personal != "drop"
        }
        self.rows = 0

    def take(self, raw: pa.RecordBatch, typed: Mapping[str, pa.Array]) -> None:
        """Look at the next rows.

        Parameters
        ----------
        raw : pyarrow.RecordBatch, shape (n, …)
            Each column as text, null where missing. Where it has `valid_at`, `payload` and `row_number`
            they decide which rows are sampled; otherwise the order of the rows does.
        typed : Mapping of str to pyarrow.Array, shapes (n,)
            The same rows as `include.quality.typing.cast` gives them: null where missing or unreadable, never NaN.
        """
        for first in range(0, raw.num_rows, ROWS):
            part = raw.slice(first, ROWS)
            numbers = row_numbers(part, self.rows)
            for name, column in self.columns.items():
                column.take(part.column(name), typed[name].slice(first, ROWS), numbers)
            self.rows += part.num_rows

    def merge(self, other: Profile) -> Profile:
        """Return the profile of the rows of both, neither of which changes.

        Raises
        ------
        ValueError
            If their columns differ; profile those rows anew.
        """
        if self.columns.keys() != other.columns.keys():
            differ = ", ".join(sorted(self.columns.keys() ^ other.columns.keys()))
            raise ValueError(f"only one of the profiles has {differ}; profile those rows anew")
        both = Profile({})
        both.columns = {name: column.merged(other.columns[name]) for name, column in self.columns.items()}
        both.rows = self.rows + other.rows
        return both

    def facts(self) -> dict[str, dict[str, Any]]:
        """Return `ColumnProfile.facts` of every column."""
        return {name: column.facts() for name, column in self.columns.items()}


def _share(part: float, whole: int) -> float | None:
    return part / whole if whole else None


def _matching(raw: pa.Array, format_: str) -> int:
    """Count the texts that match as a whole, by Python's rules as the contract does; each text is looked at once."""
    whole = re.compile(format_).fullmatch
    counted = pc.value_counts(raw.drop_null())
    return sum(item["counts"] for item in counted.to_pylist() if whole(item["values"]))


def pack(state: Mapping[str, Any], arrays: Mapping[str, np.ndarray | bytes]) -> bytes:
    """Return a state and arrays as bytes: JSON and NumPy's own format, compressed; the same for the same content."""
    named = {name: np.frombuffer(data, np.uint8) if isinstance(data, bytes) else data for name, data in arrays.items()}
    file = io.BytesIO()
    head = np.frombuffer(json.dumps(state).encode(), np.uint8)
    np.savez_compressed(file, allow_pickle=False, **{HEAD: head}, **named)
    return file.getvalue()


def unpack(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return what `pack` was given; bytes come as arrays of uint8.

    Raises
    ------
    ValueError
        If these are no such bytes. A retry does not help.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return json.loads(arrays.pop(HEAD).tobytes()), arrays
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"these {len(data)} bytes hold no profile ({error}); make it anew from the rows") from error
