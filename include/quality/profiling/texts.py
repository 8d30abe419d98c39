"""The profile of texts: each distinct text of a batch is looked at once, however often it came."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasketches import NO_FALSE_POSITIVES, frequent_strings_sketch

from include.quality.profiling.defaults import TEXTS
from include.quality.profiling.distinct import Distinct
from include.quality.profiling.distribution import frequent_and_rare
from include.quality.profiling.tally import LIMIT

LETTERS = 1_000_000  # of all distinct texts together that are counted exactly
SHOWN = 100  # letters of a text that facts and the sketch of frequent ones hold
LG_FREQUENT = 11  # 1536 texts: what is told to be frequent is off by 0.17 % of all at most


class Texts:
    """The texts of one column; `tally` while few are distinct, then `distinct` and `frequent` instead.

    Frequent texts among many are found by the frequent-items sketch of Apache DataSketches (Anderson et al.,
    2017, https://datasketches.apache.org/docs/Frequency/FrequentItemsOverview.html).
    """

    def __init__(self) -> None:
        self.count = self.default_count = self.length_sum = 0
        self.low: str | None = None
        self.high: str | None = None
        self.shortest: int | None = None
        self.longest: int | None = None
        self.tally: dict[str, int] | None = {}
        self.distinct: Distinct | None = None
        self.frequent: Any = None

    def take(self, typed: pa.Array, numbers: np.ndarray) -> None:
        """Look at the next texts, nulls among them, shape (n,)."""
        counted = pc.value_counts(typed.drop_null() if typed.null_count else typed)
        if not len(counted):
            return
        texts, counts = counted.field(0), counted.field(1).to_numpy()
        lengths = pc.utf8_length(texts).to_numpy()
        self._widen(pc.min(texts).as_py(), pc.max(texts).as_py(), int(lengths.min()), int(lengths.max()))
        self.count += int(counts.sum())
        self.length_sum += int(lengths @ counts)
        plain = pc.utf8_lower(pc.utf8_trim_whitespace(texts))
        self.default_count += int(counts[pc.is_in(plain, pa.array(sorted(TEXTS))).to_numpy(zero_copy_only=False)].sum())
        self._tell_apart(dict(zip(texts.to_pylist(), counts.tolist(), strict=True)))

    def _widen(self, low: str, high: str, shortest: int, longest: int) -> None:
        self.low = low if self.low is None else min(self.low, low)
        self.high = high if self.high is None else max(self.high, high)
        self.shortest = shortest if self.shortest is None else min(self.shortest, shortest)
        self.longest = longest if self.longest is None else max(self.longest, longest)

    def _tell_apart(self, counted: dict[str, int]) -> None:
        if self.tally is not None:
            self.tally = Counter(self.tally)
            self.tally.update(counted)
            if len(self.tally) <= LIMIT and sum(map(len, self.tally)) <= LETTERS:
                return
            counted = self.tally
        self.distinct, self.frequent = self.sketches()
        self.tally = None
        _show(counted, self.distinct, self.frequent)

    def sketches(self) -> tuple[Distinct, Any]:
        """Return the sketches, empty while there is a tally."""
        if self.distinct is not None:
            return self.distinct, self.frequent
        return Distinct(), frequent_strings_sketch(LG_FREQUENT)

    def merged(self, other: Texts) -> Texts:
        """Return the profile of both columns' texts."""
        both = Texts()
        for name in ("count", "default_count", "length_sum"):
            setattr(both, name, getattr(self, name) + getattr(other, name))
        for texts in (self, other):
            if texts.low is not None and texts.high is not None:
                both._widen(texts.low, texts.high, texts.shortest or 0, texts.longest or 0)
        if self.tally is not None and other.tally is not None:
            both.tally = self.tally
            both._tell_apart(other.tally)
            return both
        both.tally = None
        (one, frequent), (two, further) = self.sketches(), other.sketches()
        both.distinct = one.merged(two)
        _, both.frequent = Texts().sketches()
        both.frequent.merge(frequent)
        both.frequent.merge(further)
        for tally in (self.tally, other.tally):
            _show(tally or {}, both.distinct, both.frequent)
        return both

    def facts(self) -> dict[str, Any]:
        """Return what `ColumnProfile.facts` says about values, those that do not apply left out."""
        if not self.count:
            return {}
        frequent, rare = frequent_and_rare(self._counted(), self.count, self.tally is not None)
        return {
            "min": shown(self.low or ""),
            "max": shown(self.high or ""),
            "length_min": self.shortest,
            "length_max": self.longest,
            "length_mean": self.length_sum / self.count,
            "frequent": [{"value": shown(text), "count": count} for text, count in frequent],
            "rare": [{"value": shown(text), "count": count} for text, count in rare],
        }

    def _counted(self) -> list[tuple[str, int]]:
        if self.tally is not None:
            return list(self.tally.items())
        items = self.frequent.get_frequent_items(NO_FALSE_POSITIVES)
        return [(text, estimate) for text, estimate, _, _ in items]

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray | bytes]]:
        """Return everything `restored` needs."""
        names = ("count", "default_count", "length_sum", "low", "high", "shortest", "longest", "tally")
        plain = {name: getattr(self, name) for name in names}
        if self.distinct is None:
            return plain, {}
        return plain, {"distinct": self.distinct.to_bytes(), "frequent": bytes(self.frequent.serialize())}

    @classmethod
    def restored(cls, state: dict[str, Any], arrays: dict[str, np.ndarray]) -> Texts:
        """Return what `state` was taken of."""
        texts = cls()
        for name, value in state.items():
            setattr(texts, name, value)
        if "distinct" in arrays:
            texts.distinct = Distinct.from_bytes(arrays["distinct"].tobytes())
            texts.frequent = frequent_strings_sketch.deserialize(arrays["frequent"].tobytes())
        return texts


def shown(text: str) -> str:
    """Return a text short enough for a page, and without the one letter that Postgres cannot hold.

    Examples
    --------
    >>> shown("a" * 200)[-3:], len(shown("a" * 200))
    ('aa…', 100)
    """
    short = text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
    return short.replace("\0", "\ufffd")


def _show(counted: dict[str, int], distinct: Distinct, frequent: Any) -> None:
    distinct.take_texts(counted)
    for text, count in counted.items():
        frequent.update(text[:SHOWN], count)
