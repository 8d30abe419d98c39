"""The profile of values with an order and a distance: numbers, times, days, and booleans as 0 and 1."""

from __future__ import annotations

from dataclasses import astuple
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from include.quality.profiling import defaults
from include.quality.profiling.distinct import Distinct
from include.quality.profiling.distribution import QUANTILES, Distribution
from include.quality.profiling.moments import Moments
from include.quality.profiling.sample import Sample
from include.quality.profiling.tally import EXACT, Tally

MOST_DECIMALS = 15
UNIX = datetime(1970, 1, 1, tzinfo=UTC)


class Numbers:
    """The values of one column; `tally` while few are distinct, then `distinct` instead."""

    def __init__(self, type_: str) -> None:
        self.type = type_
        self.count = self.default_count = self.decimals = 0
        self.low: Any = None
        self.high: Any = None
        self.moments = Moments()
        self.tally: Tally | None = None
        self.distinct: Distinct | None = None
        self.sample = Sample()

    def take(self, typed: pa.Array, numbers: np.ndarray) -> None:
        """Look at the next values, nulls among them, and the numbers of their rows, shapes (n,)."""
        if typed.null_count:
            numbers = numbers[typed.is_valid().to_numpy(zero_copy_only=False)]
            typed = typed.drop_null()
        values = _array(typed)
        if not len(values):
            return
        low, high = values.min().item(), values.max().item()
        self.low = low if self.low is None else min(self.low, low)
        self.high = high if self.high is None else max(self.high, high)
        self.count += len(values)
        self.default_count += sum(
            int((values == value).sum()) for value in defaults.numbers(self.type) if low <= value <= high
        )
        if self.type in ("number", "integer"):
            self.moments += Moments.of(values, low, high)
        if self.type == "number":
            self.decimals = decimals(values, self.decimals)
        self.sample.take(numbers, values)
        self._tell_apart(values, low, high)

    def _tell_apart(self, values: np.ndarray, low: Any, high: Any) -> None:
        if self.distinct is None:
            digits = self.decimals if self.type == "number" and self.decimals < MOST_DECIMALS else None
            tally = Tally.of(values, low, high, digits)
            if tally is not None and (self.tally is None or (tally := self.tally + tally) is not None):
                self.tally = tally
                return
            self.distinct = self.sketch()
            self.tally = None
        self.distinct.take_numbers(values.view(np.int64))

    def sketch(self) -> Distinct:
        """Return the sketch of all values so far, made from the tally where there is none."""
        if self.distinct is not None:
            return self.distinct
        distinct = Distinct()
        if self.tally is not None:
            distinct.take_numbers(self.tally.values.view(np.int64))
        return distinct

    def merged(self, other: Numbers) -> Numbers:
        """Return the profile of both columns' values."""
        both = Numbers(self.type)
        both.count = self.count + other.count
        both.default_count = self.default_count + other.default_count
        both.decimals = max(self.decimals, other.decimals)
        both.low = min((low for low in (self.low, other.low) if low is not None), default=None)
        both.high = max((high for high in (self.high, other.high) if high is not None), default=None)
        both.moments = self.moments + other.moments
        both.sample = self.sample.merged(other.sample)
        if self.distinct is None and other.distinct is None:
            both.tally = self.tally + other.tally if self.tally and other.tally else self.tally or other.tally
        if both.tally is None and both.count:
            both.distinct = self.sketch().merged(other.sketch())
        return both

    def facts(self) -> dict[str, Any]:
        """Return what `ColumnProfile.facts` says about values, those that do not apply left out."""
        if not self.count:
            return {}
        known = self.distribution()
        frequent, rare = known.listed()
        facts = {
            "min": self.show(self.low),
            "max": self.show(self.high),
            "frequent": [{"value": self.show(value), "count": count} for value, count in frequent],
            "rare": [{"value": self.show(value), "count": count} for value, count in rare],
            "quantile_rank_error": known.rank_error,
        }
        if self.type == "number":
            facts["decimals_max"] = self.decimals
        if self.type in ("number", "integer"):
            facts |= {
                "mean": self._mean(),
                "standard_deviation": self.moments.deviation(),
                "skewness": self.moments.skewness(),
                **known.outliers(),
            }
        if self.type == "boolean":
            return facts | {"mean": known.values @ known.counts / known.size}
        histogram = known.histogram(self.low, self.high)
        facts["quantiles"] = {f"{share:g}": self.show(known.quantile(share)) for share in QUANTILES}
        facts["median"] = facts["quantiles"]["0.5"]
        facts["histogram"] = histogram | {"edges": [self.show_edge(edge) for edge in histogram["edges"]]}
        return facts

    def distribution(self) -> Distribution:
        """Return all values where they are known, otherwise the sample."""
        if self.tally is not None:
            return Distribution(self.tally.values, self.tally.counts, self.count)
        _, values = self.sample.whole()
        return Distribution(np.sort(values), np.ones(len(values), np.int64), self.count)

    def _mean(self) -> float:
        """Return the mean, which rounding could carry beyond the ends."""
        mean = self.moments.average()
        return min(max(mean, float(self.low)), float(self.high)) if mean is not None else float(self.high)

    def show(self, value: Any) -> Any:
        """Return a value as JSON has it; instants in UTC and days in ISO 8601."""
        if self.type == "timestamp":
            return (UNIX + timedelta(microseconds=round(value))).isoformat()
        if self.type == "date":
            return (date(1970, 1, 1) + timedelta(days=round(value))).isoformat()
        return bool(value) if self.type == "boolean" else value

    def show_edge(self, edge: float) -> Any:
        """Return an edge of the histogram as JSON has it."""
        return self.show(min(max(edge, self.low), self.high)) if self.type in ("timestamp", "date") else edge

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray | bytes]]:
        """Return everything `restored` needs."""
        numbers, sampled = self.sample.whole()
        arrays: dict[str, np.ndarray | bytes] = {"sample_numbers": numbers, "sample_values": sampled}
        if self.tally is not None:
            arrays |= {"tally_values": self.tally.values, "tally_counts": self.tally.counts}
        if self.distinct is not None:
            arrays["distinct"] = self.distinct.to_bytes()
        plain = {name: getattr(self, name) for name in ("count", "default_count", "decimals", "low", "high")}
        return plain | {"moments": astuple(self.moments), "bound": self.sample.bound}, arrays

    @classmethod
    def restored(cls, type_: str, state: dict[str, Any], arrays: dict[str, np.ndarray]) -> Numbers:
        """Return what `state` was taken of."""
        numbers = cls(type_)
        for name in ("count", "default_count", "decimals", "low", "high"):
            setattr(numbers, name, state[name])
        numbers.moments = Moments(*state["moments"])
        numbers.sample = Sample(bound=state["bound"])
        if len(arrays["sample_numbers"]):
            pieces = [arrays["sample_numbers"]], [arrays["sample_values"]]
            numbers.sample = Sample(numbers.sample.size, state["bound"], *pieces, held=len(arrays["sample_numbers"]))
        if "tally_values" in arrays:
            numbers.tally = Tally(arrays["tally_values"], arrays["tally_counts"])
        if "distinct" in arrays:
            numbers.distinct = Distinct.from_bytes(arrays["distinct"].tobytes())
        return numbers


def decimals(values: np.ndarray, known: int = 0) -> int:
    """Return the most digits after the point that a value needs, zeros at the end not counted, and at least `known`.

    A float64 needs d of them if the whole number nearest to it times 10**d, divided by 10**d, is that
    float64: both are exact up to 2**53 and 10**22, and IEEE 754 rounds the quotient right. Digits of a number
    beyond 2**53 are none.

    Examples
    --------
    >>> import numpy as np
    >>> decimals(np.array([2.0, 0.25, 1e300])), decimals(np.array([0.1 + 0.2]))
    (2, 15)
    """
    while known < MOST_DECIMALS and len(values):
        with np.errstate(over="ignore"):
            scaled = values * 10.0**known
        whole = np.rint(scaled)
        whole /= 10.0**known
        is_open = whole != values
        if not is_open.any():
            break
        values = values[is_open & (np.abs(scaled) < EXACT)]
        known += bool(len(values))
    return known


def _array(typed: pa.Array) -> np.ndarray:
    """Return values without nulls as float64 or int64, minus zero as zero."""
    if pa.types.is_floating(typed.type):
        return typed.to_numpy(zero_copy_only=False).astype(np.float64, copy=False) + 0.0
    if pa.types.is_date32(typed.type):
        typed = typed.cast(pa.int32())
    return typed.cast(pa.int64()).to_numpy(zero_copy_only=False)
