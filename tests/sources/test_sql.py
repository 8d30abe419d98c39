"""Extracts from a real Postgres: the window, the snapshot, and what becomes of personal data."""

from __future__ import annotations

import hashlib
import hmac
import io
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg2
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from include.errors import ConfigError, ContractBroken, SourceUnavailable
from include.lake.store import Lake
from include.sources import Endpoint, fetch, parse
from include.sources.sql import csv_line
from include.spec.model import SqlSource
from include.windows import Window

JANUARY = Window.parse("2025-01-01", "2025-02-01")
KEY = "hash-key-for-tests"


def source_of(**changes: Any) -> SqlSource:
    columns = {
        "operation_id": {"from": "operation_id", "type": "integer", "unit": "code", "required": True},
        "amount_usd": {"from": "amount_usd", "unit": "USD"},
        "client_code": {"from": "client_id", "type": "text", "unit": "code", "personal": "hash"},
        "client_name": {"from": "client_name", "type": "text", "unit": "text", "personal": "drop"},
        "remark": {"from": "remark", "type": "text", "unit": "text"},
        "is_bank_rate": {"from": "is_bank_rate", "type": "boolean", "unit": "flag"},
    }
    spec = {
        "kind": "sql",
        "connection": "internal_db",
        "title": "The credit desk's operations",
        "table": "desk.operation",
        "time_column": "executed_at",
        "key": ["operation_id"],
        "columns": {name: {"description": "a value", **column} for name, column in columns.items()},
    }
    return SqlSource.model_validate(spec | changes)


OPERATIONS = source_of()


def extract(url: str, source: SqlSource = OPERATIONS, window: Window = JANUARY, **more: Any) -> Any:
    [payload] = fetch("usdmxn", "operations", source, Endpoint(url, hash_key=KEY, **more), window)
    return payload


@pytest.fixture
def read(rows_of: Any) -> Callable[..., pd.DataFrame]:
    """Parse payloads of one window into a frame."""

    def parsed(contents: bytes | list[bytes], source: SqlSource = OPERATIONS, window: Window = JANUARY) -> pd.DataFrame:
        contents = contents if isinstance(contents, list) else [contents]
        return rows_of("usdmxn", "operations", source, contents, window)

    return parsed


def hashed(value: str) -> str:
    return hmac.new(KEY.encode(), value.encode(), hashlib.sha256).hexdigest()[:32]


def test_the_windows_rows_come_in_order_with_their_exact_text(read: Callable[..., pd.DataFrame], desk: str) -> None:
    frame = read(extract(desk).content)
    assert list(frame.columns) == [
        "valid_at", "available_at", "operation_id", "amount_usd", "client_code", "remark", "is_bank_rate"
    ]  # fmt: skip
    assert frame["operation_id"].tolist() == ["10", "2", "11", "9"], "by time, then by the number, not its text"
    assert frame["valid_at"].dt.strftime("%dT%H:%M:%S.%f").tolist() == [
        "01T00:00:00.000000", "15T12:00:00.000000", "15T12:00:00.000000", "31T23:59:59.999999"
    ]  # fmt: skip
    assert frame["amount_usd"].tolist() == ["250000.00", "0.10", None, "1000.10"]
    assert frame["is_bank_rate"].tolist() == ["false", None, "true", "true"]
    assert frame["remark"].tolist() == ["first line\nsecond line", None, "ñandú ½", 'said "now", then left']
    assert frame["available_at"].tolist() == frame["valid_at"].tolist()


def test_personal_data_is_hashed_or_dropped_before_the_payload_exists(
    read: Callable[..., pd.DataFrame], desk: str
) -> None:
    payload = extract(desk)
    header, first = payload.content.decode().splitlines()[:2]
    assert header == '"executed_at","operation_id","amount_usd","client_id","remark","is_bank_rate"'
    assert first.startswith(f'"2025-01-01T00:00:00.000000Z","10","250000.00","{hashed("C-0001")}"')
    assert b"Client name" not in payload.content
    assert b"C-000" not in payload.content
    codes = read(payload.content)["client_code"].tolist()
    assert codes == [hashed("C-0001"), hashed("C-0002"), None, hashed("C-0002")]


def test_a_payload_says_what_was_asked_and_keeps_no_secret(desk: str) -> None:
    payload = extract(desk)
    assert payload.request == {
        "table": "desk.operation",
        "columns": ["executed_at", "operation_id", "amount_usd", "client_id", "remark", "is_bank_rate"],
        "hashed": ["client_id"],
        "time_column": "executed_at",
        "start": "2025-01-01T00:00:00+00:00",
        "end": "2025-02-01T00:00:00+00:00",
    }
    assert (payload.media_type, payload.status, payload.headers) == ("text/csv", 0, {})
    assert KEY not in repr(payload)
    assert KEY not in repr(Endpoint(desk, hash_key=KEY))


def test_the_same_rows_give_the_same_bytes_and_another_key_other_hashes(desk: str) -> None:
    assert extract(desk).content == extract(desk).content
    [other] = fetch("usdmxn", "operations", OPERATIONS, Endpoint(desk, hash_key="another key"), JANUARY)
    assert other.content != extract(desk).content


def test_a_simulated_database_is_known_by_its_comment(desk: str, postgres: str) -> None:
    assert extract(desk).is_simulated
    with psycopg2.connect(desk) as database, database.cursor() as cursor:
        cursor.execute("COMMENT ON DATABASE desk IS 'the desk'")
    database.close()
    assert not extract(desk).is_simulated


def test_a_window_without_rows_gives_the_header_and_no_rows(read: Callable[..., pd.DataFrame], desk: str) -> None:
    window = Window.parse("2030-01-01", "2030-02-01")
    content = extract(desk, window=window).content
    assert content == b'"executed_at","operation_id","amount_usd","client_id","remark","is_bank_rate"\n'
    frame = read(content, window=window)
    assert len(frame) == 0
    assert frame.dtypes.astype(str).tolist() == ["datetime64[us, UTC]"] * 2 + ["object"] * 5
    assert len(read([], OPERATIONS, window)) == 0


def test_more_rows_than_one_server_side_batch_come_whole(read: Callable[..., pd.DataFrame], desk: str) -> None:
    with psycopg2.connect(desk) as database, database.cursor() as cursor:
        cursor.execute(
            "INSERT INTO desk.operation (operation_id, executed_at, amount_usd) "
            "SELECT 1000 + n, '2025-03-01'::timestamptz + n * interval '1 second', n FROM generate_series(1, 25000) n"
        )
    database.close()
    march = Window.parse("2025-03-01", "2025-04-01")
    frame = read(extract(desk, window=march).content, window=march)
    assert frame["operation_id"].tolist() == [str(1000 + n) for n in range(1, 25001)]


def test_the_source_is_only_read_from(desk: str) -> None:
    with psycopg2.connect(desk) as database, database.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION desk.tamper() RETURNS text LANGUAGE sql AS "
            "'INSERT INTO desk.operation (operation_id, executed_at) VALUES (99, now()) RETURNING ''x''';"
            "CREATE VIEW desk.trap AS SELECT *, desk.tamper() AS tampered FROM desk.operation"
        )
    database.close()
    columns = {"tampered": {"from": "tampered", "type": "text", "unit": "text", "description": "a trap"}}
    with pytest.raises(ContractBroken, match="read-only transaction"):
        extract(desk, source_of(table="desk.trap", columns=columns, key=[]))


NUMBER = {"number": {"from": "number", "type": "integer", "unit": "code", "description": "a number"}}


def clocked(desk: str, type_: str, *texts: str, timezone: str | None = None, **more: Any) -> SqlSource:
    """Make a table of rows with these times, numbered from 1, and return the source that reads it."""
    execute(desk, f"CREATE TABLE desk.clocked (at {type_} NOT NULL, number int)")
    for number, text in enumerate(texts, start=1):
        execute(desk, f"INSERT INTO desk.clocked VALUES ('{text}', {number})")
    return source_of(table="desk.clocked", time_column="at", key=[], columns=NUMBER, timezone=timezone, **more)


@pytest.mark.parametrize(
    ("type_", "timezone", "expected"),
    [
        ("timestamp", "America/Mexico_City", ["2024-03-02T05:30Z", "2024-03-02T06:10Z"]),
        ("timestamp", "Asia/Kolkata", ["2024-03-01T18:00Z", "2024-03-01T18:40Z"]),
        ("timestamp", "UTC", ["2024-03-01T23:30Z", "2024-03-02T00:10Z"]),
        ("timestamptz", None, ["2024-03-01T23:30Z", "2024-03-02T00:10Z"]),
        ("timestamptz", "America/Mexico_City", ["2024-03-01T23:30Z", "2024-03-02T00:10Z"]),
        ("date", None, ["2024-03-01T00:00Z", "2024-03-02T00:00Z"]),
        ("date", "America/Mexico_City", ["2024-03-01T06:00Z", "2024-03-02T06:00Z"]),
    ],
)
def test_a_wall_time_is_read_in_its_zone_and_cut_into_windows_of_utc(
    read: Callable[..., pd.DataFrame], desk: str, type_: str, timezone: str | None, expected: list[str]
) -> None:
    source = clocked(desk, type_, "2024-03-01 23:30", "2024-03-02 00:10", timezone=timezone)
    for day in (1, 2):
        window = Window.parse(f"2024-03-0{day}", f"2024-03-0{day + 1}")
        frame = read(extract(desk, source, window).content, source, window)
        wanted = [pd.Timestamp(at) for at in expected if window.start <= pd.Timestamp(at) < window.end]
        assert frame["valid_at"].tolist() == wanted


@pytest.mark.parametrize("incremental", [{}, {"by": "key", "column": "number", "rows": 1}])
def test_wall_times_that_a_clock_change_skips_or_repeats_keep_their_rows_without_a_time(
    read: Callable[..., pd.DataFrame], desk: str, incremental: dict[str, Any]
) -> None:
    """New York: from one to two occurs twice on 2 November, from two to three never on 9 March."""
    texts = ("2025-11-02 00:59:59", "2025-11-02 01:30", "2025-11-02 02:00", "2025-03-09 02:30", "2025-03-09 03:00")
    source = clocked(desk, "timestamp", *texts, timezone="America/New_York", incremental=incremental)
    read_numbers, instants = [], []
    for bounds in (("2025-03-09T00:00", "2025-03-09T07:00"), ("2025-03-09T07:00", "2025-03-10"),
                   ("2025-11-01", "2025-11-02T06:00"), ("2025-11-02T06:00", "2025-11-03")):  # fmt: skip
        window = Window.parse(*bounds)
        payloads = fetch("usdmxn", "operations", source, Endpoint(desk, hash_key=KEY), window)
        frame = read([payload.content for payload in payloads], source, window)
        read_numbers += frame["number"].tolist()
        instants += [None if pd.isna(at) else at.isoformat() for at in frame["valid_at"]]
    assert read_numbers == ["4", "5", "1", "2", "3"], "each row in exactly one of windows that follow each other"
    assert instants == [
        None, "2025-03-09T07:00:00+00:00", "2025-11-02T04:59:59+00:00", None, "2025-11-02T07:00:00+00:00"
    ]  # fmt: skip


def test_wall_times_beside_the_time_column_are_of_that_zone_too(read: Callable[..., pd.DataFrame], desk: str) -> None:
    """New York: from one to two occurs twice on 2 November, from two to three never on 9 March."""
    execute(
        desk,
        "CREATE TABLE desk.signed (at timestamptz, signed timestamp, other timestamptz);"
        "INSERT INTO desk.signed SELECT '2025-01-05', x::timestamp, '2025-01-05 12:00-06' FROM unnest(ARRAY["
        "'2025-01-05 20:00', '2025-07-05 20:00:00.5', '2025-11-02 01:30', '2025-03-09 02:30', NULL]) x",
    )
    times = {
        name: {"from": name, "type": "timestamp", "unit": "UTC", "description": "a time"}
        for name in ("signed", "other")
    }
    facts = {"table": "desk.signed", "time_column": "at", "key": [], "columns": times}
    with pytest.raises(ContractBroken, match=r"signed of desk.signed is a timestamp without time zone"):
        extract(desk, source_of(**facts))
    source = source_of(**facts, timezone="America/New_York")
    frame = read(extract(desk, source).content, source)
    assert set(frame["valid_at"]) == {pd.Timestamp("2025-01-05T00:00Z")}
    assert set(frame["other"]) == {"2025-01-05 18:00:00+00"}
    assert set(frame["signed"]) == {
        "2025-01-06 01:00:00+00", "2025-07-06 00:00:00.5+00", "2025-11-02 01:30:00 America/New_York",
        "2025-03-09 02:30:00 America/New_York", None,
    }  # fmt: skip


@pytest.mark.parametrize("type_", ["timestamp", "timestamp(0)"])
def test_a_wall_time_of_no_zone_is_refused_with_the_way_out(desk: str, type_: str, says_what_to_do: Any) -> None:
    said = r"at of desk.clocked is a timestamp without time zone.*`timezone: America/Mexico_City`, or `timezone: UTC`"
    with pytest.raises(ContractBroken, match=said) as caught:
        extract(desk, clocked(desk, type_, "2025-01-05 12:00"))
    says_what_to_do(caught.value, "usdmxn", "operations", JANUARY)


def test_a_zone_nobody_knows_is_refused() -> None:
    with pytest.raises(ValidationError, match="not an IANA time zone"):
        source_of(timezone="Mexico_City")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"table": "desk.nothing"}, "the table desk.nothing does not exist"),
        ({"table": "nowhere.operation"}, "the table nowhere.operation does not exist"),
        ({"time_column": "executed"}, "the table desk.operation lacks a column"),
        ({"time_column": "remark"}, "desk.operation cannot be extracted"),
    ],
)
def test_a_table_other_than_agreed_breaks_the_contract(
    desk: str, changes: dict[str, Any], expected: str, says_what_to_do: Any
) -> None:
    with pytest.raises(ContractBroken, match=expected) as caught:
        extract(desk, source_of(**changes))
    says_what_to_do(caught.value, "usdmxn", "operations", JANUARY)


def test_a_missing_privilege_says_what_to_grant(desk: str) -> None:
    with psycopg2.connect(desk) as database, database.cursor() as cursor:
        cursor.execute("CREATE ROLE stranger LOGIN PASSWORD 's3cret'")
    database.close()
    try:
        url = desk.replace("postgres:@", "stranger:s3cret@")
        with pytest.raises(ContractBroken, match=r"the login may not read desk.operation.*grant SELECT"):
            extract(url)
    finally:
        with psycopg2.connect(desk) as database, database.cursor() as cursor:
            cursor.execute("DROP ROLE stranger")
        database.close()


def test_a_database_that_is_not_there_is_told_from_one_that_does_not_answer(
    desk: str, server: Any, quick: Any, says_what_to_do: Any
) -> None:
    with pytest.raises(ContractBroken, match=r"correct the Airflow Connection internal_db") as refused:
        extract(desk.replace("/desk?", "/no_such_database?"))
    says_what_to_do(refused.value, "usdmxn", "operations", JANUARY)
    server.close()
    with pytest.raises(SourceUnavailable, match="does not answer") as unavailable:
        extract(f"postgresql://desk:s3cret@{server.host}/desk", limits=quick)
    says_what_to_do(unavailable.value, "usdmxn", "operations", JANUARY)
    assert "s3cret" not in str(unavailable.value)


def test_a_url_that_is_none_breaks_the_contract() -> None:
    with pytest.raises(ContractBroken, match="refused the connection"):
        extract("postgresql://[half")


def test_a_statement_that_takes_too_long_can_pass(desk: str, quick: Any) -> None:
    with psycopg2.connect(desk) as database, database.cursor() as cursor:
        cursor.execute("CREATE VIEW desk.slow AS SELECT *, pg_sleep(60)::text AS slept FROM desk.operation")
    database.close()
    columns = {"slept": {"from": "slept", "type": "text", "unit": "text", "description": "a nap"}}
    with pytest.raises(SourceUnavailable, match="statement timeout"):
        extract(desk, source_of(table="desk.slow", columns=columns, key=[]), limits=quick)


def test_an_extract_beyond_the_limit_asks_for_a_shorter_window(desk: str, quick: Any) -> None:
    with pytest.raises(ContractBroken, match=r"desk.operation gives more than 100 bytes; ask for a shorter window"):
        extract(desk, limits=replace(quick, max_bytes=100))


def test_hashing_without_a_key_is_refused() -> None:
    with pytest.raises(ConfigError, match="client_id must be hashed and there is no hash_key"):
        list(fetch("usdmxn", "operations", OPERATIONS, Endpoint("postgresql://127.0.0.1:9/x"), JANUARY))


def test_a_time_column_cannot_be_personal() -> None:
    columns = {
        "at": {"from": "executed_at", "type": "text", "unit": "text", "description": "a time", "personal": "hash"}
    }
    with pytest.raises(ConfigError, match="executed_at, which cannot be personal"):
        extract("postgresql://127.0.0.1:9/x", source_of(columns=columns, key=[]))


def test_an_unreadable_time_in_an_old_payload_keeps_its_row(read: Callable[..., pd.DataFrame]) -> None:
    columns = {"remark": {"from": "remark", "type": "text", "unit": "text", "description": "a remark"}}
    content = csv_line(["executed_at", "remark"]) + csv_line(["infinity", "x"]) + csv_line([None, "y"])
    frame = read(content, source_of(columns=columns, key=[]))
    assert frame["valid_at"].isna().tolist() == [True, True]
    assert frame["remark"].tolist() == ["x", "y"]


def test_a_payload_without_an_agreed_column_breaks_the_contract(
    read: Callable[..., pd.DataFrame], says_what_to_do: Any
) -> None:
    with pytest.raises(ContractBroken, match="header 'operation_id' is missing") as caught:
        read(b'"executed_at"\n')
    says_what_to_do(caught.value, "usdmxn", "operations", JANUARY)


PLAIN = {
    "remark": {"from": "remark", "type": "text", "unit": "text", "description": "a remark"},
    "amount_usd": {"from": "amount_usd", "unit": "USD", "description": "an amount"},
}


def execute(url: str, statement: str) -> None:
    with psycopg2.connect(url) as database, database.cursor() as cursor:
        cursor.execute(statement)
    database.close()


def test_postgres_itself_writes_the_same_lines_where_nothing_is_hashed(desk: str) -> None:
    """The same rows with and without a hashed column: one way goes through COPY, the other through a cursor."""
    hidden = {"client": {"from": "client_id", "type": "text", "unit": "code", "description": "a code"}}
    copied = source_of(columns=PLAIN | hidden, key=[])
    hashed_too = source_of(columns=PLAIN | {"client": hidden["client"] | {"personal": "hash"}}, key=[])
    by_copy, by_cursor = (extract(desk, source).content.decode() for source in (copied, hashed_too))
    for code in ("C-0001", "C-0002"):
        by_copy = by_copy.replace(code, hashed(code))
    assert by_copy == by_cursor
    assert by_copy.count("\n") == 6, "a header, four rows, one line end inside a value"


def by_key(rows: int, column: str = "operation_id", **changes: Any) -> SqlSource:
    return source_of(incremental={"by": "key", "column": column, "rows": rows}, **changes)


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5])
def test_pages_by_key_hold_every_row_once_and_in_order(read: Callable[..., pd.DataFrame], desk: str, rows: int) -> None:
    source = by_key(rows)
    payloads = list(fetch("usdmxn", "operations", source, Endpoint(desk, hash_key=KEY), JANUARY))
    assert len(payloads) == -(-4 // rows)
    assert [payload.content.count(b'Z",') for payload in payloads] == [min(rows, 4 - at) for at in range(0, 4, rows)]
    frame = read([payload.content for payload in payloads], source)
    pd.testing.assert_frame_equal(frame, read(extract(desk).content))
    bounds = [(payload.request["after"], payload.request["until"]) for payload in payloads]
    assert bounds[0][0] is None
    assert bounds[-1][1] is None
    assert [until for _, until in bounds[:-1]] == [after for after, _ in bounds[1:]]


def test_pages_by_key_are_the_same_again(desk: str) -> None:
    first, again = (
        [
            payload.body.sha256
            for payload in fetch("usdmxn", "operations", by_key(2), Endpoint(desk, hash_key=KEY), JANUARY)
        ]
        for _ in range(2)
    )
    assert first == again


def test_pages_of_one_fetch_see_one_snapshot(desk: str) -> None:
    payloads = fetch("usdmxn", "operations", by_key(2), Endpoint(desk, hash_key=KEY), JANUARY)
    contents = [next(payloads).content]
    execute(
        desk,
        "DELETE FROM desk.operation WHERE operation_id = 9;"
        "INSERT INTO desk.operation (operation_id, executed_at) VALUES (77, '2025-01-20'), (1, '2025-01-01 00:00:01')",
    )
    contents += [payload.content for payload in payloads]
    text = b"".join(contents)
    assert b'"9"' in text
    assert b'"77"' not in text
    assert b'"1",' not in text


def test_rows_that_share_time_and_key_are_not_lost_between_pages(read: Callable[..., pd.DataFrame], desk: str) -> None:
    execute(
        desk,
        "CREATE TABLE desk.loose AS SELECT '2025-01-10'::timestamptz AS executed_at, 7 AS number, n::text AS remark"
        " FROM generate_series(1, 5) n UNION ALL SELECT '2025-01-11', 8, 'last'",
    )
    source = by_key(2, "number", table="desk.loose", key=[], columns={"remark": PLAIN["remark"]})
    contents = [payload.content for payload in fetch("usdmxn", "operations", source, Endpoint(desk), JANUARY)]
    assert read(contents, source)["remark"].tolist() == ["1", "2", "3", "4", "5", "last"]


def test_a_growing_key_that_is_null_somewhere_is_refused(desk: str, says_what_to_do: Any) -> None:
    with pytest.raises(ContractBroken, match=r"remark of desk.operation is null in some rows") as caught:
        list(fetch("usdmxn", "operations", by_key(2, "remark"), Endpoint(desk, hash_key=KEY), JANUARY))
    says_what_to_do(caught.value, "usdmxn", "operations", JANUARY)


@pytest.mark.parametrize("column", ["client_id", "client_name"])
def test_a_growing_key_cannot_be_personal(column: str) -> None:
    with pytest.raises(ConfigError, match=f"{column}, which cannot be personal"):
        extract("postgresql://127.0.0.1:9/x", by_key(2, column))


def test_a_window_without_rows_is_one_page(desk: str) -> None:
    payload = extract(desk, by_key(2), Window.parse("2030-01-01", "2030-02-01"))
    assert payload.content.count(b"\n") == 1
    assert (payload.request["after"], payload.request["until"]) == (None, None)


@pytest.mark.parametrize(
    "incremental",
    [{"by": "key"}, {"column": "operation_id"}, {"by": "time", "rows": 5}, {"by": "key", "column": "x", "rows": 0}],
)
def test_an_incremental_that_says_half_is_refused(incremental: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        source_of(incremental=incremental)


@pytest.mark.parametrize("url", ["mysql://db/desk", "https://db:3306", "sqlite:///desk.db", "db.example.org", ""])
def test_another_database_than_postgres_is_refused(url: str, says_what_to_do: Any) -> None:
    with pytest.raises(
        ContractBroken, match="kind sql reads Postgres, and the Airflow Connection internal_db"
    ) as caught:
        extract(url)
    says_what_to_do(caught.value, "usdmxn", "operations", JANUARY)


def test_an_error_of_the_database_does_not_repeat_a_persons_data(desk: str, says_what_to_do: Any) -> None:
    execute(desk, "CREATE VIEW desk.cast AS SELECT executed_at, client_name::int AS number FROM desk.operation")
    columns = {"number": {"from": "number", "type": "integer", "unit": "code", "description": "a number"}}
    with pytest.raises(ContractBroken, match="a value that cannot be extracted") as caught:
        extract(desk, source_of(table="desk.cast", columns=columns, key=[]))
    assert "Client name" not in str(caught.value)
    assert "Client name" not in repr(caught.value.__cause__)
    says_what_to_do(caught.value, "usdmxn", "operations", JANUARY)


def clear_values(desk: str) -> list[bytes]:
    """Return everything personal that the table holds."""
    with psycopg2.connect(desk) as database, database.cursor() as cursor:
        cursor.execute("SELECT client_id FROM desk.operation UNION SELECT client_name FROM desk.operation")
        values = [value.encode() for (value,) in cursor if value]
    database.close()
    return values


@pytest.mark.parametrize("source", [OPERATIONS, by_key(2)])
def test_personal_data_is_nowhere_in_the_lake_or_the_log(
    desk: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, source: SqlSource
) -> None:
    caplog.set_level(logging.DEBUG)
    kept = tmp_path / "lake"
    lake = Lake(kept.as_uri())
    records = []
    for payload in fetch("usdmxn", "operations", source, Endpoint(desk, hash_key=KEY), JANUARY):
        stored = lake.put(payload)
        records.append(repr((payload.request, payload.headers, stored)).encode())
    files = [path.read_bytes() for path in kept.rglob("*") if path.is_file()]
    unpacked = [pa.input_stream(pa.BufferReader(file), compression="zstd").read() for file in files]
    assert len(files) == len(records)
    found = b"".join([*files, *unpacked, *records, caplog.text.encode()])
    assert hashed("C-0001").encode() in found, "the test sees what is in the files"
    values = clear_values(desk)
    assert len(values) == 4
    for value in [*values, KEY.encode()]:
        assert value not in found


def test_the_look_for_personal_data_sees_it_where_nothing_hides_it(desk: str) -> None:
    columns = {"name": {"from": "client_name", "type": "text", "unit": "text", "description": "a name"}}
    content = extract(desk, source_of(columns=columns, key=[])).content
    assert any(value in content for value in clear_values(desk))


TEXT = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)
LINE = st.tuples(st.sampled_from(["2025-01-05T00:00:00.000000Z", "infinity", ""]) | TEXT, st.none() | TEXT).map(
    csv_line
)


@settings(max_examples=300, deadline=None)
@given(
    content=st.binary(max_size=300)
    | st.tuples(
        st.just(csv_line(["executed_at", "remark"])), st.lists(LINE, max_size=5).map(b"".join), st.binary(max_size=4)
    ).map(b"".join)
)
def test_any_bytes_give_rows_or_say_why(content: bytes) -> None:
    source = source_of(columns={"remark": PLAIN["remark"]}, key=[])
    try:
        batches = list(parse("usdmxn", "operations", source, [lambda: io.BytesIO(content)], JANUARY))
    except ContractBroken as error:
        why = str(error)
    else:
        why = None
    if why is not None:
        assert why.startswith("pipeline usdmxn, source operations, window 2025-01-01..2025-02-01: ")
        assert "\n" not in why
        return
    for batch in batches:
        assert batch.schema.names[4:] == ["remark"]
        batch.validate(full=True)
