"""What the monitor remembers of each window: all that a decision is made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from include.monitoring.measure import Measure
from include.windows import Window


@dataclass(frozen=True)
class Probe:
    """The champion's recipe, fitted again on newer data, beside the champion on rows that are new to both.

    Attributes
    ----------
    losses, champion_losses : tuple of float
        Mean losses of blocks of the same rows, in the target's unit, in time order.
    """

    losses: tuple[float, ...]
    champion_losses: tuple[float, ...]


@dataclass(frozen=True)
class Look:
    """One window as it was seen at its end.

    Attributes
    ----------
    state, why : str
        loaded; or blocked, empty, overdue, quarantined or excluded, and why nothing of it can be judged; quiet where
        the contract says that a window without rows is fine.
    rows : int
        Rows with features.
    usable_rows : int
        Rows a training at its end could read.
    champion, fitted_rows
        Version that stood, None before the first, and how many rows its training could read.
    trained_at : datetime or None
        Where the champion's data end, UTC.
    promised : tuple of float
        Mean losses of blocks of the rows that the champion was tested on before it was promoted.
    losses : tuple of float
        Mean losses of blocks of the window's rows whose truth is known, in time order; empty where none is.
    probe : Probe or None
        None where none could be made, `unprobed` says why.
    must : str
        Why the champion has to be replaced whatever it is worth, such as changed inputs; or nothing.
    verdict, outcome : str
        What was decided at its end, and what became of a training: promoted, rejected; or nothing, where it was
        skipped, failed, or still runs.
    cause : tuple of str
        Because of what a training, or a person, was asked for.
    decision : int or None
        Number of that decision in the ledger; a replay has none.
    """

    window: Window
    state: str = "loaded"
    why: str = ""
    rows: int = 0
    usable_rows: int = 0
    champion: int | None = None
    fitted_rows: int = 0
    trained_at: datetime | None = None
    promised: tuple[float, ...] = ()
    losses: tuple[float, ...] = ()
    probe: Probe | None = None
    unprobed: str = ""
    measures: tuple[Measure, ...] = ()
    must: str = ""
    verdict: str = ""
    outcome: str = ""
    cause: tuple[str, ...] = ()
    decision: int | None = None


def under(history: Sequence[Look]) -> list[Look]:
    """Return the looks at the newest champion since it stands or a training was last asked for, oldest first.

    Evidence is counted once: what has led to a training counts for no further one. A window that has led to one itself
    shows the same evidence when it is measured again; `include.monitoring.governor` refuses a second training for it.
    """
    kept: list[Look] = []
    for look in reversed(history):
        if look.champion != history[-1].champion or (kept and look.verdict == "retrain"):
            break
        kept.append(look)
    return kept[::-1]


def newest_due(history: Sequence[Look], windows: int) -> list[int]:
    """Return the places of so many newest windows in which something had to come, oldest first; a holiday is none."""
    due = [place for place, look in enumerate(history) if look.state != "quiet" or look.losses]
    return due[-windows:] if windows else []
