"""How often one subject may ask: a bucket of one second's requests each, which fills up evenly. Pure."""

from __future__ import annotations


class RateLimit:
    """Counts the requests of each subject against a rate.

    Parameters
    ----------
    per_second : float
        Requests a second and subject; 0 for no limit.

    Examples
    --------
    >>> limit = RateLimit(2)
    >>> [limit.takes("desk", now=10.0) for _ in range(3)], limit.takes("desk", now=10.5)
    ([True, True, False], True)
    """

    def __init__(self, per_second: float) -> None:
        self._interval = 1 / per_second if per_second else 0.0
        self._full_at: dict[str, float] = {}  # when each subject's bucket is full again

    def takes(self, subject: str, now: float) -> bool:
        """Tell whether a subject may ask at an instant, seconds; a request that may not is not counted."""
        if not self._interval:
            return True
        full_at = max(self._full_at.get(subject, now), now) + self._interval
        if full_at - now > max(1.0, self._interval) + 1e-9:
            return False
        self._full_at[subject] = full_at
        return True
