"""Rows of a file that no window holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass
class Outside:
    """Counts rows about a time before the first window or after the last: nobody would miss them otherwise.

    Attributes
    ----------
    first, last : datetime, optional
        Start of the first window and end of the last one, UTC; none where windows go on without end.
    before, after : int
        Rows so far.
    """

    first: datetime
    last: datetime | None = None
    before: int = 0
    after: int = 0

    def take(self, times: pa.Array) -> None:
        """Count a part's rows; those without a time are somebody else's to explain."""
        import pyarrow as pa
        import pyarrow.compute as pc

        self.before += pc.sum(pc.less(times, pa.scalar(self.first, times.type))).as_py() or 0
        if self.last is not None:
            self.after += pc.sum(pc.greater_equal(times, pa.scalar(self.last, times.type))).as_py() or 0
