"""The bank's own database, simulated: the credit desk's operations with its clients' personal data.

`python -m include.sandbox.core_banking` seeds the database that `CICLO_CORE_BANKING_URL` names. No row is real.
Operations fall on the real banking days of the FIX, 2018-01-02 to 2026-03-04, and clients buy dollars somewhat more
often after the peso fell. The database's comment begins with SIMULATED, so that whoever reads it can say so too.
"""

import io
import os
import random
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import psycopg2
from psycopg2.extensions import connection as Connection

from include.errors import CicloError, ConfigError, SourceUnavailable
from include.sandbox import market_data

FIRST, LAST = date(2018, 1, 2), date(2026, 3, 4)
MEXICO_CITY = ZoneInfo("America/Mexico_City")
CLIENTS = 240
SEED = 43718
LOCK = 4371801  # any number of our own: two seedings at once wait for each other

SCHEMA = """
CREATE SCHEMA desk;
CREATE TABLE desk.client (
    client_id text PRIMARY KEY, client_name text NOT NULL, client_rfc text NOT NULL UNIQUE
);
CREATE TABLE desk.deal (
    operation_id bigint PRIMARY KEY,
    executed_at timestamptz NOT NULL,
    amount_usd numeric(14, 2) NOT NULL CHECK (amount_usd > 0),
    side_code text NOT NULL CHECK (side_code IN ('buy', 'sell')),
    client_id text NOT NULL REFERENCES desk.client,
    is_bank_rate boolean NOT NULL
);
CREATE INDEX deal_executed_at ON desk.deal (executed_at);
CREATE VIEW desk.operation AS
SELECT operation_id, executed_at, amount_usd, side_code,
       CASE side_code WHEN 'buy' THEN amount_usd ELSE -amount_usd END AS net_usd,
       client_id, client_name, client_rfc, is_bank_rate
FROM desk.deal JOIN desk.client USING (client_id);
COMMENT ON SCHEMA desk IS 'SIMULATED: the credit desk';
COMMENT ON TABLE desk.client IS 'SIMULATED: clients; no person or company stands behind any row';
COMMENT ON COLUMN desk.client.client_id IS 'Code of the client';
COMMENT ON COLUMN desk.client.client_name IS 'Name of the client; personal';
COMMENT ON COLUMN desk.client.client_rfc IS 'Tax id of the client; personal';
COMMENT ON TABLE desk.deal IS 'SIMULATED: dollar operations with clients, one row each';
COMMENT ON COLUMN desk.deal.operation_id IS 'The number the desk gave the operation';
COMMENT ON COLUMN desk.deal.executed_at IS 'When it was agreed, UTC';
COMMENT ON COLUMN desk.deal.amount_usd IS 'Amount, USD, always positive';
COMMENT ON COLUMN desk.deal.side_code IS 'buy or sell, seen from the client';
COMMENT ON COLUMN desk.deal.client_id IS 'Code of the client';
COMMENT ON COLUMN desk.deal.is_bank_rate IS 'Whether the client took the rate the bank offered';
COMMENT ON VIEW desk.operation IS 'SIMULATED: operations with their client, one row each';
COMMENT ON COLUMN desk.operation.operation_id IS 'The number the desk gave the operation';
COMMENT ON COLUMN desk.operation.executed_at IS 'When it was agreed, UTC';
COMMENT ON COLUMN desk.operation.amount_usd IS 'Amount, USD, always positive';
COMMENT ON COLUMN desk.operation.side_code IS 'buy or sell, seen from the client';
COMMENT ON COLUMN desk.operation.net_usd IS 'Amount, USD, positive where the client buys dollars';
COMMENT ON COLUMN desk.operation.client_id IS 'Code of the client';
COMMENT ON COLUMN desk.operation.client_name IS 'Name of the client; personal';
COMMENT ON COLUMN desk.operation.client_rfc IS 'Tax id of the client; personal';
COMMENT ON COLUMN desk.operation.is_bank_rate IS 'Whether the client took the rate the bank offered';
"""
# At the end of each statement that brought operations, however many: whoever listens looks for new ones.
NOTIFY = """
CREATE OR REPLACE FUNCTION desk.notify_operation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('desk_operation', '');
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER deal_notifies AFTER INSERT ON desk.deal
    FOR EACH STATEMENT EXECUTE FUNCTION desk.notify_operation();
COMMENT ON FUNCTION desk.notify_operation IS 'SIMULATED: tells the channel desk_operation that operations came';
"""
DATABASE_COMMENT = """
DO $$ BEGIN EXECUTE format('COMMENT ON DATABASE %I IS %L', current_database(),
    'SIMULATED core banking of the credit desk; no row is real'); END $$;
"""


def seed(url: str) -> None:
    """Fill a database (`postgresql://…`, as its owner) with the simulated desk, all or nothing; idempotent.

    Raises
    ------
    SourceUnavailable
        The database does not answer. Retrying may help.
    ConfigError
        The database has a schema `desk` that this module did not make. It is left as it is.
    """
    try:
        connection = psycopg2.connect(url)
    except psycopg2.OperationalError as error:
        reason = str(error).strip().splitlines()[0]
        raise SourceUnavailable(f"core_banking does not answer ({reason}): start it, then seed again.") from error
    with closing(connection), connection:
        _seed(connection)


def deals() -> Iterator[tuple[int, datetime, str, str, str, bool]]:
    """Yield the simulated operations in order of time, the same ones every time.

    Yields
    ------
    tuple
        operation_id, executed_at (Mexico City), amount in USD, side, client_id, is_bank_rate.
    """
    # Only `random.random` and what is plainly built on it: its stream is the same in every Python.
    chance = random.Random(SEED)  # noqa: S311 - invented operations, not secrets
    number, before = 100_000, None
    for day, fix in market_data.fix():
        if before and FIRST <= day <= LAST:
            buy_share = min(0.8, max(0.3, 0.54 + 8 * (fix / before - 1)))
            seconds = sorted(int(chance.random() * 5.5 * 3600) for _ in range(3 + int(6 * chance.random() ** 1.6)))
            for second in seconds:
                number += 1
                opened = datetime.combine(day, time(8, 30), MEXICO_CITY)
                yield number, opened + timedelta(seconds=second), *_terms(chance, buy_share)
        before = fix


def _terms(chance: random.Random, buy_share: float) -> tuple[str, str, str, bool]:
    rank = chance.random() ** 2  # few clients do most of the business, and theirs is larger
    amount = 4_000 * (1 + 6 * (1 - rank)) * 40 ** chance.random()
    side = "buy" if chance.random() < buy_share else "sell"
    is_bank_rate = chance.random() < (0.45 if amount > 250_000 else 0.68)
    return f"{amount:.2f}", side, f"C{1 + int(rank * CLIENTS):04}", is_bank_rate


def _seed(connection: Connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        cursor.execute("SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = 'desk'")
        if row := cursor.fetchone():
            if not (row[0] or "").startswith("SIMULATED"):
                raise ConfigError("core_banking already has a schema desk of its own: name another database.")
            cursor.execute(NOTIFY)
            return
        cursor.execute(SCHEMA)
        clients = ((f"C{n:04}", f"Client {n:04}", f"ZZZ010101{n:03}") for n in range(1, CLIENTS + 1))
        _copy(connection, "desk.client", clients)
        _copy(connection, "desk.deal", deals())
        cursor.execute(NOTIFY)  # after the history, which is no news
        cursor.execute(DATABASE_COMMENT)
        cursor.execute("ANALYZE desk.client, desk.deal")


def _copy(connection: Connection, table: str, rows: Iterator[tuple[object, ...]]) -> None:
    lines = ("\t".join(str(value) for value in row) + "\n" for row in rows)
    with connection.cursor() as cursor:
        cursor.copy_expert(f"COPY {table} FROM STDIN", io.StringIO("".join(lines)))


def main() -> int:
    """Seed the database of `CICLO_CORE_BANKING_URL`; return 2 with one sentence if that fails."""
    url = os.environ.get("CICLO_CORE_BANKING_URL")
    try:
        if not url:
            raise ConfigError("Nothing to seed: set CICLO_CORE_BANKING_URL to postgresql://… of core_banking.")
        seed(url)
    except CicloError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
