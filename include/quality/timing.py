"""What the times of a batch show: their order, which are expected and missing, how fresh values are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

from include.spec.fields import span

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from include.spec.quality import ExpectedRows
    from include.windows import Window

SHOWN = 3
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Backwards:
    """Finds rows that come after a row about a later time."""

    def __init__(self) -> None:
        self._latest: int | None = None

    def take(self, valid_at: pa.Array) -> list[int]:
        """Return the positions in the next times, UTC and as they came, that lie before an earlier row's."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        times = valid_at.cast(pa.int64()).fill_null(np.iinfo(np.int64).min).to_numpy()
        if not len(times):
            return []
        before = np.iinfo(np.int64).min if self._latest is None else self._latest
        latest = np.maximum.accumulate(np.concatenate(([before], times)))
        self._latest = int(latest[-1])
        positions: list[int] = pc.indices_nonzero(
            pa.array((times < latest[:-1]) & (times > np.iinfo(np.int64).min))
        ).to_pylist()
        return positions


class Order:
    """Tells whether rows come in strictly growing order of their time and key: then no two of them share it.

    Parameters
    ----------
    names : tuple of str
        The columns compared, the first one first.

    Attributes
    ----------
    holds : bool
        Whether every row so far was beyond the one before it.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.holds = True
        self._last: list[Any] | None = None

    def take(self, batch: pa.RecordBatch) -> None:
        """Look at the next batch; the named columns hold no null."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if not self.holds or not batch.num_rows:
            return
        columns = [batch.column(name) for name in self.names]
        if self._last is not None:
            columns = [pa.concat_arrays([last, column]) for last, column in zip(self._last, columns, strict=True)]
        self._last = [column.slice(len(column) - 1) for column in columns]
        beyond = pa.array([False] * (len(columns[0]) - 1), pa.bool_())
        for column in reversed(columns):
            before, after = column.slice(0, len(column) - 1), column.slice(1)
            beyond = pc.or_(pc.greater(after, before), pc.and_(pc.equal(after, before), beyond))
        self.holds = pc.all(beyond, min_count=0).as_py()


class Slots:
    """The times at which rows are expected, one in each stretch of equal length, and which of them came.

    A stretch counts when all of it lies within the window; stretches begin at whole multiples
    since 1970 in UTC, months and weekdays at midnight in the source's zone.

    Attributes
    ----------
    starts : numpy.ndarray of datetime64[us], shape (n,)
        Beginning of each expected stretch, in that zone.
    """

    def __init__(self, check: ExpectedRows, window: Window, zone: tzinfo = UTC) -> None:
        import numpy as np

        first = max(window.start, check.since or window.start)
        last = min(window.end, check.until or window.end)
        self._zone = zone if check.every in ("weekday", "month") else UTC
        bounds = (bound.astimezone(self._zone).replace(tzinfo=None) for bound in (first, last))
        self.starts, self._edges = _stretches(check.every or "1 day", *bounds)
        self._seen = np.zeros(len(self.starts), dtype=bool)

    def take(self, valid_at: pa.Array) -> None:
        """Look at the next times, in any order."""
        import numpy as np

        if not len(self.starts):
            return
        clock = valid_at.drop_null().to_pandas().dt.tz_convert(self._zone).dt.tz_localize(None)
        times = clock.to_numpy().astype("datetime64[us]")
        place = np.searchsorted(self.starts, times, side="right") - 1
        inside = (place >= 0) & (times < self._edges[np.maximum(place, 0)])
        self._seen[place[inside]] = True

    @property
    def missing(self) -> np.ndarray:
        """Beginnings of the stretches without a row."""
        missing: np.ndarray = self.starts[~self._seen]
        return missing

    def gaps(self) -> str:
        """Name the first gaps in words, in the zone of `starts`."""
        import numpy as np

        lost = np.flatnonzero(~self._seen)
        if not len(lost):
            return ""
        runs = np.split(lost, np.flatnonzero(np.diff(lost) > 1) + 1)
        shown = [self._gap(run) for run in runs[:SHOWN]]
        return "; ".join(shown) + (f"; and {len(runs) - SHOWN} more" if len(runs) > SHOWN else "")

    def _gap(self, run: np.ndarray) -> str:
        first, last = (str(self.starts[at].astype("datetime64[m]")).replace("T", " ") for at in (run[0], run[-1]))
        return first if len(run) == 1 else f"{first} to {last} ({len(run)})"


def _stretches(every: str, first: datetime, last: datetime) -> tuple[np.ndarray, np.ndarray]:
    """Return beginnings and ends of the stretches that lie within two times without a zone."""
    import numpy as np

    low, high = np.datetime64(first, "us"), np.datetime64(last, "us")
    if every == "month":
        starts = np.arange(low.astype("datetime64[M]"), high.astype("datetime64[M]") + 1)
        edges = starts + 1
    elif every == "weekday":
        starts = np.arange(low.astype("datetime64[D]"), high.astype("datetime64[D]") + 1)
        starts = starts[np.is_busday(starts)]
        edges = starts + 1
    else:
        step = np.timedelta64(span(every) // timedelta(microseconds=1), "us")
        count = -(-(low - np.datetime64(0, "us")) // step)
        starts = np.arange(np.datetime64(0, "us") + count * step, high, step)
        edges = starts + step
    begins, ends = starts.astype("datetime64[us]"), edges.astype("datetime64[us]")
    kept = (begins >= low) & (ends <= high)
    return begins[kept], ends[kept]


class Newest:
    """The newest time at which each column had a value."""

    def __init__(self, columns: list[str]) -> None:
        self.columns = columns
        self.at: dict[str, datetime] = {}

    def take(self, valid_at: pa.Array, typed: dict[str, pa.Array]) -> None:
        """Look at the next rows, in any order."""
        import pyarrow.compute as pc

        for name in self.columns:
            newest = pc.max(valid_at.filter(typed[name].is_valid())).as_py()
            if newest is not None:
                self.at[name] = max(newest, self.at.get(name, newest))
