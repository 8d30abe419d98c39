"""What a load changed, as far as what is built from it has to know."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Change:
    """Rows of one source that a load wrote or took away: the least and the greatest of their times, UTC."""

    source: str
    valid_first: datetime
    valid_last: datetime
    available_first: datetime
    available_last: datetime
