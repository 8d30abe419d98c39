"""What a load takes and what it tells: the run, a source's checked batch, what became of the rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from include.quality.contract import Result
from include.windows import Window


@dataclass(frozen=True)
class Change:
    """Rows of one source that a load wrote or took away: the least and the greatest of their times, UTC."""

    source: str
    valid_first: datetime
    valid_last: datetime
    available_first: datetime
    available_last: datetime


@dataclass(frozen=True)
class RunRef:
    """Which DAG run does the work."""

    dag_id: str
    run_id: str


@dataclass(frozen=True)
class Batch:
    """A source's checked rows for one window, waiting in the lake.

    Attributes
    ----------
    accepted_uri, quarantined_uri : str
        Streams in the lake, in the shapes of `include.warehouse.staging`.
    spans : dict
        The smallest and largest `valid_at` and `available_at` of the accepted rows, UTC; empty without rows.
    row_count, quarantined_count : int
        Accepted and quarantined rows in them.
    results : list of Result
        What each check found.
    sha256 : str
        Hash of payloads, contract and window.
    covers : tuple of datetime, optional
        The times its rows may be about, UTC, the second excluded.
    profile_uri : str
        Where its profile lies; empty without one.
    newest_at : dict
        The newest `valid_at` of any accepted row (``*``), and with a value of columns that must be fresh, UTC.
    is_overridden : bool
        Whether somebody has overridden it, so that no breach blocks it.
    fetched_at : datetime, optional
        When what it is made of had arrived, UTC; none where nobody noted it.
    contract_sha256 : str
        Hash of the contract it was read by.
    outside_count : int
        Rows that came with them and lie outside the window, or without a time belong to another one's load.
    before_count, after_count : int
        Of those, rows of a file about times before the first window and after the last one; they are in no batch.
    is_reread : bool
        Whether an earlier run fetched it, so that it is read again from the lake.
    """

    source: str
    accepted_uri: str = ""
    quarantined_uri: str = ""
    row_count: int = 0
    quarantined_count: int = 0
    results: list[Result] = field(default_factory=list)
    sha256: str = ""
    spans: dict[str, tuple[datetime, datetime]] = field(default_factory=dict)
    payload_ids: tuple[int, ...] = ()
    is_simulated: bool = False
    covers: tuple[datetime, datetime] | None = None
    fetched_at: datetime | None = None
    profile_uri: str = ""
    newest_at: dict[str, datetime] = field(default_factory=dict)
    is_overridden: bool = False
    contract_sha256: str = ""
    outside_count: int = 0
    before_count: int = 0
    after_count: int = 0
    is_reread: bool = False

    @property
    def judged(self) -> int:
        """Rows of the window, accepted and quarantined."""
        return self.row_count + self.quarantined_count

    @property
    def received(self) -> int:
        """Rows that came: accepted, quarantined, and outside the window."""
        return self.judged + self.outside_count


@dataclass
class Counts:
    """What a load did to the rows it received, and how many it took away: those are not among the received.

    `received` = `inserted` + `revised` + `corrected` + `unchanged` + `quarantined` + `outside`.
    """

    received: int = 0
    inserted: int = 0
    revised: int = 0
    corrected: int = 0
    withdrawn: int = 0
    unchanged: int = 0
    quarantined: int = 0
    outside: int = 0
    checks_passed: int = 0
    checks_total: int = 0


@dataclass
class Loaded:
    """The outcome of a load.

    Attributes
    ----------
    touched : set of Window
        Windows loaded before that now have late or changed rows, by this load or an earlier try of its
        run: one that was killed after its commit told nobody.
    low : list of str
        Scores of quality that lie below their thresholds, in words; not those of a batch that an earlier run loaded.
    changes : list of Change
        The times of rows that are new or changed: features made from them are due.
    """

    counts: Counts = field(default_factory=Counts)
    touched: set[Window] = field(default_factory=set)
    low: list[str] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
