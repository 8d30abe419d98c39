"""The queries of docs/warehouse.md answer an analyst, in a filled warehouse, as long as what they name is there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from benchmarks.mart import fill, worked_queries
from include.local.postgres import with_database

QUERIES = worked_queries()
ROWS = 46_000  # a minute each, from July 2004 on: one day more than that month


@pytest.fixture(scope="module")
def filled(postgres_url: str, shared_warehouse_url: str) -> Iterator[Any]:
    """Give a cursor of an analyst in a filled warehouse."""
    with closing(psycopg2.connect(shared_warehouse_url)) as link, link, link.cursor() as cursor:
        fill(cursor, ROWS)
    database = shared_warehouse_url.rpartition("/")[2]
    with closing(psycopg2.connect(with_database(postgres_url, database))) as link, link.cursor() as cursor:
        link.autocommit = True
        cursor.execute("set role analyst")
        yield cursor


@pytest.mark.parametrize("title", QUERIES)
def test_a_worked_query_gives_rows(filled: Any, title: str) -> None:
    filled.execute(QUERIES[title])
    assert filled.fetchall(), QUERIES[title]


def test_a_query_on_what_is_not_there_would_be_noticed(filled: Any) -> None:
    with pytest.raises(psycopg2.errors.UndefinedTable):
        filled.execute(next(iter(QUERIES.values())).replace("mart.", "mart.former_"))


def test_what_was_known_is_told_of_then_and_of_now(filled: Any) -> None:
    """The first of a hundred rows was revised: known after half an hour, and again after one."""
    at = "select co_mg_m3 is distinct from %s from mart.air_quality_as_known_at({}) where valid_at = '2004-07-01'"
    filled.execute("select co_mg_m3 from mart.air_quality_versions where valid_at = '2004-07-01' order by available_at")
    first, last = (value for (value,) in filled.fetchall())
    for moment, value in (("'2004-07-01 00:45Z'", first), ("'2004-07-01 01:00Z'", last), ("", last)):
        filled.execute(at.format(moment), (value,))
        assert filled.fetchall() == [(False,)], moment
    filled.execute("select count(*) from mart.air_quality_as_known_at('2004-07-01 00:15Z')")
    assert filled.fetchall() == [(0,)]
