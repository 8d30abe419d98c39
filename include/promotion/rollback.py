"""When a champion gives way to the version before it, and what stops that. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from include.promotion.decide import Check

if TYPE_CHECKING:
    import numpy as np

    from include.spec.learning import Promotion


@dataclass(frozen=True)
class Pin:
    """A person's word that the champion stays: no automatic promotion or rollback until it is taken off or expires.

    Attributes
    ----------
    until : datetime or None
        When it expires, UTC; None where it does not.
    """

    by: str
    reason: str
    until: datetime | None = None

    @classmethod
    def of(cls, kept: dict[str, Any]) -> Pin:
        """Return the pin that `to_dict` was made from."""
        until = kept.get("until")
        return cls(kept["by"], kept["reason"], datetime.fromisoformat(until) if until else None)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return {"by": self.by, "reason": self.reason, "until": self.until.isoformat() if self.until else None}

    def stands(self, now: datetime) -> bool:
        """Tell whether it has not expired."""
        return self.until is None or now < self.until

    def __str__(self) -> str:
        until = f"until {self.until:%Y-%m-%d %H:%M} UTC" if self.until else "until it is unpinned"
        return f"pinned by {self.by} {until}: {self.reason}"


def holds(pin: Pin) -> Check:
    """Return the rule of the gate that lets nothing by while a pin stands.

    Examples
    --------
    >>> holds(Pin("ana", "audit")).text
    'the champion is pinned by ana until it is unpinned: audit'
    """
    return Check("not pinned", "waits", f"the champion is {pin}", pin.to_dict())


def proven_worse(
    actual: np.ndarray, champion: np.ndarray, previous: np.ndarray, policy: Promotion, at: np.ndarray | None = None
) -> tuple[str, dict[str, Any]] | None:
    """Say why a champion on probation has to give way; None where it is not proven worse than the one before.

    The two are compared after every window of the probation, and once more when the truth of the last has come: the
    confidence is raised by as many looks, so that all of them together are wrong as rarely as one.

    Parameters
    ----------
    actual, champion, previous : array, shape (n,)
        The truth and both versions' live predictions.
    at : array of time, shape (n,), optional
        The moment of each row, see `include.promotion.proof.compare`.

    Returns
    -------
    (reason, figures) or None
    """
    from include.promotion.proof import LEAST_ROWS, compare

    if len(actual) < LEAST_ROWS:
        return None
    confidence = 1 - (1 - policy.confidence) / (policy.probation + 1)
    proof = compare(actual, previous, champion, policy.model_copy(update={"confidence": confidence}), at)
    if not proof.is_better:
        return None
    reason = f"on probation its {policy.metric} is {_more(proof.gain_pct)} than the previous version's on the same"
    return f"{reason} {proof.rows} live rows ({confidence:.1%} interval {proof.low:.4g} to {proof.high:.4g})", (
        proof.to_dict()
    )


def _more(gain_pct: float) -> str:
    return f"{100 * gain_pct / (100 - gain_pct):.1f} % larger" if gain_pct < 100 else "far larger"
