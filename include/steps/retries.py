"""When a failed task is tried again: only what may pass, and never before the source lets it in again."""

from __future__ import annotations

import errno
import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import RetryDecision, RetryPolicy

from include.errors import ConfigError, ContractBroken, SourceUnavailable

if TYPE_CHECKING:
    from airflow.sdk.definitions.context import Context

FIRST_DELAY = timedelta(seconds=30)
LONGEST_DELAY = timedelta(minutes=10)
# The longest window a limit of requests is counted in here is a day; a longer pause is a mistake.
LONGEST_PAUSE = timedelta(days=1)
MOST_JITTER = timedelta(seconds=60)
FACTOR = 2.0
BUGS = (AssertionError, AttributeError, LookupError, NameError, TypeError, ValueError)
WILL_NOT_PASS: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    (ContractBroken, "the same would arrive again"),
    (ConfigError, "a person has to mend it first"),
    (BUGS, "a bug does not go away by itself"),
)
# What Airflow goes by where no policy is asked: a task that was killed leaves no exception.
RETRY_OPTIONS: dict[str, Any] = {
    "retries": 3,
    "retry_delay": FIRST_DELAY,
    "retry_exponential_backoff": FACTOR,
    "max_retry_delay": LONGEST_DELAY,
}


class PatientRetries(RetryPolicy):
    """Fail at once on what comes back with every try; try the rest again, later each time, with jitter.

    A source that says how long it wants to be left alone (`SourceUnavailable.retry_after`) is
    not asked before that. Airflow asks this in the task's own process, so nothing is serialised.
    """

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Decide whether a failed try is followed by another, and when."""
        for kind, reason in WILL_NOT_PASS:
            if isinstance(exception, kind):
                return RetryDecision.fail(reason)
        if isinstance(exception, OSError) and exception.errno == errno.EROFS:
            return RetryDecision.fail("a person has to make the file system writable first")
        pause = exception.retry_after if isinstance(exception, SourceUnavailable) else None
        wait = delay(try_number, pause)
        why = "the source asked for a pause" if pause else "it may pass by itself"
        return RetryDecision.retry(wait, f"{why}; the next try is in {wait.total_seconds():.0f} seconds")


def delay(try_number: int, pause: timedelta | None = None) -> timedelta:
    """Return how long to wait after a failed try: at least what the source asked for, a day at most.

    The back-off doubles from 30 seconds to ten minutes. Jitter of up to a minute comes on top,
    so that tasks which failed together do not come back together.

    Parameters
    ----------
    try_number : int
        The try that failed, from 1.
    pause : timedelta, optional
        The pause the source asked for.

    Examples
    --------
    >>> timedelta(seconds=30) <= delay(1) <= timedelta(seconds=60)
    True
    >>> timedelta(seconds=900) <= delay(1, timedelta(seconds=900)) <= timedelta(seconds=960)
    True
    """
    # A task that was cleared keeps counting its tries; the power must not overflow.
    backoff = min(FIRST_DELAY * FACTOR ** min(max(try_number, 1) - 1, 16), LONGEST_DELAY)
    wait = max(backoff, min(pause or backoff, LONGEST_PAUSE))
    return wait + min(wait, MOST_JITTER) * random.random()  # noqa: S311 - spreads load, keeps no secret


RETRIES = PatientRetries()
