"""Injections into the simulated core banking: the view ``desk.operation`` computes them, and no row is changed."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing

import psycopg2
from psycopg2.sql import SQL, Composable, Composed, Identifier, Literal

from include.errors import SourceUnavailable
from include.sandbox.core_banking import LOCK
from include.sandbox.injection import CORE_BANKING, Injection, of_field

TABLE = "desk.operation"
# Each column that can be injected with its type; net_usd is made of what amount_usd and side_code then are.
COLUMNS = {"amount_usd": "numeric(14, 2)", "side_code": "text", "is_bank_rate": "boolean", "net_usd": "numeric"}
VIEW = """
CREATE OR REPLACE VIEW desk.operation AS
SELECT operation_id, executed_at, amount_usd, side_code, {net_usd} AS net_usd,
       client_id, client_name, client_rfc, is_bank_rate
FROM (
    SELECT *, CASE side_code WHEN 'buy' THEN amount_usd ELSE -amount_usd END AS net_usd
    FROM (
        SELECT operation_id, executed_at, client_id, {amount_usd} AS amount_usd, {side_code} AS side_code,
               {is_bank_rate} AS is_bank_rate
        FROM desk.deal
    ) deal
) signed JOIN desk.client USING (client_id)
"""
# The same number from 0 to 1 as `include.sandbox.injection.lot` gives.
LOT = """
('x' || left(encode(sha256(convert_to({field} || ' ' || operation_id::text, 'UTF8')), 'hex'), 8))::bit(32)::bigint
    / 4294967296.0
"""


def apply(url: str, injections: Iterable[Injection]) -> None:
    """Let the view show these injections and no others, those of other services left out; idempotent.

    Parameters
    ----------
    url : str
        The simulated core banking, ``postgresql://…``, as its owner.

    Raises
    ------
    SourceUnavailable
        The database does not answer. Retrying may help.
    """
    try:
        connection = psycopg2.connect(url)
    except psycopg2.OperationalError as error:
        reason = str(error).strip().splitlines()[0]
        raise SourceUnavailable(f"core_banking does not answer ({reason}): start it with ciclo up.") from error
    with closing(connection), connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        cursor.execute(view([each for each in injections if each.service == CORE_BANKING]))


def view(injections: Iterable[Injection]) -> Composed:
    """Return the statement that defines the view as injections change it."""
    own = tuple(injections)
    return SQL(VIEW).format(**{name: _expression(name, of_field(own, name)) for name in COLUMNS})


def _expression(name: str, own: tuple[Injection, ...]) -> Composable:
    """Return a column as its injections change it, one after the other."""
    value: Composable = Identifier(name)
    for each in own:
        bounds = SQL("executed_at >= {}").format(Literal(each.start))
        if each.end is not None:
            bounds = SQL("{} AND executed_at < {}").format(bounds, Literal(each.end))
        changed = SQL("CASE WHEN {} THEN {} ELSE {} END").format(bounds, _changed(each, value), value)
        value = SQL("({})::" + COLUMNS[name]).format(changed)
    return value


def _changed(each: Injection, value: Composable) -> Composable:
    if each.kind == "freeze":  # a constant cannot make a value of one that is missing
        return SQL("CASE WHEN {} IS NOT NULL THEN {} END").format(value, Literal(each.constant))
    if each.kind == "missing":
        chosen = SQL(LOT).format(field=Literal(each.field))
        return SQL("CASE WHEN {} >= {} THEN {} END").format(chosen, Literal(each.share), value)
    return SQL("{} * {} + {}").format(value, Literal(each.factor), Literal(each.offset))
