"""Where a replay stands, between whoever plays it and whoever shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Moment:
    """Where a replay stands: shown to people while it runs."""

    pipeline: str
    done: int
    total: int
    window: str
    dag_id: str
    tasks: tuple[str, ...] = ()
    trouble: str = ""


Watch = Callable[[Moment], None]
