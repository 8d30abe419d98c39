"""When a failed task is tried again: the policy every DAG really carries, asked as Airflow asks it."""

from __future__ import annotations

import errno
import pickle
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowTaskTimeout
from airflow.sdk.execution_time import task_runner

from include.errors import ConfigError, ContractBroken, SourceUnavailable
from include.spec.load import load_all
from include.steps import wiring
from include.steps.retries import LONGEST_DELAY, LONGEST_PAUSE, MOST_JITTER, delay

OPTIONS = wiring.dag_options(load_all()["usdmxn"], "ingest", "a page", "rerun/window")["default_args"]


def decide(error: BaseException, try_number: int = 1) -> Any:
    return OPTIONS["retry_policy"].evaluate(error, try_number, max_tries=3)


@pytest.mark.parametrize(
    "error",
    [
        *(ContractBroken("x"), ConfigError("x"), KeyError("x"), ValueError("x"), TypeError("x"), AssertionError()),
        OSError(errno.EROFS, "Read-only file system", "/var/lib/ciclo/docs"),
    ],
)
def test_what_comes_back_with_every_try_fails_at_once(error: Exception) -> None:
    decision = decide(error)
    assert decision.action == RetryAction.FAIL
    assert decision.reason


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left"),
        SourceUnavailable("x"),
        OSError("x"),
        MemoryError(),
        SystemExit(1),
        AirflowTaskTimeout(),
    ],
)
def test_what_may_pass_is_tried_again(error: BaseException) -> None:
    decision = decide(error)
    assert decision.action == RetryAction.RETRY
    assert timedelta(seconds=30) <= decision.retry_delay <= timedelta(seconds=60)


@pytest.mark.parametrize("seconds", [7, 120, 3600])
def test_a_source_is_not_asked_before_the_pause_it_asked_for_is_over(seconds: int) -> None:
    error = SourceUnavailable("the limit is used up", timedelta(seconds=seconds))
    delays = [decide(error, try_number).retry_delay for try_number in (1, 2, 3) for _ in range(50)]
    assert min(delays) >= timedelta(seconds=seconds)
    assert "asked for a pause" in decide(error).reason


def test_the_pause_outlives_the_trip_between_processes() -> None:
    error = pickle.loads(pickle.dumps(SourceUnavailable("x", timedelta(seconds=7))))  # noqa: S301 - our own bytes
    assert (str(error), error.retry_after) == ("x", timedelta(seconds=7))


def test_delays_double_up_to_ten_minutes_and_are_spread_by_jitter() -> None:
    shortest = [min(delay(try_number) for _ in range(200)) for try_number in (1, 2, 3, 4, 5, 6, 10_000)]
    for found, seconds in zip(shortest, (30, 60, 120, 240, 480, 600, 600), strict=True):
        assert timedelta(seconds=seconds) <= found < timedelta(seconds=seconds + 5)
    assert len({delay(1) for _ in range(20)}) > 15
    assert max(delay(10_000) for _ in range(200)) <= LONGEST_DELAY + MOST_JITTER


def test_a_pause_beyond_all_reason_is_cut_to_a_day() -> None:
    assert LONGEST_PAUSE <= delay(1, timedelta(days=400)) <= LONGEST_PAUSE + MOST_JITTER


def test_airflow_itself_takes_the_delay_over() -> None:
    """The task runner turns the decision into the message that sets the next try's time."""
    log = SimpleNamespace(info=lambda *args, **more: None, exception=lambda *args, **more: pytest.fail(str(args)))
    task = SimpleNamespace(task=SimpleNamespace(**OPTIONS), try_number=1, _ti_context_from_server=None)
    decision = task_runner._evaluate_retry_policy(task, SourceUnavailable("x", timedelta(seconds=90)), log)
    assert decision.retry_delay >= timedelta(seconds=90)


def test_a_task_that_was_killed_is_tried_again_too() -> None:
    assert OPTIONS["retries"] == 3
    assert OPTIONS["retry_delay"] == timedelta(seconds=30)
    assert OPTIONS["max_retry_delay"] == LONGEST_DELAY
