"""Extracts from a real Postgres: the window, the snapshot, and what becomes of personal data."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from typing import Any

import pandas as pd
import psycopg2
import pytest

from include.errors import ConfigError, ContractBroken, SourceUnavailable
from include.sources import Endpoint, fetch, parse, parse_all
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
    [payload] = fetch("usdmxn", "operations", source, Endpoint(url, **more), window, hash_key=KEY)
    return payload


def read(content: bytes, source: SqlSource = OPERATIONS, window: Window = JANUARY) -> pd.DataFrame:
    return parse("usdmxn", "operations", source, content, window)


def hashed(value: str) -> str:
    return hmac.new(KEY.encode(), value.encode(), hashlib.sha256).hexdigest()[:32]


def test_the_windows_rows_come_in_order_with_their_exact_text(desk: str) -> None:
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


def test_personal_data_is_hashed_or_dropped_before_the_payload_exists(desk: str) -> None:
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


def test_a_window_without_rows_gives_the_header_and_no_rows(desk: str) -> None:
    window = Window.parse("2030-01-01", "2030-02-01")
    content = extract(desk, window=window).content
    assert content == b'"executed_at","operation_id","amount_usd","client_id","remark","is_bank_rate"\n'
    frame = read(content, window=window)
    assert len(frame) == 0
    assert frame.dtypes.astype(str).tolist() == ["datetime64[us, UTC]"] * 2 + ["object"] * 5
    assert len(parse_all("usdmxn", "operations", OPERATIONS, [], window)) == 0


def test_more_rows_than_one_server_side_batch_come_whole(desk: str) -> None:
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


def test_times_without_a_zone_and_dates_are_read_as_utc(desk: str) -> None:
    with psycopg2.connect(desk) as database, database.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE desk.plain (at_naive timestamp, on_date date);"
            "INSERT INTO desk.plain VALUES ('2025-01-31 23:00', '2025-01-31'), ('2025-02-01 00:00', '2025-02-01')"
        )
    database.close()
    for time_column, expected in (("at_naive", "2025-01-31T23:00Z"), ("on_date", "2025-01-31T00:00Z")):
        columns = {"same": {"from": time_column, "type": "text", "unit": "text", "description": "the time again"}}
        source = source_of(table="desk.plain", time_column=time_column, key=[], columns=columns)
        frame = read(extract(desk, source).content, source)
        assert frame["valid_at"].tolist() == [pd.Timestamp(expected)]


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
        fetch("usdmxn", "operations", OPERATIONS, Endpoint("postgresql://127.0.0.1:9/x"), JANUARY)


def test_a_time_column_cannot_be_personal() -> None:
    columns = {
        "at": {"from": "executed_at", "type": "text", "unit": "text", "description": "a time", "personal": "hash"}
    }
    with pytest.raises(ConfigError, match="executed_at, which cannot be personal"):
        extract("postgresql://127.0.0.1:9/x", source_of(columns=columns, key=[]))


def test_an_unreadable_time_in_an_old_payload_keeps_its_row() -> None:
    columns = {"remark": {"from": "remark", "type": "text", "unit": "text", "description": "a remark"}}
    content = csv_line(["executed_at", "remark"]) + csv_line(["infinity", "x"]) + csv_line([None, "y"])
    frame = read(content, source_of(columns=columns, key=[]))
    assert frame["valid_at"].isna().tolist() == [True, True]
    assert frame["remark"].tolist() == ["x", "y"]


def test_a_payload_without_an_agreed_column_breaks_the_contract(says_what_to_do: Any) -> None:
    with pytest.raises(ContractBroken, match="header 'operation_id' is missing") as caught:
        read(b'"executed_at"\n')
    says_what_to_do(caught.value, "usdmxn", "operations", JANUARY)
