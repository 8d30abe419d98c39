"""Which backup a moment needs, what the WAL covers, and what may go."""

from datetime import UTC, datetime, timedelta

import pytest

from include.backup import plan
from include.errors import ConfigError

DAY = timedelta(days=1)
START = datetime(2026, 1, 1, tzinfo=UTC)


def backup(day: int, parent: int | None = None) -> plan.Backup:
    at = START + day * DAY
    names = f"{day:03}", None if parent is None else f"{parent:03}"
    return plan.Backup(*names, at, at, 1, day * plan.SEGMENT_BYTES, "p", 0, 1, 1, {})


# Two chains, and an increment whose full backup is gone.
EVERY = [backup(0), backup(1, 0), backup(2, 1), backup(7), backup(8, 7), backup(9, 6)]


def names(backups: list[plan.Backup]) -> list[str]:
    return [each.name for each in backups]


def test_an_increment_consists_of_all_it_was_made_on():
    assert names(plan.chain(EVERY, "002")) == ["000", "001", "002"]
    assert plan.chain(EVERY, "009") == []


@pytest.mark.parametrize(("days", "name"), [(1.5, "001"), (2, "002"), (6, "002"), (100, "008"), (None, "008")])
def test_the_newest_whole_backup_before_a_moment_is_chosen(days, name):
    until = None if days is None else START + days * DAY
    assert plan.chosen(EVERY, until, "there").name == name


def test_a_moment_before_the_first_backup_is_refused():
    with pytest.raises(ConfigError, match="there covers the moments from 2026-01-01"):
        plan.chosen(EVERY, START - DAY, "there")


@pytest.mark.parametrize("covered_until", [None, START + DAY, START + 2 * DAY])
def test_a_moment_at_or_after_the_last_commit_is_refused(covered_until):
    with pytest.raises(ConfigError, match="leave --until out"):
        plan.check_covered(EVERY[0], START + 2 * DAY, covered_until, "there")
    plan.check_covered(EVERY[0], START + 2 * DAY, START + 3 * DAY, "there")
    plan.check_covered(EVERY[0], None, covered_until, "there")


@pytest.mark.parametrize(("keep", "gone"), [(1, ["009", "002", "001", "000"]), (2, ["009"])])
def test_old_chains_and_what_misses_a_part_go_increments_first(keep, gone):
    assert names(plan.expendable(EVERY, keep)) == gone


@pytest.mark.parametrize(("days", "parent"), [(9, "008"), (14, "008"), (14.5, None)])
def test_a_full_backup_is_due_after_a_week(days, parent):
    due = plan.parent_of_next(EVERY, START + days * DAY)
    assert (due and due.name) == parent
    assert plan.parent_of_next([], START) is None


def test_wal_counts_up_to_its_first_gap_and_with_what_is_still_being_written():
    files = [plan.segment(1, number * plan.SEGMENT_BYTES) for number in range(254, 260)]
    there = [*files[:3], f"{files[3]}.partial", files[5]]
    assert plan.without_gap(there, 1, 254 * plan.SEGMENT_BYTES + 40) == [*files[:3], f"{files[3]}.partial"]
    assert plan.without_gap(there, 2, 254 * plan.SEGMENT_BYTES) == []


def test_a_backup_is_read_as_it_was_written():
    assert plan.Backup.from_dict(EVERY[1].to_dict()) == EVERY[1]
